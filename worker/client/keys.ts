/**
 * Where the keys of a command are, by Redis's own key specifications.
 *
 * A specification is one word: `1`, the second word; `1..-1/2`, from it to the last, every other;
 * `2#0+1/1`, at word 2 stands how many there are, and they begin one further; `streams@1..-1%2`, after the keyword,
 * the first half of what is left; `?`, Redis itself cannot tell.
 * Promises: pure. Must never: guess; who must know the keys refuses what is null.
 */
import { type Known, lower, type Words } from "./commands.ts";

const grammar =
  /^(?:(\w+)@)?(-?\d+)(?:#(\d+)\+(\d+)\/(\d+)|(?:\.\.(-?\d+))?(?:\/(\d+))?(?:%(\d+))?)$/;

type Finder = (words: Words) => readonly number[] | null;

/** Each specification is read once. */
const finders = new Map<string, Finder>([
  // That of nearly all.
  ["1", ({ length }) => (length > 1 ? [1] : [])],
]);

/** The positions of the keys; null: not to be told from the words. */
export function keysOf({ specs }: Known, words: Words): readonly number[] | null {
  const [only] = specs;
  if (only !== undefined && specs.length === 1) return finderOf(only)(words);
  const all: number[] = [];
  for (const spec of specs) {
    const found = finderOf(spec)(words);
    if (found === null) return null;
    all.push(...found);
  }
  return all;
}

function finderOf(spec: string): Finder {
  const finder = finders.get(spec) ?? read(spec);
  finders.set(spec, finder);
  return finder;
}

function read(spec: string): Finder {
  const [, keyword, begin, count, first, every, last = "0", step = "1", limit = "0"] =
    grammar.exec(spec) ?? [];
  const from = Number(begin);
  if (begin === undefined || (keyword !== undefined && from < 0)) return () => null;
  if (count !== undefined)
    return (words) => {
      const many = String(words[from + Number(count)] ?? "");
      if (!/^\d{1,7}$/.test(many)) return null;
      const at = from + Number(first);
      return steps(at, at + (Number(many) - 1) * Number(every), Number(every), words);
    };
  const to = Number(last);
  const part = Number(limit);
  const range = (at: number, words: Words) => {
    const left = words.length - at;
    const end = to >= 0 ? at + to : part > 1 ? at + Math.floor(left / part) - 1 : at + left + to;
    return steps(at, end, Number(step), words);
  };
  if (keyword === undefined) return (words) => range(from, words);
  return (words) => {
    const found = words.flatMap((word, at) => (at >= from && lower(word) === keyword ? [at] : []));
    // Redis takes the last of several STORE: each is one of its keys. Of STREAMS, the first begins the keys.
    return (to === 0 ? found : found.slice(0, 1)).flatMap((at) => range(at + 1, words));
  };
}

function steps(first: number, last: number, step: number, { length }: Words): readonly number[] {
  const positions: number[] = [];
  for (let at = first; at <= last && at < length; at += step) positions.push(at);
  return positions;
}
