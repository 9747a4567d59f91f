/**
 * `probes` looks instead of one, `probe_delay_ms` apart, until it is certain what they come to.
 *
 * Promises: ends by the deadline; each look gets its share of what is left beside the time between them; a node
 * that is settled is not asked again.
 * Must never: judge. What several looks come to is core/probing.ts's.
 */
import type { Found, Repeat } from "../core/looking.ts";
import { standing } from "../core/probing.ts";

/** By this place's monotonic clock. */
export type Timed = Found & { readonly atMs: number };

/** Asks these nodes once. One answer for each of them, by its deadline. */
export type Round = (
  nodes: readonly string[],
  timeoutMs: number,
) => Promise<ReadonlyMap<string, Timed>>;

export async function repeated(
  nodes: readonly string[],
  ask: Round,
  { repeat, deadlineAtMs }: { readonly repeat: Repeat; readonly deadlineAtMs: number },
): Promise<ReadonlyMap<string, Timed>> {
  const looks = new Map<string, Timed[]>(nodes.map((node) => [node, []]));
  const settled = new Map<string, Timed>();
  for (let left = repeat.probes; left > 0; left -= 1) {
    const open = nodes.filter((node) => !settled.has(node));
    if (open.length === 0) break;
    const leftMs = deadlineAtMs - performance.now() - (left - 1) * repeat.delayMs;
    const found = await ask(open, leftMs / left);
    for (const [node, look] of found) {
      const all = looks.get(node) ?? [];
      all.push(look);
      const stands = standing(all, repeat);
      if (stands !== null) settled.set(node, stands);
    }
    if (left > 1 && settled.size < nodes.length)
      await pause(Math.min(repeat.delayMs, deadlineAtMs - performance.now()));
  }
  return settled;
}

const pause = (ms: number): Promise<void> =>
  ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : Promise.resolve();
