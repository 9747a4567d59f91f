/**
 * What is known of a command: whether a replica may answer it, how long it may wait inside Redis, whether
 * sending it twice is as good as once.
 *
 * Promises: pure; names in any letter case; what is not known reads nothing, waits not, and is sent once.
 * Must never: guess. The table is Redis's own word (commands-table.ts), and by hand what 7.0 does not have.
 */
import { redisCommands } from "./commands-table.ts";

export type Words = readonly unknown[];

export type Known = {
  /** In capitals; of a subcommand with its container: `XINFO|STREAM`. */
  readonly name: string;
  /** Letters: w writes, r reads, b may wait. */
  readonly flags: string;
  /** Where its keys are; how to read it: keys.ts. */
  readonly specs: readonly string[];
  /** A replica may answer it, whichever. */
  readonly anywhere: boolean;
  readonly waits: boolean;
  /** Of a container: its subcommands. */
  readonly subs: Map<string, Known> | null;
};

/** By hand: commands of the SDK that Redis 7.0 does not have (Redis 7.4 and later, its JSON, Upstash's arrays). */
export const laterCommands = `
-: WAITAOF
r 1: HEXPIRETIME HPEXPIRETIME HTTL HPTTL
w 1: HEXPIRE HEXPIREAT HPEXPIRE HPEXPIREAT HPERSIST HGETDEL HGETEX HSETEX XACKDEL XDELEX
r 1: JSON.GET JSON.ARRINDEX JSON.ARRLEN JSON.OBJKEYS JSON.OBJLEN JSON.RESP JSON.STRLEN JSON.TYPE
r 1..-2: JSON.MGET
w 1: JSON.ARRAPPEND JSON.ARRINSERT JSON.ARRPOP JSON.ARRTRIM JSON.CLEAR JSON.DEL JSON.FORGET JSON.MERGE
w 1: JSON.NUMINCRBY JSON.NUMMULTBY JSON.SET JSON.STRAPPEND JSON.TOGGLE
w 1..-1/3: JSON.MSET
r 1: ARCOUNT ARGET ARGETRANGE ARGREP ARINFO ARLASTITEMS ARLEN ARMGET ARNEXT AROP ARSCAN
w 1: ARDEL ARDELRANGE ARINSERT ARMSET ARRING ARSEEK ARSET
`;

/** A cursor is the node's own: the next one would begin anew, or skip. */
const cursors = new Set(["SCAN", "HSCAN", "SSCAN", "ZSCAN"]);

/** By name as it is mostly sent: in capitals, and in small letters. */
const table = new Map<string, Known>();
for (const line of (redisCommands + laterCommands).split("\n")) {
  const [rule, names] = line.split(": ");
  if (rule === undefined || names === undefined) continue;
  const [flags = "", ...specs] = rule.split(" ");
  for (const name of names.split(" ")) add(name, flags, specs);
}

function add(name: string, flags: string, specs: readonly string[]): void {
  const anywhere = flags.includes("r") && !cursors.has(name);
  const waits = flags.includes("b") || name.startsWith("WAIT");
  const known = { name, flags, specs, anywhere, waits, subs: null };
  const [container = "", sub] = name.split("|");
  if (sub === undefined) return set(name, known);
  const parent = table.get(container);
  if (parent === undefined) return;
  const subs = parent.subs ?? new Map<string, Known>();
  subs.set(sub, known);
  if (parent.subs === null) set(container, { ...parent, subs });
}

function set(name: string, known: Known): void {
  table.set(name, known);
  table.set(name.toLowerCase(), known);
}

export function knownOf(words: Words): Known | undefined {
  const [name] = words;
  if (typeof name !== "string") return undefined;
  const known = table.get(name) ?? table.get(name.toUpperCase());
  return known?.subs == null ? known : known.subs.get(upper(words[1]));
}

export const upper = (word: unknown): string => String(word).toUpperCase();

/** True when any replica may answer it. One that waits is never sent there: nobody would end it with a switch. */
export function readsAnywhere(words: Words): boolean {
  const known = knownOf(words);
  return known?.anywhere === true && (!known.waits || waitMsOf(words) === 0);
}

// ------------------------------------------------------------------- waiting

const lastWord = ["BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BZPOPMIN", "BZPOPMAX"];
/** Where the timeout stands, and its unit in ms. */
const timeouts = new Map<string, readonly [at: number, unitMs: number]>([
  ...lastWord.map((name) => [name, [-1, 1000]] as const),
  ...["BLMPOP", "BZMPOP"].map((name) => [name, [1, 1000]] as const),
  ["WAIT", [2, 1]],
  ["WAITAOF", [3, 1]],
]);

/** How long it may wait inside Redis; 0: not at all, Infinity: for ever. */
export function waitMsOf(words: Words): number {
  const known = knownOf(words);
  if (known?.waits !== true) return 0;
  const [at, unitMs] = timeouts.get(known.name) ?? [blockAt(words), 1];
  // XREAD without BLOCK.
  if (at === 0) return 0;
  const ms = Number(words.at(at)) * unitMs;
  if (Number.isNaN(ms) || ms < 0) return 0;
  return ms === 0 ? Number.POSITIVE_INFINITY : ms;
}

function blockAt(words: Words): number {
  for (let at = 1; at < words.length; at += 1) {
    const word = upper(words[at]);
    if (word === "STREAMS") return 0;
    if (word === "BLOCK") return at + 1;
    // Two names follow that may be any word.
    if (word === "GROUP") at += 2;
  }
  return 0;
}

// -------------------------------------------------------------- sending twice

/** Answer what they are asked, and change nothing. */
const harmless = new Set(["PING", "ECHO", "TIME", "INFO"]);
/** Put a whole value in place of whatever there was, and answer OK. */
const overwriting = new Set(["MSET", "SETEX", "PSETEX"]);
const expiries = new Set(["EX", "PX", "EXAT", "PXAT"]);

/**
 * True when sending all of it again leaves the same data, and gets the same answers. Reads before a write are
 * none of it: they would see what was written.
 */
export function isRepeatable(commands: readonly Words[]): boolean {
  let read = false;
  for (const words of commands) {
    const known = knownOf(words);
    if (known === undefined) return false;
    if (known.flags.includes("r") || harmless.has(known.name)) read = true;
    else if (read || !overwrites(known.name, words)) return false;
  }
  return true;
}

function overwrites(name: string, words: Words): boolean {
  if (overwriting.has(name)) return true;
  if (name !== "SET") return false;
  for (let at = 3; at < words.length; at += 1) {
    const word = upper(words[at]);
    if (expiries.has(word)) at += 1;
    else if (word !== "KEEPTTL") return false;
  }
  return true;
}
