/**
 * Replication between Redis processes: links, partial and full synchronisation, streams, heartbeats.
 *
 * Rules: a partial one needs a known replication id and an offset within it, a full one replaces all data; a
 * link stays up for 60 s behind a primary that is stopped or cut off; a primary whose sync delay is held lets
 * nobody copy it; a replica tries again once a second.
 */
import { after } from "../queue.ts";
import { commonLength, newBranch } from "./history.ts";
import { isCutEitherWay } from "./network.ts";
import { type RedisNode, tell, type World, WRITE_BYTES } from "./types.ts";

const RETRY_MS = 1000;
/** repl-timeout. */
const SILENCE_MS = 60_000;
const HEARTBEAT_MS = 10_000;

export const offsetOf = (node: RedisNode): number => node.shift + node.length * WRITE_BYTES;

export const isPrimary = (node: RedisNode): boolean => node.follow === null;

/** Reads its sockets now. */
export const reads = (node: RedisNode): boolean =>
  (node.life === "up" || node.life === "loading") && node.script === null;

/** Breaks the link of a replica; it looks for its primary again. */
export function breakLink(world: World, node: RedisNode, everUp = true): void {
  const { link } = node;
  link.turn += 1;
  link.source?.followers.delete(node);
  link.source = null;
  if (link.state === "loading") empty(node);
  if (link.state === "up" || !everUp) link.downSinceMs = everUp ? world.queue.nowMs : null;
  link.state = "down";
  link.streaming = false;
  if (node.follow !== null && node.life === "up") tryLater(world, node, everUp ? RETRY_MS : 20);
}

/** Whoever copies from this node is dropped, and comes back by itself. */
export function dropFollowers(world: World, node: RedisNode): void {
  for (const follower of [...node.followers]) breakLink(world, follower);
}

function tryLater(world: World, node: RedisNode, ms: number): void {
  if (node.link.trying) return;
  node.link.trying = true;
  after(world.queue, ms, () => {
    node.link.trying = false;
    tryLink(world, node);
  });
}

/** What REPLICAOF and a start do first: looks for the primary at once. */
export const seekPrimary = (world: World, node: RedisNode): void => tryLater(world, node, 20);

function tryLink(world: World, node: RedisNode): void {
  if (node.follow === null || node.link.state !== "down") return;
  if (node.life === "dead" || node.handover !== null) return;
  const source = world.byAddress.get(node.follow);
  const ready =
    source !== undefined &&
    source !== node &&
    reads(node) &&
    source.life === "up" &&
    source.script === null &&
    !source.refusesSync &&
    (isPrimary(source) || source.link.state === "up") &&
    !isCutEitherWay(world, node.spot, source.spot);
  if (!ready) return tryLater(world, node, RETRY_MS);
  if (canContinue(node, source)) return continueFrom(world, node, source);
  startFullSync(world, node, source);
}

/** PSYNC: the stream that the replica knows, from the byte after its last. */
function canContinue(node: RedisNode, source: RedisNode): boolean {
  const offset = offsetOf(node);
  if (node.replId === source.replId) return offset <= offsetOf(source);
  return (
    node.replId === source.replId2 && source.secondOffset !== null && offset < source.secondOffset
  );
}

function continueFrom(world: World, node: RedisNode, source: RedisNode): void {
  if (commonLength(node, source) < node.length)
    world.checks.internal(`${node.name} continues from ${source.name} and holds something else`);
  if (node.replId !== source.replId) {
    node.replId2 = node.replId;
    node.secondOffset = offsetOf(node) + 1;
    node.replId = source.replId;
    dropFollowers(world, node);
  }
  linked(world, node, source);
}

/** The link is up; what is missing comes at once. */
export function linked(world: World, node: RedisNode, source: RedisNode): void {
  const { link } = node;
  link.turn += 1;
  link.state = "up";
  link.source = source;
  link.downSinceMs = null;
  link.lastIoMs = world.queue.nowMs;
  source.followers.add(node);
  stream(world, node);
}

function startFullSync(world: World, node: RedisNode, source: RedisNode): void {
  const { link } = node;
  link.turn += 1;
  link.state = source.syncHeld ? "waiting" : "transfer";
  link.source = source;
  link.lastIoMs = world.queue.nowMs;
  source.followers.add(node);
  dropFollowers(world, node);
  if (link.state === "transfer") transfer(world, node, source);
}

/** The sync delay was given back: whoever waits is served. */
export function releaseSyncs(world: World, source: RedisNode): void {
  for (const node of source.followers)
    if (node.link.state === "waiting") {
      node.link.state = "transfer";
      transfer(world, node, source);
    }
}

function transfer(world: World, node: RedisNode, source: RedisNode): void {
  const { link } = node;
  const { turn } = link;
  const { branch, length, replId, shift } = source;
  const wiped = source.wiped && length < node.length / 2;
  const ms = world.random.int(30, 400) + Math.min(2000, length / 4);
  const goesOn = () =>
    link.turn === turn && node.life === "up" && !isCutEitherWay(world, node.spot, source.spot);
  after(world.queue, ms, () => {
    if (link.turn !== turn) return;
    if (!goesOn()) return breakLink(world, node);
    if (wiped) world.checks.wipedBy(source, node);
    tell(world, () => `${node.name} replaces its data by that of ${source.name}`);
    link.state = "loading";
    empty(node);
    after(world.queue, 20 + ms / 4, () => {
      if (link.turn !== turn) return;
      if (!goesOn()) return breakLink(world, node);
      Object.assign(node, { branch, length, replId, shift, replId2: null, secondOffset: null });
      node.wiped = source.wiped;
      node.tailLost = source.tailLost;
      linked(world, node, source);
    });
  });
}

function empty(node: RedisNode): void {
  node.branch = newBranch(null, 0);
  node.length = 0;
}

/** Something was written, or a way is open again: brings the replica up to its source, after the lag. */
export function stream(world: World, node: RedisNode): void {
  const { link } = node;
  const source = link.source;
  if (source === null || link.state !== "up" || link.streaming || source.life !== "up") return;
  if (isCutEitherWay(world, node.spot, source.spot)) return;
  const { turn } = link;
  const { branch, length } = source;
  link.streaming = true;
  after(world.queue, 1 + node.lagMs, () => {
    if (link.turn !== turn) return;
    link.streaming = false;
    const apply = () => {
      if (link.turn !== turn || link.state !== "up") return;
      link.lastIoMs = world.queue.nowMs;
      if (length <= node.length) return;
      Object.assign(node, { branch, length });
      for (const follower of node.followers) stream(world, follower);
    };
    if (node.life === "dead") return;
    if (reads(node)) apply();
    else node.backlog.push(apply);
    if (source.length > length) stream(world, node);
  });
}

/** Every ten seconds: PING down the links, and the end of those that were silent for a minute. */
export function heartbeats(world: World): void {
  const nowMs = world.queue.nowMs;
  for (const node of world.nodes) {
    const { link } = node;
    const source = link.source;
    if (source === null || node.life === "dead") continue;
    const alive = source.life === "up" && source.script === null;
    if (alive && reads(node) && !isCutEitherWay(world, node.spot, source.spot)) {
      link.lastIoMs = nowMs;
      stream(world, node);
    } else if (nowMs - link.lastIoMs > SILENCE_MS && reads(node)) breakLink(world, node);
  }
  after(world.queue, HEARTBEAT_MS, () => heartbeats(world));
}

/** A way is open again: what stood still goes on. */
export function resumeStreams(world: World): void {
  after(world.queue, world.random.int(10, 800), () => {
    for (const node of world.nodes) stream(world, node);
  });
}

/** Replicas that count for min-replicas-to-write: heard from within max-lag. */
export function goodReplicas(world: World, node: RedisNode): number {
  let good = 0;
  for (const follower of node.followers)
    if (
      follower.link.state === "up" &&
      reads(follower) &&
      !isCutEitherWay(world, follower.spot, node.spot)
    )
      good += 1;
  return good;
}
