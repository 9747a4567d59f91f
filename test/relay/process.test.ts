import { readFile, writeFile } from "node:fs/promises";
import { expect, test, vi } from "vitest";
import { headers } from "../../worker/relay/protocol.ts";
import { configFile, relayProcess, run } from "./door.ts";
import { app, DATA, facts, post, redis, stampOf, tell, verb } from "./support.ts";

const SECRET = "hush-hush";
const settled = { timeout: 20_000, interval: 20 };

test("it says one line when it listens, and ends cleanly at SIGTERM", async () => {
  const { host, port } = await redis();
  const { path } = await configFile([
    { id: "a", host, port },
    { id: "b", host, port },
  ]);
  const relay = await relayProcess(path);
  expect(relay.lines()[0]).toEqual({
    at: expect.any(String),
    relay: "r",
    event: "start",
    listening: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    nodes: ["a", "b"],
  });
  expect(await app(relay).set("k", "v")).toBe("OK");
  relay.child.kill("SIGTERM");
  expect(await relay.exit).toBe(0);
  await expect(fetch(`${relay.url}/healthz`)).rejects.toThrow();
});

test("a request in flight is answered before SIGTERM ends it", async () => {
  const server = await redis();
  const { path } = await configFile([{ id: "a", host: server.host, port: server.port }]);
  const relay = await relayProcess(path);
  await app(relay).ping();
  await server.kill("SIGSTOP");
  const pending = post(relay, "/nodes/a", ["INCR", "n"], { authorization: `Bearer ${DATA}` });
  // A second request proves that the first one was taken in before it.
  await post(relay, "/nodes/a", ["PING"], { [headers.deadline]: "50" });
  relay.child.kill("SIGTERM");
  expect(await pending).toMatchObject({
    status: 504,
    body: { error: expect.stringMatching(/^NODE_TIMEOUT/) },
  });
  expect(await relay.exit).toBe(0);
});

test("epochs and outcomes survive a kill; a stamp of the life before does not", async () => {
  const { host, port } = await redis();
  const { path } = await configFile([{ id: "a", host, port }]);
  const before = await relayProcess(path);
  await tell(before, 3);
  const seal = { epoch: 4, primary: null, action: "once" };
  expect((await verb(before, "a/seal", seal)).status).toBe(200);
  const stamp = await stampOf(before);
  before.child.kill("SIGKILL");
  await before.exit;

  const after = await relayProcess(path);
  const look = await post(after, "/nodes/a", ["PING"]);
  expect(look.headers.get(headers.epoch)).toBe("4");
  expect(await verb(after, "a/seal", { ...seal, epoch: 3, action: "behind" })).toMatchObject({
    status: 409,
    body: { detail: expect.stringMatching(/^EPOCH /) },
  });
  expect(await verb(after, "a/seal", { ...seal, action: "late", stamp })).toMatchObject({
    status: 409,
    body: { detail: expect.stringMatching(/^STAMP /) },
  });
  expect(await verb(after, "a/seal", { ...seal, stamp })).toMatchObject({
    status: 200,
    body: { outcome: "done" },
  });
});

test("killed between journal and execution: unknown, and never executed again", async () => {
  const server = await redis();
  const nodes = [{ id: "a", host: server.host, port: server.port }];
  const { path, state } = await configFile(nodes, { node_timeout_ms: 10_000 });
  const before = await relayProcess(path);
  await tell(before);
  const stamp = await stampOf(before);
  await server.kill("SIGSTOP");
  const seal = { epoch: 1, primary: null, action: "cut", stamp };
  const cut = verb(before, "a/seal", seal).catch(() => "no answer");
  await vi.waitFor(async () => expect(await readFile(state, "utf8")).toContain('"cut"'), settled);
  before.child.kill("SIGKILL");
  expect(await cut).toBe("no answer");
  await server.kill("SIGCONT");

  const after = await relayProcess(path);
  expect(await verb(after, "a/seal", seal)).toMatchObject({
    status: 504,
    body: { outcome: "unknown" },
  });
  expect(await facts(after, "a")).toMatchObject({ minReplicasToWrite: 0 });
});

test("without its state file it holds no epoch and refuses every verb", async () => {
  const { host, port } = await redis();
  const { path } = await configFile([{ id: "a", host, port }]);
  const relay = await relayProcess(path);
  expect(await verb(relay, "a/seal", { epoch: 9, primary: null })).toMatchObject({
    status: 409,
    body: { detail: expect.stringMatching(/^UNTOLD /) },
  });
});

test("what it cannot use it refuses: exit 2, the reason on stderr, no secret anywhere", async () => {
  const node = { id: "a", host: "127.0.0.1", port: 1 };
  const damaged = await configFile([node]);
  await writeFile(damaged.state, "{");
  const wrong = await configFile([node], { data_tokens: [SECRET], surprise: 1 });
  const noJson = await configFile([node]);
  await writeFile(noJson.path, `{"data_tokens": [${SECRET}]}`);
  for (const [args, reason] of [
    [["--config", damaged.path], damaged.state],
    [["--config", wrong.path], "data_tokens.0"],
    [["--config", noJson.path], "not JSON"],
    [["--config", "/nowhere/relay.json"], "/nowhere/relay.json"],
    [["--surprise"], "--surprise"],
    [[], "--config"],
  ] as const) {
    const { said, exit } = run(args);
    expect(await exit).toBe(2);
    expect(said.err).toContain(reason);
    expect(said.err).not.toContain(SECRET);
    expect(said.out).toBe("");
  }
  const named = run([], { PICKET_RELAY_CONFIG: noJson.path });
  expect([await named.exit, named.said.err]).toEqual([2, expect.stringContaining(noJson.path)]);
  const { said, exit } = run(["--help"]);
  expect([await exit, said.out]).toEqual([0, expect.stringContaining("--config FILE")]);
});

test("a port that is taken: exit 2", async () => {
  const { host, port } = await redis();
  const { path } = await configFile([{ id: "a", host, port }], { listen: { host, port } });
  const { said, exit } = run(["--config", path]);
  expect(await exit).toBe(2);
  expect(said.err).toContain("EADDRINUSE");
});
