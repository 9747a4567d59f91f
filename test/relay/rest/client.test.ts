import { once } from "node:events";
import { connect } from "node:net";
import { Redis } from "@upstash/redis";
import { expect, onTestFinished, test } from "vitest";
import { until } from "../../support/wait.ts";
import { app, ask, DATA, nodeAt, post, redis, relayOver, settingsFor } from "../support.ts";
import { asApp, rest } from "./support.ts";

const open = (url: string, more: object = {}) =>
  new Redis({ url, token: DATA, retry: { retries: 0 }, enableTelemetry: false, ...more });

test("the client's commands, family by family, as its users call them", async () => {
  const { relay } = await rest();
  const c = app(relay);
  // Strings.
  expect(await c.set("s", { a: 1 }, { ex: 100, nx: true })).toBe("OK");
  expect(await c.set("s", 2, { xx: true, get: true, keepTtl: true })).toEqual({ a: 1 });
  expect(await c.mset({ a: 1, b: "two" })).toBe("OK");
  expect(await c.mget("a", "b", "none")).toEqual([1, "two", null]);
  expect(await c.getrange("b", 0, 1)).toBe("tw");
  expect(await c.getdel("b")).toBe("two");
  expect(await c.getex("a", { px: 50_000 })).toBe(1);
  expect(await c.incrbyfloat("f", 1.5)).toBe(1.5);
  expect(await c.append("t", "xy")).toBe(2);
  expect([await c.setbit("bits", 7, 1), await c.bitcount("bits", 0, -1)]).toEqual([0, 1]);
  expect(await c.bitop("not", "inverse", "bits")).toBe(1);
  expect(await c.bitfield("bf").set("u4", 0, 7).incrby("u4", 0, 1).exec()).toEqual([0, 8]);
  expect([await c.pfadd("hll", "a", "b"), await c.pfcount("hll")]).toEqual([1, 2]);
  // Keys.
  expect(await c.exists("a", "t", "none")).toBe(2);
  expect(await c.expire("a", 50, "NX")).toBe(0);
  expect(await c.ttl("a")).toBeGreaterThan(0);
  expect(await c.type("hll")).toBe("string");
  expect(await c.rename("t", "tt")).toBe("OK");
  expect(await c.copy("tt", "t3")).toBe("COPIED");
  expect(await c.touch("tt", "t3")).toBe(2);
  expect(await c.unlink("t3")).toBe(1);
  expect((await c.keys("s*")).sort()).toEqual(["s"]);
  expect(await c.scan(0, { match: "s*", count: 1000 })).toEqual(["0", ["s"]]);
  expect(await c.dbsize()).toBeGreaterThan(5);
  expect(await c.randomkey()).toEqual(expect.any(String));
  // Hashes.
  expect(await c.hset("h", { name: "Ada", born: 1815, tags: ["x"] })).toBe(3);
  expect(await c.hgetall("h")).toEqual({ name: "Ada", born: 1815, tags: ["x"] });
  expect(await c.hmget("h", "name", "none")).toEqual({ name: "Ada", none: null });
  expect(await c.hincrby("h", "born", 1)).toBe(1816);
  expect(await c.hscan("h", 0)).toEqual(["0", expect.arrayContaining(["name", "Ada"])]);
  expect(await c.hrandfield("h", 3, true)).toMatchObject({ name: "Ada" });
  // Lists.
  expect(await c.rpush<unknown>("l", "a", "b", { three: 3 })).toBe(3);
  expect(await c.lrange("l", 0, -1)).toEqual(["a", "b", { three: 3 }]);
  expect(await c.lpos("l", "a")).toBe(0);
  expect(await c.lmove("l", "l2", "left", "right")).toBe("a");
  expect(await c.linsert("l", "before", "b", "one")).toBe(3);
  expect(await c.lpop("l", 2)).toEqual(["one", "b"]);
  // Sets.
  expect(await c.sadd("x", 1, 2, 3)).toBe(3);
  await c.sadd("y", 2, 3, 4);
  expect((await c.sinter("x", "y")).sort()).toEqual([2, 3]);
  expect(await c.smismember("x", [1, 9])).toEqual([1, 0]);
  expect(await c.sdiffstore("z", "x", "y")).toBe(1);
  // Sorted sets.
  expect(await c.zadd("zs", { score: 1, member: "a" }, { score: 2.5, member: "b" })).toBe(2);
  expect(await c.zrange("zs", 0, -1, { withScores: true })).toEqual(["a", 1, "b", 2.5]);
  expect(await c.zrange("zs", "-inf", 2, { byScore: true })).toEqual(["a"]);
  expect(await c.zincrby("zs", 2, "a")).toBe(3);
  expect(await c.zrank("zs", "a")).toBe(1);
  expect(await c.zmscore("zs", ["a", "none"])).toEqual([3, null]);
  expect(await c.zunion(2, ["zs", "zs"], { withScores: true })).toEqual(["b", 5, "a", 6]);
  // Streams.
  const id = await c.xadd("st", "*", { field: "value" });
  expect(await c.xrange("st", "-", "+")).toEqual({ [id]: { field: "value" } });
  expect(await c.xgroup("st", { type: "CREATE", group: "g", id: "0" })).toBe("OK");
  expect(await c.xreadgroup("g", "me", "st", ">")).toEqual([["st", [[id, ["field", "value"]]]]]);
  expect(await c.xack("st", "g", id)).toBe(1);
  expect(await c.xread("st", "0-0")).toEqual([["st", [[id, ["field", "value"]]]]]);
  expect(await c.xlen("st")).toBe(1);
  // Places.
  expect(await c.geoadd("geo", { longitude: 14.42, latitude: 50.09, member: "Praha" })).toBe(1);
  expect(await c.geopos("geo", "Praha")).toEqual([
    { lng: expect.closeTo(14.42, 3), lat: expect.closeTo(50.09, 3) },
  ]);
  // Scripts and functions.
  expect(await c.eval("return {KEYS[1], ARGV[1]}", ["k"], ["v"])).toEqual(["k", "v"]);
  const script = c.createScript("return ARGV[1]");
  expect(await script.exec([], ["twice"])).toBe("twice");
  expect(await c.scriptExists(await c.scriptLoad("return 1"))).toEqual([1]);
  expect(await c.evalRo("return redis.call('GET', KEYS[1])", ["a"], [])).toBe(1);
  // The server.
  expect(await c.ping()).toBe("PONG");
  expect(await c.ping(["hi"])).toBe("hi");
  expect(await c.echo("hi")).toBe("hi");
  expect(await c.time()).toHaveLength(2);
  expect(await c.publish("nobody", "hi")).toBe(0);
  expect(await c.exec(["OBJECT", "ENCODING", "a"])).toBe("int");
  expect(await c.flushdb()).toBe("OK");
  expect(await c.dbsize()).toBe(0);
});

test("the client with other settings: no base64, telemetry, no automatic anything", async () => {
  const { base, relay } = await rest();
  const plain = open(base, { responseEncoding: false, enableAutoPipelining: false });
  await plain.set("k", "žluť");
  expect(await plain.get("k")).toBe("žluť");
  expect(await plain.mget("k", "none")).toEqual(["žluť", null]);
  const talkative = new Redis({ url: base, token: DATA, automaticDeserialization: false });
  await talkative.set("n", 5);
  expect(await talkative.get("n")).toBe("5");
  const slash = open(`${relay.url}/nodes/a/`);
  expect(await slash.get("n")).toBe(5);
  const unread = open(base, { readYourWrites: false });
  expect(await unread.get("n")).toBe(5);
});

test("what open-source Redis does not have is an error of its own, in a pipeline in its place", async () => {
  const { relay } = await rest();
  const c = app(relay);
  await expect(c.json.set("j", "$", { a: 1 })).rejects.toThrow(
    /'JSON\.SET': it needs the JSON module/,
  );
  await expect(c.hexpire("h", "f", 10)).rejects.toThrow(/'HEXPIRE': it needs Redis 7\.4/);
  await expect(c.exec(["SEARCH.QUERY", "x"])).rejects.toThrow(/Upstash alone/);
  await expect(c.exec(["XACKDEL", "s", "g", "1"])).rejects.toThrow(/needs Redis 8\.2/);
  await expect(c.exec(["NOSUCH"])).rejects.toThrow(/^ERR unknown command/);
  const pipeline = c.pipeline();
  pipeline.set("k", "v");
  pipeline.json.get("j");
  pipeline.get("k");
  const results = await pipeline.exec({ keepErrors: true });
  expect(results.map((each) => each.error?.slice(0, 30) ?? each.result)).toEqual([
    "OK",
    expect.stringMatching(/^ERR unknown command/),
    "v",
  ]);
});

test("commands that wait do so on connections of their own, and hold up nobody", async () => {
  const { server, relay, run, ask: get } = await rest();
  const c = app(relay);
  const waiting = [run("BLPOP", "q", "20"), run("XREAD", "BLOCK", "20000", "STREAMS", "s", "$")];
  await until("both wait inside Redis", async () => {
    const [info] = await ask(server, ["INFO", "clients"]);
    return String(info).includes("blocked_clients:2");
  });
  expect(await c.ping()).toBe("PONG");
  await c.lpush("q", "x");
  await c.xadd("s", "1-1", { f: "v" });
  const [popped, read] = await Promise.all(waiting);
  expect(popped?.body).toEqual({ result: ["q", "x"] });
  expect(read?.body).toEqual({ result: [["s", [["1-1", ["f", "v"]]]]] });
  expect((await run("BLPOP", "q", "0.01")).body).toEqual({ result: null });
  // In a pipeline they wait in their turn, in a transaction never.
  const some = await get("/pipeline", {
    method: "POST",
    body: JSON.stringify([
      ["RPUSH", "q", "1", "2"],
      ["BLPOP", "q", 1],
      ["BRPOP", "q", 1],
    ]),
  });
  expect(some.body).toEqual([{ result: 2 }, { result: ["q", "1"] }, { result: ["q", "2"] }]);
  const whole = await get("/multi-exec", {
    method: "POST",
    body: JSON.stringify([
      ["SET", "k", "v"],
      ["BLPOP", "q", 0],
    ]),
  });
  expect(whole.body).toEqual([{ result: "OK" }, { result: null }]);
});

test("a wait ends with its caller, and its connection serves nobody else's answer", async () => {
  const { server, base, run } = await rest();
  const abort = new AbortController();
  const body = '["BLPOP","q","20"]';
  const left = fetch(base, { method: "POST", headers: asApp, body, signal: abort.signal });
  const blocked = async (count: number) => {
    const [info] = await ask(server, ["INFO", "clients"]);
    return String(info).includes(`blocked_clients:${count}`);
  };
  await until("it waits", () => blocked(1));
  abort.abort();
  await expect(left).rejects.toThrow();
  await until("Redis waits for nobody", () => blocked(0));
  await run("RPUSH", "q", "mine");
  expect((await run("BLPOP", "q", "5")).body).toEqual({ result: ["q", "mine"] });
});

test("WAIT means everything that was written before it", async () => {
  const a = await redis();
  const b = await redis({ args: ["--replicaof", a.host, String(a.port)] });
  const relay = await relayOver(await settingsFor([nodeAt("a", a)]));
  const c = app(relay);
  await until("the replica is online", async () => {
    const [info] = await ask(a, ["INFO", "replication"]);
    return String(info).includes("state=online");
  });
  await c.set("k", "v");
  expect(await c.exec(["WAIT", 1, 20_000])).toBe(1);
  expect(await ask(b, ["GET", "k"])).toEqual(["v"]);
  await b.kill("SIGSTOP");
  try {
    await c.set("k", "w");
    expect(await c.exec(["WAIT", 1, 50])).toBe(0);
  } finally {
    await b.kill("SIGCONT");
  }
});

test("the sync token is another one after every write, and the client hands it back", async () => {
  const { ask: get, base } = await rest();
  const token = async (path: string, body: unknown) => {
    const said = await get(path, { method: "POST", body: JSON.stringify(body) });
    return said.headers.get("upstash-sync-token");
  };
  const seen = [
    await token("", ["SET", "k", "v"]),
    await token("", ["INCR", "n"]),
    await token("/pipeline", [
      ["GET", "k"],
      ["SET", "k", "w"],
    ]),
    await token("/multi-exec", [["SET", "k", "x"]]),
    await token("", ["EVAL", "return redis.call('SET', 'k', 'y')", 0]),
    await token("", ["INCR", "k"]),
  ];
  expect(seen).not.toContain(null);
  expect(new Set(seen).size).toBe(seen.length);
  const last = seen.at(-1);
  expect(await token("", ["GET", "k"])).toBe(last);
  expect(
    await token("/pipeline", [
      ["GET", "k"],
      ["TTL", "k"],
    ]),
  ).toBe(last);
  const client = open(base, { enableAutoPipelining: false });
  const http = client as unknown as { client: { upstashSyncToken: string } };
  await client.set("k", "z");
  const after = http.client.upstashSyncToken;
  expect(after).not.toBe(last);
  expect(await client.get("k")).toBe("z");
  expect(http.client.upstashSyncToken).toBe(after);
});

test("a Redis that refuses MULTI is not taken for one that did nothing", async () => {
  const { ask: get } = await rest({}, ["--rename-command", "MULTI", ""]);
  const said = await get("/multi-exec", { method: "POST", body: '[["SET","k","v"]]' });
  expect(said).toMatchObject({
    status: 400,
    body: { error: expect.stringMatching(/refused MULTI, so the commands ran one by one/) },
  });
});

test("a Redis that turns a connection away ran nothing of a transaction", async () => {
  const server = await redis({ args: ["--maxclients", "1"] });
  // Until the connection that the server was started with is gone.
  await until("somebody else has the one place", async () => {
    const other = connect(server.port, server.host, () => other.write("PING\r\n"));
    onTestFinished(() => void other.destroy());
    return String(await once(other, "data")) === "+PONG\r\n";
  });
  const relay = await relayOver(await settingsFor([nodeAt("a", server)]));
  expect(await post(relay, "/nodes/a/multi-exec", [["SET", "k", "v"]], asApp)).toMatchObject({
    status: 400,
    body: { error: "ERR max number of clients reached" },
  });
});
