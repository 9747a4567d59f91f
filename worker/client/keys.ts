/**
 * Where the keys of a command are, by Redis's own key specifications.
 *
 * A specification is one word: `1`, the second word; `1..-1/2`, from it to the last, every other;
 * `2#0+1/1`, at word 2 stands how many there are, and they begin one further; `STREAMS@1..-1%2`, after the keyword,
 * the first half of what is left; `?`, Redis itself cannot tell.
 * Promises: pure. Must never: guess; who must know the keys refuses what is null.
 */
import { type Known, upper, type Words } from "./commands.ts";

const grammar =
  /^(?:(\w+)@)?(-?\d+)(?:#(\d+)\+(\d+)\/(\d+)|(?:\.\.(-?\d+))?(?:\/(\d+))?(?:%(\d+))?)$/;

/** The positions of the keys; null: not to be told from the words. */
export function keysOf({ specs }: Known, words: Words): readonly number[] | null {
  const all: number[] = [];
  for (const spec of specs) {
    const found = positionsOf(spec, words);
    if (found === null) return null;
    all.push(...found);
  }
  return all;
}

function positionsOf(spec: string, words: Words): readonly number[] | null {
  const [, keyword, begin, count, first, every, last = "0", step = "1", limit = "0"] =
    grammar.exec(spec) ?? [];
  if (begin === undefined) return null;
  const from = Number(begin);
  if (count !== undefined) {
    const many = String(words[from + Number(count)] ?? "");
    if (!/^\d{1,7}$/.test(many)) return null;
    const at = from + Number(first);
    return steps(at, at + (Number(many) - 1) * Number(every), Number(every), words);
  }
  const range = (at: number) => {
    const to = Number(last);
    if (to >= 0) return steps(at, at + to, Number(step), words);
    const part = Number(limit);
    const end = part > 1 ? at + Math.floor((words.length - at) / part) - 1 : words.length + to;
    return steps(at, end, Number(step), words);
  };
  if (keyword === undefined) return range(from);
  if (from < 0) return null;
  const found = words.flatMap((word, at) => (at >= from && upper(word) === keyword ? [at] : []));
  // Redis takes the last of several STORE: each is one of its keys. Of STREAMS, the first begins the keys.
  return (last === "0" ? found : found.slice(0, 1)).flatMap((at) => range(at + 1));
}

function steps(first: number, last: number, step: number, { length }: Words): readonly number[] {
  const positions: number[] = [];
  for (let at = first; at <= last && at < length; at += step) positions.push(at);
  return positions;
}
