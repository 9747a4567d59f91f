/**
 * The client over real relays and real Redis servers: who answers what, what happens when one dies, namespaces.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RedisProcess, startRedis } from "../../scripts/redis-server.ts";
import {
  type ClientOptions,
  connect,
  OutcomeUnknownError,
  type Route,
  UnsupportedCommandError,
} from "../../worker/client/index.ts";
import { type Relay, startRelay } from "../../worker/relay/serve.ts";
import { ask, DATA, dataToken, nodeAt, online, relayDefaults, tell } from "../relay/support.ts";
import { until } from "../support/wait.ts";

const ids = ["a", "b", "c"] as const;
type Id = (typeof ids)[number];

let redis: Record<Id, RedisProcess>;
let relay: Relay;
const ends: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  const { mkdtemp, rm } = await import("node:fs/promises");
  const { tmpdir } = await import("node:os");
  const folder = await mkdtemp(`${tmpdir()}/picket-client-`);
  ends.push(() => rm(folder, { recursive: true, force: true }));
  const a = await startRedis();
  const follow = ["--replicaof", a.host, String(a.port)];
  const [b, c] = await Promise.all([startRedis({ args: follow }), startRedis({ args: follow })]);
  redis = { a, b, c };
  for (const server of [a, b, c]) ends.push(() => server.stop());
  relay = await startRelay({
    id: "r",
    listen: { host: "127.0.0.1", port: 0 },
    stateFile: `${folder}/state.json`,
    ...relayDefaults,
    controlTokens: ["control-token-of-the-tests"],
    dataTokens: [dataToken(DATA)],
    nodes: ids.map((id) => nodeAt(id, redis[id])),
  });
  ends.push(() => relay.close());
  await Promise.all([online(a, b), online(a, c)]);
  await tell(relay);
});
afterAll(async () => {
  for (const end of ends.reverse()) await end();
});

const end = (id: Id) => ({
  id,
  host: redis[id].host,
  port: redis[id].port,
  tls: false,
  rest: `${relay.url}/nodes/${id}`,
});

function route(primary: Id, replicas: Partial<Record<Id, number>>, epoch = 1): Route {
  return {
    v: 1,
    group: "g",
    mode: "replication",
    epoch,
    rev: 0,
    state: "up",
    hostname: null,
    primary: end(primary),
    replicas: Object.entries(replicas).map(([id, readWeight]) => ({
      ...end(id as Id),
      readWeight,
    })),
    updatedAt: "2026-11-20T12:00:00.000Z",
  };
}

const over = (now: () => Route, options: Partial<ClientOptions> = {}) =>
  connect({ get: async () => now() }, "g", { token: DATA, ...options });

/** How often each node was asked for it since. */
async function counter(command: string) {
  const counts = async () => {
    const all: Record<string, number> = {};
    for (const id of ids) {
      const [info] = await ask(redis[id], ["INFO", "commandstats"]);
      const found = new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(String(info));
      all[id] = Number(found?.[1] ?? 0);
    }
    return all;
  };
  const before = await counts();
  return async () => {
    const after = await counts();
    return Object.fromEntries(ids.map((id) => [id, (after[id] ?? 0) - (before[id] ?? 0)]));
  };
}

/** Everything written is at both replicas. */
const copied = () => ask(redis.a, ["WAIT", "2", "10000"]);

describe("F12 who answers", () => {
  const both = () => route("a", { b: 1, c: 1 });

  it("the primary everything, as long as nothing else is said", async () => {
    const told = await counter("get");
    const one = over(both);
    await one.set("k", "v");
    for (let n = 0; n < 6; n += 1) expect(await one.get("k")).toBe("v");
    expect(await told()).toEqual({ a: 6, b: 0, c: 0 });
  });

  it("10,000 reads over two replicas are even within 2 percent", async () => {
    const one = over(both, { readFrom: "replicas" });
    await one.set("k", "v");
    await copied();
    const told = await counter("get");
    // Several at once, as an app does; they share the turns.
    const reads = Array.from({ length: 10 }, async () => {
      for (let n = 0; n < 1000; n += 1) await one.get("k");
    });
    await Promise.all(reads);
    const { a, b = 0, c = 0 } = await told();
    expect([a, b + c]).toEqual([0, 10_000]);
    expect(Math.abs(b - c)).toBeLessThanOrEqual(200);
  }, 120_000);

  it("by readWeight, and nobody who has none", async () => {
    const told = await counter("strlen");
    const weighed = over(() => route("a", { b: 3, c: 1 }), {
      readFrom: "replicas",
      balance: "weight",
    });
    for (let n = 0; n < 40; n += 1) await weighed.strlen("k");
    expect(await told()).toEqual({ a: 0, b: 30, c: 10 });
    const one = over(() => route("a", { b: 0, c: 1 }), { readFrom: "replicas" });
    for (let n = 0; n < 4; n += 1) await one.strlen("k");
    expect(await told()).toEqual({ a: 0, b: 30, c: 14 });
  });

  it("any: the primary has its turn too", async () => {
    const told = await counter("exists");
    const one = over(both, { readFrom: "any" });
    for (let n = 0; n < 30; n += 1) await one.exists("k");
    expect(await told()).toEqual({ a: 10, b: 10, c: 10 });
  });

  it("no replica: the primary", async () => {
    const told = await counter("type");
    const one = over(() => route("a", {}), { readFrom: "replicas" });
    await one.type("k");
    expect(await told()).toEqual({ a: 1, b: 0, c: 0 });
  });

  it("R5 C18 R6 a pipeline or transaction goes to one node: reads to a replica, one write or unknown word to the primary", async () => {
    const one = over(both, { readFrom: "replicas" });
    const told = await counter("llen");
    for (let n = 0; n < 4; n += 1) await one.pipeline().llen("l").llen("l").exec();
    expect(await told()).toEqual({ a: 0, b: 4, c: 4 });
    for (let n = 0; n < 4; n += 1) await one.multi().llen("l").llen("l").exec();
    expect(await told()).toEqual({ a: 0, b: 8, c: 8 });
    // Reads first, a write last.
    await one.pipeline().llen("l").llen("l").set("w", 1).exec();
    await one.multi().set("w", 1).llen("l").exec();
    await one.pipeline().llen("l").eval("return 1", [], []).exec();
    expect(await told()).toEqual({ a: 4, b: 8, c: 8 });
    await one.exec(["LLEN", "l"]);
    await one.exec(["Llen", "l"]);
    expect(await told()).toEqual({ a: 4, b: 9, c: 9 });
  });

  it("a script that only the primary was told of is found there", async () => {
    const one = over(both, { readFrom: "replicas" });
    const sha = await one.scriptLoad("return 'from the primary'");
    expect(await one.evalshaRo(sha, [], [])).toBe("from the primary");
  });

  it("F13 what the relay refuses says so, once", async () => {
    const one = over(both);
    await expect(one.exec(["REPLICAOF", "NO", "ONE"])).rejects.toThrow(/NOPERM .*REPLICAOF/);
    await expect(one.exec(["NOSUCHCOMMAND"])).rejects.toThrow(/unknown command/);
  });

  it("a subscription hears what is published", async () => {
    const one = over(both);
    const heard: unknown[] = [];
    const subscriber = one.subscribe<string>("news");
    subscriber.on("message", ({ message }) => heard.push(message));
    await until("a message", async () => {
      await one.publish("news", "hello");
      return heard.length > 0;
    });
    expect(heard[0]).toBe("hello");
    await subscriber.unsubscribe();
  });
});

describe("namespaces", () => {
  const here = (more: Partial<ClientOptions> = {}) =>
    over(() => route("a", { b: 1, c: 1 }), { namespace: "app", ...more });
  const keysNow = async () => ((await ask(redis.a, ["KEYS", "*"]))[0] as string[]).sort();

  it("every key has the prefix, and comes back without it", async () => {
    await ask(redis.a, ["FLUSHALL"], ["SET", "foreign", "1"]);
    const one = here();
    await one.mset({ one: 1, two: 2 });
    await one.pipeline().set("p", 1).rpush("list", "x", "y", "z").exec();
    await one.multi().set("t", 1).incr("t").exec();
    await one.zadd("z", { score: 1, member: "m" });
    await one.xadd("s", "1-1", { f: "v" });
    await one.eval("return redis.call('set', KEYS[1], ARGV[1])", ["script"], ["v"]);
    await one.exec(["SADD", "numbers", 3, 1, 2]);
    await one.mset({ w_1: 3, w_2: 2, w_3: 1 });
    const ours = [
      "list",
      "numbers",
      "one",
      "p",
      "s",
      "script",
      "t",
      "two",
      "w_1",
      "w_2",
      "w_3",
      "z",
    ];
    expect(await keysNow()).toEqual([...ours.map((key) => `app:${key}`), "foreign"].sort());
    expect((await one.keys("*")).sort()).toEqual(ours);
    expect((await one.keys("w_*")).sort()).toEqual(["w_1", "w_2", "w_3"]);
    const found: string[] = [];
    let cursor = "0";
    do {
      const [next, some] = await one.scan(cursor);
      found.push(...some);
      cursor = String(next);
    } while (cursor !== "0");
    expect(found.sort()).toEqual(ours);
    expect((await one.scan(0, { match: "on*", count: 1000 }))[1]).toEqual(["one"]);
    expect(await one.mget("one", "two", "foreign")).toEqual([1, 2, null]);
    expect(
      await one.exec(["SORT", "numbers", "BY", "w_*", "GET", "#", "GET", "w_*", "STORE", "sorted"]),
    ).toBe(6);
    expect(await one.lrange("sorted", 0, -1)).toEqual([3, 1, 2, 2, 1, 3]);
    expect(await one.exec(["BLPOP", "list", 1])).toEqual(["list", "x"]);
    expect(await one.exec(["LMPOP", 1, "list", "LEFT"])).toEqual(["list", ["y"]]);
    expect(await one.exec(["BZPOPMIN", "z", 1])).toEqual(["z", "m", 1]);
    expect(await one.xread("s", "0")).toEqual([["s", [["1-1", ["f", "v"]]]]]);
    expect(await one.exec(["OBJECT", "ENCODING", "one"])).toBe("int");
    expect(await one.pipeline().keys("on*").get("one").exec()).toEqual([["one"], 1]);
    expect(["foreign", "sorted", ...ours]).toContain((await one.randomkey()) ?? "foreign");
  });

  it("channels and values are nobody's key", async () => {
    const one = here();
    const heard: unknown[] = [];
    const subscriber = over(() => route("a", {})).subscribe<string>("app-news");
    subscriber.on("message", ({ message }) => heard.push(message));
    await until("a message", async () => {
      await one.publish("app-news", "list");
      return heard.length > 0;
    });
    expect(heard[0]).toBe("list");
    await subscriber.unsubscribe();
  });

  it("a pipeline that is used twice is not prefixed twice", async () => {
    const pipeline = here().pipeline().set("again", 1);
    await pipeline.exec();
    await pipeline.exec();
    expect(await keysNow()).not.toContain("app:app:again");
  });

  it.each([
    "FLUSHALL",
    "FLUSHDB",
    "SWAPDB 0 1",
    "DBSIZE",
    "FUNCTION FLUSH",
    "NOSUCHCOMMAND k",
    "VECTOR.QUERY secret",
    "OBJECT NOSUCH secret",
    "EVAL return secret",
    "MIGRATE h 1 secret 0 1",
  ])("F13 refused, and never sent: %s", async (line) => {
    await ask(redis.a, ["SET", "foreign", "1"]);
    const one = here();
    const words = line.split(" ") as [string, ...string[]];
    for (const attempt of [
      () => one.exec(words),
      () => (words[0] === "FLUSHDB" ? one.multi().set("x", 1).flushdb().exec() : one.exec(words)),
    ]) {
      const error: unknown = await attempt().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(UnsupportedCommandError);
      expect(error).toMatchObject({ command: words[0] });
      expect(String(error)).not.toContain("secret");
    }
    expect(await keysNow()).toContain("foreign");
  });
});

describe("a replica that has no token", () => {
  it("is left out: the others, and writes, go on", async () => {
    const said: string[] = [];
    const one = over(() => route("a", { b: 1, c: 1 }), {
      readFrom: "replicas",
      token: { a: DATA, b: DATA },
      logger: { warn: (message, fields) => said.push(`${message}: ${fields?.node}`) },
    });
    await one.set("k", "v");
    await copied();
    const told = await counter2("get", ["a", "b", "c"]);
    for (let n = 0; n < 4; n += 1) expect(await one.get("k")).toBe("v");
    expect(await told()).toEqual({ a: 0, b: 4, c: 0 });
    expect(said).toContain("replica spared: c");
  });
});

describe("when nodes die", () => {
  it("F12 reads go on at another replica, then at the primary, and the one that is back takes its turns again", async () => {
    let now = route("a", { b: 1, c: 1 });
    const said: string[] = [];
    const one = over(() => now, {
      readFrom: "replicas",
      breaker: { minNumFailures: 2, failuresDetectionWindowMs: 600_000, gracePeriodMs: 600_000 },
      logger: { warn: (message, fields) => said.push(`${message}: ${fields?.node}`) },
      memoMs: 0,
    });
    await one.set("k", "v");
    await copied();
    await redis.b.kill();
    for (let n = 0; n < 8; n += 1) expect(await one.get("k")).toBe("v");
    expect(said).toEqual(["replica spared: b"]);
    const told = await counter2("get", ["a", "c"]);
    for (let n = 0; n < 8; n += 1) expect(await one.get("k")).toBe("v");
    // Its breaker is open: b is not even asked.
    expect(await told()).toEqual({ a: 0, c: 8 });
    now = route("a", { b: 1 }, 2);
    for (let n = 0; n < 3; n += 1) expect(await one.get("k")).toBe("v");
    expect(await told()).toEqual({ a: 3, c: 8 });
    await redis.b.start();
    await online(redis.a, redis.b);
  });

  it("F14 the primary is killed: a write that is safe comes through, another one is told", async () => {
    const before = route("a", { b: 1, c: 1 });
    let truth = before;
    // KV stays as old as it is.
    const one = connect({ get: async () => before }, "g", {
      token: DATA,
      authority: { fetch: async () => Response.json(truth) },
      maxRetries: 100,
      deadlineMs: 60_000,
    });
    await one.set("k", "before");
    await copied();
    const heard: string[] = [];
    const subscriber = one.subscribe<string>("news");
    subscriber.on("message", ({ message }) => heard.push(message));
    await until("the first message", async () => {
      await one.publish("news", "before");
      return heard.includes("before");
    });
    await redis.a.kill();
    const waiting = one.set("k", "after");
    const failed = one.incr("n").then(
      (value) => value,
      (error) => error,
    );
    await ask(redis.b, ["REPLICAOF", "NO", "ONE"]);
    await ask(redis.c, ["REPLICAOF", redis.b.host, String(redis.b.port)]);
    truth = { ...route("b", { c: 1 }, 9) };
    expect(await waiting).toBe("OK");
    expect(await one.get("k")).toBe("after");
    const outcome = await failed;
    if (outcome !== 1) expect(outcome).toBeInstanceOf(OutcomeUnknownError);
    expect((await one.route()).epoch).toBe(9);
    await until("a message of the new primary", async () => {
      await one.publish("news", "after");
      return heard.includes("after");
    });
    await subscriber.unsubscribe();
  });
});

async function counter2<T extends Id>(command: string, which: readonly T[]) {
  const counts = async () => {
    const all: Partial<Record<T, number>> = {};
    for (const id of which) {
      const [info] = await ask(redis[id], ["INFO", "commandstats"]);
      all[id] = Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(String(info))?.[1] ?? 0);
    }
    return all;
  };
  const before = await counts();
  return async () => {
    const after = await counts();
    return Object.fromEntries(which.map((id) => [id, (after[id] ?? 0) - (before[id] ?? 0)]));
  };
}
