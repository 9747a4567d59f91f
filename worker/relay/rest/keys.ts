/**
 * What Redis says of its own commands: whether they write, wait or administer, and where their keys are.
 *
 * Promises: pure; says "unknown" wherever Redis itself cannot tell the keys from the words alone; names and
 * keywords in any letter case.
 * Must never: guess. A caller who must know the keys refuses what is unknown.
 */
import type { Command, Reply } from "../../redis/connection.ts";

/** Keys from `begin` on: to `last` (relative if not negative, else from the end), or as many as a word says. */
type Spec =
  | {
      readonly kind: "range";
      readonly begin: number | Keyword;
      readonly last: number;
      readonly step: number;
      readonly limit: number;
    }
  | {
      readonly kind: "counted";
      readonly begin: number;
      readonly count: number;
      readonly first: number;
      readonly step: number;
    }
  | { readonly kind: "unknown" };

type Keyword = { readonly word: string; readonly from: number };

export type Known = {
  /** In capitals; of a subcommand with its container: `XINFO|STREAM`. */
  readonly name: string;
  readonly write: boolean;
  readonly readonly: boolean;
  readonly admin: boolean;
  readonly blocking: boolean;
  readonly specs: readonly Spec[];
  /** As in the table, to be compared. */
  readonly text: string;
};

/** The positions of the keys, null: not to be told from the words. */
export function keysOf(known: Known, command: Command): readonly number[] | null {
  const positions: number[] = [];
  for (const spec of known.specs) {
    const found = positionsOf(spec, command);
    if (found === null) return null;
    positions.push(...found);
  }
  return positions;
}

function positionsOf(spec: Spec, command: Command): readonly number[] | null {
  switch (spec.kind) {
    case "unknown":
      return null;
    case "counted": {
      const said = String(command[spec.begin + spec.count] ?? "");
      if (!/^\d{1,7}$/.test(said)) return null;
      const first = spec.begin + spec.first;
      return steps(first, first + (Number(said) - 1) * spec.step, spec.step, command.length);
    }
    case "range": {
      if (typeof spec.begin === "number") return range(spec.begin, spec, command);
      const { word, from } = spec.begin;
      if (from < 0) return null;
      const at = command.findIndex(
        (each, index) => index >= from && String(each).toUpperCase() === word,
      );
      if (at < 0) return [];
      // Redis takes the last of several STORE: each is one of its keys.
      const all = spec.last === 0 ? everyAfter(command, word, from) : [at];
      return all.flatMap((each) => range(each + 1, spec, command));
    }
  }
}

const everyAfter = (command: Command, word: string, from: number): readonly number[] =>
  command.flatMap((each, index) =>
    index >= from && String(each).toUpperCase() === word ? [index] : [],
  );

function range(
  first: number,
  { last, step, limit }: Extract<Spec, { kind: "range" }>,
  { length }: Command,
): readonly number[] {
  if (last >= 0) return steps(first, first + last, step, length);
  // A limit of n: only the first nth part of what is left are keys.
  const end = limit > 1 ? first + Math.floor((length - first) / limit) - 1 : length + last;
  return steps(first, end, step, length);
}

function steps(first: number, last: number, step: number, length: number): readonly number[] {
  const positions: number[] = [];
  for (let at = first; at <= last && at < length; at += step) positions.push(at);
  return positions;
}

// -------------------------------------------------------- as Redis tells it

type Told = ReadonlyMap<string, Reply>;

/** One entry of COMMAND or COMMAND INFO, and its subcommands. */
export function knownFrom(entry: Reply): readonly Known[] {
  if (!Array.isArray(entry)) return [];
  const [name, , flags, first, last, step, , , specs, subcommands] = entry as Reply[];
  const has = new Set(listOf(flags).map(String));
  const keys =
    specs === undefined
      ? [oldSpec(Number(first), Number(last), Number(step), has.has("movablekeys"))]
      : listOf(specs).map(specText);
  const letters = [
    has.has("write") ? "w" : has.has("readonly") ? "r" : "-",
    has.has("admin") ? "a" : "",
    has.has("blocking") ? "b" : "",
  ];
  const text = [letters.join(""), ...keys.filter((each) => each !== "")].join(" ");
  return [
    known(String(name).toUpperCase(), text),
    ...listOf(subcommands ?? null).flatMap((each) => knownFrom(each)),
  ];
}

/** Before Redis 7: one range, and for some commands the word that this is not all. */
function oldSpec(first: number, last: number, step: number, movable: boolean): string {
  if (movable) return "?";
  if (first === 0) return "";
  return rangeText(String(first), last < 0 ? last : last - first, step, 0);
}

function specText(raw: Reply): string {
  const told = pairs(raw);
  const begin = pairs(told.get("begin_search") ?? null);
  const find = pairs(told.get("find_keys") ?? null);
  const at = pairs(begin.get("spec") ?? null);
  const how = pairs(find.get("spec") ?? null);
  const number = (map: Told, key: string) => Number(map.get(key) ?? Number.NaN);
  if (String(begin.get("type")) === "unknown" || String(find.get("type")) === "unknown") return "?";
  const start =
    String(begin.get("type")) === "index"
      ? String(at.get("index"))
      : `${String(at.get("keyword")).toUpperCase()}@${number(at, "startfrom")}`;
  if (String(find.get("type")) === "range") {
    return rangeText(start, number(how, "lastkey"), number(how, "keystep"), number(how, "limit"));
  }
  return `${start}#${number(how, "keynumidx")}+${number(how, "firstkey")}/${number(how, "keystep")}`;
}

const rangeText = (start: string, last: number, step: number, limit: number): string =>
  `${start}${last === 0 ? "" : `..${last}`}${step === 1 ? "" : `/${step}`}${limit > 1 ? `%${limit}` : ""}`;

const listOf = (reply: Reply | undefined): readonly Reply[] => (Array.isArray(reply) ? reply : []);

function pairs(flat: Reply): Told {
  const list = listOf(flat);
  return new Map(
    list.flatMap((key, index) =>
      index % 2 === 0 ? [[String(key), list[index + 1] ?? null] as const] : [],
    ),
  );
}

// ------------------------------------------------------------ as a text

/** `w 1 2..-1`: letters (w writes, r reads, a administers, b waits), then one word for each place of keys. */
export function known(name: string, text: string): Known {
  const [letters = "", ...specs] = text.split(" ");
  return {
    name,
    write: letters.includes("w"),
    readonly: letters.includes("r"),
    admin: letters.includes("a"),
    blocking: letters.includes("b"),
    specs: specs.map(specFrom),
    text,
  };
}

const SPEC = /^(?:(\w+)@)?(-?\d+)(?:#(\d+)\+(\d+)\/(\d+)|(?:\.\.(-?\d+))?(?:\/(\d+))?(?:%(\d+))?)$/;

function specFrom(text: string): Spec {
  const [, word, at, count, first, every, last, step, limit] = SPEC.exec(text) ?? [];
  if (at === undefined) return { kind: "unknown" };
  const begin = Number(at);
  if (count !== undefined) {
    if (word !== undefined) return { kind: "unknown" };
    return {
      kind: "counted",
      begin,
      count: Number(count),
      first: Number(first),
      step: Number(every),
    };
  }
  return {
    kind: "range",
    begin: word === undefined ? begin : { word, from: begin },
    last: Number(last ?? 0),
    step: Number(step ?? 1),
    limit: Number(limit ?? 0),
  };
}
