import { Redis } from "@upstash/redis";
import { describe, expect, test } from "vitest";
import { freePort } from "../../../scripts/redis-server.ts";
import type { Reply } from "../../../worker/redis/connection.ts";
import { headers } from "../../../worker/relay/protocol.ts";
import { isTooLarge } from "../../../worker/relay/rest/size.ts";
import { resp2Of, resultText } from "../../../worker/relay/rest/upstash.ts";
import { tcpServer } from "../../support/tcp.ts";
import { app, DATA, nodeAt, post, redis, relayOver, settingsFor } from "../support.ts";

const asApp = { authorization: `Bearer ${DATA}` };
const base64 = { ...asApp, "upstash-encoding": "base64" };

async function relayWithRedis() {
  const server = await redis();
  const relay = await relayOver(await settingsFor([nodeAt("a", server)]));
  return { server, relay };
}

describe("the real client", () => {
  test("commands, values of every kind, and nothing", async () => {
    const { relay } = await relayWithRedis();
    const client = app(relay);
    expect(await client.set("k", "v")).toBe("OK");
    expect(await client.get("k")).toBe("v");
    expect(await client.get("missing")).toBeNull();
    expect(await client.incr("n")).toBe(1);
    const word = "žluťoučký kůň 🐎 \u0000 \r\n\t\"'\\";
    await client.set("unicode", word);
    expect(await client.get("unicode")).toBe(word);
    await client.set("json", { deep: [1, { er: null }] });
    expect(await client.get("json")).toEqual({ deep: [1, { er: null }] });
    await client.set("", "an empty key");
    expect(await client.get("")).toBe("an empty key");
    await client.rpush("list", "OK", "b", "9007199254740993");
    expect(await client.lrange("list", 0, -1)).toEqual(["OK", "b", "9007199254740993"]);
    const nested = "return {1, {'two', {'OK', 3}}, 'four'}";
    expect(await client.eval(nested, [], [])).toEqual([1, ["two", ["OK", 3]], "four"]);
  });

  test("integers beyond 2^53 keep their digits", async () => {
    const { relay } = await relayWithRedis();
    const client = app(relay);
    await client.set("big", "9007199254740992");
    expect(await client.incr("big")).toBe("9007199254740993");
    const sent = '["SET","raw",9007199254740993]';
    await post(relay, "/nodes/a", sent, asApp);
    expect((await post(relay, "/nodes/a", ["GET", "raw"], asApp)).body).toEqual({
      result: "9007199254740993",
    });
    expect((await post(relay, "/nodes/a", ["DECR", "n"], asApp)).body).toEqual({ result: -1 });
  });

  test("a pipeline has its errors in place", async () => {
    const { relay } = await relayWithRedis();
    const client = app(relay);
    const pipeline = client.pipeline();
    pipeline.set("k", "v");
    pipeline.incr("k");
    pipeline.get("k");
    const results = await pipeline.exec({ keepErrors: true });
    expect(results.map((each) => each.error === undefined)).toEqual([true, false, true]);
    expect(results[1]?.error).toContain("ERR value is not an integer");
    expect(results[2]?.result).toBe("v");
  });

  test("a transaction is atomic, and errors inside stay in place", async () => {
    const { relay } = await relayWithRedis();
    const client = app(relay);
    expect(await client.multi().set("n", 1).incr("n").get("n").exec()).toEqual(["OK", 2, 2]);
    const { status, body } = await post(
      relay,
      "/nodes/a/multi-exec",
      [
        ["SET", "k", "text"],
        ["INCR", "k"],
        ["GET", "k"],
      ],
      asApp,
    );
    expect(status).toBe(200);
    expect(body).toMatchObject([
      { result: "OK" },
      { error: expect.stringContaining("not an integer") },
      { result: "text" },
    ]);
  });

  test("a transaction that Redis would not queue is discarded as a whole, and says why", async () => {
    const { relay } = await relayWithRedis();
    const said = await post(relay, "/nodes/a/multi-exec", [["SET", "k", "v"], ["NOSUCH"]], asApp);
    expect(said.status).toBe(400);
    expect(said.body).toMatchObject({
      error: expect.stringMatching(/^ERR unknown command 'NOSUCH' \(command 2\)$/),
    });
    const short = await post(relay, "/nodes/a/multi-exec", [["SET", "k", "v"], ["GET"]], asApp);
    expect(short.body).toMatchObject({ error: expect.stringMatching(/^EXECABORT .*arguments/) });
    expect(await app(relay).exists("k")).toBe(0);
  });

  test("many at once on one connection, each with its own answer", async () => {
    const { relay } = await relayWithRedis();
    const client = app(relay);
    const wanted = Array.from({ length: 100 }, (_, index) => index);
    const got = await Promise.all(wanted.map((index) => client.echo(`e${index}`)));
    expect(got).toEqual(wanted.map((index) => `e${index}`));
  });
});

test("every byte survives with base64, and only a plain OK stays plain", async () => {
  const { relay } = await relayWithRedis();
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
  // A JSON string carries no bytes; a script makes them.
  const script = `local s = '' for i = 0, 255 do s = s .. string.char(i) end
    redis.call('SET', 'bytes', s) return redis.status_reply('OK')`;
  const set = await post(relay, "/nodes/a", ["EVAL", script, 0], base64);
  expect(set.body).toEqual({ result: "OK" });
  const got = await post(relay, "/nodes/a", ["GET", "bytes"], base64);
  expect(got.body).toEqual({ result: bytes.toString("base64") });
  const list = await post(relay, "/nodes/a", ["EVAL", "return {1,'OK',false}", 0], base64);
  expect(list.body).toEqual({ result: [1, "T0s=", null] });
  const error = await post(relay, "/nodes/a", ["NOSUCH"], base64);
  expect(error).toMatchObject({
    status: 400,
    body: { error: expect.stringMatching(/^ERR unknown/) },
  });
});

describe("what is refused at the door", () => {
  const routes = [
    "/nodes/a",
    "/nodes/a/",
    "/nodes/a/pipeline",
    "/nodes/a/multi-exec",
    "/nodes/a/promote",
    "/nodes/a/demote",
    "/nodes/a/seal",
    "/nodes/a/unseal",
    "/nodes/nobody",
    "/groups/g/epoch",
    "/nowhere",
  ];

  test("without a token, or with a wrong one, nothing is said", async () => {
    const relay = await relayOver(await settingsFor([nodeAt("a", { host: "127.0.0.1", port: 1 })]));
    for (const route of routes) {
      for (const authorization of ["", "Bearer wrong", "Basic x", `Bearer ${DATA}x`]) {
        const said = await post(relay, route, ["PING"], { authorization });
        const error = expect.stringMatching(/^Unauthorized: no /);
        expect([route, said.status, said.body]).toEqual([route, 401, { error }]);
        expect(said.headers.get(headers.boot)).toBeNull();
      }
    }
    const health = await fetch(`${relay.url}/healthz`);
    expect([health.status, await health.json()]).toEqual([200, { ok: true }]);
  });

  test("the data token runs no verbs and sees no clock", async () => {
    const relay = await relayOver(await settingsFor([nodeAt("a", { host: "127.0.0.1", port: 1 })]));
    for (const route of ["/nodes/a/promote", "/nodes/a/seal", "/groups/g/epoch"]) {
      const said = await post(relay, route, {}, asApp);
      expect(said.status).toBe(403);
      expect(said.headers.get(headers.boot)).toBeNull();
    }
  });

  test("unknown nodes, addresses and methods; bodies that are no commands", async () => {
    const { relay } = await relayWithRedis();
    const of = async (path: string, body: unknown) => {
      const said = await post(relay, path, body, asApp);
      return [said.status, (said.body as { error: string }).error.split(" ")[0]];
    };
    expect(await of("/nodes/b", ["PING"])).toEqual([404, "NODE_UNKNOWN"]);
    expect(await of("/nodes", ["PING"])).toEqual([404, "ERR"]);
    const get = await fetch(`${relay.url}/nodes/a`, { headers: asApp });
    expect([get.status, await get.json()]).toMatchObject([405, { error: expect.any(String) }]);
    for (const body of ["", "{", "{}", "[]", "7", '[["PING"]]', "[null]", '["SET","k",{}]']) {
      expect(await of("/nodes/a", body)).toEqual([400, "ERR"]);
    }
    for (const body of ["[]", "{", "[[]]", '["PING"]', '[["PING"],[null]]']) {
      expect(await of("/nodes/a/pipeline", body)).toEqual([400, "ERR"]);
    }
    const many = Array.from({ length: 1001 }, () => ["PING"]);
    expect(await of("/nodes/a/pipeline", many)).toEqual([400, "ERR"]);
    expect(await of("/nodes/a", ["SET", "k", "x".repeat(1024 * 1024)])).toEqual([413, "ERR"]);
    expect(await app(relay).ping()).toBe("PONG");
  });

  test("commands by name, in place in a pipeline, as a whole in a transaction", async () => {
    const { relay } = await relayWithRedis();
    const one = await post(relay, "/nodes/a", ["replicaof", "no", "one"], asApp);
    expect(one).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining("'REPLICAOF'") },
    });
    const commands = [
      ["SET", "k", "v"],
      ["BLPOP", "l", "0"],
      ["GET", "k"],
    ];
    const some = await post(relay, "/nodes/a/pipeline", commands, asApp);
    expect(some.status).toBe(200);
    expect(some.body).toMatchObject([
      { result: "OK" },
      { error: expect.stringContaining("'BLPOP'") },
      { result: "v" },
    ]);
    const whole = [
      ["DEL", "k"],
      ["SELECT", "1"],
    ];
    expect((await post(relay, "/nodes/a/multi-exec", whole, asApp)).status).toBe(400);
    expect(await app(relay).get("k")).toBe("v");
    const control = await post(relay, "/nodes/a", ["GET", "k"]);
    expect(control).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining("'GET'") },
    });
  });
});

describe("a node that cannot be reached", () => {
  test("killed: refused, surely not executed; started again: it serves", async () => {
    const { relay, server } = await relayWithRedis();
    const client = app(relay);
    await client.set("k", "v");
    await server.kill();
    const look = await post(relay, "/nodes/a", ["PING"]);
    expect(look).toMatchObject({
      status: 502,
      body: { error: expect.stringMatching(/^NODE_REFUSED .*not executed/) },
    });
    await expect(client.incr("n")).rejects.toThrow(/^NODE_REFUSED/);
    await server.start();
    expect(await client.ping()).toBe("PONG");
    expect((await post(relay, "/nodes/a", ["PING"])).body).toEqual({ result: "PONG" });
  });

  test("stopped: the caller's deadline and no more, then again; continued: it serves", async () => {
    const { relay, server } = await relayWithRedis();
    const client = app(relay);
    await client.ping();
    await post(relay, "/nodes/a", ["PING"]);
    await server.kill("SIGSTOP");
    const write = post(relay, "/nodes/a", ["INCR", "n"], asApp);
    for (let times = 0; times < 2; times += 1) {
      const look = await post(relay, "/nodes/a", ["PING"], { [headers.deadline]: "50" });
      expect(look.body).toMatchObject({
        error: expect.stringMatching(/^NODE_TIMEOUT no answer in 50 ms/),
      });
    }
    expect(await write).toMatchObject({
      status: 504,
      body: { error: expect.stringMatching(/^NODE_TIMEOUT .*unknown/) },
    });
    await server.kill("SIGCONT");
    expect(await client.ping()).toBe("PONG");
  });

  test("a slow app costs a probe nothing", async () => {
    const { relay } = await relayWithRedis();
    const busy = Array.from({ length: 20 }, () =>
      post(
        relay,
        "/nodes/a/pipeline",
        Array.from({ length: 1000 }, () => ["ECHO", "x"]),
        asApp,
      ),
    );
    const look = await post(relay, "/nodes/a", ["PING"]);
    expect(look.body).toEqual({ result: "PONG" });
    expect((await Promise.all(busy)).every((each) => each.status === 200)).toBe(true);
  });

  test("a wrong password, a silent server, a web server", async () => {
    const guarded = await redis({ args: ["--requirepass", "right"] });
    const silentPort = await tcpServer();
    const webPort = await tcpServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const host = "127.0.0.1";
    const nodes = [
      nodeAt("wrong", guarded, { password: "wrong-password" }),
      nodeAt("right", guarded, { password: "right" }),
      nodeAt("silent", { host, port: silentPort }),
      nodeAt("web", { host, port: webPort }),
      nodeAt("nobody", { host, port: await freePort() }),
    ];
    const relay = await relayOver(await settingsFor(nodes, { nodeTimeoutMs: 300 }));
    const said = async (node: string) => {
      const { status, body } = await post(relay, `/nodes/${node}`, ["PING"], asApp);
      return `${status} ${JSON.stringify(body)}`;
    };
    expect(await said("right")).toBe('200 {"result":"PONG"}');
    expect(await said("wrong")).toMatch(/^502 .*NODE_AUTH WRONGPASS.*not executed/);
    expect(await said("wrong")).not.toContain("wrong-password");
    expect(await said("silent")).toMatch(/^502 .*NODE_TIMEOUT.*not executed/);
    expect(await said("web")).toMatch(/^502 .*NODE_CLOSED.*Redis protocol/);
    expect(await said("nobody")).toMatch(/^502 .*NODE_REFUSED/);
  });
});

test("the client's own automatic pipelines work as well", async () => {
  const { relay } = await relayWithRedis();
  const client = new Redis({ url: `${relay.url}/nodes/a`, token: DATA });
  const [set, n, list] = await Promise.all([
    client.set("k", 1),
    client.incr("n"),
    client.lpush("l", "x", "y"),
  ]);
  expect([set, n, list, await client.get("k")]).toEqual(["OK", 1, 2, 1]);
});

describe("what an answer would weigh is known before it is built", () => {
  const bytes = (text: string) => Buffer.from(text);
  const long = bytes('\u0000\u001f\n"\\/\u007f\u2028 žluťoučký 🐎'.repeat(50));
  test.each<[string, Reply]>([
    ["nothing", null],
    ["an empty string", bytes("")],
    ["a long string", long],
    ["a number", "-12345"],
    ["lists", [long, [null, "1"], [], [bytes("OK"), long]]],
  ])("%s", (_, reply) => {
    const inside = { json: '{"result":}', base64: '{"result":}', resp2: "" };
    for (const format of ["json", "base64", "resp2"] as const) {
      const built = format === "resp2" ? resp2Of([reply]) : resultText(reply, format);
      const size = Buffer.byteLength(built) - inside[format].length;
      expect([isTooLarge(reply, format, size), isTooLarge(reply, format, size - 1)]).toEqual([
        false,
        true,
      ]);
    }
  });
});
