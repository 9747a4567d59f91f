/**
 * The Group's clock: it may run fast or slow, and jump.
 */
import { tell, type World } from "./types.ts";

/** What the Group's clock says now, in whole milliseconds. */
export const groupNow = (world: World): number =>
  Math.round(world.clock.readMs + (world.queue.nowMs - world.clock.atMs) * world.clock.rate);

export function jump(world: World, ms: number): void {
  tell(world, () => `the Group's clock jumps by ${ms} ms`);
  world.aheadMs += Math.max(0, ms);
  world.clock = { ...world.clock, readMs: groupNow(world) + ms, atMs: world.queue.nowMs };
}

export function drift(world: World, rate: number): void {
  world.clock = { readMs: groupNow(world), atMs: world.queue.nowMs, rate };
}
