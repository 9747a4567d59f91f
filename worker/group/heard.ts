/**
 * From what a place saw to observations by the Group's clock.
 *
 * Promises: pure; nothing is seen before it was asked for; what a vantage answers is checked, for after a deploy it
 * may run other code than the Group for some minutes.
 * Must never: judge what was seen.
 */
import * as v from "valibot";
import type { Looked, Seen, Whereabouts } from "../core/looking.ts";
import type { Observation, ObservationClass } from "../core/types.ts";
import type { Pair } from "../probe/look.ts";
import { facts as factsSchema, classes as ofRelays } from "../relay/look-protocol.ts";
import type { Heard } from "./lookout.ts";
import { keyOf } from "./orders.ts";

/** When a place was asked, and under which epoch. */
export type AskedOf = { readonly from: string; readonly epoch: number; readonly askedAtMs: number };

export const observed = (
  seen: readonly Seen[],
  { from, epoch, askedAtMs }: AskedOf,
  heardAtMs: number,
): readonly Observation[] =>
  seen.map(({ agoMs, ...found }) => {
    const atMs = Math.max(askedAtMs, Math.floor(heardAtMs - agoMs));
    return { ...found, from, epoch, atMs, tookMs: atMs - askedAtMs };
  });

/** What a region answered; null: nothing that could be understood. */
export function heardOf(
  answer: unknown,
  pairs: readonly Pair[],
  asked: AskedOf,
  heardAtMs: number,
): Heard | null {
  const looked = readLooked(answer);
  if (looked === null) return null;
  const key = (pair: Pair) => keyOf(asked.from, pair);
  const wanted = new Map(pairs.map((pair) => [key(pair), pair]));
  const mine = looked.seen.filter((seen) => wanted.delete(key(seen)));
  // Each own look is a vote: one that is missing is no silence of the node.
  const missing = [...wanted.values()].filter(({ vantage }) => vantage === asked.from);
  const lost = missing.map((pair) => failed(pair, "malformed", "no answer about it"));
  return {
    observations: observed([...mine, ...lost], asked, heardAtMs),
    wayMs: looked.tookMs === undefined ? null : heardAtMs - asked.askedAtMs - looked.tookMs,
    report: {
      vantage: asked.from,
      whereabouts: looked.whereabouts,
      detail: "answers",
      atMs: heardAtMs,
    },
  };
}

/** The observer failed: its own vote is none, and of what it would have seen through relays nothing is said. */
export function unanswered(
  pairs: readonly Pair[],
  asked: AskedOf,
  detail: string,
  heardAtMs: number,
): Heard {
  const own = pairs.filter(({ vantage }) => vantage === asked.from);
  const seen = own.map((pair) => failed(pair, "relay-unreachable", detail));
  return {
    observations: observed(seen, asked, heardAtMs),
    wayMs: null,
    report: { vantage: asked.from, whereabouts: null, detail, atMs: heardAtMs },
  };
}

const failed = ({ vantage, node }: Pair, kind: ObservationClass, detail: string): Seen => ({
  ...{ vantage, node, class: kind, detail },
  ...{ facts: null, relay: null, agoMs: 0 },
});

/** What a relay may find, and what only who looks from elsewhere does. */
const classes = [
  ...ofRelays,
  ...(["wrong-role", "relay-unreachable", "unavailable"] as const),
] satisfies readonly ObservationClass[];

const text = v.pipe(v.string(), v.maxLength(253));
const count = v.pipe(v.number(), v.minValue(0));

const seen = v.object({
  vantage: text,
  node: text,
  class: v.picklist(classes),
  detail: text,
  facts: v.nullable(factsSchema),
  relay: v.nullable(
    v.object({ stamp: v.object({ boot: text, ms: count }), epoch: v.nullable(count) }),
  ),
  agoMs: v.pipe(count, v.maxValue(600_000)),
}) satisfies v.GenericSchema<unknown, Seen>;

const place = v.nullable(text);
const answered = v.object({
  seen: v.pipe(v.array(v.unknown()), v.maxLength(2048)),
  whereabouts: v.object({ colo: place, region: place }) satisfies v.GenericSchema<
    unknown,
    Whereabouts
  >,
  /** One of an older version does not say it. */
  tookMs: v.optional(count),
});

type Understood = Omit<Looked, "tookMs"> & { readonly tookMs: number | undefined };

/** What cannot be understood of one node says nothing of the others. */
function readLooked(answer: unknown): Understood | null {
  const parsed = v.safeParse(answered, answer);
  if (!parsed.success) return null;
  const each = parsed.output.seen.map((one) => v.safeParse(seen, one));
  return {
    seen: each.flatMap((one) => (one.success ? [one.output] : [])),
    whereabouts: parsed.output.whereabouts,
    tookMs: parsed.output.tookMs,
  };
}
