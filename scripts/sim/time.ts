/**
 * Letting the time of a world pass.
 *
 * Promises: stops at the first breach, for what comes after it says nothing.
 */
import { runUntil } from "./queue.ts";
import type { World } from "./world/types.ts";

export const POLL_MS = 500;

export const clean = (world: World): boolean => world.checks.ledger.violations.length === 0;

/** Lets time pass, and stops at the first breach. */
export function goOn(world: World, ms: number): void {
  const endMs = world.queue.nowMs + ms;
  while (world.queue.nowMs < endMs && clean(world))
    runUntil(world.queue, Math.min(endMs, world.queue.nowMs + POLL_MS));
}

/** The same, and stops when it holds; false when it did not. */
export function goOnUntil(world: World, ms: number, holds: () => boolean): boolean {
  const endMs = world.queue.nowMs + ms;
  while (!holds()) {
    // A breach ends the seed anyway: nothing more is said about it.
    if (!clean(world)) return true;
    if (world.queue.nowMs >= endMs) return false;
    runUntil(world.queue, Math.min(endMs, world.queue.nowMs + 50));
  }
  return true;
}
