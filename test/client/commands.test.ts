/** What the client knows of commands, against what a real server says of them. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { linesOf } from "../../scripts/commands.ts";
import { type RedisProcess, startRedis } from "../../scripts/redis-server.ts";
import {
  isRepeatable,
  knownOf,
  laterCommands,
  readsAnywhere,
  waitMsOf,
} from "../../worker/client/commands.ts";
import { redisCommands } from "../../worker/client/commands-table.ts";
import { keysOf } from "../../worker/client/keys.ts";
import { ask } from "../relay/support.ts";

let server: RedisProcess;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

/** `get: r 1`, one for each command; a line without a rule goes on with the one before. */
function rules(lines: readonly string[]): readonly string[] {
  let rule = "";
  return lines.flatMap((line) => {
    const [names = "", begun] = line.split(": ").toReversed();
    rule = begun ?? rule;
    return names.split(" ").map((name) => `${name}: ${rule}`);
  });
}

test("the table is what a real server says of its commands", async () => {
  const told = rules(await linesOf(server));
  const ours = rules(redisCommands.trim().split("\n"));
  const [info] = await ask(server, ["INFO", "server"]);
  expect(told.length).toBeGreaterThan(200);
  if (/redis_version:7\.0\./.test(String(info)))
    return expect(told.toSorted()).toEqual(ours.toSorted());
  // Another version has other commands; what both have is the same.
  const names = new Set(told.map((each) => each.split(": ")[0]));
  const both = ours.filter((each) => names.has(each.split(": ")[0]));
  expect(told).toEqual(expect.arrayContaining(both));
});

test("what the SDK sends is known, but for Upstash's indexes", () => {
  const file = createRequire(import.meta.url).resolve("@upstash/redis/cloudflare");
  const begun = /(?:super\(\s*\[|command = \[)\s*"([A-Za-z_.]+)"(?:\s*,\s*"([A-Za-z]+)")?/g;
  const sent = [...readFileSync(file, "utf8").matchAll(begun)].map(([, name, sub]) => [name, sub]);
  expect(sent.length).toBeGreaterThan(200);
  const unknown = sent.filter((words) => knownOf(words) === undefined).map((words) => words[0]);
  // Of the containers the subcommand stands further on.
  const apart = /^(VECTOR|SEARCH)\.|^(XGROUP|XINFO|function)$/;
  expect(unknown.filter((name) => !apart.test(name ?? ""))).toEqual([]);
});

test("by hand is only what Redis 7.0 does not have", () => {
  const ours = new Set(rules(redisCommands.trim().split("\n")).map((each) => each.split(": ")[0]));
  const later = rules(laterCommands.trim().split("\n")).map((each) => each.split(": ")[0]);
  expect(later.filter((name) => ours.has(name))).toEqual([]);
});

test("R5 names in capitals, small letters and mixed are the same command", () => {
  for (const [line, reads] of [
    ["get k", true],
    ["object encoding k", true],
    ["set k v", false],
  ] as const)
    for (const same of [line, line.toUpperCase(), line.replace(/^\w/, (c) => c.toUpperCase())])
      expect(readsAnywhere(same.split(" ")), same).toBe(reads);
});

describe("F12 what a replica may answer", () => {
  it.each([
    ...["GET k", "MGET a b", "EXISTS k", "HGETALL k", "ZRANGE k 0 -1", "TTL k", "XRANGE s - +"],
    ...["OBJECT ENCODING k", "XINFO STREAM s", "MEMORY USAGE k", "EVAL_RO s 1 k", "FCALL_RO f 1 k"],
    ...["XREAD STREAMS s 0", "XREAD COUNT 1 STREAMS s 0", "SORT_RO k", "JSON.GET k", "HTTL k"],
    ...["GEORADIUS_RO k 1 2 3 m", "ZUNION 2 a b", "PFCOUNT k", "DBSIZE"],
  ])("%s", (line) => expect(readsAnywhere(line.split(" "))).toBe(true));

  it.each([
    ...[
      "SET k v",
      "GETEX k EX 1",
      "GETDEL k",
      "EVAL s 1 k",
      "EVALSHA s 1 k",
      "FCALL f 1 k",
      "MULTI",
    ],
    ...[
      "SORT k STORE d",
      "SORT k",
      "GEORADIUS k 1 2 3 m STORE d",
      "GEORADIUS k 1 2 3 m",
      "PUBLISH c m",
    ],
    ...["BLPOP k 1", "XREAD BLOCK 10 STREAMS s 0", "XREADGROUP GROUP g c STREAMS s >", "WAIT 1 1"],
    ...["OBJECT", "OBJECT SOMETHING k", "XINFO", "NOSUCHCOMMAND k", "VECTOR.QUERY i", "", "PING"],
    // A cursor is the node's own.
    ...["SCAN 0", "HSCAN k 0", "SSCAN k 0", "ZSCAN k 0"],
  ])("not: %s", (line) => expect(readsAnywhere(line.split(" "))).toBe(false));

  it("nor what is no word", () => {
    for (const words of [[], [null], [7], [{}]]) expect(readsAnywhere(words)).toBe(false);
  });
});

describe("what waits, and how long", () => {
  it.each<[string, number]>([
    ["BLPOP a b 5", 5000],
    ["blpop a 0.5", 500],
    ["BLPOP a 0", Number.POSITIVE_INFINITY],
    ["BLMPOP 2 1 a LEFT", 2000],
    ["BZMPOP 0 1 a MIN", Number.POSITIVE_INFINITY],
    ["BRPOPLPUSH a b 1", 1000],
    ["BLMOVE a b LEFT RIGHT 3", 3000],
    ["WAIT 1 700", 700],
    ["XREAD BLOCK 50 STREAMS s $", 50],
    ["XREAD STREAMS BLOCK 50", 0],
    ["XREADGROUP GROUP block c BLOCK 20 STREAMS s >", 20],
    ["XREADGROUP GROUP BLOCK 9 STREAMS s >", 0],
    ["BLPOP a nonsense", 0],
    ["GET k", 0],
  ])("%s: %d ms", (line, ms) => expect(waitMsOf(line.split(" "))).toBe(ms));
});

describe("C17 what may be sent twice", () => {
  it.each([
    ["GET k"],
    ["SET k v"],
    ["set k v ex 10"],
    ["SET k v PXAT 99 KEEPTTL"],
    ["SETEX k 1 v"],
    ["MSET a 1 b 2"],
    ["PING"],
    ["SET k v", "GET k"],
    ["GET k", "MGET a b"],
  ])("%s %s", (...lines) => {
    expect(isRepeatable(lines.filter(Boolean).map((line) => line.split(" ")))).toBe(true);
  });

  it.each([
    ["INCR n"],
    ["SET k v NX"],
    ["SET k v XX"],
    ["SET k v GET"],
    ["SET k v IFEQ w"],
    ["SET k v EX 1 NX"],
    ["GETSET k v"],
    ["DEL k"],
    ["SADD s m"],
    ["EVAL s 0"],
    ["NOSUCHCOMMAND"],
    // The second time it would see what was written.
    ["GET k", "SET k v"],
    ["SET k v", "INCR n"],
  ])("not: %s %s", (...lines) => {
    expect(isRepeatable(lines.filter(Boolean).map((line) => line.split(" ")))).toBe(false);
  });
});

/** Each with the positions of its keys. */
const keys: readonly (readonly [string, readonly number[]])[] = [
  ["GET k", [1]],
  ["MSET a 1 b 2", [1, 3]],
  ["MGET a b c", [1, 2, 3]],
  ["BLPOP a b 0", [1, 2]],
  ["BITOP AND d a b", [2, 3, 4]],
  ["EVAL s 2 a b c", [3, 4]],
  ["EVAL s 0 a", []],
  ["FCALL f 1 a b", [3]],
  ["ZUNION 2 a b WEIGHTS 1 2", [2, 3]],
  ["ZUNIONSTORE d 2 a b", [1, 3, 4]],
  ["BLMPOP 1 2 a b LEFT", [3, 4]],
  ["XREAD COUNT 2 STREAMS a b 0 0", [4, 5]],
  ["XREAD STREAMS streams 0", [2]],
  ["XREADGROUP GROUP g c STREAMS a b > >", [5, 6]],
  ["XINFO STREAM s", [2]],
  ["XGROUP CREATE s g 0", [2]],
  ["OBJECT ENCODING k", [2]],
  ["MEMORY USAGE k", [2]],
  ["GEORADIUS k 1 2 3 m STORE d", [1, 7]],
  ["GEORADIUSBYMEMBER k x 3 m STOREDIST d", [1, 6]],
  ["COPY a b REPLACE", [1, 2]],
  ["LCS a b", [1, 2]],
];

test("the keys are those that Redis finds itself", async () => {
  const lines = keys.map(([line]) => line.split(" "));
  const found = await ask(server, ...lines.map((words) => ["COMMAND", "GETKEYS", ...words]));
  const ours = lines.map((words) => {
    const known = knownOf(words);
    return known === undefined ? null : keysOf(known, words);
  });
  expect(ours).toEqual(keys.map(([, positions]) => positions));
  expect(ours.map((each, row) => each?.map((at) => lines[row]?.[at]))).toEqual(
    found.map((each) => (Array.isArray(each) ? each : [])),
  );
});

test("keys of commands that are there by hand", () => {
  for (const [line, positions] of [
    ["JSON.GET k $", [1]],
    ["JSON.MGET a b $", [1, 2]],
    ["JSON.MSET a $ 1 b $ 2", [1, 4]],
    ["HSETEX k FVS 1 f v", [1]],
  ] as const) {
    const words = line.split(" ");
    const known = knownOf(words);
    expect(known && keysOf(known, words), line).toEqual(positions);
  }
});
