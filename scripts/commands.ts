/**
 * worker/client/commands-table.ts from `COMMAND` of a real redis-server: `npm run commands` writes it. A test
 * compares it.
 *
 * Promises: only what an app may send; a container of subcommands that are all alike is one entry.
 * Must never: decide anything. What the table does not have goes to the primary.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openSession } from "../worker/redis/session.ts";
import { type Known, knownFrom } from "../worker/relay/rest/keys.ts";
import { startRedis } from "./redis-server.ts";

const file = join(import.meta.dirname, "../worker/client/commands-table.ts");
const width = 100;

type At = { readonly host: string; readonly port: number };

/** `r 1: get strlen`: the lines of the table, as the server at `at` says. A line without a rule goes on. */
export async function linesOf(at: At): Promise<readonly string[]> {
  const session = openSession({ ...at, username: null, password: null }, 1000);
  const answer = await session.run([["COMMAND"]], { deadlineMs: 20_000 });
  session.close();
  if (answer.kind === "failure") throw new Error(answer.detail);
  const [entries] = answer.replies;
  const known = (Array.isArray(entries) ? entries : []).flatMap(knownFrom);
  const rules = new Map<string, string[]>();
  for (const each of merged(known.filter(isForApps))) {
    const rule = ruleOf(each);
    rules.set(rule, [...(rules.get(rule) ?? []), each.name]);
  }
  return [...rules.keys()]
    .sort()
    .flatMap((rule) => wrapped(rule, rules.get(rule)?.sort() ?? []))
    .map((line) => line.toLowerCase());
}

/**
 * Not for apps: the state of a connection, transactions (they have an address of their own), the server. What
 * the table does not have goes to the primary, and is refused under a namespace.
 */
const left = new Set(
  (
    "ACL ASKING AUTH CLUSTER CONFIG DISCARD EXEC HELLO LATENCY MIGRATE MODULE MULTI PSUBSCRIBE PUNSUBSCRIBE QUIT " +
    "READONLY READWRITE RESET RESTORE-ASKING SELECT SLOWLOG SSUBSCRIBE SUBSCRIBE SUNSUBSCRIBE SWAPDB UNSUBSCRIBE " +
    "UNWATCH WATCH MEMORY|DOCTOR MEMORY|MALLOC-STATS MEMORY|PURGE MEMORY|STATS FUNCTION|DUMP FUNCTION|KILL " +
    "FUNCTION|RESTORE FUNCTION|FLUSH"
  ).split(" "),
);
const isForApps = ({ name, admin }: Known) =>
  !admin && !left.has(name) && !left.has(name.split("|")[0] ?? "") && !name.endsWith("|HELP");

/** Channels of SPUBLISH and its kin are no keys, though clusters treat them alike. */
const ruleOf = ({ name, text }: Known): string =>
  /^S\w*(PUBLISH|SUBSCRIBE)$/.test(name) ? "-" : text;

/** Without the subcommands of containers in which every one is as the container itself. */
function merged(all: readonly Known[]): readonly Known[] {
  const containerOf = ({ name }: Known) => name.split("|")[0] ?? name;
  const mixed = new Set(
    all
      .filter((each) => all.find(({ name }) => name === containerOf(each))?.text !== each.text)
      .map(containerOf),
  );
  return all.filter((each) => !each.name.includes("|") || mixed.has(containerOf(each)));
}

function wrapped(rule: string, names: readonly string[]): readonly string[] {
  const lines: string[] = [];
  for (const name of names) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + name.length <= width)
      lines[lines.length - 1] = `${line} ${name}`;
    else lines.push(line === undefined ? `${rule}: ${name}` : name);
  }
  return lines;
}

const head = `/**
 * Redis's commands, as \`COMMAND\` of Redis 7.0 tells them: \`npm run commands\` writes this file, and a test compares
 * it with a real server. How to read it: commands.ts.
 */
export const redisCommands = \``;

if (import.meta.main) {
  const server = await startRedis();
  try {
    writeFileSync(file, `${head}\n${(await linesOf(server)).join("\n")}\n\`;\n`);
  } finally {
    await server.stop();
  }
}
