/**
 * Keeping a token inside its key prefix.
 *
 * Promises: null only when every key, channel and pattern that the command can reach begins with the prefix.
 * Must never: let through what it cannot tell: scripts reach any key, and some commands reach all.
 */
import type { Command } from "../../redis/connection.ts";
import { type Known, keysOf } from "./keys.ts";

type Word = Command[number] | undefined;

const SCRIPTS = new Set(
  "EVAL EVAL_RO EVALSHA EVALSHA_RO FCALL FCALL_RO FUNCTION SCRIPT".split(" "),
);
const KEYLESS = new Set(["PING", "ECHO", "TIME"]);

/** Why the command is outside of the prefix, null: it is inside. */
export function outsideOf(prefix: string, known: Known, command: Command): string | null {
  const { name } = known;
  if (KEYLESS.has(name)) return null;
  if (SCRIPTS.has(name.split("|")[0] ?? "")) {
    return "a script reaches any key, and this token has a key prefix";
  }
  const words = reached(known, command);
  if (words === null) return "its keys cannot be told, and this token has a key prefix";
  if (words.length === 0) return "it is not bound to keys, and this token has a key prefix";
  return words.every(({ word, pattern }) => begins(word, pattern ? literal(prefix) : prefix))
    ? null
    : "not every key begins with the prefix of this token";
}

type Reached = { readonly word: Word; readonly pattern: boolean };

function reached(known: Known, command: Command): readonly Reached[] | null {
  const key = (word: Word): Reached => ({ word, pattern: false });
  const pattern = (word: Word): Reached => ({ word, pattern: true });
  switch (known.name) {
    case "KEYS":
      return [pattern(command[1])];
    case "SCAN":
      return scanned(command).map(pattern);
    case "PUBLISH":
      return [key(command[1])];
    case "SUBSCRIBE":
      return command.slice(1).map(key);
    case "PSUBSCRIBE":
      return command.slice(1).map(pattern);
    case "SORT":
    case "SORT_RO":
      return [key(command[1]), ...sorted(command).map(key)];
    case "XREADGROUP":
      // Redis takes GROUP in other places as well, and then a group may be named STREAMS.
      if (String(command[1]).toUpperCase() !== "GROUP") return null;
      return keysAt(known, command, key);
    default:
      // FLUSHALL and its kin have no keys, and reach all.
      return keysAt(known, command, key);
  }
}

function keysAt(
  known: Known,
  command: Command,
  key: (word: Word) => Reached,
): readonly Reached[] | null {
  return keysOf(known, command)?.map((at) => key(command[at])) ?? null;
}

/** SCAN cursor [MATCH pattern] [COUNT n] [TYPE t]: no MATCH reaches everything. */
function scanned(command: Command): readonly Word[] {
  const patterns: Word[] = [];
  for (let at = 2; at < command.length; at += 2) {
    if (String(command[at]).toUpperCase() === "MATCH") patterns.push(command[at + 1]);
  }
  return patterns;
}

/** SORT reads what BY and GET make of each element, and writes to STORE; any word may be one of these. */
function sorted(command: Command): readonly Word[] {
  return command.flatMap((word, at) => {
    if (at < 2) return [];
    const option = String(word).toUpperCase();
    const next = command[at + 1];
    if (option === "STORE") return [next];
    if (option === "GET") return String(next) === "#" ? [] : [next];
    // Without a star nothing is read: BY nosort.
    return option === "BY" && String(next).includes("*") ? [next] : [];
  });
}

/** What a pattern must begin with so that it matches nothing else. */
const literal = (prefix: string): string => prefix.replace(/[*?[\\]/g, "\\$&");

function begins(word: Word, prefix: string): boolean {
  if (word === undefined) return false;
  if (typeof word === "string") return word.startsWith(prefix);
  const bytes = Buffer.from(prefix);
  return word.subarray(0, bytes.length).equals(bytes);
}
