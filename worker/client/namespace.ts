/**
 * A namespace: a prefix before every key of every command, and taken off again where the answer is a key. The
 * exceptions are those of the Ruby library redis-namespace.
 *
 * Promises: what it returns is a copy; channels, members, fields and values stay as they are.
 * Must never: let a command through of which the keys are not known, or that reaches all keys.
 */
import { knownOf, upper, type Words } from "./commands.ts";
import { UnsupportedCommandError } from "./failure.ts";
import { keysOf } from "./keys.ts";

export type Namespace = {
  /** @throws UnsupportedCommandError */
  applied(words: Words): Words;
  /** Whether there is anything to take off in what it answers. */
  answersKeys(words: Words): boolean;
  /** `words`: the command, with or without prefixes. */
  stripped(words: Words, result: unknown): unknown;
};

/** Their answer begins with the key that it came from. */
const popped = new Set([
  ...["BLPOP", "BRPOP", "BZPOPMIN", "BZPOPMAX"],
  ...["LMPOP", "BLMPOP", "ZMPOP", "BZMPOP"],
]);
const answering = new Set([...popped, ...["KEYS", "SCAN", "RANDOMKEY", "XREAD", "XREADGROUP"]]);
/** Keyless, and yet not of all keys. */
const keyless = new Set(["RANDOMKEY", "LOLWUT", "FUNCTION|LOAD"]);

export function namespaceOf(name: string): Namespace {
  const prefix = `${name}:`;
  const into = (key: unknown) => `${prefix}${key}`;
  const out = (key: unknown) =>
    typeof key === "string" && key.startsWith(prefix) ? key.slice(prefix.length) : key;

  function applied(words: Words): Words {
    const known = knownOf(words);
    if (known === undefined) throw refusal(words, "its keys are not known");
    const copy = words.slice();
    const at = (position: number) => {
      if (position < copy.length) copy[position] = into(copy[position]);
    };
    switch (known.name) {
      case "KEYS":
        at(1);
        return copy;
      case "SCAN": {
        const match = afterOf(words, 2, "MATCH");
        if (match === null) copy.push("match", `${prefix}*`);
        else at(match);
        return copy;
      }
      case "SORT":
      case "SORT_RO":
        sortKeys(words).forEach(at);
        return copy;
    }
    const keys = keysOf(known, words);
    if (keys === null) throw refusal(words, "its keys cannot be told from its words");
    if (known.specs.length === 0 && known.flags !== "-" && !keyless.has(known.name))
      throw refusal(words, "it reaches all keys");
    for (const key of keys) at(key);
    return copy;
  }

  function stripped(words: Words, result: unknown): unknown {
    const known = knownOf(words);
    if (known === undefined || !answering.has(known.name)) return result;
    if (known.name === "RANDOMKEY") return out(result) === result ? null : out(result);
    if (!Array.isArray(result)) return result;
    if (known.name === "KEYS") return result.map(out);
    if (known.name === "SCAN") return [result[0], scanned(words, result[1])];
    if (popped.has(known.name)) return [out(result[0]), ...result.slice(1)];
    return result.map((stream) => [out(stream[0]), ...stream.slice(1)]);
  }

  /** With Upstash's WITHTYPE, every other word is a type. */
  function scanned(words: Words, keys: unknown): unknown {
    if (!Array.isArray(keys)) return keys;
    const typed = words.slice(2).some((word) => upper(word) === "WITHTYPE");
    return keys.map((key, index) => (typed && index % 2 === 1 ? key : out(key)));
  }

  return { applied, stripped, answersKeys: (words) => answering.has(knownOf(words)?.name ?? "") };
}

/** The position after a keyword, where options stand in pairs; null: it is not there. */
function afterOf(words: Words, from: number, keyword: string): number | null {
  for (let at = from; at < words.length; at += 1) {
    const word = upper(words[at]);
    if (word === keyword) return at + 1;
    if (word !== "WITHTYPE") at += 1;
  }
  return null;
}

/** Of SORT: its key, the patterns of other keys, and where it stores. `GET #` is the element itself. */
function sortKeys(words: Words): readonly number[] {
  const keys = [1];
  for (let at = 2; at < words.length; at += 1) {
    const word = upper(words[at]);
    if (word === "LIMIT") at += 2;
    else if (word === "BY" || word === "STORE" || word === "GET") {
      at += 1;
      if (words[at] !== "#") keys.push(at);
    }
  }
  return keys;
}

const refusal = ([name]: Words, why: string) =>
  new UnsupportedCommandError(
    typeof name === "string" && /^[\w.-]{1,32}$/.test(name) ? name.toUpperCase() : "this command",
    why,
  );
