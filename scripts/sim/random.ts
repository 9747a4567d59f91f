/**
 * Chance from a seed: the same seed gives the same numbers on every machine.
 *
 * Must never: be shared between things that should not disturb each other; `fork` gives each its own.
 */
export type Random = {
  /** From 0 up to 1, never 1. */
  readonly next: () => number;
  readonly chance: (part: number) => boolean;
  /** Whole number, both ends included. */
  readonly int: (from: number, to: number) => number;
  readonly pick: <T>(some: readonly T[]) => T;
  /** Another source, which depends on this seed and the name alone. */
  readonly fork: (name: string) => Random;
};

export function randomFrom(seed: number): Random {
  const next = mulberry32(seed);
  return {
    next,
    chance: (part) => next() < part,
    int: (from, to) => from + Math.floor(next() * (to - from + 1)),
    pick: (some) => {
      const at = Math.floor(next() * some.length);
      if (some.length === 0) throw new Error("nothing to pick from");
      return some[at] as (typeof some)[number];
    },
    fork: (name) => randomFrom(mix(seed, name)),
  };
}

/** Small, and good enough to draw faults. */
function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** FNV-1a over the name, begun with the seed. */
function mix(seed: number, name: string): number {
  let hash = (seed ^ 0x811c9dc5) | 0;
  for (let at = 0; at < name.length; at += 1)
    hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) | 0;
}
