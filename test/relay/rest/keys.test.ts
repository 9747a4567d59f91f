import { expect, test } from "vitest";
import { openSession } from "../../../worker/redis/session.ts";
import { type Known, keysOf, knownFrom } from "../../../worker/relay/rest/keys.ts";
import { commandTable } from "../../../worker/relay/rest/table.ts";
import { ask, redis } from "../support.ts";

test("the table is what a real server says of its commands", async () => {
  const server = await redis();
  const session = openSession({ ...server, username: null, password: null }, 1000);
  const answer = await session.run([["COMMAND"]], { deadlineMs: 20_000 });
  session.close();
  if (answer.kind === "failure") throw new Error(answer.detail);
  const [entries] = answer.replies;
  const told = (Array.isArray(entries) ? entries : []).flatMap(knownFrom);
  expect(told.length).toBeGreaterThan(300);
  const texts = (all: Iterable<Known>) =>
    [...all].map(({ name, text }) => `${name}: ${text}`).sort();
  const [info] = await ask(server, ["INFO", "server"]);
  const same = /redis_version:7\.0\./.test(String(info));
  // Another version has other commands; what both have is the same.
  const known = told.filter(({ name }) => same || commandTable.has(name));
  expect(texts(known)).toEqual(
    texts(same ? commandTable.values() : known.flatMap(({ name }) => commandTable.get(name) ?? [])),
  );
});

/** Positions of the keys; and what Redis itself says of the same words. */
const table: readonly (readonly [command: string, positions: readonly number[]])[] = [
  ["GET k", [1]],
  ["PING", []],
  ["MSET a 1 b 2", [1, 3]],
  ["MGET a b c", [1, 2, 3]],
  ["BLPOP a b 0", [1, 2]],
  ["RENAME a b", [1, 2]],
  ["BITOP AND d a b", [2, 3, 4]],
  ["EVAL s 2 a b c", [3, 4]],
  ["EVAL s 0 a", []],
  ["ZUNION 2 a b WEIGHTS 1 2", [2, 3]],
  ["ZUNIONSTORE d 2 a b", [1, 3, 4]],
  ["LMPOP 1 a LEFT", [2]],
  ["BLMPOP 1 2 a b LEFT", [3, 4]],
  ["XREAD COUNT 2 STREAMS a b 0 0", [4, 5]],
  ["XREADGROUP GROUP g c STREAMS a b > >", [5, 6]],
  ["XINFO STREAM s", [2]],
  ["XGROUP CREATE s g 0", [2]],
  ["OBJECT ENCODING k", [2]],
  ["GEORADIUS k 1 2 3 m STORE d", [1, 7]],
  ["GEORADIUSBYMEMBER k x 3 m STOREDIST d", [1, 6]],
  ["SINTERSTORE d a b", [1, 2, 3]],
  ["COPY a b REPLACE", [1, 2]],
  ["LCS a b", [1, 2]],
];

const knownOf = (words: readonly string[]): Known => {
  const sub = commandTable.get(`${words[0]}|${words[1]}`);
  const known = sub ?? commandTable.get(words[0] ?? "");
  if (known === undefined) throw new Error(`not in the table: ${words[0]}`);
  return known;
};

test.each(table)("the keys of: %s", (line, positions) => {
  const words = line.split(" ");
  expect(keysOf(knownOf(words), words)).toEqual(positions);
});

test("the keys are those that Redis finds itself", async () => {
  const server = await redis();
  const lines = table.map(([line]) => line.split(" "));
  const found = await ask(server, ...lines.map((words) => ["COMMAND", "GETKEYS", ...words]));
  const ours = lines.map((words) => keysOf(knownOf(words), words)?.map((at) => words[at]));
  expect(ours).toEqual(found.map((keys) => (Array.isArray(keys) ? keys : [])));
});

test("what cannot be told is not guessed", () => {
  for (const line of ["SORT k", "EVAL s x k", "EVAL s", "ZUNION -1 a", "EVAL s 99999999 a"]) {
    const words = line.split(" ");
    expect(keysOf(knownOf(words), words)).toBeNull();
  }
  // Redis takes the last of them.
  const twice = "GEORADIUS k 1 2 3 m STORE a STORE b".split(" ");
  expect(keysOf(knownOf(twice), twice)).toEqual([1, 7, 9]);
});

test("a server before Redis 7 tells one range, and that may not be all", () => {
  const flags = (...names: string[]) => names.map((name) => Buffer.from(name));
  const entry = (name: string, has: string[], first: string, last: string, step: string) =>
    knownFrom([Buffer.from(name), "2", flags(...has), first, last, step])[0];
  expect(entry("mset", ["write"], "1", "-1", "2")?.text).toBe("w 1..-1/2");
  expect(entry("get", ["readonly"], "1", "1", "1")?.text).toBe("r 1");
  expect(entry("ping", ["fast"], "0", "0", "0")?.text).toBe("-");
  expect(entry("eval", ["movablekeys"], "0", "0", "0")?.text).toBe("- ?");
});
