import { mkdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test, vi } from "vitest";
import type { Reply } from "../../worker/redis/connection.ts";
import { headers, SEALED } from "../../worker/relay/protocol.ts";
import { outcomeOf } from "../../worker/relay/verbs/steps.ts";
import { tcpServer } from "../support/tcp.ts";
import {
  app,
  DATA,
  facts,
  nodeAt,
  pair,
  post,
  redis,
  relayOver,
  settingsFor,
  settled,
  stampOf,
  tell,
  verb,
} from "./support.ts";

const asApp = { authorization: `Bearer ${DATA}` };
const done = { status: 200, body: { outcome: "done", detail: "" } };

test("a failover by verbs: seal, promote, demote, each seen in INFO", async () => {
  const { a, b, relay } = await pair();
  await app(relay).set("k", "kept");

  expect(await verb(relay, "a/seal", { epoch: 1, primary: null })).toMatchObject(done);
  expect(await facts(relay, "a")).toMatchObject({ role: "primary", minReplicasToWrite: SEALED });
  await expect(app(relay).set("k", "lost")).rejects.toThrow(/NOREPLICAS/);
  const lag = await post(relay, "/nodes/a", ["CONFIG", "GET", "min-replicas-max-lag"]);
  expect(lag.body).toEqual({ result: ["min-replicas-max-lag", "10"] });

  const promotion = { epoch: 1, primary: "b", minReplicas: 0, bootSealed: false };
  expect(await verb(relay, "b/promote", promotion)).toMatchObject(done);
  expect(await facts(relay, "b")).toMatchObject({ role: "primary", minReplicasToWrite: 0 });
  expect(await app(relay, "b").set("n", "new")).toBe("OK");

  const follow = { host: b.host, port: b.port };
  const demotion = { epoch: 1, primary: "b", follow, minReplicas: 0, bootSealed: false };
  expect(await verb(relay, "a/demote", demotion)).toMatchObject(done);
  await vi.waitFor(
    async () =>
      expect(await facts(relay, "a")).toMatchObject({
        role: "replica",
        replicaOf: follow,
        linkUp: true,
        minReplicasToWrite: 0,
      }),
    settled,
  );

  // All of it is in the config files, and no seal is.
  for (const server of [a, b]) {
    await server.kill();
    await server.start();
  }
  await vi.waitFor(
    async () => expect(await facts(relay, "a")).toMatchObject({ linkUp: true, replicaOf: follow }),
    settled,
  );
  expect(await facts(relay, "a")).toMatchObject({ minReplicasToWrite: 0 });
  expect(await facts(relay, "b")).toMatchObject({ role: "primary" });
});

test("unseal gives back what the group wants", async () => {
  const { relay } = await pair();
  await verb(relay, "a/seal", { epoch: 1, primary: null });
  const unseal = { epoch: 1, primary: "a", minReplicas: 1, bootSealed: false };
  expect(await verb(relay, "a/unseal", unseal)).toMatchObject(done);
  expect(await facts(relay, "a")).toMatchObject({ minReplicasToWrite: 1 });
  // Redis counts a replica only after its first acknowledgement.
  await vi.waitFor(async () => expect(await app(relay).set("k", "v")).toBe("OK"), settled);
});

test("clients are dropped by promote, and the relay's own app connection is not the node's fault", async () => {
  const { relay } = await pair();
  const client = app(relay, "b");
  await client.ping();
  let answered = 0;
  let stop = false;
  const wrong: string[] = [];
  const crowd = Array.from({ length: 8 }, async () => {
    while (!stop) {
      const { status, body } = await post(relay, "/nodes/b", ["GET", "k"], asApp);
      answered += 1;
      if (status !== 200 && !JSON.stringify(body).includes("relay's own promote")) {
        wrong.push(JSON.stringify(body));
      }
    }
  });
  const look = async () => (await post(relay, "/nodes/b", ["PING"])).body;
  await vi.waitFor(() => expect(answered).toBeGreaterThan(50), settled);
  const promotion = { epoch: 1, primary: "b", minReplicas: 0, bootSealed: false };
  expect(await verb(relay, "b/promote", promotion)).toMatchObject(done);
  expect(await look()).toEqual({ result: "PONG" });
  const before = answered;
  await vi.waitFor(() => expect(answered).toBeGreaterThan(before + 50), settled);
  stop = true;
  await Promise.all(crowd);
  expect(wrong).toEqual([]);
});

test("a server without a config file: done, and said", async () => {
  const server = await redis();
  const relay = await relayOver(await settingsFor([nodeAt("a", server)]));
  await tell(relay);
  // A config file that cannot be written fails as one that is not there.
  await rm(join(server.dir, "redis.conf"));
  await mkdir(join(server.dir, "redis.conf"));
  const said = await verb(relay, "a/promote", {
    epoch: 1,
    primary: "a",
    minReplicas: 0,
    bootSealed: false,
  });
  expect(said).toMatchObject({
    status: 200,
    body: { outcome: "done", detail: expect.stringContaining("config file not rewritten") },
  });
  expect(await facts(relay, "a")).toMatchObject({ role: "primary" });
});

test("what Redis refuses is failed, with its own words", async () => {
  const server = await redis({ args: ["--rename-command", "REPLICAOF", "hidden"] });
  const relay = await relayOver(await settingsFor([nodeAt("a", server)]));
  await tell(relay);
  const said = await verb(relay, "a/promote", {
    epoch: 1,
    primary: "a",
    minReplicas: 0,
    bootSealed: false,
  });
  expect(said).toMatchObject({
    status: 502,
    body: { outcome: "failed", detail: expect.stringContaining("unknown command") },
  });
});

test("the fence over HTTP: one refusal of each kind, and nothing happens to Redis", async () => {
  const server = await redis();
  const settings = await settingsFor([nodeAt("a", server)], { commandTtlMs: 100 });
  const relay = await relayOver(settings);
  const seal = { epoch: 5, primary: null };
  const refusedAs = (code: string) => ({
    status: 409,
    body: { outcome: "refused", detail: expect.stringMatching(new RegExp(`^${code} `)) },
  });

  const untold = await verb(relay, "a/seal", seal);
  expect(untold).toMatchObject(refusedAs("UNTOLD"));
  expect(untold.headers.get(headers.epoch)).toBe("none");

  const told = await tell(relay, 5);
  expect([told.status, told.headers.get(headers.epoch)]).toEqual([200, "5"]);
  expect(await tell(relay, 4)).toMatchObject(refusedAs("EPOCH"));
  expect(await verb(relay, "a/seal", { ...seal, epoch: 4 })).toMatchObject(refusedAs("EPOCH"));
  expect(await tell(relay, 5, "b")).toMatchObject({ status: 200 });
  const promotion = { epoch: 5, primary: "a", minReplicas: 0, bootSealed: false };
  expect(await verb(relay, "a/promote", promotion)).toMatchObject(refusedAs("PRIMARY"));

  const old = await stampOf(relay);
  await vi.waitFor(
    async () => expect((await stampOf(relay)).ms - old.ms).toBeGreaterThan(110),
    settled,
  );
  expect(await verb(relay, "a/seal", { ...seal, stamp: old })).toMatchObject(refusedAs("STAMP"));
  const foreign = { ...(await stampOf(relay)), boot: "another" };
  expect(await verb(relay, "a/seal", { ...seal, stamp: foreign })).toMatchObject(
    refusedAs("STAMP"),
  );
  expect(await facts(relay, "a")).toMatchObject({ minReplicasToWrite: 0 });

  const sealed = { ...seal, action: "once" };
  expect(await verb(relay, "a/seal", sealed)).toMatchObject(done);
  expect(await verb(relay, "a/seal", { ...sealed, epoch: 6 })).toMatchObject(refusedAs("ACTION"));
});

test("a repeated action gets its stored outcome and does nothing", async () => {
  const { relay } = await pair();
  const seal = { epoch: 1, primary: null, action: "once" };
  expect(await verb(relay, "a/seal", seal)).toMatchObject(done);
  await verb(relay, "a/unseal", { epoch: 1, primary: null, minReplicas: 0, bootSealed: false });
  expect(await verb(relay, "a/seal", seal)).toMatchObject(done);
  expect(await facts(relay, "a")).toMatchObject({ minReplicasToWrite: 0 });
});

test("bodies that are no verbs", async () => {
  const { relay } = await pair();
  for (const body of ["", "{", "[]", "{}", '{"group":"g","epoch":-1}']) {
    expect((await post(relay, "/nodes/a/seal", body)).status).toBe(400);
    expect((await post(relay, "/groups/g/epoch", body)).status).toBe(400);
  }
  const extra = await verb(relay, "a/seal", { epoch: 1, primary: null, surprise: 1 });
  expect(extra).toMatchObject({
    status: 400,
    body: { error: expect.stringContaining("surprise") },
  });
  expect((await verb(relay, "nobody/seal", { epoch: 1, primary: null })).status).toBe(404);
});

test("a stopped Redis is surely not promoted, and does not promote itself when it wakes", async () => {
  const { b, relay } = await pair();
  await post(relay, "/nodes/b", ["PING"]);
  const stamp = await stampOf(relay);
  await b.kill("SIGSTOP");
  const promotion = { epoch: 1, primary: "b", minReplicas: 0, bootSealed: false, stamp };
  const { status, body } = await verb(relay, "b/promote", promotion);
  expect([status, body]).toMatchObject([502, { outcome: "unreachable" }]);
  // What was left of the verb's own deadline.
  const { detail } = body as { detail: string };
  expect(Number(/^NODE_TIMEOUT no answer in (\d+) ms/.exec(detail)?.[1])).toBeLessThanOrEqual(1000);
  await b.kill("SIGCONT");
  await vi.waitFor(async () => expect(await facts(relay, "b")).not.toBeNull(), settled);
  expect(await facts(relay, "b")).toMatchObject({ role: "replica" });
});

test("a Redis that is lost in mid-verb leaves the outcome unknown", async () => {
  // Greets, answers PING, and never says what became of the transaction.
  const port = await tcpServer((socket) =>
    socket.on("data", (bytes) => {
      const pings = bytes.toString().split("PING").length - 1;
      if (!bytes.includes("MULTI")) socket.write("+PONG\r\n".repeat(pings));
    }),
  );
  const node = nodeAt("a", { host: "127.0.0.1", port });
  const settings = await settingsFor([node]);
  const relay = await relayOver(settings);
  await tell(relay);
  const seal = { epoch: 1, primary: null };
  const stamp = await stampOf(relay);
  const lost = verb(relay, "a/seal", { ...seal, action: "lost", stamp });
  await vi.waitFor(
    async () => expect(await readFile(settings.stateFile, "utf8")).toContain('"lost"'),
    settled,
  );
  // One at a time: the second waits behind the first, and its own deadline ends it.
  const soon = { [headers.deadline]: "100" };
  const behind = verb(relay, "a/seal", { ...seal, action: "behind", stamp }, soon);
  for (const said of [await behind, await lost]) {
    expect(said).toMatchObject({ status: 504, body: { outcome: "unknown" } });
  }
  expect(await verb(relay, "a/seal", { ...seal, action: "lost" })).toMatchObject({
    status: 504,
    body: { outcome: "unknown" },
  });
});

test("what cannot be written down is not executed", async () => {
  const server = await redis();
  const settings = await settingsFor([nodeAt("a", server)]);
  const relay = await relayOver(settings);
  await tell(relay);
  await rm(dirname(settings.stateFile), { recursive: true });
  const seal = { epoch: 1, primary: null, action: "unwritten" };
  for (let times = 0; times < 2; times += 1) {
    expect(await verb(relay, "a/seal", seal)).toMatchObject({
      status: 502,
      body: { outcome: "unreachable", detail: expect.stringContaining("state file") },
    });
  }
  expect(await facts(relay, "a")).toMatchObject({ minReplicasToWrite: 0 });
  expect(await tell(relay, 2)).toMatchObject({ status: 502, body: { outcome: "failed" } });
});

const ok = Buffer.from("OK");
const queued = Buffer.from("QUEUED");
const no = new Error("ERR no");
const steps = [["MULTI"], ["REPLICAOF"], ["CONFIG", "REWRITE"], ["CLIENT", "KILL"], ["EXEC"]];

test.each<[string, readonly Reply[], outcome: string]>([
  ["all executed", [ok, queued, queued, queued, [ok, ok, "1"]], "done"],
  ["the file not rewritten", [ok, queued, queued, queued, [ok, no, "1"]], "done"],
  ["no client dropped", [ok, queued, queued, queued, [ok, ok, no]], "done"],
  ["REPLICAOF refused", [ok, queued, queued, queued, [no, ok, "1"]], "failed"],
  ["one not queued, so none executed", [ok, no, queued, queued, no], "failed"],
  ["all turned away", [no, no, no, no, no], "failed"],
  ["MULTI refused, and the rest ran one by one", [no, ok, ok, "1", no], "unknown"],
])("%s", (_, replies, outcome) => {
  expect(outcomeOf(steps, replies).outcome).toBe(outcome);
});
