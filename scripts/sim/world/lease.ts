/**
 * The relay's side of a lease, as design.md section 4 says it: renew, seal in time, guard, promise.
 *
 * Rules: a lease runs from the moment that the relay sent its request; sealing starts early enough; when the Group
 * is away, it goes on only while the relay of every other node promises to refuse promotions; when the relay
 * dies, its guard seals; a Redis that does not confirm a seal is killed.
 */
import {
  grantLease,
  mayPromise,
  promiseBindsMs,
  promiseEndsMs,
  promisersFor,
} from "../../../worker/core/lease.ts";
import { after } from "../queue.ts";
import { groupNow } from "./clock.ts";
import { currentInstance, wake } from "./group.ts";
import { isCut, send } from "./network.ts";
import { command, crash, isSealed, isSilent, runIdOf, setMinReplicas } from "./redis.ts";
import { clockOf, epochOf, process } from "./relay.ts";
import { isPrimary } from "./replication.ts";
import { type Relay, SEALED, tell, type World } from "./types.ts";

/** How long Redis may take to confirm a seal; sealing starts so much before the end, and a little more. */
const SEAL_MS = 200;
const EARLY_MS = SEAL_MS + 100;
/** How long the first answer of the Group may take. */
const FIRST_MS = 300;

const leaseMs = (world: World) => world.config.leaseMs;
const idOf = (world: World, relay: Relay): string | null =>
  world.config.nodes.find((node) => `${node.host}:${node.port}` === relay.local.address)?.id ??
  null;

export function startLeases(world: World): void {
  if (world.config.fencing !== "lease") return;
  for (const relay of world.relays.values()) keepLease(world, relay);
}

/** Every third of a lease: renews, and looks whether it is still covered. Runs as long as the world. */
function keepLease(world: World, relay: Relay): void {
  const { lease } = relay;
  const everyMs = isSealed(relay.local) ? 1000 : leaseMs(world) / 3;
  after(world.queue, everyMs, () => keepLease(world, relay));
  if (relay.life === "dead" && relay.guard) return void guardSeals(world, relay);
  if (!isPrimary(relay.local)) lease.untilMs = null;
  if (relay.life !== "up" || !isPrimary(relay.local) || relay.local.life === "dead") return;
  askGroup(world, relay);
  const nowMs = clockOf(world, relay);
  // One that was made primary by a hand-over has no lease yet: it has just asked for its first.
  lease.untilMs ??= nowMs + FIRST_MS + EARLY_MS;
  const leftMs = lease.untilMs - EARLY_MS - nowMs;
  lease.turn += 1;
  const { turn } = lease;
  if (isSealed(relay.local)) return;
  const away = nowMs - lease.heardMs > leaseMs(world) / 3 + 200;
  if (away && leftMs < leaseMs(world) / 2) askOthers(world, relay);
  if (leftMs < everyMs)
    after(world.queue, Math.max(0, leftMs / relay.rate), () => {
      if (lease.turn === turn) process(relay, () => endIfOver(world, relay));
    });
}

function endIfOver(world: World, relay: Relay): void {
  const { lease, local } = relay;
  if (!isPrimary(local) || isSealed(local) || !lease.enforced) return;
  if (clockOf(world, relay) < (lease.untilMs ?? 0) - EARLY_MS) return;
  tell(world, () => `relay ${relay.id} seals ${local.name}: its lease ends`);
  sealOrKill(world, relay);
}

/** A seal that Redis does not confirm in time ends with the process. */
function sealOrKill(world: World, relay: Relay): void {
  const { local } = relay;
  if (local.life === "dead") return;
  if (isSilent(world, local) || local.script !== null) {
    const { turn } = local;
    after(world.queue, SEAL_MS, () => {
      if (local.turn === turn && !isSealed(local)) crash(world, local);
    });
  }
  command(world, local, () => setMinReplicas(local, SEALED));
}

function askGroup(world: World, relay: Relay): void {
  const sentMs = clockOf(world, relay);
  const { boots } = relay;
  const runId = runIdOf(relay.local);
  send(world, relay.spot, world.edge, () => {
    const group = currentInstance(world);
    const node = idOf(world, relay);
    if (group === null || node === null || group.version !== world.storage.version) return;
    const { saved } = group.state;
    // Whoever holds a seal asks who is primary: a Group that sleeps has to look.
    if (isSealed(relay.local) && saved.primary === node) wake(world, group);
    const asked = { relay: relay.id, node, runId };
    const { granted, enforced } = grantLease(saved, world.config, asked, groupNow(world));
    if (granted) world.checks.granted(relay, node, saved);
    send(world, world.edge, relay.spot, () =>
      process(relay, () => {
        if (relay.boots !== boots) return;
        relay.lease.heardMs = clockOf(world, relay);
        relay.lease.enforced = enforced;
        if (granted) extend(relay, sentMs + leaseMs(world));
      }),
    );
  });
}

function extend(relay: Relay, untilMs: number): void {
  relay.lease.untilMs = Math.max(relay.lease.untilMs ?? 0, untilMs);
}

/** The first lease comes with the verb that opens the node, counted from its stamp. */
export function leaseFromVerb(world: World, relay: Relay, stampMs: number): void {
  if (world.config.fencing === "lease") extend(relay, stampMs + leaseMs(world));
}

/** The Group is away: everyone who could be promoted has to promise. */
function askOthers(world: World, relay: Relay): void {
  const ids = promisersFor(world.config, idOf(world, relay) ?? "");
  const others = (ids ?? []).flatMap((id) => world.relays.get(id) ?? []);
  if (ids === null || others.length === 0) return;
  const sentMs = clockOf(world, relay);
  const { boots } = relay;
  const asked = epochOf(world, relay) ?? 0;
  let promised = 0;
  for (const other of others)
    send(world, relay.spot, other.spot, () =>
      process(other, () => {
        if (!mayPromise(epochOf(world, other), asked)) return;
        const untilMs = promiseBindsMs(world.queue.nowMs, world.config);
        other.promisedUntilMs = Math.max(other.promisedUntilMs, untilMs);
        if (isCut(world, other.spot, relay.spot)) return;
        send(world, other.spot, relay.spot, () => {
          promised += 1;
          if (promised === others.length && relay.boots === boots)
            process(relay, () => extend(relay, promiseEndsMs(sentMs, world.config)));
        });
      }),
    );
}

/** The relay is gone or stands still: its guard seals after a quarter of a lease without a beat. */
export function guardSeals(world: World, relay: Relay): void {
  if (world.config.fencing !== "lease") return;
  // With both of them gone nothing is promised.
  if (!relay.guard) return void world.voided.add("lease");
  const { boots } = relay;
  after(world.queue, leaseMs(world) / 4, () => {
    if (relay.boots !== boots || relay.life === "up" || relay.spot.down || !relay.guard) return;
    if (!isPrimary(relay.local) || isSealed(relay.local)) return;
    tell(world, () => `the guard of relay ${relay.id} seals ${relay.local.name}`);
    sealOrKill(world, relay);
  });
}
