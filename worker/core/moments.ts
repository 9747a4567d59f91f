/**
 * Moments in what is saved, when the clock went back: nothing that happened lies in the future.
 *
 * Rules: a moment is what its name says (`atMs`, `sinceMs`, `deadlineMs`, …); if one that has happened lies
 * ahead of now, all of them are moved back by as much, so that what was to last still lasts as long. The clock
 * may have gone back further: then everything waits a little longer, never shorter.
 */
import type { Saved } from "./state.ts";

const HAPPENED =
  /^(at|since|ended|(started|lastAttempt|failovers|revoked|route|accepted|switched|failed)At)Ms$/;
const MOMENT = /^(at|since|ended|until|deadline|[a-zA-Z]+(At|Until))Ms$/;

/** By how much the clock went back at least; 0: nothing says so. */
export function aheadOf(saved: Saved, nowMs: number): number {
  let ahead = 0;
  visit(saved, (key, value) => {
    if (HAPPENED.test(key)) ahead = Math.max(ahead, value - nowMs);
    return value;
  });
  return ahead;
}

export const moveBack = (saved: Saved, byMs: number): Saved =>
  visit(saved, (key, value) => (MOMENT.test(key) ? value - byMs : value));

type Visitor = (key: string, value: number) => number;

/** A copy in which every number went through the visitor with the name that it stands under. */
function visit<T>(value: T, visitor: Visitor, key = ""): T {
  if (typeof value === "number") return visitor(key, value) as T;
  if (Array.isArray(value)) return value.map((each) => visit(each, visitor, key)) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    // What was told stays as it was told.
    Object.entries(value).map(([name, each]) => [
      name,
      name === "event" ? each : visit(each, visitor, name),
    ]),
  ) as T;
}
