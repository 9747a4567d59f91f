/**
 * The relay's side of a lease, judged by the real rules of worker/relay/lease/rules.ts: renew, seal in time, guard,
 * promise.
 *
 * Rules: a lease runs from the moment that the relay sent its request; when the Group is away, it goes on only while
 * the relay of every other node promises to refuse promotions; when the relay dies, its guard seals at once; when it
 * stands still, soon; a Redis that does not confirm a seal is killed.
 */
import {
  grantLease,
  type Keeping,
  noteKeeper,
  promiseBindsMs,
} from "../../../worker/core/lease.ts";
import { effectiveConfig } from "../../../worker/core/membership.ts";
import type { RelayAction } from "../../../worker/core/types.ts";
import {
  allPromised,
  answered,
  askEveryMs,
  asksOthers,
  beatEveryMs,
  closed,
  guardSealInMs,
  type Lease,
  leftMs,
  type Now,
  opened,
  promised,
  sealInMs,
  uncovered,
  whyNotOpened,
  whyNotPromised,
} from "../../../worker/relay/lease/rules.ts";
import { after } from "../queue.ts";
import { groupNow } from "./clock.ts";
import { currentInstance, wake } from "./group.ts";
import { send } from "./network.ts";
import { command, crash, isSealed, isSilent, runIdOf, setMinReplicas } from "./redis.ts";
import { clockOf, epochOf, process } from "./relay.ts";
import { isPrimary } from "./replication.ts";
import { type Relay, SEALED, tell, type World } from "./types.ts";

/** How long Redis may take to confirm a seal. */
const SEAL_MS = 200;
/** A guard that died is replaced by its relay. */
const GUARD_BACK_MS = 300;

const idOf = (world: World, relay: Relay): string | null =>
  world.config.nodes.find((node) => `${node.host}:${node.port}` === relay.local.address)?.id ??
  null;

/** The clocks of its machine, which outlive the relay's process. */
export const nowAt = (world: World, relay: Relay): Now => {
  const monoMs = world.queue.nowMs * relay.rate;
  return { monoMs, wallMs: monoMs + relay.wallShiftMs };
};

export function startLeases(world: World): void {
  if (world.config.fencing !== "lease") return;
  for (const relay of world.relays.values()) keep(world, relay);
}

export type LeaseState = {
  state: Lease;
  /** As the Group said it last; null: it never did. */
  leaseMs: number | null;
  promisers: readonly string[] | null;
  /** When the Group was asked last, and since when the file with its promises is lost, by the machine's clock. */
  askedMs: number;
  last: Lease["cover"];
  /** Its Redis is ended before `last` is over. */
  hard: boolean;
  fileLostMs: number | null;
  turn: number;
};

export const noLease = (): Relay["lease"] => ({
  state: uncovered,
  leaseMs: null,
  promisers: null,
  askedMs: Number.NEGATIVE_INFINITY,
  last: null,
  hard: false,
  fileLostMs: null,
  turn: 0,
});

/** Looks at the lease now, and again when something is due; whatever was planned before is not. */
function keep(world: World, relay: Relay): void {
  if (world.firstConfig.fencing !== "lease") return;
  const { lease } = relay;
  lease.turn += 1;
  const { turn } = lease;
  const leaseMs = lease.leaseMs ?? 1000;
  const askMs = askEveryMs(lease.state, isPrimary(relay.local) ? "primary" : "replica", leaseMs);
  const now = nowAt(world, relay);
  let waitMs = 1000;
  if (lease.state.cover !== null) lease.last = lease.state.cover;
  if (relay.life === "up") {
    if (now.monoMs - lease.askedMs >= askMs - 1) ask(world, relay, now, leaseMs);
    const sealMs = sealInMs(lease.state.cover, now, SEAL_MS);
    const open = relay.local.life !== "dead" && !isSealed(relay.local);
    if (open && sealMs === 0) seal(world, relay, "its lease ends");
    waitMs = Math.max(
      1,
      Math.min(lease.askedMs + askMs - now.monoMs, open ? sealMs || askMs : askMs),
    );
  }
  after(world.queue, Math.ceil(waitMs / relay.rate), () => {
    if (lease.turn === turn) keep(world, relay);
  });
}

function ask(world: World, relay: Relay, now: Now, leaseMs: number): void {
  relay.lease.askedMs = now.monoMs;
  askGroup(world, relay, now);
  const open = !isSealed(relay.local);
  if (open && asksOthers(relay.lease.state, now, leaseMs)) askOthers(world, relay, now, leaseMs);
}

function askGroup(world: World, relay: Relay, asked: Now): void {
  const { boots, lease } = relay;
  const runId = runIdOf(relay.local);
  const left = Math.max(0, leftMs(lease.state.cover, asked));
  const { promisers } = lease;
  const sealed = isSealed(relay.local);
  send(world, relay.spot, world.edge, () => {
    const group = currentInstance(world);
    const node = idOf(world, relay);
    if (group === null || node === null || group.version !== world.storage.version) return;
    const { saved } = group.state;
    const config = effectiveConfig(saved, world.config);
    const keeping: Keeping = { relay: relay.id, node, runId, leftMs: left, promisers };
    const isNews = noteKeeper(saved, config, keeping) !== saved.leases;
    if (isNews) group.keepers.push(keeping);
    // Whoever holds a seal asks who is primary: a Group that sleeps has to look.
    if (isNews || (sealed && saved.primary === node)) wake(world, group);
    const grant = grantLease(saved, config, keeping, groupNow(world));
    if (grant.granted) world.checks.granted(relay, node, saved, grant.leaseMs);
    send(world, world.edge, relay.spot, () =>
      process(relay, () => {
        if (relay.boots !== boots) return;
        Object.assign(lease, { leaseMs: grant.leaseMs, promisers: grant.promisers });
        lease.state = answered(lease.state, asked, grant);
        keep(world, relay);
      }),
    );
  });
}

/** The Group is away: everyone who could be promoted has to promise. */
function askOthers(world: World, relay: Relay, asked: Now, leaseMs: number): void {
  const { boots, lease } = relay;
  const ids = lease.promisers ?? [];
  const { epoch } = lease.state;
  if (epoch === null) return;
  const given = new Set<string>();
  for (const other of ids.flatMap((id) => world.relays.get(id) ?? [])) {
    if (other.portShut) continue;
    send(world, relay.spot, other.spot, () =>
      process(other, () => {
        if (other.diskFails || whyNotPromised(epochOf(world, other), epoch) !== null) return;
        const { monoMs } = nowAt(world, other);
        other.promisedUntilMs = Math.max(
          other.promisedUntilMs,
          promiseBindsMs(monoMs, { leaseMs }),
        );
        send(world, other.spot, relay.spot, () => {
          if (relay.boots !== boots || !allPromised(ids, given.add(other.id))) return;
          process(relay, () => {
            lease.state = promised(lease.state, asked, leaseMs, nowAt(world, relay));
            keep(world, relay);
          });
        });
      }),
    );
  }
}

type Opening = Extract<RelayAction, { kind: "promote" | "unseal" }>;

/** Why the relay does not open a node now, beside the rules of epochs and stamps; null: it may. */
export function whyShut(world: World, relay: Relay, action: Opening): string | null {
  const leaseMs = action.lease?.ms ?? null;
  const { monoMs } = nowAt(world, relay);
  const lost = relay.lease.fileLostMs;
  // Without its file it may have promised just before.
  const unknownMs = lost === null ? 0 : promiseBindsMs(lost, { leaseMs: leaseMs ?? 0 }) - monoMs;
  const why = whyNotOpened({
    leaseMs,
    ageMs: clockOf(world, relay) - action.stamp.ms,
    sealMs: idOf(world, relay) === action.node ? SEAL_MS : null,
    promisedMs: Math.max(0, relay.promisedUntilMs - monoMs, leaseMs === null ? 0 : unknownMs),
  });
  return why === null ? null : `${why.code.toUpperCase()} ${why.text}`;
}

/** The first lease comes with the verb that opens the node, counted from its stamp. */
export function leaseFromVerb(world: World, relay: Relay, action: Opening): void {
  if (action.lease === undefined) return;
  const { ms, promisers } = action.lease;
  Object.assign(relay.lease, { leaseMs: ms, promisers });
  const ageMs = clockOf(world, relay) - action.stamp.ms;
  relay.lease.hard = false;
  relay.lease.state = opened(relay.lease.state, nowAt(world, relay), ageMs, ms, action.epoch);
  relay.lease.askedMs = Number.NEGATIVE_INFINITY;
  keep(world, relay);
}

export function leaseClosed(world: World, relay: Relay, hard: boolean): void {
  relay.lease.state = closed(relay.lease.state, nowAt(world, relay));
  if (hard) relay.lease.hard = true;
  keep(world, relay);
}

/** A new process holds no lease, and begins by sealing. */
export function leaseAnew(world: World, relay: Relay, fileLost: boolean): void {
  if (world.config.fencing !== "lease") return;
  const { lease } = relay;
  Object.assign(lease, { state: uncovered, last: null, hard: false });
  lease.askedMs = Number.NEGATIVE_INFINITY;
  if (fileLost) {
    relay.promisedUntilMs = 0;
    Object.assign(lease, { promisers: null, fileLostMs: nowAt(world, relay).monoMs });
  }
  seal(world, relay, "it has just started");
  keep(world, relay);
}

/** A seal that Redis does not confirm in time ends with the process: at the end of the lease, or when it is hard. */
function seal(world: World, relay: Relay, why: string): void {
  const { local } = relay;
  if (local.life === "dead") return;
  tell(world, () => `relay ${relay.id} seals ${local.name}: ${why}`);
  const { runs } = local;
  const { last, hard } = relay.lease;
  const ends = hard || (last !== null && sealInMs(last, nowAt(world, relay), SEAL_MS) === 0);
  if (ends && (isSilent(world, local) || local.script !== null))
    after(world.queue, SEAL_MS, () => {
      if (local.runs === runs && !isSealed(local)) crash(world, local);
    });
  command(world, local, () => setMinReplicas(local, SEALED));
}

/** The relay is gone or stands still: its guard seals, at once or when no beat came for long enough. */
export function guardSeals(world: World, relay: Relay): void {
  if (world.config.fencing !== "lease") return;
  // With both of them gone nothing is promised.
  if (!relay.guard) return void world.voided.add("lease");
  const { boots, lease } = relay;
  const leaseMs = lease.leaseMs ?? 1000;
  const now = nowAt(world, relay);
  const beat = { cover: lease.state.cover, atMonoMs: now.monoMs - beatEveryMs(leaseMs), leaseMs };
  const waitMs = relay.life === "dead" ? 0 : guardSealInMs(beat, now, SEAL_MS);
  after(world.queue, Math.ceil(waitMs / relay.rate) + 1, () => {
    if (relay.boots !== boots || relay.life === "up" || relay.spot.down) return;
    if (!relay.guard) return void world.voided.add("lease");
    if (!isSealed(relay.local)) seal(world, relay, "says its guard");
  });
}

/** Its relay starts another one. */
export function guardDies(world: World, relay: Relay): void {
  tell(world, () => `the guard of relay ${relay.id} is gone`);
  relay.guard = false;
  if (relay.life === "dead") return;
  const back = (): void => {
    if (relay.life === "up") relay.guard = true;
    else if (relay.life === "hung") after(world.queue, GUARD_BACK_MS, back);
  };
  after(world.queue, GUARD_BACK_MS, back);
}

/** It goes on: what it missed is seen at once. */
export const keepOn = (world: World, relay: Relay): void => keep(world, relay);
