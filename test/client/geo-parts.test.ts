/** The parts of connectGeo one by one: its checks, the lag-aware one, databases from a route, wrong options. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { isEnough, isHealthy, pings, verdictOf } from "../../worker/client/geo/checking.ts";
import {
  connectGeo,
  type Database,
  type GeoRoute,
  lagAware,
  WrongModeError,
} from "../../worker/client/geo/index.ts";
import { defaults, type HealthCheckPolicy } from "../../worker/client/geo/options.ts";
import { outcomeIn, outcomeOf } from "../../worker/client/geo/outcome.ts";
import { subscriptions } from "../../worker/client/geo/subscriptions.ts";
import { NoRouteError, type Route } from "../../worker/client/index.ts";
import { DATA } from "../relay/support.ts";
import { until } from "../support/wait.ts";
import { quick, sites } from "./geo-sites.ts";

describe("one health check", () => {
  const settings = (policy: HealthCheckPolicy, probes = 3) => ({
    ...{ healthCheckPolicy: policy, healthCheckProbes: probes },
    ...{ healthCheckDelayMs: 0, healthCheckTimeoutMs: 10_000 },
  });
  const database = { id: "a", url: "http://localhost", token: "t" };

  /** Probes in order: "." passes, "x" fails, "!" throws. */
  async function run(probes: string, policy: HealthCheckPolicy, count = 3) {
    let asked = 0;
    const ask = async () => {
      const probe = probes[asked];
      asked += 1;
      if (probe === "!") throw new Error("no");
      return probe === "." ? "PONG" : "nothing like it";
    };
    const healthy = await isHealthy([pings], { database, ask }, settings(policy, count));
    return `${healthy} after ${asked}`;
  }

  it.each<[string, HealthCheckPolicy, number, string]>([
    ["...", "all", 3, "true after 3"],
    ["..x", "all", 3, "false after 3"],
    ["!..", "all", 3, "false after 1"],
    ["..x", "majority", 3, "true after 2"],
    ["x.x", "majority", 3, "false after 3"],
    ["x.", "majority", 2, "false after 1"],
    ["xx..", "majority", 4, "false after 2"],
    ["x...", "majority", 4, "true after 4"],
    ["xx.", "any", 3, "true after 3"],
    [".", "any", 3, "true after 1"],
    ["x!x", "any", 3, "false after 3"],
    [".", "all", 1, "true after 1"],
  ])("C24 probes %s, %s of %d: %s", async (probes, policy, count, expected) => {
    expect(await run(probes, policy, count)).toBe(expected);
  });

  it("a verdict is given as soon as nothing can change it", () => {
    expect(verdictOf("majority", 5, 2, 2)).toBe(null);
    expect(verdictOf("majority", 5, 3, 0)).toBe(true);
    expect(verdictOf("majority", 5, 2, 3)).toBe(false);
  });

  it("every check has to pass", async () => {
    const ask = async () => "PONG";
    const no = async () => false;
    expect(await isHealthy([pings, no], { database, ask }, settings("any"))).toBe(false);
    expect(await isHealthy([pings, pings], { database, ask }, settings("all"))).toBe(true);
  });

  it("C24 the time is over: unhealthy, and what is under way is told to end", async () => {
    let ended = false;
    const hangs = ({ signal }: { signal: AbortSignal }) =>
      new Promise<boolean>(() => signal.addEventListener("abort", () => (ended = true)));
    const short = { ...settings("any"), healthCheckTimeoutMs: 20 };
    expect(await isHealthy([hangs], { database, ask: async () => null }, short)).toBe(false);
    expect(ended).toBe(true);
  });

  it.each([
    ["all-available", 3, true],
    ["all-available", 2, false],
    ["majority-available", 2, true],
    ["majority-available", 1, false],
    ["one-available", 1, true],
    ["one-available", 0, false],
  ] as const)("C2 %s with %d of three: %s", (policy, healthy, expected) => {
    expect(isEnough(policy, healthy, 3)).toBe(expected);
    expect(isEnough("majority-available", 2, 4)).toBe(false);
  });
});

describe("C25 the cluster says how far behind it is", () => {
  const host = "cache.example.com";
  const bdbs = [
    { uid: 3, endpoints: [{ dns_name: "other.example.com", addr: ["10.0.0.9"] }] },
    { uid: 7, endpoints: [{ dns_name: host, addr: ["10.0.0.7"] }] },
  ];

  /** The REST interface of Redis Software, as far as the check asks it. */
  async function cluster(availability: number, list: unknown = bdbs, listStatus = 200) {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(`${request.url} ${request.headers.authorization}`);
      const isList = request.url === "/v1/bdbs";
      response.writeHead(isList ? listStatus : availability);
      response.end(isList ? JSON.stringify(list) : '{"error_code":"no_quorum"}');
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const look = (at = host, more: object = {}) =>
      isHealthy(
        [lagAware({ username: "me", password: "pass", ...more })],
        {
          database: { id: "a", url: `https://${at}`, token: "t", healthCheckUrl: url },
          ask: async () => null,
        },
        {
          ...{ healthCheckProbes: 1, healthCheckDelayMs: 0, healthCheckTimeoutMs: 10_000 },
          healthCheckPolicy: "all",
        },
      );
    return { look, asked };
  }

  it("healthy: found by its name or an address of it, asked with the tolerance", async () => {
    const { look, asked } = await cluster(200);
    expect(await look()).toBe(true);
    expect(await look("10.0.0.7", { lagToleranceMs: 100 })).toBe(true);
    const basic = `Basic ${Buffer.from("me:pass").toString("base64")}`;
    const path = "/v1/bdbs/7/availability?extend_check=lag&availability_lag_tolerance_ms";
    expect(asked).toEqual([
      ...[`/v1/bdbs ${basic}`, `${path}=5000 ${basic}`],
      ...[`/v1/bdbs ${basic}`, `${path}=100 ${basic}`],
    ]);
  });

  it.each<[string, number, unknown, number]>([
    ["too far behind, no quorum, an endpoint that is away: 503", 503, bdbs, 200],
    ["the database is not found: 404", 404, bdbs, 200],
    ["no database of that address", 200, [bdbs[0]], 200],
    ["no databases at all", 200, [], 200],
    ["a list that is none", 200, { error: "no" }, 200],
    ["a wrong password: 401", 200, bdbs, 401],
  ])("unhealthy: %s", async (_, availability, list, listStatus) => {
    expect(await (await cluster(availability, list, listStatus)).look()).toBe(false);
  });

  it("unhealthy without the cluster's address, and when nobody is there", async () => {
    const check = lagAware({ username: "me", password: "pass" });
    const look = { ask: async () => null, signal: new AbortController().signal };
    const database = { id: "a", url: "https://x.example.com", token: "t" };
    expect(await check({ database, ...look })).toBe(false);
    const away = { ...database, healthCheckUrl: "http://127.0.0.1:1" };
    await expect(check({ database: away, ...look })).rejects.toThrow();
  });

  it("the cluster's port is 9443 unless the address has one", async () => {
    const urls: string[] = [];
    const fetch = async (url: string) => {
      urls.push(url);
      return new Response("[]");
    };
    const check = lagAware({ username: "me", password: "pass", fetch });
    const look = { ask: async () => null, signal: new AbortController().signal };
    for (const healthCheckUrl of ["https://c.example.com", "https://c.example.com:8443/"])
      await check({ database: { id: "a", url: "http://x", token: "t", healthCheckUrl }, ...look });
    expect(urls).toEqual([
      "https://c.example.com:9443/v1/bdbs",
      "https://c.example.com:8443/v1/bdbs",
    ]);
  });
});

describe("databases from the route", () => {
  const endpoint = ({ id, url }: Database) => ({
    ...{ id, host: "127.0.0.1", port: 6379, tls: false, rest: url },
  });
  const route = (
    rev: number,
    primary: Database,
    others: readonly Database[],
    more = {},
  ): Route => ({
    ...{ v: 1, group: "geo", mode: "active-active", epoch: 1, rev, state: "up", hostname: null },
    primary: endpoint(primary),
    replicas: others.map((each) => ({ ...endpoint(each), readWeight: 1 })),
    updatedAt: "2026-11-20T12:00:00.000Z",
    ...more,
  });
  function routed(first: Route | null, options: Partial<GeoRoute> = {}) {
    const self = { now: first as unknown };
    const switches: string[] = [];
    const client = connectGeo({
      ...quick,
      kv: { get: async () => self.now },
      group: "geo",
      token: DATA,
      onSwitch: (from, to, reason) => void switches.push(`${from} > ${to} ${reason}`),
      ...options,
    });
    onTestFinished(() => client.close());
    return Object.assign(self, { client, switches });
  }

  it("C1 the route's primary first among equals, and the heaviest before it", async () => {
    const { databases } = await sites({ a: 1, b: 1, c: 1 });
    const [a, b, c] = databases as [Database, Database, Database];
    const equal = routed(route(1, b, [a, c]));
    await Promise.all([equal.client.set("k", 1), equal.client.get("k"), equal.client.ping()]);
    expect(equal.client.active).toBe("b");
    const weighed = routed(route(1, b, [a, c]), { weights: { c: 2 } });
    await weighed.client.ping();
    expect(weighed.client.active).toBe("c");
  });

  it("C3 a route that names only the node in use: whichever it names is gone to", async () => {
    const { databases } = await sites({ a: 1, b: 1 });
    const [a, b] = databases as [Database, Database];
    const one = routed(route(1, a, []), { healthCheckIntervalMs: 1 });
    await one.client.set("k", "at a");
    one.now = route(2, b, []);
    await until("the other", async () => (await one.client.ping()) && one.client.active === "b");
    expect(await one.client.get("k")).toBe(null);
  });

  it("C14 C20 nodes come and go with the route, and another primary is gone to", async () => {
    const { databases } = await sites({ a: 1, b: 1, c: 1 });
    const [a, b, c] = databases as [Database, Database, Database];
    const one = routed(route(1, a, [b]), { healthCheckIntervalMs: 1 });
    await one.client.ping();
    one.now = route(2, b, [a, c]);
    await until(
      "the other primary",
      async () => (await one.client.ping()) && one.client.active === "b",
    );
    one.now = route(3, c, [a]);
    await until("the third", async () => (await one.client.ping()) && one.client.active === "c");
    await until("b is gone", () => one.client.status().databases.every(({ id }) => id !== "b"));
    // Nobody can say anything: everyone stays.
    one.now = { v: 1 };
    await one.client.ping();
    expect(one.client.active).toBe("c");
    expect(one.switches[0]).toBe("a > b route");
  });

  it("no route, one of another mode, one without REST addresses: each has its error", async () => {
    const a = { id: "a", url: "http://127.0.0.1:1", token: "t" };
    const { primary } = route(1, a, []);
    const bare = route(1, a, [], { primary: primary && { ...primary, rest: null } });
    await expect(routed(null).client.ping()).rejects.toThrow(NoRouteError);
    await expect(routed(bare).client.ping()).rejects.toThrow(NoRouteError);
    const other = routed(route(1, a, [], { mode: "replication" }));
    await expect(other.client.ping()).rejects.toThrow(WrongModeError);
  });
});

describe("a subscription that cannot begin", () => {
  const asked = { path: ["subscribe", "news"], isStreaming: true };

  it("ends within its time", async () => {
    const nowhere = subscriptions(() => null, { timeoutMs: 10_000, deadlineMs: 50 });
    await expect(nowhere.open(asked)).rejects.toThrow("within 50 ms");
  });

  it("ends at once when it is refused, and without a word when the app left", async () => {
    const { databases } = await sites({ a: 1 });
    const [{ url }] = databases as [Database];
    const times = { timeoutMs: 10_000, deadlineMs: 20_000 };
    const wrong = subscriptions(() => ({ url, token: "wrong" }), times);
    await expect(wrong.open(asked)).rejects.toThrow("HTTP 401");
    const left = subscriptions(() => null, times);
    expect(await left.open({ ...asked, signal: AbortSignal.abort() })).toEqual({ result: 1 });
  });
});

describe("what became of it", () => {
  const upstash = (message: string) => Object.assign(new Error(message), { name: "UpstashError" });
  it.each([
    ["WRONGTYPE Operation against a key", "answer", false],
    ["READONLY You can't write", "refused", false],
    ["EXECABORT Transaction discarded because of previous errors.", "answer", false],
    ["EXECABORT Transaction discarded (READONLY You can't)", "refused", false],
    ["LOADING Redis is loading", "refused", false],
    ["NODE_REFUSED nobody listens; it was not executed", "refused", true],
    ["NODE_TLS EPROTO; outcome unknown: it may have been executed", "unknown", true],
    ["NODE_TIMEOUT no answer", "unknown", true],
    ["WRONGPASS invalid or missing auth token", "refused", true],
    ["Unauthorized: no such token, command was: []", "refused", true],
  ])("%s: %s, blames the database: %s", (message, kind, blames) => {
    expect(outcomeOf(upstash(message))).toMatchObject({ kind, blames });
  });

  it("of a pipeline: what was executed in part is unknown", () => {
    const refused = { error: "READONLY no" };
    expect(outcomeIn([refused, refused])).toMatchObject({ kind: "refused" });
    expect(outcomeIn([{}, refused])).toMatchObject({ kind: "unknown", reason: "READONLY" });
    expect(outcomeIn([{ error: "WRONGTYPE x" }, {}])).toMatchObject({ kind: "answer" });
    expect(outcomeIn([{ error: "NODE_TIMEOUT x" }, refused])).toMatchObject({
      ...{ kind: "unknown", reason: "NODE_TIMEOUT", blames: true },
    });
  });
});

it.each<[string, object]>([
  ["databases", { databases: [] }],
  ["databases[0].id", { databases: [{ id: "", url: "http://x", token: "t" }] }],
  ["databases[0].url", { databases: [{ id: "a", url: "x:1", token: "t" }] }],
  ["databases[0].token", { databases: [{ id: "a", url: "http://x", token: "" }] }],
  ["databases[0].weight", { databases: [{ id: "a", url: "http://x", token: "t", weight: -1 }] }],
  ["databases[1].id", { databases: [1, 2].map(() => ({ id: "a", url: "http://x", token: "t" })) }],
  ["healthCheckPolicy", { healthCheckPolicy: "most" }],
  ["initialHealthCheckPolicy", { initialHealthCheckPolicy: "all" }],
  ["failureRateThreshold", { failureRateThreshold: 1.5 }],
  ["healthCheckProbes", { healthCheckProbes: 0 }],
  ["gracePeriodMs", { gracePeriodMs: "1" }],
  ["healthChecks", { healthChecks: [] }],
  ["idempotent", { idempotent: "yes" }],
  ["onSwitch", { onSwitch: 1 }],
  ["kv", { kv: {}, group: "g", token: "t" }],
  ["group", { kv: { get: async () => null }, group: "", token: "t" }],
  ["weights.a", { kv: { get: async () => null }, group: "g", token: "t", weights: { a: -1 } }],
])("a wrong option is named: %s", (option, wrong) => {
  const databases = [{ id: "a", url: "http://x", token: "secret-token" }];
  const make = () => connectGeo({ databases, ...wrong } as never);
  expect(make).toThrow(expect.objectContaining({ name: "OptionError", option }));
  expect(make).not.toThrow(/secret-token/);
});

it("docs/client-geo.md names every option with its default", () => {
  const docs = readFileSync(new URL("../../docs/client-geo.md", import.meta.url).pathname, "utf8");
  const rows = docs.split("\n").filter((line) => line.startsWith("| `"));
  for (const [name, value] of Object.entries(defaults)) {
    const row = rows.find((line) => line.split("|")[1]?.includes(`\`${name}\``)) ?? `no ${name}`;
    expect(row).toContain(typeof value === "string" ? `"${value}"` : String(value));
  }
});
