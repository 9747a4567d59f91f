/** From a reply to its class, one line a case. */
import { describe, expect, it } from "vitest";
import { lookOverRest } from "../../worker/probe/upstash.ts";
import type { Fetch } from "../../worker/relay/request.ts";

const target = {
  group: "cache",
  url: "https://relay-a.example.com/nodes/a/",
  token: "data-token-of-a",
};
const options = { timeoutMs: 1000 };

const info = (more = "") =>
  `# Server\r\nrun_id:f00d\r\nloading:0\r\n${more}\r\n# Replication\r\nrole:master\r\nconnected_slaves:1\r\nmaster_failover_state:no-failover\r\nmaster_replid:abc\r\nmaster_repl_offset:42\r\n`;
const pong = { result: "PONG" };
const config = { result: ["min-replicas-to-write", "1000000"] };
const good = [pong, { result: info() }, config];

const relayHeaders = {
  "picket-relay-boot": "boot-1",
  "picket-relay-ms": "1234",
  "picket-relay-epoch": "7",
};

const answering =
  (body: unknown, status = 200, headers: Record<string, string> = {}): Fetch =>
  async () =>
    Response.json(body, { status, headers });
const look = (fetch: Fetch) => lookOverRest(target, { ...options, fetch });

it("asks everything in one request", async () => {
  const asked: { url: string; init: RequestInit }[] = [];
  const seen = await look(async (url, init) => {
    asked.push({ url, init });
    return Response.json(good, { headers: relayHeaders });
  });
  expect(asked).toHaveLength(1);
  expect(asked[0]?.url).toBe("https://relay-a.example.com/nodes/a/pipeline");
  expect(asked[0]?.init).toMatchObject({
    method: "POST",
    redirect: "manual",
    body: JSON.stringify([["ping"], ["INFO"], ["CONFIG", "GET", "min-replicas-to-write"]]),
  });
  expect(Object.fromEntries(new Headers(asked[0]?.init.headers))).toEqual({
    authorization: "Bearer data-token-of-a",
    "picket-group": "cache",
    "picket-deadline-ms": "800",
    "content-type": "application/json",
  });
  expect(seen).toMatchObject({
    class: "up",
    detail: "PONG",
    facts: { runId: "f00d", role: "primary", offset: 42, minReplicasToWrite: 1_000_000 },
    relay: { stamp: { boot: "boot-1", ms: 1234 }, epoch: 7 },
  });
});

const error = (text: string) => ({ error: text });
const all = (text: string) => [error(text), error(text), error(text)];

it.each([
  ["up", good, 200],
  ["up", [error("MASTERDOWN Link with MASTER is down"), { result: info() }, config], 200],
  ["up", [pong, { result: info() }, error("NOPERM no CONFIG for you")], 200],
  ["loading", all("LOADING Redis is loading the dataset in memory"), 200],
  ["loading", [pong, { result: info("loading:1") }, config], 200],
  ["busy", all("BUSY Redis is busy running a script"), 200],
  ["misconf", [error("MISCONF Errors writing to disk"), { result: info() }, config], 200],
  [
    "switching",
    [pong, { result: info().replace("no-failover", "failover-in-progress") }, config],
    200,
  ],
  ["refused", all("NODE_REFUSED nothing listens"), 200],
  ["refused", error("NODE_REFUSED nothing listens"), 502],
  ["timeout", all("NODE_TIMEOUT no answer"), 200],
  ["timeout", [pong, error("NODE_TIMEOUT no answer"), error("NODE_TIMEOUT no answer")], 200],
  ["closed", all("NODE_CLOSED connection dropped"), 200],
  ["auth", all("NODE_AUTH wrong password"), 200],
  ["tls", all("NODE_TLS certificate"), 200],
  ["dns", all("NODE_DNS no such host"), 200],
  ["policy", all("NODE_UNKNOWN may have run"), 200],
  ["auth", all("NOAUTH Authentication required."), 200],
  ["auth", all("WRONGPASS invalid username-password pair"), 200],
  ["auth", [pong, error("NOPERM this user has no permissions to run 'info'"), config], 200],
  ["auth", error("ERR no such token"), 401],
  ["auth", good, 403],
  ["policy", all("ERR max number of clients reached"), 200],
  ["policy", all("DENIED Redis is running in protected mode"), 200],
  ["policy", error("ERR no such node"), 404],
  ["relay-unreachable", error("redis connection lost"), 500],
  ["malformed", [{ result: "pong" }, { result: info() }, config], 200],
  ["malformed", [{ result: "PONG " }, { result: info() }, config], 200],
  ["malformed", [{ result: ["PONG"] }, { result: info() }, config], 200],
  ["malformed", [{ result: null }, { result: null }, { result: null }], 200],
  ["malformed", [pong, { result: "" }, config], 200],
  ["malformed", [pong, { result: 7 }, config], 200],
  ["malformed", [pong, { result: "redis_mode:sentinel" }, config], 200],
  ["malformed", [error("MASTERDOWN"), { result: "" }, config], 200],
  ["malformed", [pong, {}, config], 200],
  ["malformed", [pong, { result: info() }], 200],
  ["malformed", [...good, pong], 200],
  ["malformed", [], 200],
  ["malformed", pong, 200],
  ["malformed", "PONG", 200],
  ["malformed", null, 200],
  ["malformed", { error: { message: "no" } }, 500],
])("%s: %j, HTTP %i", async (expected, body, status) => {
  const seen = await look(answering(body, status));
  expect(seen.class).toBe(expected);
  expect(seen.detail).not.toBe("");
  expect(seen.detail.length).toBeLessThanOrEqual(200);
});

it("keeps the facts when INFO was answered, whatever the class", async () => {
  const misconf = [error("MISCONF Errors writing to disk"), { result: info() }, config];
  expect((await look(answering(misconf))).facts?.runId).toBe("f00d");
  expect((await look(answering(all("BUSY")))).facts).toBeNull();
});

it.each([
  [["min-replicas-to-write", "3"], 3],
  [["min-replicas-to-write", 3], 3],
  [["min-replicas-to-write"], null],
  [["maxmemory", "3"], null],
  [["min-replicas-to-write", "many"], null],
  [[], null],
  ["OK", null],
])("reads min-replicas-to-write from %j", async (result, expected) => {
  const seen = await look(answering([pong, { result: info() }, { result }]));
  expect(seen).toMatchObject({ class: "up", facts: { minReplicasToWrite: expected } });
});

it.each([
  [{}, null],
  [
    { ...relayHeaders, "picket-relay-epoch": "none" },
    { stamp: { boot: "boot-1", ms: 1234 }, epoch: null },
  ],
  [{ ...relayHeaders, "picket-relay-epoch": "-1" }, null],
  [{ ...relayHeaders, "picket-relay-ms": "1e3" }, null],
  [{ ...relayHeaders, "picket-relay-ms": "" }, null],
  [{ ...relayHeaders, "picket-relay-boot": "b".repeat(300) }, null],
  [{ "picket-relay-boot": "boot-1" }, null],
])("reads the relay's headers: %j", async (headers, relay) => {
  expect((await look(answering(good, 200, headers))).relay).toEqual(relay);
  expect((await look(answering(all("NODE_REFUSED"), 200, headers))).relay).toEqual(relay);
});

it("never repeats its token", async () => {
  const seen = await look(answering(all(`ERR bad header Bearer ${target.token}\r\nx`)));
  expect(seen).toMatchObject({ class: "policy", detail: "ERR bad header Bearer *** x" });
});

it("never repeats a token that HTTP does not allow", async () => {
  const seen = await lookOverRest({ ...target, token: "two\nlines" }, options);
  expect(seen).toMatchObject({
    class: "relay-unreachable",
    detail: "a header HTTP does not allow",
  });
});

it("never rejects", async () => {
  const broken: readonly Fetch[] = [
    () => Promise.reject("no error at all"),
    () => {
      throw new Error("at once");
    },
  ];
  for (const fetch of broken) expect((await look(fetch)).class).toBe("relay-unreachable");
  const noUrl = await lookOverRest({ ...target, url: "not a url" }, options);
  expect(noUrl.class).toBe("relay-unreachable");
});

describe("an address of the node's own", () => {
  const none = { error: "NOPERM this user has no permissions to run this command" };
  const lookDirect = (fetch: Fetch) =>
    lookOverRest({ ...target, group: null }, { ...options, fetch });
  const failing = (code: string) => () =>
    Promise.reject(new TypeError("fetch failed", { cause: Object.assign(new Error(), { code }) }));

  it.each<[string, unknown, number]>([
    ["up", good, 200],
    // PING is what counts: managed Redis may forbid the rest.
    ["up", [pong, none, none], 200],
    ["up", [pong, { result: "" }, none], 200],
    ["up", [pong, { result: "a report in other words" }, none], 200],
    ["up", [{ error: "MASTERDOWN Link with MASTER is down" }, none, none], 200],
    ["malformed", [{ result: "PANG" }, { result: info() }, config], 200],
    ["malformed", [none, pong], 200],
    ["auth", [none, none, none], 200],
    ["auth", { error: "Unauthorized" }, 401],
    ["loading", all("LOADING Redis is loading the dataset in memory"), 200],
    ["loading", [pong, { result: info("loading:1") }, none], 200],
    ["busy", all("BUSY Redis is busy running a script"), 200],
    ["misconf", all("MISCONF Errors writing to disk"), 200],
    ["timeout", all("NODE_TIMEOUT no answer"), 200],
    ["refused", { error: "NODE_REFUSED nothing listens" }, 502],
    ["policy", { error: "ERR max daily request limit exceeded" }, 429],
    ["unavailable", { error: "redis connection lost" }, 500],
  ])("%s: %j, HTTP %i", async (expected, body, status) => {
    const found = await lookDirect(answering(body, status, relayHeaders));
    expect(found.class).toBe(expected);
    expect(found.detail).not.toBe("");
    // Nobody's clock: what stands there is the node.
    expect(found.relay).toBeNull();
  });

  it.each([
    ["unavailable", 500],
    ["unavailable", 503],
    ["refused", 521],
    ["timeout", 522],
    ["timeout", 524],
    ["tls", 526],
    ["dns", 530],
    ["malformed", 404],
    ["malformed", 302],
    ["auth", 403],
  ])("%s: HTTP %i without JSON", async (expected, status) => {
    const found = await lookDirect(async () => new Response("<html>", { status }));
    expect(found.class).toBe(expected);
  });

  it.each([
    ["refused", "ECONNREFUSED"],
    ["timeout", "ETIMEDOUT"],
    ["dns", "ENOTFOUND"],
    ["tls", "DEPTH_ZERO_SELF_SIGNED_CERT"],
    ["tls", "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["tls", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
    // What cannot be told apart counts towards nothing.
    ["closed", "ECONNRESET"],
    ["closed", "UND_ERR_SOCKET"],
  ])("G12 C22 %s: %s", async (expected, code) => {
    expect((await lookDirect(failing(code))).class).toBe(expected);
  });

  it("C22 a lost connection without a reason is no refused one", async () => {
    const lost = () => Promise.reject(new Error("Network connection lost."));
    expect((await lookDirect(lost)).class).toBe("closed");
  });

  it("facts come along when they can be had", async () => {
    const found = await lookDirect(answering([pong, { result: info() }, none]));
    expect(found.facts).toMatchObject({ role: "primary", minReplicasToWrite: null });
    expect((await lookDirect(answering([pong, none, none]))).facts).toBeNull();
  });
});
