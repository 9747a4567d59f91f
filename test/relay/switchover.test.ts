/**
 * The planned switch at the relay, on real Redis servers: the cases of Redis's own failover.tcl.
 * What the Group makes of them (any replica, force, the other replicas) is told elsewhere.
 */
import { expect, onTestFinished, test, vi } from "vitest";
import { openSession } from "../../worker/redis/session.ts";
import { SEALED } from "../../worker/relay/protocol.ts";
import {
  app,
  ask,
  facts,
  nodeAt,
  online,
  type Pair,
  pair,
  post,
  redis,
  relayOver,
  settingsFor,
  settled,
  tell,
  verb,
} from "./support.ts";

type At = { readonly host: string; readonly port: number };

/** The order to a, to hand over to b at `to`. */
const handOver = (relay: Pair["relay"], to: At, timeoutMs = 10_000, node = "a") =>
  verb(relay, `${node}/switchover`, {
    ...{ epoch: 1, primary: node === "a" ? "b" : "a" },
    to: { host: to.host, port: to.port },
    timeoutMs,
  });
const failed = (detail: string | RegExp) => ({
  status: 502,
  body: { outcome: "failed", detail: expect.stringMatching(detail) },
});
const done = { status: 200, body: { outcome: "done" } };

const becomes = (relay: Pair["relay"], node: string, wanted: object) =>
  vi.waitFor(async () => expect(await facts(relay, node)).toMatchObject(wanted), settled);
/** a is what it was: nobody's replica, and it takes writes. */
async function unchanged(relay: Pair["relay"]) {
  expect(await facts(relay, "a")).toMatchObject({ role: "primary", switching: false });
  expect(await app(relay).set("still", "open")).toBe("OK");
}
/** b acknowledged all that there is: as far as a knows, it has caught up. */
const acknowledged = (a: At) =>
  vi.waitFor(async () => {
    const [info] = await ask(a, ["INFO", "replication"]);
    const at = /master_repl_offset:(\d+)/.exec(String(info))?.[1];
    expect(/slave0:.*,offset=(\d+)/.exec(String(info))?.[1]).toBe(at);
  }, settled);

test("W1 no connected replica: an error, and nothing happens", async () => {
  const server = await redis();
  const relay = await relayOver(await settingsFor([nodeAt("a", server)]));
  await tell(relay);
  const said = await handOver(relay, { host: "127.0.0.1", port: 1 });
  expect(said).toMatchObject(failed("no replica is connected"));
  await unchanged(relay);
});

test("W2 invalid host or port: an error that says who is connected, or a body that is refused", async () => {
  const { b, relay } = await pair();
  const elsewhere = await handOver(relay, { host: b.host, port: b.port + 1 });
  expect(elsewhere).toMatchObject(
    failed(`no connected replica is ${b.host}:${b.port + 1}; connected: ${b.host}:${b.port}`),
  );
  for (const wrong of [
    { to: { host: "", port: 1 } },
    { to: { host: "h", port: 0 } },
    { to: { host: "h", port: 65_536 } },
    { timeoutMs: 0 },
    { timeoutMs: 600_001 },
    { timeoutMs: 1.5 },
  ]) {
    const body = { epoch: 1, primary: "b", to: { host: b.host, port: b.port }, timeoutMs: 1000 };
    expect(await verb(relay, "a/switchover", { ...body, ...wrong })).toMatchObject({ status: 400 });
  }
  await unchanged(relay);
});

test("W3 sent to a replica: an error", async () => {
  const { a, b, relay } = await pair();
  expect(await handOver(relay, a, 1000, "b")).toMatchObject(failed("no replica is connected"));
  // Also to one that has a replica of its own: then it is Redis that says no.
  const c = await redis({ args: ["--replicaof", b.host, String(b.port)] });
  await online(b, c);
  expect(await handOver(relay, c, 1000, "b")).toMatchObject(failed("not valid when server is a"));
  await unchanged(relay);
});

test("W4 to a named replica: it is the primary with all the data, and the verbs that follow put the files right", async () => {
  const { a, b, relay } = await pair();
  await app(relay).set("k", "kept");
  expect(await handOver(relay, b)).toMatchObject({
    status: 200,
    body: { outcome: "done", detail: `FAILOVER to ${b.host}:${b.port} began` },
  });
  await becomes(relay, "b", { role: "primary", connectedReplicas: 1 });
  await becomes(relay, "a", { role: "replica", linkUp: true, replicaOf: { port: b.port } });
  expect(await app(relay, "b").get("k")).toBe("kept");
  const [old, now] = [await facts(relay, "a"), await facts(relay, "b")];
  expect(now?.replicationId2).toBe(old?.replicationId2);
  expect(now?.secondOffset).toBe(old?.secondOffset);
  expect(now?.secondOffset).toBeGreaterThan(0);

  // FAILOVER writes no file: at a restart each would be what it was before.
  const opened = { epoch: 1, primary: "b", minReplicas: 0, bootSealed: false };
  const follow = { host: b.host, port: b.port };
  expect(await verb(relay, "b/unseal", opened)).toMatchObject(done);
  expect(await verb(relay, "a/demote", { ...opened, follow })).toMatchObject(done);
  for (const server of [a, b]) {
    await server.kill();
    await server.start();
  }
  await becomes(relay, "b", { role: "primary" });
  await becomes(relay, "a", { role: "replica", linkUp: true, replicaOf: { port: b.port } });
});

test("W4 to a replica that is known by another host: by its port, while that is one replica's alone", async () => {
  const { a, b, relay } = await pair();
  const seen = await redis({
    args: [
      ...["--replicaof", a.host, String(a.port)],
      ...["--replica-announce-ip", "10.0.0.9", "--replica-announce-port", String(b.port)],
    ],
  });
  await becomes(relay, "a", { connectedReplicas: 2 });
  const named = { host: "node-b.internal", port: b.port };
  expect(await handOver(relay, named)).toMatchObject(failed(`several .* port ${b.port}`));
  await unchanged(relay);
  await seen.kill();
  await becomes(relay, "a", { connectedReplicas: 1 });
  expect(await handOver(relay, named)).toMatchObject(done);
  await becomes(relay, "b", { role: "primary" });
});

test("W6 a replica that never catches up: Redis's timeout ends it, and writes are resumed", async () => {
  const { b, relay } = await pair({ nodeTimeoutMs: 500 });
  await b.kill("SIGSTOP");
  await app(relay).set("k", "b has not got this");
  expect(await handOver(relay, b, 2500)).toMatchObject(done);
  expect(await facts(relay, "a")).toMatchObject({ role: "primary", switching: true });

  // Held back by Redis: the app is told so, and not that its node is at fault. Reads are served.
  await expect(app(relay).set("k", "held")).rejects.toThrow(
    /^RELAY_BUSY a switchover is under way; outcome unknown/,
  );
  expect(await app(relay).get("k")).toBe("b has not got this");

  await becomes(relay, "a", { role: "primary", switching: false });
  await unchanged(relay);
});

test("W7 abort by the user: nothing is handed over, writes are resumed; again: nothing to end", async () => {
  const { a, b, relay } = await pair();
  await b.kill("SIGSTOP");
  await app(relay).set("k", "b has not got this");
  expect(await handOver(relay, b, 600_000)).toMatchObject(done);
  const held = ask(a, ["SET", "k", "held"]);
  const abort = { epoch: 1, primary: "b" };
  expect(await verb(relay, "a/abort-switchover", abort)).toMatchObject(done);
  expect(await held).toEqual(["OK"]);
  await unchanged(relay);
  expect(await verb(relay, "a/abort-switchover", abort)).toMatchObject({
    status: 200,
    body: { outcome: "done", detail: "ERR No failover in progress." },
  });
  // Silence is the node's again.
  await a.kill("SIGSTOP");
  await expect(app(relay).get("k")).rejects.toThrow(/^NODE_TIMEOUT/);
});

test("W7 abort in the last phase, which Redis's timeout does not bound: the node comes back sealed", async () => {
  const { a, b, relay } = await pair();
  await acknowledged(a);
  await b.kill("SIGSTOP");
  expect(await handOver(relay, b, 100)).toMatchObject(done);
  // It calls itself a replica by now, and waits for the one that is stopped.
  await becomes(relay, "a", { role: "replica", switching: true });

  const abort = { epoch: 1, primary: "b" };
  expect(await verb(relay, "a/abort-switchover", abort)).toMatchObject({
    status: 200,
    body: { outcome: "done", detail: expect.stringContaining("sealed") },
  });
  expect(await facts(relay, "a")).toMatchObject({
    ...{ role: "primary", switching: false, minReplicasToWrite: SEALED },
  });
  await expect(app(relay).set("k", "v")).rejects.toThrow(/NOREPLICAS/);
  const unseal = { epoch: 2, primary: "a", minReplicas: 0, bootSealed: false };
  expect(await verb(relay, "a/unseal", unseal)).toMatchObject(done);
  await unchanged(relay);
  await b.kill("SIGCONT");
  await becomes(relay, "b", { role: "replica", linkUp: true });
});

test("W8 the target rejects the synchronisation: Redis aborts by itself, and writes are resumed when it was looked at", async () => {
  const { a, b, relay } = await pair();
  await app(relay).set("k", "v");
  // A replica that has just come gets nothing before it was heard of: forced is only who is as far as the primary.
  await acknowledged(a);
  await ask(b, ["ACL", "SETUSER", "default", "-psync"]);
  const before = (await facts(relay, "a"))?.replicationId;
  expect(await handOver(relay, b)).toMatchObject(done);
  // It had stepped down already, and took over again: with a history of its own.
  await vi.waitFor(async () => {
    const now = await facts(relay, "a");
    expect(now).toMatchObject({ role: "primary", switching: false, replicationId2: before });
  }, settled);
  // Nothing was to be written while it was handed over, whoever stood still meanwhile.
  expect(await facts(relay, "a")).toMatchObject({ minReplicasToWrite: SEALED });
  const unseal = { epoch: 2, primary: "a", minReplicas: 0, bootSealed: false };
  expect(await verb(relay, "a/unseal", unseal)).toMatchObject(done);
  await unchanged(relay);
  await becomes(relay, "b", { role: "replica", linkUp: true });
  expect(await app(relay, "b").get("still")).toBe("open");
});

/** Writes as fast as it can, 50 at a time, until it is told no; resolves with the word that ended it. */
async function writer({ host, port }: At, id: number, acked: string[]) {
  const session = openSession({ host, port, username: null, password: null }, 1000);
  onTestFinished(() => session.close());
  async function write(): Promise<string> {
    for (let n = 0; ; n += 50) {
      const keys = Array.from({ length: 50 }, (_, index) => `${id}:${n + index}`);
      const commands = keys.map((key) => ["SET", key, key]);
      const answer = await session.run(commands, { deadlineMs: 20_000 });
      if (answer.kind === "failure") return answer.detail;
      acked.push(...keys.filter((_, index) => String(answer.replies[index]) === "OK"));
      const no = answer.replies.find((reply) => String(reply) !== "OK");
      if (no !== undefined) return String(no);
    }
  }
  return { ended: write() };
}

test("W9 a target that this relay has is asked itself: writes wait for no second of Redis's", async () => {
  const { a, b, relay } = await pair({ nodeTimeoutMs: 20_000 });
  await acknowledged(a);
  const acked: string[] = [];
  const { ended } = await writer(a, 0, acked);
  await vi.waitFor(() => expect(acked.length).toBeGreaterThan(1000), settled);
  expect(await handOver(relay, b)).toMatchObject(done);
  expect(await ended).toMatch(/READONLY|NOREPLICAS/);
  await becomes(relay, "b", { role: "primary" });
  expect(await ask(b, ["DBSIZE"])).toEqual([String(acked.length)]);
  // It was held shut meanwhile, and that was not taken back.
  expect(String(await ask(a, ["INFO", "commandstats"]))).toMatch(/client\|pause:calls=1/);
  expect(await facts(relay, "a")).toMatchObject({ minReplicasToWrite: SEALED });
});

test("W9 under load, no acknowledged write is lost", async () => {
  const { a, b, relay } = await pair();
  const acked: string[] = [];
  const writers = await Promise.all(Array.from({ length: 4 }, (_, id) => writer(a, id, acked)));
  await vi.waitFor(() => expect(acked.length).toBeGreaterThan(20_000), settled);
  expect(await handOver(relay, b)).toMatchObject(done);
  for (const { ended } of writers) expect(await ended).toMatch(/READONLY|NOREPLICAS/);

  await becomes(relay, "b", { role: "primary" });
  const [values] = await ask(b, ["MGET", ...acked]);
  expect(values).toEqual(acked);
  expect(await ask(b, ["DBSIZE"])).toEqual([String(acked.length)]);
});

test("a server that knows no FAILOVER says UNSUPPORTED", async () => {
  const a = await redis({ args: ["--rename-command", "FAILOVER", ""] });
  const b = await redis({ args: ["--replicaof", a.host, String(a.port)] });
  const relay = await relayOver(await settingsFor([nodeAt("a", a), nodeAt("b", b)]));
  await tell(relay);
  await online(a, b);
  expect(await handOver(relay, b)).toMatchObject(failed(/^UNSUPPORTED ERR unknown command/));
  await unchanged(relay);
});

test("a repeated order is not given again", async () => {
  const { b, relay } = await pair();
  const order = {
    ...{ epoch: 1, primary: "b", action: "once" },
    to: { host: b.host, port: b.port },
    timeoutMs: 5000,
  };
  expect(await verb(relay, "a/switchover", order)).toMatchObject(done);
  await becomes(relay, "b", { role: "primary" });
  expect(await verb(relay, "a/switchover", order)).toMatchObject(done);
  const other = { ...order, timeoutMs: 6000 };
  expect(await verb(relay, "a/switchover", other)).toMatchObject({ status: 409 });
  expect((await post(relay, "/nodes/b", ["PING"])).body).toEqual({ result: "PONG" });
});
