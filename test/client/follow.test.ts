/**
 * follow(): over the relay's own stream of routes, and over a small server that answers as the API, KV's REST
 * interface, or badly. Real sockets throughout.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  type FollowOptions,
  type FollowProblem,
  type FollowSource,
  follow,
} from "../../worker/client/follow.ts";
import type { Route } from "../../worker/client/index.ts";
import type { Env } from "../../worker/relay/tokens.ts";
import { createRouteBoard } from "../../worker/relay/watch/routes.ts";
import { until } from "../support/wait.ts";

const TOKEN = "a-token-that-nobody-may-see";

const route = (
  epoch: number,
  primary: string | null,
  rev = 0,
  more: Partial<Route> = {},
): Route => ({
  ...{ v: 1, group: "cache", mode: "replication", epoch, rev, state: "up", hostname: null },
  primary:
    primary === null
      ? null
      : { id: primary, host: `${primary}.example.com`, port: 6379, tls: false, rest: null },
  replicas: [],
  updatedAt: "2026-11-20T12:00:00.000Z",
  ...more,
});

/** Follows until the test ends, and remembers what was called. */
function following(
  sources: FollowSource | readonly FollowSource[],
  more: Partial<FollowOptions> = {},
) {
  const told: string[] = [];
  const problems: FollowProblem[] = [];
  const follower = follow(
    sources,
    (now, old) => void told.push(`${old?.primary.id ?? "-"} > ${now.primary.id}`),
    { group: "cache", maxBackoffMs: 50, onProblem: (each) => problems.push(each), ...more },
  );
  onTestFinished(follower.close);
  return { ...follower, told, problems, kinds: () => problems.map(({ kind }) => kind) };
}

/** The relay's own board of routes at a socket. */
async function relayBoard() {
  const ending = new AbortController();
  const board = createRouteBoard(ending.signal);
  const app = new Hono<Env>();
  const asked: (string | undefined)[] = [];
  app.use(async (c, next) => {
    asked.push(c.req.header("authorization"));
    c.set("callerNow", () => ({ face: "data" }) as never);
    await next();
  });
  board.addTo(app);
  const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const stop = async () => {
    ending.abort();
    server.close();
    if ("closeAllConnections" in server) server.closeAllConnections();
  };
  onTestFinished(stop);
  const source: FollowSource = { kind: "relay", url: `http://127.0.0.1:${port}`, token: TOKEN };
  return { ...board, source, asked, stop };
}

/** A server that answers as the test says, by now. */
async function host(first: (request: IncomingMessage, response: ServerResponse) => void) {
  const self = { answer: first, asked: [] as string[], url: "" };
  const server = createServer((request, response) => {
    self.asked.push(`${request.url} ${request.headers.authorization}`);
    self.answer(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  self.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return self;
}

const json = (value: unknown) => (_: IncomingMessage, response: ServerResponse) =>
  void response.end(JSON.stringify(value));
const api = (at: { url: string }): FollowSource => ({
  ...{ kind: "api", url: `${at.url}/`, token: TOKEN, pollMs: 100 },
});

describe("from a relay's stream", () => {
  it("the primary at the start, and each other one; not what leaves it the same", async () => {
    const board = await relayBoard();
    board.put(route(1, "a"));
    const one = following(board.source);
    await until("the first", () => one.told.length === 1);
    board.put(route(1, "a", 1, { state: "failing-over" }));
    await until("the newer one", () => one.route()?.rev === 1);
    board.put(route(2, "b"));
    await until("the switch", () => one.told.length === 2);
    expect(one.told).toEqual(["- > a", "a > b"]);
    expect(board.asked).toEqual([`Bearer ${TOKEN}`]);
    expect(one.problems).toEqual([]);
  });

  it("the same node at another address is another primary", async () => {
    const board = await relayBoard();
    board.put(route(1, "a"));
    const one = following(board.source);
    await until("the first", () => one.told.length === 1);
    const { primary } = route(1, "a");
    board.put(route(1, "a", 1, { primary: primary && { ...primary, port: 6380 } }));
    await until("the switch", () => one.told.length === 2);
  });

  it("the stream ends: the route is kept, and it is opened again", async () => {
    let streams = 0;
    const at = await host((_, response) => {
      streams += 1;
      response.writeHead(200, { "content-type": "text/event-stream" });
      // Longer than any piece that comes at once, and with carriage returns.
      const { primary } = route(streams, streams === 1 ? "a" : "b");
      const replicas = Array.from({ length: 2000 }, () => ({ ...primary, readWeight: 1 }) as never);
      const value = route(streams, primary?.id ?? null, 0, { replicas });
      response.write(`: \n\nevent: route\r\ndata: ${JSON.stringify(value)}\r\n\r\n`);
      if (streams === 1) setImmediate(() => response.end());
    });
    const one = following({ kind: "relay", url: at.url, token: TOKEN });
    await until("the switch", () => one.told.length === 2);
    expect(one.told).toEqual(["- > a", "a > b"]);
    expect(one.kinds()).toEqual(["unreachable"]);
  });

  it("a stream that falls silent is opened anew", async () => {
    const at = await host((_, response) => {
      response.writeHead(200).write(`data: ${JSON.stringify(route(1, "a"))}\n\n`);
    });
    const one = following({ kind: "relay", url: at.url, token: TOKEN }, { silenceMs: 100 });
    await until("another stream", () => at.asked.length >= 2 && one.told.length === 1);
    expect(one.told).toEqual(["- > a"]);
    expect(one.kinds()[0]).toBe("silent");
  });

  it("one that does not answer at all is given up, and asked again", async () => {
    const at = await host(() => undefined);
    const one = following({ kind: "relay", url: at.url, token: TOKEN }, { timeoutMs: 50 });
    await until("a second try", () => at.asked.length >= 2);
    expect(one.problems).toEqual([
      { source: `relay ${at.url}`, kind: "unreachable", detail: "no answer" },
    ]);
  });
});

describe("by asking", () => {
  it("the API, with its token", async () => {
    const at = await host(json(route(1, "a")));
    const one = following(api(at));
    await until("the first", () => one.told.length === 1);
    at.answer = json(route(2, "b"));
    await until("the switch", () => one.told.length === 2);
    expect(at.asked[0]).toBe(`/v1/groups/cache/route Bearer ${TOKEN}`);
  });

  it("KV by Cloudflare's API", async () => {
    const at = await host(json(route(1, "a")));
    const one = following({
      ...{ kind: "kv", accountId: "acc", namespaceId: "ns", token: TOKEN, apiUrl: at.url },
      pollMs: 100,
    });
    await until("the first", () => one.told.length === 1);
    const path = "/accounts/acc/storage/kv/namespaces/ns/values/route%3Acache";
    expect(at.asked[0]).toBe(`${path} Bearer ${TOKEN}`);
  });

  it("nobody follows a redirect with the token", async () => {
    const other = await host(json(route(1, "a")));
    const at = await host(
      (_, response) => void response.writeHead(302, { location: other.url }).end(),
    );
    const one = following(api(at));
    await until("the problem", () => one.problems.length === 1);
    expect(one.problems[0]).toMatchObject({ kind: "refused", detail: "HTTP 302" });
    expect(other.asked).toEqual([]);
  });
});

describe("what is no route changes nothing", () => {
  const good = route(3, "a");
  it.each<[string, FollowProblem["kind"], unknown]>([
    ["truncated JSON", "malformed", JSON.stringify(good).slice(0, -20)],
    ["null", "malformed", "null"],
    ["a wrong type", "malformed", JSON.stringify({ ...good, epoch: "4" })],
    ["a newer version", "version", JSON.stringify({ ...good, v: 2, epoch: 9 })],
    ["another group", "group", JSON.stringify({ ...good, group: "other", epoch: 9 })],
  ])("%s: told as %s, once", async (_, kind, text) => {
    const at = await host(json(good));
    const one = following(api(at));
    await until("the good one", () => one.told.length === 1);
    at.answer = (_request, response) => void response.end(text);
    const before = at.asked.length;
    await until("several answers", () => at.asked.length >= before + 4);
    expect(one.kinds()).toEqual([kind]);
    expect(one.route()).toEqual(good);
    expect(JSON.stringify(one.problems)).not.toContain(TOKEN);
    at.answer = json(route(4, "b"));
    await until("the next", () => one.told.length === 2);
  });

  it("a status other than 200, and nobody there", async () => {
    const at = await host((_, response) => void response.writeHead(401).end("{}"));
    const away: FollowSource = { ...api({ url: "http://127.0.0.1:1" }) };
    const one = following([api(at), away]);
    await until("both problems", () => one.problems.length === 2);
    expect(one.problems).toContainEqual(
      expect.objectContaining({ source: `api ${at.url}/`, kind: "refused", detail: "HTTP 401" }),
    );
    expect(one.kinds()).toContain("unreachable");
  });

  it("never back: an older route, from whatever source", async () => {
    const old = await host(json(route(1, "a")));
    const board = await relayBoard();
    board.put(route(2, "b"));
    const one = following(board.source);
    await until("the newest", () => one.told.length === 1);
    one.close();
    const both = following([api(old), board.source]);
    await until("the newest", () => both.route()?.epoch === 2);
    const before = old.asked.length;
    await until("the old one again", () => old.asked.length >= before + 3);
    expect(both.told.at(-1)).toMatch(/> b$/);
    expect(both.route()?.epoch).toBe(2);
  });

  it("no callback while nobody is primary", async () => {
    const at = await host(json(route(1, null)));
    const one = following(api(at));
    await until("the route", () => one.route() !== null);
    expect(one.told).toEqual([]);
  });
});

it.each([
  [
    "throws",
    () => {
      throw new RangeError("mine");
    },
  ],
  ["rejects", () => Promise.reject(new RangeError("mine"))],
])("a callback that %s is told, and called again at the next switch", async (_, fails) => {
  const at = await host(json(route(1, "a")));
  const problems: FollowProblem[] = [];
  let calls = 0;
  const follower = follow(
    api(at),
    () => {
      calls += 1;
      return fails();
    },
    {
      group: "cache",
      onProblem: (each) => problems.push(each),
    },
  );
  onTestFinished(follower.close);
  await until("the problem", () => problems.length === 1);
  at.answer = json(route(2, "b"));
  await until("the second call", () => calls === 2);
  expect(problems[0]).toMatchObject({ kind: "callback", detail: "RangeError" });
});

it("after close nothing is called and nothing is asked", async () => {
  const board = await relayBoard();
  const at = await host(json(route(1, "a")));
  board.put(route(1, "a"));
  const one = following([board.source, api(at)]);
  await until("the first", () => one.told.length === 1);
  one.close();
  const asked = at.asked.length;
  const other = following(board.source);
  board.put(route(2, "b"));
  await until("somebody else heard", () => other.route()?.epoch === 2);
  expect(one.told).toEqual(["- > a"]);
  expect(one.problems).toEqual([]);
  expect(at.asked.length).toBeLessThanOrEqual(asked + 1);
});

it.each<[string, unknown, Partial<FollowOptions>]>([
  ['sources[0].kind is "dns", but must be "relay", "api" or "kv"', { kind: "dns", token: "t" }, {}],
  ['sources[0].url is "ftp://x"', { kind: "api", url: "ftp://x", token: "t" }, {}],
  ["sources[0].token must be", { kind: "api", url: "http://x", token: "" }, {}],
  ["sources[0].pollMs is 5", { kind: "api", url: "http://x", token: "t", pollMs: 5 }, {}],
  ["accountId", { kind: "kv", accountId: "../x", namespaceId: "n", token: "t" }, {}],
  ['group is ""', { kind: "api", url: "http://x", token: "t" }, { group: "" }],
  ["timeoutMs is 0", { kind: "api", url: "http://x", token: "t" }, { timeoutMs: 0 }],
  ["sources is []", [], {}],
])("a wrong option is named: %s", (message, source, more) => {
  const wrong = () => follow(source as FollowSource, () => {}, { group: "cache", ...more });
  expect(wrong).toThrow(TypeError);
  expect(wrong).toThrow(message);
});
