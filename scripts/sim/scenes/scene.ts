/**
 * What a scene is, and what several of them need: a group that was whole, one thing that happens, and what has to
 * follow in a time that follows from the configuration.
 *
 * Must never: leave a watcher behind. `noAttempt` gives back what ends it, and the episode ends every other.
 */
import type { GroupConfig } from "../../../worker/core/types.ts";
import type { Judged } from "../check/attempts.ts";
import { nodeNamed } from "../check/healed.ts";
import { upon } from "../faults/network.ts";
import { wish } from "../faults/people.ts";
import type { Random } from "../random.ts";
import { goOn, goOnUntil } from "../time.ts";
import { isSealed } from "../world/redis.ts";
import { isPrimary } from "../world/replication.ts";
import type { PathFault, RedisNode, World } from "../world/types.ts";

export type Scene = {
  readonly name: string;
  /** Left out: replication. */
  readonly mode?: "active-active";
  readonly fits?: (config: GroupConfig, world: World) => boolean;
  readonly play: (world: World, random: Random, primary: RedisNode) => void;
};

export const nameOf = (world: World): string | null => world.storage.saved?.primary ?? null;

/** No attempt may begin while this runs. */
export function noAttempt(world: World, why: string): () => void {
  const epochs = world.storage.saved?.highestEpoch ?? 0;
  world.checks.expect(({ decision }: Judged) => {
    const { phase } = decision.state.saved;
    if (phase.kind !== "watching" && phase.attempt.epoch > epochs)
      world.checks.violate(
        "needless",
        `attempt ${phase.attempt.epoch} (${phase.attempt.cause}): ${why}`,
      );
  });
  return () => world.checks.expect(null);
}

/** How long a failover may take from the fault to a primary that takes writes. */
export function failoverWithinMs(config: GroupConfig): number {
  const { probeTimeoutMs, retryMs, maxFailures, checkIntervalMs, commandTimeoutMs } = config;
  const seenMs = 1500 + 3 * checkIntervalMs + config.downAfterMs;
  const looksMs = (maxFailures + 4) * (probeTimeoutMs + retryMs);
  const fencedMs = config.fenceWaitMs + 2 * commandTimeoutMs + 500;
  const leaseMs = config.fencing === "lease" ? 1.02 * config.leaseMs + 1000 : 0;
  return seenMs + looksMs + fencedMs + leaseMs + 3 * (probeTimeoutMs + commandTimeoutMs) + 2000;
}

export const isTaken = (world: World, from: RedisNode): boolean => {
  const id = nameOf(world);
  const node = id === null ? null : nodeNamed(world, id);
  return node !== null && node !== from && isPrimary(node) && !isSealed(node) && node.life === "up";
};

export function mustBeReplaced(world: World, from: RedisNode): void {
  const ms = failoverWithinMs(world.config);
  if (!goOnUntil(world, ms, () => isTaken(world, from)))
    world.checks.violate(
      "no-failover",
      `${from.name} is lost for ${Math.round(ms)} ms and nobody took over`,
    );
}

/** Nothing of an earlier failover holds the next one. */
export const acknowledged = (world: World): void => {
  wish(world, { kind: "acknowledge" });
  goOn(world, world.config.graceMs + 500);
};

export const cutOnce = (path: PathFault): void => {
  path.cuts += 1;
};
export const mendOnce = (path: PathFault): void => {
  path.cuts -= 1;
};

/** Cuts a machine off from everybody, but for those. */
export const around = (
  world: World,
  node: RedisNode,
  but: (name: string) => boolean = () => false,
) =>
  upon(
    world,
    world.spots
      .filter((spot) => spot !== node.spot && !but(spot.name))
      .flatMap((spot) => [[spot, node.spot] as const, [node.spot, spot] as const]),
    cutOnce,
    mendOnce,
  );

export const idIn = (world: World, node: RedisNode): string =>
  world.config.nodes.find(({ host }) => host === node.host)?.id ?? node.name;
