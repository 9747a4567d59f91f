/**
 * A namespace: a prefix before every key of every command, and taken off again where the answer is a key. The
 * exceptions are those of the Ruby library redis-namespace.
 *
 * Promises: what it returns is a copy; channels, members, fields and values stay as they are.
 * Must never: let a command through of which the keys are not known, or that reaches all keys.
 */
import { knownOf, lower, popping, type Words } from "./commands.ts";
import { UnsupportedCommandError } from "./failure.ts";
import { keysOf } from "./keys.ts";

export type Namespace = {
  /** @throws UnsupportedCommandError */
  applied(words: Words): Words;
  /** `words`: the command, with or without prefixes. */
  stripped(words: Words, result: unknown): unknown;
};

/** Keyless, and yet not of all keys. */
const keyless = /^(randomkey|lolwut|function.load)$/;

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
      case "keys":
        at(1);
        return copy;
      case "scan": {
        const match = afterOf(words, 2, "match");
        if (match === null) copy.push("match", `${prefix}*`);
        else at(match);
        return copy;
      }
      case "sort":
      case "sort_ro":
        sortKeys(words).forEach(at);
        return copy;
    }
    const keys = keysOf(known, words);
    if (keys === null) throw refusal(words, "its keys cannot be told from its words");
    if (known.specs.length === 0 && known.flags !== "-" && !keyless.test(known.name))
      throw refusal(words, "it reaches all keys");
    for (const key of keys) at(key);
    return copy;
  }

  function stripped(words: Words, result: unknown): unknown {
    const known = knownOf(words);
    const first = ([key, ...rest]: readonly unknown[]) => [out(key), ...rest];
    if (known?.name === "randomkey") return out(result) === result ? null : out(result);
    if (known === undefined || !Array.isArray(result)) return result;
    if (popping.test(known.name)) return first(result);
    if (known.name === "keys") return result.map(out);
    if (known.name === "scan") return [result[0], scanned(words, result[1])];
    return known.name.startsWith("xread") ? result.map(first) : result;
  }

  /** With Upstash's WITHTYPE, every other word is a type. */
  function scanned(words: Words, keys: unknown): unknown {
    if (!Array.isArray(keys)) return keys;
    const typed = words.slice(2).some((word) => lower(word) === "withtype");
    return keys.map((key, index) => (typed && index % 2 === 1 ? key : out(key)));
  }

  return { applied, stripped };
}

/** The position after a keyword, where options stand in pairs; null: it is not there. */
function afterOf(words: Words, from: number, keyword: string): number | null {
  for (let at = from; at < words.length; at += 1) {
    const word = lower(words[at]);
    if (word === keyword) return at + 1;
    if (word !== "withtype") at += 1;
  }
  return null;
}

/** Of SORT: its key, the patterns of other keys, and where it stores. `GET #` is the element itself. */
function sortKeys(words: Words): readonly number[] {
  const keys = [1];
  for (let at = 2; at < words.length; at += 1) {
    const word = lower(words[at]);
    if (word === "limit") at += 2;
    else if (word === "by" || word === "store" || word === "get") {
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
