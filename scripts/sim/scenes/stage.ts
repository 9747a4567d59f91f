/**
 * What scenes of active-active groups begin with, and what several of them wait for: weights that differ, short times,
 * the heaviest in use.
 */

import type { GroupConfig } from "../../../worker/core/types.ts";
import type { Judged } from "../check/attempts.ts";
import { nodeNamed } from "../check/healed.ts";
import { deploy } from "../faults/deploys.ts";
import type { Random } from "../random.ts";
import { goOn, goOnUntil } from "../time.ts";
import { currentInstance, die, newInstance, wake } from "../world/group.ts";
import type { RedisNode, World } from "../world/types.ts";
import { around, failoverWithinMs, nameOf, type Scene } from "./scene.ts";

/** Two looks of everyone. */
export const looksMs = ({ checkIntervalMs, probeTimeoutMs, upAfter }: GroupConfig): number =>
  (upAfter + 3) * (checkIntervalMs + probeTimeoutMs) + 1000;

/** By when one that cannot be used is left. */
export const leftWithinMs = (config: GroupConfig): number =>
  failoverWithinMs(config) + looksMs(config);

export type Stage = {
  /** Heaviest first; each is configured. */
  readonly ids: readonly string[];
  readonly node: (id: string) => RedisNode;
};

/** @param times how long failback takes, and whatever else the scene needs. */
export function stage(world: World, random: Random, times: Partial<GroupConfig> = {}): Stage {
  const all = [...world.firstConfig.nodes].sort(() => random.next() - 0.5);
  const nodes = all.map((node, at) => ({ ...node, weight: 100 - 10 * at }));
  const { vantages } = world.firstConfig;
  const quorum = Math.floor(vantages.length / 2) + 1;
  const short = { failbackIntervalMs: 4000, failbackGraceMs: 4000, quorum };
  deploy(world, random, "weights", { ...world.firstConfig, ...short, ...times, nodes });
  const ids = nodes.map(({ id }) => id);
  const { failbackIntervalMs, failbackGraceMs } = world.config;
  const first = ids[0] ?? "";
  const ms = failbackIntervalMs + failbackGraceMs + leftWithinMs(world.config) + 20_000;
  mustBeUsed(world, first, ms);
  const node = (id: string): RedisNode => {
    const found = nodeNamed(world, id);
    if (found === null) throw new Error(`${id} is nowhere`);
    return found;
  };
  return { ids, node };
}

export function mustBeUsed(world: World, id: string, ms: number): void {
  if (!goOnUntil(world, ms, () => nameOf(world) === id))
    world.checks.violate("not-used", `${id} is not used within ${Math.round(ms)} ms`);
}

export function mustBeLeft(world: World, id: string): void {
  const ms = leftWithinMs(world.config);
  if (!goOnUntil(world, ms, () => nameOf(world) !== id))
    world.checks.violate("stays", `${id} is lost for ${Math.round(ms)} ms and still used`);
}

/** Nobody else is used while this holds. */
export function noSwitch(world: World, why: string): () => void {
  const used = nameOf(world);
  world.checks.expect(({ decision }: Judged) => {
    const { primary } = decision.state.saved;
    if (primary !== used) world.checks.violate("needless", `${primary} is used: ${why}`);
  });
  return () => world.checks.expect(null);
}

export function evict(world: World): void {
  const group = currentInstance(world);
  if (group !== null) die(world, group, "evicted");
  wake(world, newInstance(world));
}

/** Cut off from everybody who looks. */
export const outOfSight = (world: World, node: RedisNode): (() => void) =>
  around(world, node, (name) => name.startsWith("client"));

/** Rows that are written in so long. */
export function rowsIn(world: World, ms: number): number {
  const { version } = world.storage;
  const { tellings } = world;
  goOn(world, ms);
  return world.storage.version - version - 2 * (world.tellings - tellings);
}

export const scene = (
  name: string,
  play: (world: World, random: Random) => void,
  fits?: Scene["fits"],
) => ({
  name,
  mode: "active-active" as const,
  play,
  ...(fits === undefined ? {} : { fits }),
});

/** The heaviest, and the one after it. */
export const two = ({ ids }: Stage): readonly [string, string] => [ids[0] ?? "", ids[1] ?? ""];

export const isSlow = ({ downAfterMs, checkIntervalMs, probeTimeoutMs }: World["config"]) =>
  downAfterMs >= checkIntervalMs + 2 * probeTimeoutMs + 600;
