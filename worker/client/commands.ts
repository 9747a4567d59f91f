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
  /** In small letters; of a subcommand with its container: `xinfo|stream`. */
  readonly name: string;
  /** Letters: w writes, r reads, b may wait. */
  readonly flags: string;
  /** Where its keys are; how to read it: keys.ts. */
  readonly specs: readonly string[];
  /** A replica may answer it, whichever. */
  readonly anywhere: boolean;
  readonly waits: boolean;
  /** There are keys in what it answers. */
  readonly answersKeys: boolean;
  /** Of a container: its subcommands. */
  readonly subs: Map<string, Known> | null;
};

/** By hand: commands of the SDK that Redis 7.0 does not have (Redis 7.4 and later, its JSON, Upstash's arrays). */
export const laterCommands = `
-: waitaof
r 1: hexpiretime hpexpiretime httl hpttl json.get json.arrindex json.arrlen json.objkeys json.objlen
json.resp json.strlen json.type arcount arget argetrange argrep arinfo arlastitems arlen armget
arnext arop arscan
w 1: hexpire hexpireat hpexpire hpexpireat hpersist hgetdel hgetex hsetex xackdel xdelex
json.arrappend json.arrinsert json.arrpop json.arrtrim json.clear json.del json.forget json.merge
json.numincrby json.nummultby json.set json.strappend json.toggle ardel ardelrange arinsert armset
arring arseek arset
r 1..-2: json.mget
w 1..-1/3: json.mset
`;

/** A cursor is the node's own: the next one would begin anew, or skip. */
const cursors = /^[hsz]?scan$/;

/** BLPOP, LMPOP, BZPOPMIN and their kin: their answer begins with the key that it came from. */
export const popping = /^(b.*pop(m..)?|.mpop)$/;
const answering = /^(keys|scan|randomkey|xread(group)?)$/;

/** By name as it is mostly sent: in small letters, or in capitals. */
const table = new Map<string, Known>();
let rule: readonly string[] = [];
for (const line of (redisCommands + laterCommands).trim().split(/\n+/)) {
  const [names = "", begun] = line.split(": ").toReversed();
  // A line without a rule goes on with the one before.
  rule = begun?.split(" ") ?? rule;
  for (const name of names.split(" ")) add(name, ...rule);
}

function add(name: string, flags = "", ...specs: readonly string[]): void {
  const anywhere = flags.includes("r") && !cursors.test(name);
  const waits = flags.includes("b") || name.startsWith("wait");
  const answersKeys = answering.test(name) || popping.test(name);
  const known = { name, flags, specs, anywhere, waits, answersKeys, subs: null };
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
  table.set(name.toUpperCase(), known);
}

export function knownOf(words: Words): Known | undefined {
  const [name] = words;
  if (typeof name !== "string") return undefined;
  const known = table.get(name) ?? table.get(name.toLowerCase());
  return known?.subs == null ? known : known.subs.get(lower(words[1]));
}

export const lower = (word: unknown): string => String(word).toLowerCase();

export const answersKeys = (words: Words): boolean => knownOf(words)?.answersKeys === true;

/** True when any replica may answer it. One that waits is never sent there: nobody would end it with a switch. */
export function readsAnywhere(words: Words): boolean {
  const known = knownOf(words);
  return known?.anywhere === true && (!known.waits || waitMsOf(words) === 0);
}

// ------------------------------------------------------------------- waiting

/** Where the timeout stands, and its unit in ms, where that is not the last word, in seconds. */
const timeouts = new Map<string, readonly [at: number, unitMs: number]>([
  ["blmpop", [1, 1000]],
  ["bzmpop", [1, 1000]],
  ["wait", [2, 1]],
  ["waitaof", [3, 1]],
]);

/** How long it may wait inside Redis; 0: not at all, Infinity: for ever. */
export function waitMsOf(words: Words): number {
  const known = knownOf(words);
  if (known?.waits !== true) return 0;
  const usual = known.name.startsWith("xread") ? [blockAt(words), 1] : [-1, 1000];
  const [at = 0, unitMs = 1] = timeouts.get(known.name) ?? usual;
  // XREAD without BLOCK.
  if (at === 0) return 0;
  const ms = Number(words.at(at)) * unitMs;
  if (ms === 0) return Number.POSITIVE_INFINITY;
  return ms > 0 ? ms : 0;
}

function blockAt(words: Words): number {
  for (let at = 1; at < words.length; at += 1) {
    const word = lower(words[at]);
    if (word === "streams") return 0;
    if (word === "block") return at + 1;
    // Two names follow that may be any word.
    if (word === "group") at += 2;
  }
  return 0;
}

// -------------------------------------------------------------- sending twice

/** Answer what they are asked, and change nothing. */
const harmless = /^(ping|echo|time|info)$/;
/** Put a whole value in place of whatever there was, and answer OK. */
const overwriting = /^(mset|p?setex)$/;
const expiries = /^(ex|px)(at)?$/;

/**
 * True when sending all of it again leaves the same data, and gets the same answers. Reads before a write are
 * none of it: they would see what was written.
 */
export function isRepeatable(commands: readonly Words[]): boolean {
  let read = false;
  for (const words of commands) {
    const known = knownOf(words);
    if (known === undefined) return false;
    if (known.flags.includes("r") || harmless.test(known.name)) read = true;
    else if (read || !overwrites(known.name, words)) return false;
  }
  return true;
}

function overwrites(name: string, words: Words): boolean {
  if (overwriting.test(name)) return true;
  if (name !== "set") return false;
  for (let at = 3; at < words.length; at += 1) {
    const word = lower(words[at]);
    if (expiries.test(word)) at += 1;
    else if (word !== "keepttl") return false;
  }
  return true;
}
