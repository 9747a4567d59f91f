/**
 * The network: what is sent arrives after a while, or late, twice, or never, each way for itself.
 *
 * Rules: a cut is silent (nothing is refused, nothing comes back); what was on its way still arrives; a machine
 * that is down answers nobody; two processes on one machine always reach each other.
 */
import { after } from "../queue.ts";
import type { PathFault, Spot, World } from "./types.ts";

const keyOf = (from: Spot, to: Spot) => from.index * 64 + to.index;

export function faultOn(world: World, from: Spot, to: Spot): PathFault {
  const key = keyOf(from, to);
  let fault = world.paths.get(key);
  if (fault === undefined) {
    fault = { cuts: 0, delayMs: 0, drop: 0, double: 0 };
    world.paths.set(key, fault);
  }
  return fault;
}

/** Takes away what is wrong no longer, so that a sound network costs nothing. */
export function forgetSound(world: World): void {
  for (const [key, { cuts, delayMs, drop, double }] of world.paths)
    if (cuts === 0 && delayMs === 0 && drop === 0 && double === 0) world.paths.delete(key);
}

export function isCut(world: World, from: Spot, to: Spot): boolean {
  if (from === to) return from.down;
  if (from.down || to.down) return true;
  if (world.paths.size === 0) return false;
  return (world.paths.get(keyOf(from, to))?.cuts ?? 0) > 0;
}

export const isCutEitherWay = (world: World, a: Spot, b: Spot): boolean =>
  isCut(world, a, b) || isCut(world, b, a);

/** How long something takes from one spot to another; null: it never arrives. */
export function travel(world: World, from: Spot, to: Spot): number | null {
  if (from === to) return from.down ? null : 0;
  if (isCut(world, from, to)) return null;
  const far = from.name.startsWith("m") && to.name.startsWith("m") ? 1 : 4;
  const base = far + world.random.int(0, far * 2);
  if (world.paths.size === 0) return base;
  const fault = world.paths.get(keyOf(from, to));
  if (fault === undefined) return base;
  if (fault.drop > 0 && world.random.chance(fault.drop)) return null;
  return base + (fault.delayMs === 0 ? 0 : world.random.int(0, fault.delayMs));
}

/** Sends a message. `arrive` runs once, twice or never. */
export function send(world: World, from: Spot, to: Spot, arrive: () => void): void {
  const ms = travel(world, from, to);
  if (ms === null) return;
  after(world.queue, ms, () => {
    if (!to.down) arrive();
  });
  const double = world.paths.size === 0 ? 0 : (world.paths.get(keyOf(from, to))?.double ?? 0);
  if (double > 0 && world.random.chance(double))
    after(world.queue, ms + world.random.int(1, 1500), () => {
      if (!to.down) arrive();
    });
}
