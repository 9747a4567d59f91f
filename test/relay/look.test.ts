/** A relay's look at all of its nodes in one call: at both ends, with real Redis servers that hang and go. */
import { createServer } from "node:http";
import { expect, onTestFinished, test } from "vitest";
import { freePort } from "../../scripts/redis-server.ts";
import type { LookOrder } from "../../worker/core/looking.ts";
import { startLooks } from "../../worker/probe/look.ts";
import { lookThrough } from "../../worker/probe/relayed.ts";
import { headers } from "../../worker/relay/protocol.ts";
import type { Fetch } from "../../worker/relay/request.ts";
import { tcpServer } from "../support/tcp.ts";
import { until } from "../support/wait.ts";
import {
  CONTROL,
  DATA,
  nodeAt,
  pair,
  post,
  redis,
  relayOver,
  settingsFor,
  tell,
} from "./support.ts";

const look = (
  relay: { url: string },
  nodes: unknown,
  more: Readonly<Record<string, string>> = {},
) => post(relay, "/look", { nodes }, more);

const through = (
  url: string,
  nodes: readonly string[],
  more: { readonly timeoutMs?: number; readonly token?: string; readonly fetch?: Fetch } = {},
) => {
  const { token = CONTROL, ...options } = more;
  return lookThrough({ group: "g", url, token }, nodes, { timeoutMs: 20_000, ...options });
};

const metricsOf = async (relay: { url: string }) => {
  const headers = { authorization: `Bearer ${CONTROL}` };
  return (await fetch(`${relay.url}/metrics`, { headers })).text();
};

const kindsOf = async (seen: ReturnType<typeof through>) =>
  Object.fromEntries([...(await seen)].map(([node, { class: kind }]) => [node, kind]));

test("all nodes in one answer, with the relay's clock and epoch; one that it has not is policy", async () => {
  const { relay, a } = await pair({ nodeTimeoutMs: 20_000 });
  const said = await look(relay, ["a", "b", "nobody", "a"]);
  expect(said.status).toBe(200);
  const { looks } = said.body as { looks: Record<string, unknown>[] };
  expect(looks).toEqual([
    {
      ...{ node: "a", class: "up", detail: "PONG", agoMs: expect.any(Number) },
      facts: expect.objectContaining({ role: "primary", minReplicasToWrite: 0 }),
    },
    {
      ...{ node: "b", class: "up", detail: "PONG", agoMs: expect.any(Number) },
      facts: expect.objectContaining({
        ...{ role: "replica", linkUp: true, replicaOf: { host: a.host, port: a.port } },
      }),
    },
    {
      ...{ node: "nobody", class: "policy", facts: null, agoMs: expect.any(Number) },
      detail: "NODE_UNKNOWN this relay has no such node",
    },
  ]);
  expect(said.headers.get(headers.boot)).toMatch(/./);
  expect(said.headers.get(headers.epoch)).toBe("0");

  const seen = await through(relay.url, ["a", "b", "nobody"]);
  expect(seen.get("a")).toMatchObject({
    ...{ class: "up", facts: { role: "primary" } },
    relay: { epoch: 0, stamp: { boot: said.headers.get(headers.boot) } },
  });
  expect(seen.get("nobody")).toMatchObject({ class: "policy", relay: { epoch: 0 } });
});

test("one that hangs is silent by the caller's deadline and holds up no other beyond it; nothing is left behind", async () => {
  const a = await redis();
  const b = await redis();
  const relay = await relayOver(
    await settingsFor(
      [nodeAt("a", a), nodeAt("b", b), nodeAt("c", { host: "127.0.0.1", port: await tcpServer() })],
      {
        nodeTimeoutMs: 20_000,
      },
    ),
  );
  await until("both are up", async () => {
    const { a: one, b: other } = await kindsOf(through(relay.url, ["a", "b"]));
    return one === "up" && other === "up";
  });
  await b.kill("SIGSTOP");
  const hanging = { [headers.deadline]: "150" };
  for (let n = 0; n < 5; n += 1) {
    const { body } = await look(relay, ["b", "c"], hanging);
    expect(body).toMatchObject({
      looks: [
        { node: "b", class: "timeout", facts: null },
        { node: "c", class: "timeout", facts: null },
      ],
    });
  }
  // The one's answer is as old as the other's silence was long.
  await until("the one is up while the other is silent", async () => {
    const seen = await through(relay.url, ["a", "b"], { timeoutMs: 1000 });
    const [one, other] = [seen.get("a"), seen.get("b")];
    return one?.class === "up" && one.agoMs > 0 && other?.class === "timeout";
  });
  await b.kill("SIGCONT");
  await until("it is up again", async () => (await kindsOf(through(relay.url, ["b"]))).b === "up");
  await until("one connection each is open", async () => {
    const text = await metricsOf(relay);
    const open = [...text.matchAll(/^picket_relay_\w*connections\{node="(\w)"\} (\d+)$/gm)];
    return open.length === 3 && open.every(([, node, n]) => Number(n) <= (node === "c" ? 0 : 1));
  });
});

test("a reload while it looks: what was asked is answered, and the next one knows the new settings", async () => {
  const a = await redis();
  const silent = nodeAt("b", { host: "127.0.0.1", port: await tcpServer() });
  const settings = await settingsFor([nodeAt("a", a), silent], { nodeTimeoutMs: 600 });
  const relay = await relayOver(settings);
  const underWay = look(relay, ["a", "b"]);
  expect(relay.reload({ ...settings, nodes: [nodeAt("a", a), nodeAt("c", a)] })).toEqual([]);
  expect((await underWay).status).toBe(200);
  await until("the new settings are known", async () => {
    const kinds = await kindsOf(through(relay.url, ["a", "b", "c"]));
    return kinds.a === "up" && kinds.b === "policy" && kinds.c === "up";
  });
});

test("only a control token looks, by POST, at a list of names", async () => {
  const relay = await relayOver(await settingsFor([]));
  const wrong = await look(relay, ["a"], { authorization: "Bearer wrong" });
  expect(wrong.status).toBe(401);
  const data = await look(relay, ["a"], { authorization: `Bearer ${DATA}` });
  expect(data).toMatchObject({ status: 403, body: { error: expect.stringMatching(/^NOPERM /) } });
  for (const [body, error] of [
    ["no JSON", "ERR the body: "],
    [{}, "ERR nodes: "],
    [{ nodes: "a" }, "ERR nodes: a list of node ids"],
    [{ nodes: [] }, "ERR nodes: at least one node id"],
    [{ nodes: [1] }, "ERR nodes.0: "],
    [{ nodes: [""] }, "ERR nodes.0: "],
    [{ nodes: Array.from({ length: 1001 }, (_, n) => `n${n}`) }, "ERR nodes: at most 1000"],
  ] as const) {
    const said = await post(relay, "/look", body);
    expect(said).toMatchObject({ status: 400, body: { error: expect.stringContaining(error) } });
  }
  const got = await fetch(`${relay.url}/look`, { headers: { authorization: `Bearer ${CONTROL}` } });
  expect(got.status).toBe(405);
  expect(await kindsOf(through(relay.url, ["a"], { token: "wrong" }))).toEqual({ a: "auth" });
  expect(await kindsOf(through(relay.url, ["a"], { token: DATA }))).toEqual({ a: "auth" });
});

test("a relay of an earlier version has no such address: its nodes are looked at one by one", async () => {
  const { relay } = await pair({ nodeTimeoutMs: 20_000 });
  for (const status of [404, 405]) {
    const asked: string[] = [];
    const older: Fetch = async (url, init) => {
      asked.push(new URL(url).pathname);
      if (!url.endsWith("/look")) return fetch(url, init);
      return Response.json({ error: "ERR there is nothing at this address" }, { status });
    };
    const seen = await through(relay.url, ["a", "b", "z"], { fetch: older });
    expect(await kindsOf(Promise.resolve(seen))).toEqual({ a: "up", b: "up", z: "policy" });
    expect(seen.get("b")).toMatchObject({ facts: { role: "replica" }, relay: { epoch: 0 } });
    expect(asked.toSorted()).toEqual([
      ...["/look", "/nodes/a/pipeline", "/nodes/b/pipeline", "/nodes/z/pipeline"],
    ]);
  }
});

const good = {
  node: "a",
  class: "refused",
  detail: "nothing listens there",
  facts: null,
  agoMs: 3,
};

test.each<[string, unknown, Readonly<Record<string, string>>]>([
  ["nothing of it", { looks: [good] }, { a: "refused", b: "malformed" }],
  [
    "a class that nobody knows",
    { looks: [good, { ...good, node: "b", class: "great" }] },
    { a: "refused", b: "malformed" },
  ],
  [
    "no number",
    { looks: [good, { ...good, node: "b", agoMs: "soon" }] },
    { a: "refused", b: "malformed" },
  ],
  [
    "facts that are none",
    { looks: [good, { ...good, node: "b", class: "up", facts: {} }] },
    { a: "refused", b: "malformed" },
  ],
  [
    "another's name",
    { looks: [good, { ...good, node: "constructor" }] },
    { a: "refused", b: "malformed" },
  ],
  [
    "more than was asked for",
    { looks: [good, { ...good, node: "b", extra: 1 }], more: 1 },
    { a: "refused", b: "refused" },
  ],
  ["no list", { looks: {} }, { a: "malformed", b: "malformed" }],
  ["null", null, { a: "malformed", b: "malformed" }],
])("one who says %s of b", async (_, body, expected) => {
  const fetch: Fetch = async () => Response.json(body);
  expect(await kindsOf(through("http://x", ["a", "b"], { fetch }))).toEqual(expected);
});

test("no more than 256 KiB are read, and no token is shown", async () => {
  const server = createServer((_, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ looks: [{ ...good, detail: "x".repeat(300 * 1024) }] }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const seen = await through(`http://127.0.0.1:${port}`, ["a"]);
  expect(seen.get("a")).toMatchObject({ class: "malformed", detail: "answer too large" });
  const telling: Fetch = async () =>
    Response.json({ looks: [{ ...good, detail: `no ${CONTROL}` }] });
  const shown = await through("http://x", ["a"], { fetch: telling });
  expect(shown.get("a")?.detail).toBe("no ***");
});

test("the epoch is that of the group that asks", async () => {
  const { relay } = await pair({ nodeTimeoutMs: 20_000 });
  await tell(relay, 4);
  const other = await look(relay, ["a"], { [headers.group]: "other" });
  expect(other.headers.get(headers.epoch)).toBe("none");
  expect((await through(relay.url, ["a"])).get("a")?.relay?.epoch).toBe(4);
});

test("C2 several looks that make one: who is settled is not asked again", async () => {
  const a = await redis();
  const gone = nodeAt("b", { host: "127.0.0.1", port: await freePort() });
  const relay = await relayOver(
    await settingsFor([nodeAt("a", a), gone], { nodeTimeoutMs: 20_000 }),
  );
  const asked = async () => {
    const text = await metricsOf(relay);
    return Number(/_requests_total\{face="look",status="200"\} (\d+)/.exec(text)?.[1] ?? 0);
  };
  const order = (nodes: readonly string[]): LookOrder => ({
    ...{ group: "g", timeoutMs: 60_000, nodes: [] },
    repeat: { probes: 3, delayMs: 5, policy: "majority" },
    relays: [{ id: "r", url: relay.url, tokenSecret: "CONTROL", nodes }],
  });
  const seenIn = async (...nodes: readonly string[]) => {
    const [call] = startLooks(order(nodes), { region: null, secret: () => CONTROL });
    return (await call?.seen)?.map(({ node, class: kind }) => `${node} ${kind}`);
  };
  expect(await seenIn("a")).toEqual(["a up"]);
  await until("two good ones of three were enough", async () => (await asked()) === 2);
  // Two bad ones as well: there is no third.
  expect(await seenIn("b", "a")).toEqual(["b refused", "a up"]);
  await until("they were counted", async () => (await asked()) === 4);
});
