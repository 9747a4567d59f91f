/**
 * One seed: builds its world, runs it, and tells what was found.
 *
 * Promises: the same seed, minutes and code give the same result, whatever else runs.
 */
import { buildWorld } from "./build.ts";
import { createChecks } from "./check/checks.ts";
import type { Violation } from "./check/ledger.ts";
import { live } from "./episodes.ts";
import { randomFrom } from "./random.ts";

export type Result = {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly story: readonly string[];
  readonly decisions: number;
  readonly events: number;
};

/** One seed in so many is watched closely: what the core is given is frozen, and it is asked twice. */
const CLOSELY = 25;

/** @param scene is played whenever it fits, instead of any other. */
export function runSeed(
  seed: number,
  minutes: number,
  withStory = false,
  scene: string | null = null,
): Result {
  const checks = createChecks(seed % CLOSELY === 0);
  const world = buildWorld(seed, checks, withStory);
  try {
    live(world, randomFrom(seed).fork("episodes"), minutes * 60_000, scene);
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    checks.violate("throws", text.split("\n").slice(0, 4).join(" | "));
  }
  return {
    seed,
    violations: checks.ledger.violations,
    story: world.story?.lines ?? [],
    decisions: world.decisions,
    events: world.queue.seq,
  };
}
