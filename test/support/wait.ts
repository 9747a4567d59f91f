/**
 * Waiting for a condition: what tests do instead of sleeping.
 *
 * Promises: resolves with the first truthy value; past the deadline it throws with what was awaited and what
 * was seen last. A condition that throws is not met yet.
 */
import { setTimeout as pause } from "node:timers/promises";

type Falsy = false | null | undefined | 0 | "";

export async function until<T>(
  what: string,
  condition: () => Promise<T | Falsy> | T | Falsy,
  { withinMs = 10_000, everyMs = 15, seen }: UntilOptions = {},
): Promise<T> {
  const deadline = performance.now() + withinMs;
  let last = "";
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
      last = "";
    } catch (error) {
      last = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (performance.now() > deadline) break;
    await pause(everyMs);
  }
  const more = seen === undefined ? "" : `\n${await seen()}`;
  throw new Error(`not within ${withinMs} ms: ${what}${last}${more}`);
}

export type UntilOptions = {
  readonly withinMs?: number;
  readonly everyMs?: number;
  /** What to show when it did not come. */
  readonly seen?: () => Promise<string> | string;
};
