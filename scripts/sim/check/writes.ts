/**
 * Rules about writes and data: what is promised of a lease, of a planned switch, of a node that was emptied, and of
 * the numbers that a failover states.
 */
import type { GroupEvent } from "../../../worker/core/events.ts";
import { commonLength } from "../world/history.ts";
import { isSealed } from "../world/redis.ts";
import { isPrimary } from "../world/replication.ts";
import { type RedisNode, type World, WRITE_BYTES } from "../world/types.ts";
import { type Ledger, violate } from "./ledger.ts";

/** A relay opened a node as the primary that an epoch names. */
export function checkOpened(ledger: Ledger, node: RedisNode, epoch: number): void {
  ledger.opened.set(node.name, { epoch, atMs: ledger.nowMs });
  const better = [...ledger.lastFacts]
    .filter(([, { facts, virtualMs }]) => virtualMs >= node.startedMs && facts.keys > node.length)
    .map(([id]) => id);
  ledger.knewBetter.set(node.name, new Set(better));
}

/** Redis said yes to a write. */
export function checkAcknowledged(ledger: Ledger, world: World, node: RedisNode, id: number): void {
  const by = ledger.acknowledged.get(id);
  if (by === undefined) ledger.acknowledged.set(id, [node.name]);
  else {
    by.push(node.name);
    ledger.doubly += 1;
  }
  if (world.config.fencing !== "lease" || world.voided.has("lease")) return;
  for (const [other, { epoch, atMs }] of ledger.opened)
    if (other !== node.name && epoch > node.namedEpoch && atMs < ledger.nowMs)
      violate(
        ledger,
        "two-primaries",
        `${node.name} acknowledges a write ${ledger.nowMs - atMs} ms after ${other} was opened at epoch ${epoch}`,
      );
}

/** A full synchronisation from a node that was emptied is about to replace what another one holds. */
export function checkWipe(ledger: Ledger, world: World, source: RedisNode, node: RedisNode): void {
  if (world.config.fencing === "none" || world.voided.has("wipe")) return;
  const id = world.config.nodes.find(({ host }) => host === node.host)?.id ?? "";
  if (!ledger.knewBetter.get(source.name)?.has(id) || ledger.baseline === null) return;
  violate(
    ledger,
    "wiped",
    `${source.name} came back empty, and now replaces what ${node.name} holds`,
  );
}

/** A planned switch is told as done: the new primary has every write of the old one. */
function checkSwitchover(ledger: Ledger, world: World, event: GroupEvent): void {
  const { from, to } = nodesOf(world, event);
  if (from === null || to === null || from.life === "dead" || world.voided.has("switchover"))
    return;
  const common = commonLength(from, to);
  if (from.link.state === "up" || from.length <= common || from.wiped) return;
  const lost = from.length - common;
  violate(
    ledger,
    "switchover-lost",
    `${from.name} handed over to ${to.name}, which lacks ${lost} of its writes`,
  );
}

function nodesOf(world: World, { data }: GroupEvent) {
  const find = (id: unknown) => {
    const node = world.config.nodes.find((each) => each.id === id);
    return node === undefined ? null : (world.byAddress.get(`${node.host}:${node.port}`) ?? null);
  };
  return { from: find(data.from), to: find(data.to) };
}

/** What events state about lost writes, against what was truly lost. */
export function checkNumbers(ledger: Ledger, world: World, event: GroupEvent): void {
  if (event.name === "+switch-master") {
    if (event.data.cause === "switchover") checkSwitchover(ledger, world, event);
    const { from, to } = nodesOf(world, event);
    const stated = event.data.lostBytesAtLeast;
    if (from === null || to === null || typeof stated !== "number" || stated === 0) return;
    if (!isPrimary(from) || from.wiped || to.wiped || from.tailLost) return;
    const truly = (from.length - commonLength(from, to)) * WRITE_BYTES;
    if (stated > truly)
      violate(
        ledger,
        "lost-bytes",
        `at least ${stated} bytes lost is stated, truly it is ${truly}`,
      );
  }
  if (event.name === "+lost-writes") {
    const stated = event.data.lostBytes;
    const old = world.nodes.find((node) => node.name === nameOf(world, event.node));
    const now = world.nodes.find(
      (node) => node.name === nameOf(world, world.storage.saved?.primary ?? null),
    );
    if (typeof stated !== "number" || old === undefined || now === undefined) return;
    if (!isPrimary(old) || old.length === 0) return;
    const truly = (old.length - commonLength(old, now)) * WRITE_BYTES;
    // One that takes writes still may have more by now than when it was seen.
    if (isSealed(old) ? stated !== truly : stated > truly)
      violate(
        ledger,
        "lost-bytes",
        `${old.name} is told to hold ${stated} bytes of its own, truly it is ${truly}`,
      );
  }
}

function nameOf(world: World, id: string | null): string | null {
  const node = world.config.nodes.find((each) => each.id === id);
  return node === undefined
    ? null
    : (world.byAddress.get(`${node.host}:${node.port}`)?.name ?? null);
}
