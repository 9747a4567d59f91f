/**
 * What a group has to be once nothing is wrong any more, and for how long it may take to become so.
 */
import type { GroupConfig } from "../../../worker/core/types.ts";
import { groupNow } from "../world/clock.ts";
import { currentInstance } from "../world/group.ts";
import { commonLength, writesOf } from "../world/history.ts";
import { isSealed } from "../world/redis.ts";
import { epochOf } from "../world/relay.ts";
import { isPrimary } from "../world/replication.ts";
import type { RedisNode, World } from "../world/types.ts";
import { missingActive } from "./settled.ts";
import { missingAtTold } from "./told.ts";

/** What is still missing; null: the group is whole. */
export function missing(world: World): string | null {
  if (world.firstConfig.mode === "active-active") return missingActive(world);
  const { saved } = world.storage;
  if (saved === null || saved.primary === null) return "nobody is primary";
  if (saved.phase.kind !== "watching") return `the phase is ${saved.phase.kind}`;
  if (saved.paused !== null) return "it is paused";
  if (saved.drill !== null) return "a drill is ordered";
  if (saved.toSettle.length > 0) return `files of ${saved.toSettle.join(", ")} are to be settled`;
  if (Object.keys(saved.downtimes).length > 0) return "a node is in downtime";
  const node = nodeNamed(world, saved.primary);
  if (node === null) return `${saved.primary} is in force and not configured`;
  if (node.life !== "up" || !isPrimary(node)) return `${node.name} is in force and no primary`;
  if (isSealed(node)) return `${node.name} is in force and sealed`;
  for (const { id } of world.config.nodes) {
    const other = nodeNamed(world, id);
    if (other === null || other === node) continue;
    if (other.life !== "up") return `${id} is ${other.life}`;
    if (isPrimary(other)) return `${id} is a primary too`;
    if (other.follow !== node.address) return `${id} follows ${other.follow}`;
    if (other.link.state !== "up") return `${id} has no link: ${other.link.state}`;
    if (isSealed(other) && world.config.fencing === "none") return `${id} is sealed`;
    if (!saved.readable.includes(id)) return `${id} takes no reads`;
  }
  if (saved.routeState !== "up") return `the route is ${saved.routeState}`;
  const untold = missingAtTold(world, saved);
  if (untold !== null) return untold;
  for (const { id } of world.config.relays) {
    const relay = world.relays.get(id);
    if (relay !== undefined && epochOf(world, relay) === null)
      return `relay ${id} was told no epoch`;
  }
  const group = currentInstance(world);
  if (group === null) return "no Group runs";
  if ((group.state.sight.tiltUntilMs ?? 0) > groupNow(world)) return "the clock is not trusted";
  return null;
}

export function nodeNamed(world: World, id: string): RedisNode | null {
  const node = world.config.nodes.find((each) => each.id === id);
  return node === undefined ? null : (world.byAddress.get(`${node.host}:${node.port}`) ?? null);
}

/** Every replica holds what the primary holds, but for what is on its way. */
export function diverged(world: World): string | null {
  // How nodes that all take writes come to hold the same is not the group's affair.
  if (world.firstConfig.mode === "active-active") return null;
  const primary = nodeNamed(world, world.storage.saved?.primary ?? "");
  if (primary === null) return "there is no primary";
  for (const { id } of world.config.nodes) {
    const node = nodeNamed(world, id);
    if (node === null || node === primary) continue;
    if (commonLength(node, primary) < node.length) return `${id} holds what the primary does not`;
    if (node.length < primary.length - 3)
      return `${id} is ${primary.length - node.length} writes behind`;
  }
  return null;
}

/** Writes from `first` on that somebody acknowledged, and that the primary in force does not hold. */
export function lostWrites(world: World, first: number): number {
  const primary = nodeNamed(world, world.storage.saved?.primary ?? "");
  if (primary === null) return 0;
  const held = writesOf(primary);
  let lost = 0;
  for (const id of world.checks.ledger.acknowledged.keys())
    if (id >= first && !held.has(id)) lost += 1;
  return lost;
}

/** How long healing may take: everything that may legitimately be waited for, one after another, and a spare. */
export function healWithinMs(config: GroupConfig): number {
  const { nodes, checkIntervalMs } = config;
  const cronMs = 60_000;
  const tiltMs = 30_000;
  const attemptMs =
    config.fenceWaitMs +
    config.promoteTimeoutMs +
    config.commandTtlMs +
    2 * config.commandTimeoutMs +
    2 * config.probeTimeoutMs +
    (config.fencing === "lease" ? 1.02 * config.leaseMs + 1000 : 0);
  const waitsMs =
    config.failoverRetryMs +
    config.primaryStartTimeoutMs +
    config.adoptAfterMs +
    config.graceMs +
    config.downAfterMs +
    config.loadingLimitMs +
    config.failoverTimeoutMs / 2 +
    2 * config.switchoverTimeoutMs;
  const syncMs = 12_000 * nodes.length;
  // A repair that failed is repeated after up to half a minute.
  const repairMs = 35_000;
  return cronMs + tiltMs + 3 * attemptMs + 2 * waitsMs + syncMs + repairMs + 10 * checkIntervalMs;
}
