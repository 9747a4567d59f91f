import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { judge } from "../../../worker/relay/rest/commands.ts";
import type { DataToken } from "../../../worker/relay/rest/policy.ts";
import {
  app,
  ask,
  CONTROL,
  DATA,
  dataToken,
  nodeAt,
  redis,
  relayOver,
  settingsFor,
} from "../support.ts";
import { rest } from "./support.ts";

const lines = (text: string) =>
  text
    .split(/[|\n]/)
    .map((line) => line.trim())
    .filter((line) => line !== "");

const verdict = (token: Partial<DataToken>, line: string) =>
  judge({ face: "data", token: dataToken("t", token) }, line.split(/\s+/), 30_000, new Map());

describe("a token that only reads", () => {
  const reads = `
    GET k | MGET a b | EXISTS k | TTL k | HGETALL h | LRANGE l 0 -1 | ZRANGE z 0 -1 | XRANGE s - + | PING | ECHO x
    TIME | INFO | DBSIZE | XREAD BLOCK 5 STREAMS s $ | SORT_RO l | OBJECT ENCODING k | SSCAN s 0`;
  const others = `
    SET k v | DEL k | GETDEL k | GETEX k | INCR n | FLUSHALL | EVAL return 0 | EVALSHA x 0 | FCALL f 0 | PUBLISH c m
    SCAN 0 | KEYS * | XREADGROUP GROUP g c STREAMS s > | SORT l STORE d | SCRIPT FLUSH | XACK s g 1 | SORT l
    BITFIELD k GET u8 0 | WAIT 1 10 | XGROUP CREATE s g 0 | EVAL_RO return 0 | EVALSHA_RO x 0 | FCALL_RO f 0
    RANDOMKEY`;

  test.each(lines(reads))("may: %s", (line) => {
    expect(verdict({ readOnly: true }, line).kind).toBe("allowed");
  });
  test.each(lines(others))("may not: %s", (line) => {
    expect(verdict({ readOnly: true }, line)).toMatchObject({
      kind: "refused",
      error: expect.stringMatching(
        `^NOPERM this relay refuses '${line.split(" ")[0]}': this token only`,
      ),
    });
  });
});

describe("a token with a key prefix", () => {
  const inside = `
    GET app:k | MSET app:a 1 app:b 2 | RENAME app:a app:b | DEL app:a app:b app:c | BLPOP app:a app:b 1
    ZUNIONSTORE app:d 2 app:a app:b | XREAD STREAMS app:s 0 | XREADGROUP GROUP other c STREAMS app:s > | PING | ECHO x
    SCAN 0 MATCH app:* | scan 0 count 10 match app:x* | KEYS app:* | PUBLISH app:c other | SORT app:k
    SORT app:k BY app:w_* GET app:v_* GET # STORE app:d | SORT app:k BY nosort | OBJECT ENCODING app:k
    GEORADIUS app:k 1 2 3 m STORE app:d | TIME | LMPOP 1 app:a LEFT | COPY app:a app:b | BITOP AND app:d app:a`;
  const outside = `
    GET k | GET ap | GET APP:k | MSET app:a 1 b 2 | RENAME app:a b | DEL app:a b | BLPOP app:a b 1 | COPY app:a b
    ZUNIONSTORE d 1 app:a | ZUNIONSTORE app:d 1 b | ZUNIONSTORE app:d 2 app:a b | XREAD STREAMS app:s t 0 0
    XREADGROUP COUNT 1 GROUP streams app:c NOACK STREAMS other > | EVAL return 0 | EVAL s 1 app:k | FCALL f 1 app:k
    EVAL_RO s 1 app:k | SCRIPT LOAD x | FUNCTION LIST | FLUSHALL | FLUSHDB | DBSIZE | RANDOMKEY | KEYS * | KEYS ap*
    KEYS | SCAN 0 | SCAN 0 MATCH * | SCAN 0 MATCH app:* MATCH * | SCAN 0 COUNT 10 | SCAN 0 TYPE match MATCH other*
    PUBLISH c app:m | PUBSUB CHANNELS | INFO | CLIENT LIST | SORT app:k BY w_* | SORT app:k GET v_* | SORT app:k STORE d
    SORT app:k GET app:v STORE app:d STORE d | GEORADIUS app:k 1 2 3 m STORE app:d STORE d | BITOP AND d app:a
    OBJECT ENCODING k | WAIT 1 10 | MEMORY USAGE k | LMPOP 2 app:a b LEFT | XGROUP CREATE s g 0 | MEMORY STATS`;

  test.each(lines(inside))("may: %s", (line) => {
    expect(verdict({ keyPrefix: "app:" }, line)).toMatchObject({ kind: "allowed" });
  });
  test.each(lines(outside))("may not: %s", (line) => {
    expect(verdict({ keyPrefix: "app:" }, line)).toMatchObject({
      kind: "refused",
      error: expect.stringMatching(`^NOPERM this relay refuses '${line.split(" ")[0]}': `),
    });
  });

  test("a prefix with a star in it is no pattern", () => {
    const prefix = { keyPrefix: "a*b?" };
    expect(verdict(prefix, "KEYS a*b?x").kind).toBe("refused");
    expect(verdict(prefix, "KEYS a\\*b\\?x*").kind).toBe("allowed");
    expect(verdict(prefix, "GET a*b?x").kind).toBe("allowed");
    expect(verdict(prefix, "GET axbx").kind).toBe("refused");
  });

  test("keys as bytes are compared as bytes", () => {
    const get = (key: Buffer) =>
      judge(
        { face: "data", token: dataToken("t", { keyPrefix: "ž:" }) },
        ["GET", key],
        30_000,
        new Map(),
      ).kind;
    expect(get(Buffer.from([...Buffer.from("ž:"), 255]))).toBe("allowed");
    expect(get(Buffer.from([255, ...Buffer.from("ž:")]))).toBe("refused");
  });
});

test("what is not allowed takes no effect, in a pipeline in its place, in a transaction as a whole", async () => {
  const { server, ask: get } = await rest({
    dataTokens: [
      dataToken(DATA),
      dataToken("token-inside-a-prefix", { keyPrefix: "app:" }),
      dataToken("token-that-only-reads", { readOnly: true }),
    ],
  });
  const post = async (token: string, path: string, body: unknown) => {
    const headers = { authorization: `Bearer ${token}` };
    const said = await get(path, { method: "POST", body: JSON.stringify(body), headers });
    return [said.status, said.body];
  };
  const error = expect.stringMatching(/^NOPERM this relay refuses 'SET'/);
  for (const token of ["token-inside-a-prefix", "token-that-only-reads"]) {
    expect(await post(token, "", ["SET", "k", "v"])).toEqual([400, { error }]);
    expect(await post(token, "/set/k/v", "x")).toMatchObject([400, { error }]);
  }
  const commands = [
    ["SET", "app:k", "v"],
    ["SET", "k", "v"],
    ["GET", "app:k"],
  ];
  expect(await post("token-inside-a-prefix", "/multi-exec", commands)).toEqual([
    400,
    { error: expect.stringMatching(/'SET'.*\(command 2\)$/) },
  ]);
  expect(await ask(server, ["DBSIZE"])).toEqual(["0"]);
  expect(await post("token-inside-a-prefix", "/pipeline", commands)).toEqual([
    200,
    [{ result: "OK" }, { error }, { result: "v" }],
  ]);
  expect(await ask(server, ["KEYS", "*"])).toEqual([["app:k"]]);
  expect(await post("token-that-only-reads", "", ["GET", "app:k"])).toEqual([200, { result: "v" }]);
});

test("a command that the table does not have: the server is asked what it does", async () => {
  const { ask: get, run } = await rest(
    {
      dataTokens: [
        dataToken(DATA),
        dataToken("token-inside-a-prefix", { keyPrefix: "app:" }),
        dataToken("token-that-only-reads", { readOnly: true }),
      ],
    },
    ["--rename-command", "SET", "PUT", "--rename-command", "CONFIG", "SETUP"],
  );
  const as = async (token: string, ...command: string[]) => {
    const headers = { authorization: `Bearer ${token}` };
    const said = await get("", { method: "POST", body: JSON.stringify(command), headers });
    return said.body;
  };
  const refused = { error: expect.stringMatching(/^NOPERM /) };
  expect((await run("put", "app:k", "v")).body).toEqual({ result: "OK" });
  expect(await as("token-inside-a-prefix", "put", "app:k", "w")).toEqual({ result: "OK" });
  expect(await as("token-inside-a-prefix", "PUT", "k", "v")).toEqual(refused);
  expect(await as("token-that-only-reads", "PUT", "app:k", "v")).toEqual(refused);
  expect((await run("SETUP", "GET", "*")).body).toEqual(refused);
  const unknown = { error: expect.stringMatching(/^ERR unknown command/) };
  expect(await as("token-inside-a-prefix", "NOSUCH", "app:k")).toEqual(unknown);
  expect((await run("NOSUCH")).body).toEqual(unknown);
  expect((await run("x".repeat(5000))).body).toEqual(unknown);
});

test("what would make Redis close the connection of all is not sent", async () => {
  const { run, ask: get, server } = await rest();
  const before = await run("CLIENT", "ID");
  for (const word of ["POST", "post", "HOST:", "Host:"]) {
    const said = await run(word, "x");
    expect(said).toMatchObject({ status: 400, body: { error: expect.stringMatching(/^NOPERM /) } });
  }
  expect((await get("/post/x")).body).toEqual({ error: expect.stringMatching(/^NOPERM .*'POST'/) });
  expect((await run("POST\0", "x")).body).toEqual({
    error: expect.stringMatching(/^ERR unknown command/),
  });
  await run("NOSUCH");
  const [stats] = await ask(server, ["INFO", "errorstats"]);
  expect(String(stats)).not.toContain("errorstat_");
  // The same connection still.
  expect((await run("CLIENT", "ID")).body).toEqual(before.body);
});

test("a script runs nothing that the user of the relay may not", async () => {
  const server = await redis();
  const page = readFileSync(join(import.meta.dirname, "../../../docs/rest.md"), "utf8");
  const line = /^ACL SETUSER picket .*$/m.exec(page)?.[0] ?? "";
  await ask(server, line.split(" "));
  const user = { username: "picket", password: "a-long-password" };
  const c = app(await relayOver(await settingsFor([nodeAt("a", server, user)])));
  expect(await c.eval("return redis.call('SET', 'k', 'v')", [], [])).toBe("OK");
  for (const call of ["'SWAPDB', 0, 1", "'SLOWLOG', 'GET'", "'MIGRATE', 'h', 1, 'k', 0, 1"]) {
    await expect(c.eval(`return redis.call(${call})`, [], [])).rejects.toThrow(
      /can't run this command|ACL|permission/i,
    );
  }
});

test("tokens: two of control and many for apps at once, and one that has expired", async () => {
  const { ask: get, relay } = await rest({
    controlTokens: [CONTROL, "the-next-control-token"],
    dataTokens: [
      dataToken(DATA),
      dataToken("token-of-tomorrow", { expiresAtMs: Date.now() + 86_400_000 }),
      dataToken("token-of-yesterday", { expiresAtMs: Date.now() - 1 }),
    ],
  });
  const of = async (token: string) => {
    const said = await get("", {
      method: "POST",
      body: '["PING"]',
      headers: { authorization: token === "" ? "" : `Bearer ${token}` },
    });
    return [said.status, said.body];
  };
  for (const token of [CONTROL, "the-next-control-token", DATA, "token-of-tomorrow"]) {
    expect(await of(token)).toEqual([200, { result: "PONG" }]);
  }
  const error = (text: string) => [401, { error: expect.stringContaining(text) }];
  expect(await of("token-of-yesterday")).toEqual(error("expired"));
  expect(await of("token-of-nobody")).toEqual(error("no such token"));
  expect(await of("")).toEqual(error("no such token"));
  const bare = await fetch(`${relay.url}/nodes/a`, { method: "POST", body: '["PING"]' });
  expect([bare.status, await bare.json()]).toEqual(error("no token"));
  await expect(app(relay).ping()).resolves.toBe("PONG");
});
