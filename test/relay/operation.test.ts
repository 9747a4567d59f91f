/** What whoever runs a relay sees of it: readiness, metrics, the log, reloads, and how it ends. */
import { once } from "node:events";
import { connect } from "node:net";
import { Writable } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import { createLog, type Log } from "../../worker/relay/log.ts";
import { type Relay, startRelay } from "../../worker/relay/serve.ts";
import { until } from "../support/wait.ts";
import { configFile, relayProcess } from "./door.ts";
import {
  app,
  ask,
  CONTROL,
  DATA,
  dataToken,
  nodeAt,
  post,
  redis,
  relayDefaults,
  settingsFor,
  tell,
  verb,
} from "./support.ts";

const as = (token: string) => ({ authorization: `Bearer ${token}` });

async function get(relay: { url: string }, path: string, token?: string) {
  const response = await fetch(relay.url + path, token === undefined ? {} : { headers: as(token) });
  const text = await response.text();
  return { status: response.status, text };
}

/** 0: refused; else the status of one GET of a key with that token. */
const statusFor = async (relay: { url: string }, token: string, node = "a") =>
  (await post(relay, `/nodes/${node}`, ["GET", "k"], as(token))).status;

async function started(settings: Parameters<typeof startRelay>[0], log?: Log): Promise<Relay> {
  const relay = await startRelay(settings, log);
  onTestFinished(() => relay.close());
  return relay;
}

/** One sample of /metrics by its name and labels; 0 when there is none. */
async function sample(relay: Relay, name: string): Promise<number> {
  const { text } = await get(relay, "/metrics", CONTROL);
  const line = text.split("\n").find((each) => each.startsWith(`picket_relay_${name} `));
  return Number(line?.split(" ").at(-1) ?? 0);
}

const blocked = async (at: { host: string; port: number }) => {
  const [info] = await ask(at, ["INFO", "clients"]);
  return Number(/blocked_clients:(\d+)/.exec(String(info))?.[1]);
};

test("alive always, ready while every node answers; and who did not is named, no more", async () => {
  const [a, b] = [await redis(), await redis()];
  const relay = await started(await settingsFor([nodeAt("a", a), nodeAt("b", b)]));
  await until("it is ready", async () => (await get(relay, "/readyz")).status === 200);
  await b.kill();
  const away = await until("it says that b is away", async () => {
    const said = await get(relay, "/readyz");
    return said.status === 503 && said;
  });
  expect(JSON.parse(away.text)).toEqual({ ready: false, nodes: { b: "refused" } });
  expect(await get(relay, "/healthz")).toEqual({ status: 200, text: '{"ok":true}' });
  await b.start();
  await until("it is ready again", async () => (await get(relay, "/readyz")).status === 200);
});

test("G11 X25 a node that loads is alive, and not ready", async () => {
  const slowly = ["--key-load-delay", "100000", "--loading-process-events-interval-bytes", "1024"];
  // As large in the file as in memory: it answers after so many bytes, not after so many keys.
  const a = await redis({ args: [...slowly, "--rdbcompression", "no"] });
  const value = "x".repeat(2000);
  await ask(a, ...Array.from({ length: 200 }, (_, key) => ["SET", `k${key}`, value]), ["SAVE"]);
  const relay = await started(await settingsFor([nodeAt("a", a)]));
  await until("it is ready", async () => (await get(relay, "/readyz")).status === 200);
  await a.kill();
  const again = a.start();
  await until(
    "it says that a loads",
    async () => {
      const { text } = await get(relay, "/readyz");
      return text === '{"ready":false,"nodes":{"a":"loading"}}';
    },
    { seen: async () => (await get(relay, "/readyz")).text },
  );
  // Loading takes 20 s like this; a server that loads answers few commands, and this is one of them.
  const socket = connect(a.port, a.host, () => socket.write("CONFIG SET key-load-delay 0\r\n"));
  await once(socket, "data");
  socket.destroy();
  await again;
  await until("it is ready again", async () => (await get(relay, "/readyz")).status === 200);
});

test("G10 X23 a node busy with a script is alive and ready; apps hear Redis's own word", async () => {
  const a = await redis({ args: ["--busy-reply-threshold", "20"] });
  const relay = await started(await settingsFor([nodeAt("a", a)], { nodeTimeoutMs: 500 }));
  const script = post(relay, "/nodes/a", ["EVAL", "while true do end", "0"], as(DATA));
  // Whoever shares the script's connection is behind it; the deadline gives the others a new one.
  const busy = await until("Redis is busy", async () => {
    const said = await post(relay, "/nodes/a", ["GET", "k"], as(DATA));
    return said.status === 400 && said;
  });
  expect(busy.body).toEqual({ error: expect.stringMatching(/^BUSY /) });
  await until("it is ready", async () => (await get(relay, "/readyz")).status === 200);
  expect(await script).toMatchObject({ status: 504 });
  await until("the script is ended", async () => {
    await tell(relay);
    const { body } = await verb(relay, "a/script-kill", { epoch: 1, primary: null });
    return (body as { outcome: string }).outcome === "done";
  });
  await until("apps are served", async () => (await statusFor(relay, DATA)) === 200);
});

test("metrics: for a control token or their own, counted, with labels that nobody outside chooses", async () => {
  const a = await redis();
  const metricsToken = "metrics-token-of-the-tests";
  const relay = await started(await settingsFor([nodeAt("a", a)], { metricsToken }));
  for (const token of [undefined, DATA, "no-token-at-all-12"]) {
    expect((await get(relay, "/metrics", token)).status).toBe(401);
  }
  expect(await get(relay, "/metrics", metricsToken)).toMatchObject({ status: 200 });
  expect(await statusFor(relay, metricsToken)).toBe(401);
  const before = (await get(relay, "/metrics", CONTROL)).text;

  await app(relay).set("k", "v");
  await app(relay).pipeline().get("k").get("k").exec();
  for (const path of ["/nodes/a/frobnicate/1", "/nodes/none", "/no/such/address"]) {
    await get(relay, path, DATA);
  }
  await post(relay, "/nodes/a/seal", { group: "g" });
  await until(
    "all of it was counted",
    async () => (await sample(relay, 'requests_total{face="verbs",status="400"}')) === 1,
  );
  expect(await sample(relay, 'requests_total{face="rest",status="200"}')).toBe(2);
  expect(await sample(relay, 'commands_total{node="a",outcome="answered"}')).toBeGreaterThan(2);
  expect(await sample(relay, 'request_seconds_count{face="rest"}')).toBeGreaterThan(2);
  expect(await sample(relay, "http_connections")).toBeGreaterThan(0);
  expect(await sample(relay, 'http_bytes_total{direction="received"}')).toBeGreaterThan(0);
  expect(await sample(relay, 'redis_connections{node="a"}')).toBe(2);
  await until("it was asked", async () => (await sample(relay, 'node_up{node="a"}')) === 1);
  const after = (await get(relay, "/metrics", CONTROL)).text;
  expect(after).not.toMatch(/frobnicate|such|none/);
  for (const name of ["eventloop_lag_p99", "process_resident_memory"])
    expect(before).toContain(name);
  await a.kill();
  await until("it is down", async () => (await sample(relay, 'node_up{node="a"}')) === 0);
});

test("the log: one line for each event, refused tokens seldom, and no secret", async () => {
  const a = await redis();
  const config = await configFile([{ id: "a", host: a.host, port: a.port }]);
  const relay = await relayProcess(config.path);
  await relay.line("node-up");
  for (let times = 0; times < 20; times += 1) await statusFor(relay, `wrong-token-number-${times}`);
  expect(await relay.line("token-refused")).toMatchObject({ from: "127.0.0.1", times: 1 });
  await post(relay, "/nodes/a/seal", {
    ...{ group: "g", epoch: 1, primary: null, action: `with ${DATA}` },
    stamp: { boot: "b", ms: 1 },
  });
  expect(await relay.line("verb")).toEqual({
    ...{ at: expect.any(String), relay: "r", event: "verb", verb: "seal", node: "a", group: "g" },
    ...{
      epoch: 1,
      action: "with ***",
      outcome: "refused",
      detail: expect.stringMatching(/^UNTOLD/),
    },
  });
  await a.kill();
  expect(await relay.line("node-down")).toMatchObject({ node: "a", class: "refused" });
  relay.child.kill("SIGTERM");
  expect(await relay.exit).toBe(0);
  expect(relay.lines().map((each) => each.event)).toEqual([
    ...["start", "node-up", "token-refused", "verb", "node-down", "stop", "stopped"],
  ]);
  expect(JSON.stringify(relay.lines())).not.toMatch(/wrong-token|-of-the-tests/);
});

test("the log: no secret in any spelling, nor one that was in force before", () => {
  const written: string[] = [];
  const out = new Writable({
    write: (chunk, _, done) => {
      written.push(String(chunk));
      done();
    },
  });
  const quoted = 'quote"back\\slash';
  const broken = "two\nlines\u0001";
  let secrets: readonly string[] = [quoted, broken, "common-start"];
  const log = createLog(out, "r", () => secrets);
  log("event", { detail: `<${quoted}> <${broken}>`, deep: [{ error: quoted }] });
  secrets = ["common-start-and-more"];
  log("event", { detail: `${quoted} common-start common-start-and-more` });
  expect(written.map((line) => JSON.parse(line))).toMatchObject([
    { event: "event", detail: "<***> <***>", deep: [{ error: "***" }] },
    { event: "event", detail: "*** *** ***" },
  ]);
});

test("the log: a reader that does not read costs lines, and hears how many", () => {
  let taken = "";
  let read: (() => void) | null = null;
  const out = new Writable({
    write: (chunk, _, done) => {
      taken += String(chunk);
      read = done;
    },
  });
  const log = createLog(out, "r");
  const long = "x".repeat(100_000);
  for (let times = 0; times < 100; times += 1) log("event", { long });
  expect(out.writableLength).toBeLessThan(2_000_000);
  // The reader reads: what was kept, one after another.
  while (out.writableLength > 0) (read as (() => void) | null)?.();
  log("event");
  (read as (() => void) | null)?.();
  const last = JSON.parse(taken.trim().split("\n").at(-1) ?? "");
  expect(last).toMatchObject({ event: "event", dropped: expect.any(Number) });
  expect(taken.trim().split("\n").length + last.dropped).toBe(101);
});

test("SIGHUP: tokens and nodes change, and a request under way is answered", async () => {
  const [a, b] = [await redis(), await redis()];
  const nodes = [{ id: "a", host: a.host, port: a.port }];
  const config = await configFile(nodes);
  const relay = await relayProcess(config.path, { NEXT_TOKEN: "the-next-control-token" });
  const waiting = post(relay, "/nodes/a", ["BLPOP", "queue", "20"], as(DATA));
  await until("it waits inside Redis", async () => (await blocked(a)) === 1);

  // Both control tokens for a while; the data token and the node that it waits for are gone at once.
  await config.rewrite({
    control_tokens: [{ env: "NEXT_TOKEN" }, CONTROL],
    data_tokens: [{ token: "another-data-token", read_only: true }],
    nodes: [{ id: "b", host: b.host, port: b.port }],
  });
  relay.child.kill("SIGHUP");
  expect(await relay.line("reload")).toMatchObject({ nodes: ["b"] });
  expect(await statusFor(relay, "another-data-token", "b")).toBe(200);
  expect(await statusFor(relay, DATA, "b")).toBe(401);
  expect(await statusFor(relay, "another-data-token", "a")).toBe(404);
  const look = (token: string) => post(relay, "/nodes/b", ["PING"], as(token));
  expect([(await look(CONTROL)).status, (await look("the-next-control-token")).status]).toEqual([
    ...[200, 200],
  ]);
  await ask(a, ["RPUSH", "queue", "x"]);
  expect(await waiting).toMatchObject({ status: 200, body: { result: ["queue", "x"] } });
  await until("nobody holds a connection to a", async () => {
    const [clients] = await ask(a, ["CLIENT", "LIST", "TYPE", "normal"]);
    return String(clients).trim().split("\n").length === 1;
  });

  await config.rewrite({ control_tokens: [{ env: "NEXT_TOKEN" }], nodes });
  relay.child.kill("SIGHUP");
  await relay.line("reload", 2);
  expect(await statusFor(relay, CONTROL)).toBe(401);
  expect(await statusFor(relay, DATA)).toBe(200);
});

test("SIGHUP with what cannot be used: refused whole, every complaint told, the old one in force", async () => {
  const a = await redis();
  const config = await configFile([{ id: "a", host: a.host, port: a.port }]);
  const relay = await relayProcess(config.path);
  await config.rewrite({ data_tokens: ["hush"], node_timeout_ms: 0 });
  relay.child.kill("SIGHUP");
  expect(await relay.line("reload-refused")).toMatchObject({
    complaints: [
      "data_tokens.0.token: given a secret of 4 characters, allowed: 16 to 512 printable characters without spaces",
      "node_timeout_ms: given 0, allowed: a whole number from 10 to 30000",
    ],
  });
  await config.rewrite({ listen: { host: "127.0.0.1", port: 1 }, state_file: "/tmp/other.json" });
  relay.child.kill("SIGHUP");
  expect(await relay.line("reload-refused", 2)).toMatchObject({
    complaints: [
      "listen: it takes a restart to change it",
      "state_file: it takes a restart to change it",
    ],
  });
  expect(await statusFor(relay, DATA)).toBe(200);
});

test("a node that stays as it is keeps its connections over a reload", async () => {
  const a = await redis();
  const settings = await settingsFor([nodeAt("a", a)]);
  const relay = await started(settings);
  const id = async () => (await post(relay, "/nodes/a", ["CLIENT", "ID"], as(DATA))).body;
  const before = await id();
  expect(
    relay.reload({ ...settings, dataTokens: [dataToken(DATA), dataToken("x".repeat(16))] }),
  ).toEqual([]);
  expect(await id()).toEqual(before);
  expect(relay.reload({ ...settings, nodeTimeoutMs: 1234 })).toEqual([]);
  expect(await id()).not.toEqual(before);
});

test("SIGTERM: not ready while it drains, and everything is still answered", async () => {
  const a = await redis();
  const config = await configFile([{ id: "a", host: a.host, port: a.port }], { drain_ms: 60_000 });
  const relay = await relayProcess(config.path);
  await until("it is ready", async () => (await get(relay, "/readyz")).status === 200);
  relay.child.kill("SIGTERM");
  await until("it is no longer ready", async () =>
    (await get(relay, "/readyz")).text.includes('"draining":true'),
  );
  const response = await fetch(`${relay.url}/nodes/a`, {
    ...{ method: "POST", headers: as(DATA), body: '["INCR","n"]' },
  });
  expect([response.status, response.headers.get("connection")]).toEqual([200, "close"]);
});

test("SIGTERM: streams end, who waits inside Redis waits on, and all else is served meanwhile", async () => {
  const a = await redis();
  const config = await configFile([{ id: "a", host: a.host, port: a.port }], {
    node_timeout_ms: 10_000,
  });
  const relay = await relayProcess(config.path);
  const stream = await fetch(`${relay.url}/nodes/a/subscribe/news`, {
    headers: { ...as(DATA), accept: "text/event-stream" },
  });
  expect(stream.status).toBe(200);
  const waiting = post(relay, "/nodes/a", ["BLPOP", "queue", "29"], as(DATA));
  await until("it waits inside Redis", async () => (await blocked(a)) === 1);
  relay.child.kill("SIGTERM");
  expect(await stream.text()).toContain("data: subscribe,news,1");
  const late = await until("nobody else may wait", async () => {
    const said = await post(relay, "/nodes/a", ["BLPOP", "other", "0.01"], as(DATA));
    return said.status !== 200 && said;
  });
  expect(late).toMatchObject({
    status: 503,
    body: { error: expect.stringMatching(/^RELAY_BUSY this relay is ending.*not executed$/) },
  });
  expect((await get(relay, "/nodes/a/subscribe/news", DATA)).status).toBe(503);
  expect((await post(relay, "/nodes/a", ["PING"])).body).toEqual({ result: "PONG" });
  expect((await post(relay, "/nodes/a", ["RPUSH", "queue", "x"], as(DATA))).status).toBe(200);
  expect(await waiting).toMatchObject({ status: 200, body: { result: ["queue", "x"] } });
  expect(await relay.exit).toBe(0);
});

test("who waits inside Redis for longer than the end may take is answered: outcome unknown", async () => {
  const a = await redis();
  const settings = await settingsFor([nodeAt("a", a)], {
    limits: { ...relayDefaults.limits, maxBlockMs: 20_000, holdMs: 0 },
    nodeTimeoutMs: 100,
  });
  const relay = await startRelay(settings);
  const waiting = post(relay, "/nodes/a", ["BLPOP", "queue", "20"], as(DATA));
  await until("it waits inside Redis", async () => (await blocked(a)) === 1);
  // By these nobody waits so long any more.
  const limits = { ...settings.limits, maxBlockMs: 100 };
  expect(relay.reload({ ...settings, limits })).toEqual([]);
  await relay.close();
  expect(await waiting).toMatchObject({
    status: 504,
    body: { error: expect.stringMatching(/outcome unknown/) },
  });
});

test("half a request does not hold up the end", async () => {
  // Far longer than this test may take: who waits for it fails.
  const settings = await settingsFor([nodeAt("a", await redis())], { nodeTimeoutMs: 600_000 });
  const relay = await startRelay(settings);
  // Longer than all that is sent to ask whether it came.
  const head = `POST /nodes/a HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${DATA}\r\nx: ${"x".repeat(8000)}\r\n`;
  const ends = [head, `${head}content-length: 100\r\n\r\n["SET",`].map((half) => {
    const socket = connect(Number(new URL(relay.url).port), "127.0.0.1", () => socket.write(half));
    return once(socket, "close");
  });
  await until(
    "both were heard",
    async () => (await sample(relay, 'http_bytes_total{direction="received"}')) > 2 * head.length,
  );
  await relay.close();
  await Promise.all(ends);
});

test("a connection on which nobody ever said a word does not hold up the end", async () => {
  // Far longer than this test may take: who waits for it fails.
  const settings = await settingsFor([nodeAt("a", await redis())], { nodeTimeoutMs: 600_000 });
  const relay = await startRelay(settings);
  const silent = connect(Number(new URL(relay.url).port), "127.0.0.1");
  await once(silent, "connect");
  await app(relay).ping();
  const ended = once(silent, "close");
  await relay.close();
  await ended;
});

test.each([
  ["no HTTP at all", "*1\r\n$4\r\nPING\r\n\r\n", "400"],
  ["headers without an end", `GET / HTTP/1.1\r\nx: ${"x".repeat(20_000)}\r\n`, "431"],
])("%s: an error in JSON, and the relay is well", async (_, bytes, status) => {
  const relay = await started(await settingsFor([nodeAt("a", await redis())]));
  const { port } = new URL(relay.url);
  const answer = await new Promise<string>((resolve, reject) => {
    let text = "";
    const socket = connect(Number(port), "127.0.0.1", () => socket.write(bytes));
    socket.on("data", (chunk) => {
      text += chunk.toString();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
  });
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} [^]*\\r\\n\\r\\n{"error":"ERR `));
  expect(await app(relay).set("k", "v")).toBe("OK");
});

test("half a request holds up nobody, and whoever leaves in its middle costs nothing", async () => {
  const relay = await started(await settingsFor([nodeAt("a", await redis())]));
  const { port } = new URL(relay.url);
  const head = `POST /nodes/a HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${DATA}\r\ncontent-length: 100\r\n\r\n["SET",`;
  const sockets = await Promise.all(
    Array.from({ length: 20 }, () => {
      return new Promise<ReturnType<typeof connect>>((resolve) => {
        const socket = connect(Number(port), "127.0.0.1", () => {
          socket.write(head, () => resolve(socket));
        });
        socket.on("error", () => {});
      });
    }),
  );
  expect(await app(relay).set("k", "v")).toBe("OK");
  for (const socket of sockets) socket.destroy();
  await until(
    "they are counted as gone",
    async () => (await sample(relay, 'requests_total{face="rest",status="499"}')) === 20,
  );
  expect(await app(relay).get("k")).toBe("v");
});
