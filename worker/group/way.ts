/**
 * How long the way to a region and back is, and how long its answer is waited for.
 *
 * Rules: a region has the whole time of a look, as every place has: with less, a node that is far and well would be silent
 * for it. The way comes on top, where anything hangs. The longest of the last ways counts, and fades; nothing known counts
 * as far; after a call that was lost the way counts as twice as long, so that a wrong belief heals by itself within a look
 * or two.
 * Promises: pure; nobody is waited for longer than `MOST_MS` beyond the time of a look.
 */

/** Most places are nearer, there and back. */
const UNKNOWN_MS = 300;
/** To the other end of the world and back are some 300 ms. */
const MOST_MS = 500;
/** The next way may be longer than the last ones. */
const SAFETY = 1.25;
/** For timers that are late, and the work of either side. */
const MARGIN_MS = 50;
/** So much of what was known is left with each answer. */
const FADING = 0.9;

/** How long a region's answer is waited for. @param wayMs there and back; undefined: not known. */
export const waitFor = (wayMs: number | undefined, timeoutMs: number): number =>
  timeoutMs + Math.min(MOST_MS, Math.ceil(SAFETY * (wayMs ?? UNKNOWN_MS) + MARGIN_MS));

/** @param seenMs the way of this answer. */
export const wayAfterAnswer = (before: number | undefined, seenMs: number): number =>
  Math.min(MOST_MS, Math.max(0, seenMs, (before ?? 0) * FADING));

export const wayAfterLoss = (before: number | undefined): number =>
  Math.min(MOST_MS, Math.max(UNKNOWN_MS, 2 * (before ?? UNKNOWN_MS)));
