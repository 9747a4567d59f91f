/**
 * FAILOVER TO: the primary stops writes, waits for its replica, and asks it to take over.
 *
 * Rules: TIMEOUT bounds the first phase only; in the second it calls itself a replica and asks for ever, until
 * it is aborted; a target that was promoted already refuses, and then the primary is one again.
 */
import { after } from "../queue.ts";
import { isCut, isCutEitherWay } from "./network.ts";
import { promote } from "./redis.ts";
import { breakLink, dropFollowers, isPrimary, linked, offsetOf, reads } from "./replication.ts";
import { type RedisNode, tell, type World } from "./types.ts";

const POLL_MS = 50;
const RETRY_MS = 1000;

/** Null: it began; else what Redis answers. */
export function startHandover(
  world: World,
  node: RedisNode,
  target: string,
  timeoutMs: number,
  epoch: number,
): string | null {
  const to = world.byAddress.get(target);
  if (!isPrimary(node)) return "ERR FAILOVER is not valid when server is a replica.";
  if (node.handover !== null) return "ERR FAILOVER already in progress.";
  if (to === undefined || !node.followers.has(to) || to.link.state !== "up")
    return "ERR FAILOVER target HOST and PORT is not a replica.";
  const endMs = world.queue.nowMs + timeoutMs;
  node.turn += 1;
  node.handover = { target, phase: "sync", endMs, epoch, turn: node.turn };
  tell(world, () => `${node.name} holds writes and hands over to ${to.name}`);
  after(world.queue, 1, () => waitForReplica(world, node, node.turn));
  return null;
}

function waitForReplica(world: World, node: RedisNode, turn: number): void {
  const { handover } = node;
  if (handover === null || handover.turn !== turn || handover.phase !== "sync") return;
  if (!reads(node)) return after(world.queue, POLL_MS, () => waitForReplica(world, node, turn));
  const to = world.byAddress.get(handover.target);
  const equal =
    to !== undefined &&
    node.followers.has(to) &&
    to.link.state === "up" &&
    reads(to) &&
    !isCutEitherWay(world, node.spot, to.spot) &&
    to.length === node.length &&
    to.branch === node.branch;
  if (equal) {
    handover.phase = "handover";
    node.follow = handover.target;
    return askTarget(world, node, turn);
  }
  if (world.queue.nowMs >= handover.endMs) return endHandover(world, node);
  after(world.queue, POLL_MS, () => waitForReplica(world, node, turn));
}

/** PSYNC FAILOVER. */
function askTarget(world: World, node: RedisNode, turn: number): void {
  const { handover } = node;
  if (handover === null || handover.turn !== turn) return;
  const again = (ms: number) => after(world.queue, ms, () => askTarget(world, node, turn));
  const to = world.byAddress.get(handover.target);
  if (!reads(node) || to === undefined) return again(RETRY_MS);
  if (isCut(world, node.spot, to.spot) || to.life !== "up" || !reads(to) || to.deaf)
    return again(RETRY_MS);
  // It refuses: promoted already, because its answer was lost, or begun anew with other data.
  if (isPrimary(to) || to.replId !== node.replId || offsetOf(to) !== offsetOf(node))
    return abortHandover(world, node);
  tell(world, () => `${to.name} takes over from ${node.name}`);
  promote(world, to);
  to.namedEpoch = Math.max(to.namedEpoch, handover.epoch);
  world.checks.opened(to, handover.epoch);
  if (isCut(world, to.spot, node.spot)) return again(RETRY_MS);
  node.replId2 = node.replId;
  node.secondOffset = offsetOf(node) + 1;
  node.replId = to.replId;
  dropFollowers(world, node);
  node.handover = null;
  linked(world, node, to);
  goOn(node);
}

/** FAILOVER ABORT: a primary again, with writes. Nothing where nothing is under way. */
export function abortHandover(world: World, node: RedisNode): void {
  if (node.handover === null) return;
  if (node.handover.phase === "handover") {
    node.handover = null;
    promote(world, node);
  }
  endHandover(world, node);
}

function endHandover(world: World, node: RedisNode): void {
  tell(world, () => `${node.name} takes writes again`);
  node.handover = null;
  if (node.follow !== null) breakLink(world, node);
  goOn(node);
}

function goOn(node: RedisNode): void {
  for (const run of node.postponed.splice(0)) run();
}
