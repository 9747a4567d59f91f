/**
 * One seed: builds its world, runs it, and tells what was found.
 *
 * Promises: the same seed, minutes and code give the same result, whatever else runs.
 */
import { buildWorld, type Mode, modeOf } from "./build.ts";
import { createChecks } from "./check/checks.ts";
import type { Violation } from "./check/ledger.ts";
import { live } from "./episodes.ts";
import { randomFrom } from "./random.ts";
import { modeOfScene } from "./scenes/list.ts";

export type Result = {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly story: readonly string[];
  readonly decisions: number;
  readonly events: number;
};

/** One seed in so many is watched closely: what the core is given is frozen, and it is asked twice. */
const CLOSELY = 25;
const isClose = (seed: number) => seed % CLOSELY === 0 || seed % CLOSELY === 13;

/**
 * @param scene is played instead of any other, in groups of its mode that it fits.
 * @param mode of the group; null: as drawn.
 */
export function runSeed(
  seed: number,
  minutes: number,
  withStory = false,
  scene: string | null = null,
  mode: Mode | null = null,
): Result {
  const checks = createChecks(isClose(seed));
  const played = scene === null ? null : modeOfScene(scene);
  const world = buildWorld(seed, checks, withStory, mode ?? played ?? modeOf(seed));
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
