/**
 * The operator API at its door: who may, which verbs there are, and what is said of a body that is not right.
 */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { app } from "../../worker/api/app.ts";
import { operations } from "../../worker/api/operations.ts";
import { bindings, groupOf, pair, relayAnswers, settled } from "./relay.ts";

beforeEach(async () => {
  relayAnswers(() => undefined, pair());
  await settled(groupOf("asked"), "asked");
});
afterEach(() => vi.restoreAllMocks());

const tokens = { read: "read-token-of-the-tests", operate: "operate-token-of-the-tests" };

async function call(method: string, path: string, body?: unknown, token = tokens.operate) {
  const response = await app.request(
    `/v1/groups/asked${path}`,
    {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    },
    bindings,
  );
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const paths = operations.map(
  ({ method, path }) => [method, path.replace(":node", "b")] as [string, string],
);

it.each(paths)("%s %s needs the operators' token", async (method, path) => {
  for (const token of [tokens.read, "wrong", ""])
    expect(await call(method, path, {}, token)).toEqual({
      status: 401,
      body: { type: "about:blank", title: "Unauthorized", status: 401 },
    });
});

it("S00.1 an unknown verb is not found, and neither is a known one with another method", async () => {
  const nothing = { status: 404, body: { title: "Not Found", detail: "no such path" } };
  for (const [method, path] of [
    ["POST", "/failovers"],
    ["POST", "/nodes/b/failover"],
    ["POST", "/ckquorum"],
    ["GET", "/failover"],
    ["DELETE", "/pause"],
    ["PUT", "/nodes/b/downtime"],
    ["PATCH", ""],
  ] as const)
    expect(await call(method, path, method === "GET" ? undefined : {})).toMatchObject(nothing);
});

it("a node or a group that does not exist is not found, whatever is asked of it", async () => {
  const nothing = { status: 404, body: { detail: "no node x in this group" } };
  const downtime = { reason: "away", for_ms: 1000 };
  expect(await call("POST", "/failover", { to: "x" })).toMatchObject(nothing);
  expect(await call("POST", "/switchover", { to: "x" })).toMatchObject(nothing);
  expect(await call("POST", "/bootstrap", { primary: "x" })).toMatchObject(nothing);
  expect(await call("POST", "/nodes/x/downtime", downtime)).toMatchObject(nothing);
  expect(await call("POST", "/select", { node: "x" })).toMatchObject(nothing);
  expect(await call("POST", "/weight", { node: "x", weight: 1 })).toMatchObject(nothing);
  expect(await call("DELETE", "/nodes/x")).toMatchObject(nothing);
  expect(await call("DELETE", "/nodes/x/downtime")).toMatchObject(nothing);
  expect(await call("GET", "/nodes/x/last-info")).toMatchObject(nothing);
  const elsewhere = await app.request(
    "/v1/groups/nobody/pause",
    { method: "POST", headers: { authorization: `Bearer ${tokens.operate}` } },
    bindings,
  );
  expect(elsewhere.status).toBe(404);
  expect(await elsewhere.json()).toMatchObject({ detail: "no group nobody" });
});

const words = "1 to 200 printable characters";
const downtimeRange = "a whole number from 1000 to 2592000000";
const cases: readonly [string, unknown, object][] = [
  ["/failover", { to: 1 }, { path: "to", given: "1", allowed: "the id of a node" }],
  ["/failover", { from: "a" }, { path: "from", given: '"a"', allowed: "no such key" }],
  [
    "/switchover",
    { timeout_ms: 99 },
    { path: "timeout_ms", given: "99", allowed: "a whole number from 100 to 600000" },
  ],
  [
    "/switchover",
    { timeout_ms: 1.5e3 + 0.5 },
    { path: "timeout_ms", given: "1500.5", allowed: "a whole number from 100 to 600000" },
  ],
  ["/switchover", { force: "yes" }, { path: "force", given: '"yes"', allowed: "true or false" }],
  ["/switchover/abort", { to: "b" }, { path: "to", given: '"b"', allowed: "no such key" }],
  ["/bootstrap", {}, { path: "primary", given: "nothing", allowed: "the id of a node" }],
  ["/pause", {}, { path: "reason", given: "nothing", allowed: words }],
  ["/pause", { reason: "" }, { path: "reason", given: '""', allowed: words }],
  ["/pause", { reason: "two\nlines" }, { path: "reason", given: '"two\\nlines"', allowed: words }],
  ["/pause", { reason: "r".repeat(201) }, { path: "reason", allowed: words }],
  [
    "/pause",
    { reason: "r", for_ms: 999 },
    { path: "for_ms", given: "999", allowed: downtimeRange },
  ],
  [
    "/nodes/b/downtime",
    { reason: "r" },
    { path: "for_ms", given: "nothing", allowed: downtimeRange },
  ],
  [
    "/nodes/b/downtime",
    { reason: "r", for_ms: 30 * 24 * 3600 * 1000 + 1 },
    { path: "for_ms", given: "2592000001", allowed: downtimeRange },
  ],
  ["/drill", {}, { path: "at", given: "nothing" }],
  [
    "/drill",
    { at: "before-lunch" },
    { path: "at", given: '"before-lunch"', allowed: "after-election or after-promotion" },
  ],
  ["/select", { node: 1 }, { path: "node", given: "1", allowed: "the id of a node" }],
  ["/select", { pin_ms: 1 }, { path: "pin_ms", given: "1", allowed: downtimeRange }],
  ["/weight", { node: "b" }, { path: "weight", given: "nothing" }],
  [
    "/weight",
    { node: "b", weight: 0 },
    { path: "weight", given: "0", allowed: "a number from 0.001 to 1000000" },
  ],
  ["/nodes", { id: "c" }, { path: "host", given: "nothing" }],
  [
    "/nodes",
    { id: "c", host: "c", probe: { transport: "icmp" } },
    { path: "probe.transport", given: '"icmp"', allowed: "upstash, tcp, custom, lag-aware" },
  ],
  ["/resume", [], { path: "", given: "[]", allowed: "a JSON object" }],
  ["/resume", "now", { path: "", given: '"now"', allowed: "a JSON object" }],
];

it.each(cases)("POST %s with %j is refused by field, value and range", async (path, sent, told) => {
  const { status, body } = await call("POST", path, sent);
  expect({ status, title: body.title }).toEqual({ status: 400, title: "Bad Request" });
  expect(body.complaints).toEqual([expect.objectContaining(told)]);
});

it("a body that is no JSON, is not said to be, or is too large", async () => {
  const send = async (type: string, body: string) => {
    const response = await app.request(
      "/v1/groups/asked/pause",
      {
        method: "POST",
        headers: { authorization: `Bearer ${tokens.operate}`, "content-type": type },
        body,
      },
      bindings,
    );
    return (await response.json()) as object;
  };
  expect(await send("application/json", "{")).toMatchObject({ status: 400, title: "Bad Request" });
  expect(await send("text/plain", '{"reason":"r"}')).toMatchObject({
    status: 400,
    detail: "a body is JSON, with content-type application/json",
  });
  expect(await send("application/json", `"${"x".repeat(20_000)}"`)).toMatchObject({
    status: 413,
    title: "Content Too Large",
  });
});

it("what is accepted says so with its epoch, and what is refused says why and by which code", async () => {
  expect(await call("POST", "/pause", { reason: "Wartung: Größe „x“", for_ms: 60_000 })).toEqual({
    status: 202,
    body: { accepted: true, epoch: 1, detail: expect.stringContaining("60000 ms") },
  });
  expect(await call("POST", "/resume")).toMatchObject({ status: 202, body: { accepted: true } });
  expect(await call("POST", "/resume", {})).toMatchObject({
    status: 409,
    body: { title: "Conflict", code: "NOTHING", detail: "the group is not paused", reasons: [] },
  });
});

it("what only the other mode knows is refused by its code, and a new node needs not to be there", async () => {
  const mode = { status: 409, body: { code: "MODE" } };
  expect(await call("POST", "/select", { node: "b", pin_ms: 1000 })).toMatchObject(mode);
  expect(await call("POST", "/unpin")).toMatchObject(mode);
  expect(await call("POST", "/weight", { node: "b", weight: 2 })).toMatchObject(mode);
  expect(await call("POST", "/nodes", { id: "c", host: "10.0.0.3" })).toMatchObject(mode);
  expect(await call("DELETE", "/nodes/b")).toMatchObject(mode);
});

it("GET vantages: who saw what by which path, as a table for machines and one for people", async () => {
  const { status, body } = await call("GET", "/vantages", undefined, tokens.read);
  expect({ status, body }).toMatchObject({
    status: 200,
    body: {
      group: "asked",
      quorum: 1,
      vantages: [],
      nodes: [
        {
          id: "a",
          verdict: "up",
          votes: { "relay:a": "up" },
          paths: [
            { from: "group", vantage: "relay:a", transport: "relay", class: "up", vote: "up" },
          ],
        },
        { id: "b", paths: [{ class: "up", vote: "up" }] },
      ],
    },
  });
  const response = await app.request(
    "/v1/groups/asked/vantages",
    { headers: { authorization: `Bearer ${tokens.read}`, accept: "text/plain" } },
    bindings,
  );
  expect(response.headers.get("content-type")).toMatch(/^text\/plain/);
  const [because, verdicts, ways, places] = (await response.text()).split("\n\n");
  expect(because).toMatch(/^asked: a is up/);
  expect(verdicts).toMatch(/^a +up +0 of 1, quorum 1$/m);
  expect(ways).toMatch(/^a +group > relay:a +up +\d+ +\d+ +up +/m);
  expect(ways).toMatch(/^b +group > relay:a +up +\d+ +\d+ +up +/m);
  expect(places).toBe(undefined);
});

it("GET ckquorum, last-info and events answer with the read token", async () => {
  const get = (path: string) => call("GET", path, undefined, tokens.read);
  expect(await get("/ckquorum")).toMatchObject({
    status: 200,
    body: { ok: true, usable: 1, vantages: 1, quorum: 1 },
  });
  expect(await get("/nodes/b/last-info")).toMatchObject({
    status: 200,
    body: { node: "b", vantage: "relay:a", facts: { role: "replica", runId: "run-of-b" } },
  });
  const { status, body } = await get("/events?after=0&limit=1");
  expect({ status, body }).toMatchObject({ status: 200, body: { oldest: 1 } });
  expect(body.events).toHaveLength(1);
  expect(body.newest).toBeGreaterThan(1);
  expect(await get("/events?after=-1")).toMatchObject({ status: 400 });
  expect(await get("/events?limit=501")).toMatchObject({
    status: 400,
    body: {
      complaints: [{ path: "limit", given: '"501"', allowed: "a whole number from 1 to 500" }],
    },
  });
});
