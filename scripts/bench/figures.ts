/**
 * What a case measures, and what all cases share.
 *
 * Promises: a figure that a goal is about has one name, here.
 */
import type { RedisProcess } from "../redis-server.ts";
import type { Side } from "./side.ts";

export type Figures = Readonly<Record<string, number>>;

export type Result = {
  readonly figures: Figures;
  /** What the system told of it, where that matters. */
  readonly said: readonly string[];
};

/** Names of figures that the goals are about. */
export const GAP = "without acknowledged writes, ms";
export const LOST = "acknowledged and lost";
export const BEFORE = "acknowledged before";
export const BOTH = "acknowledged by both sides";
export const TOOK = "the old primary took writes for, ms";
export const OLD = "acknowledged by the old primary when it was back";

/** Writes that stand before anything happens, and that show that they go on. */
export const warmUp = 200;

export const server = (side: Side, id: string): RedisProcess => {
  const found = side.redis[id];
  if (found === undefined) throw new Error(`there is no redis ${id}`);
  return found;
};

export const few = (lines: readonly string[], names: RegExp): readonly string[] =>
  [...new Set(lines.filter((line) => names.test(line)))].slice(0, 12);
