/**
 * How long the way to a region and back is, and what it leaves of the time of a look.
 *
 * Rules: the longest of the last ways counts, and fades; nothing known counts as far; after a call that was lost the
 * way counts as twice as long, so that a wrong belief heals by itself within a look or two.
 * Promises: pure; a region has at least half of the time: a shorter look would say too little of a node.
 */

/** Most places are nearer, there and back. */
const UNKNOWN_MS = 300;
/** The next way may be longer than the last ones. */
const SAFETY = 1.25;
/** Of the time of a look: for timers that are late, and the work of either side. */
const MARGIN = 0.05;
/** So much of what was known is left with each answer. */
const FADING = 0.9;

/** What a region has for its look. @param wayMs there and back; undefined: not known. */
export const timeThere = (wayMs: number | undefined, timeoutMs: number): number =>
  Math.floor(Math.max(timeoutMs / 2, timeoutMs * (1 - MARGIN) - SAFETY * (wayMs ?? UNKNOWN_MS)));

/** @param seenMs the way of this answer. */
export const wayAfterAnswer = (
  before: number | undefined,
  seenMs: number,
  timeoutMs: number,
): number => Math.min(timeoutMs / 2, Math.max(0, seenMs, (before ?? 0) * FADING));

export const wayAfterLoss = (before: number | undefined, timeoutMs: number): number =>
  Math.min(timeoutMs / 2, Math.max(UNKNOWN_MS, 2 * (before ?? UNKNOWN_MS)));
