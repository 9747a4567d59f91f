/**
 * The lease of a primary, the Group's side: who gets one, and when the last one has surely ended.
 *
 * Rules (design.md section 4): only the primary in force, to a relay on its own machine, and nothing after
 * `revokedAtMs`, which is on disk before anybody is fenced. A grant runs from the moment that the relay asked,
 * so it began before it was granted; it ends within `lease_ms` by the relay's clock, and clocks differ by
 * less than two percent and a second.
 * Must never: read a clock.
 */
import type { Saved } from "./state.ts";
import type { FirstLease, GroupConfig } from "./types.ts";

const DRIFT = 1.02;
const MARGIN_MS = 1000;

export type Grant = {
  readonly granted: boolean;
  readonly epoch: number;
  /** False: the node stays as it is for one lease more, whoever is the primary. */
  readonly enforced: boolean;
  /** Why, in words. */
  readonly why: string;
  /** How long a grant lasts, from the sending of its request. */
  readonly leaseMs: number;
  /** The relays that have to promise when the Group is away; null: nobody can be sure then. */
  readonly promisers: readonly string[] | null;
};

export type LeaseRequest = {
  readonly relay: string;
  readonly node: string;
  /** Under which the node runs: one that was restarted gets nothing before it was judged. */
  readonly runId: string;
};

/** What a relay says with its request of what it holds already. */
export type Keeping = LeaseRequest & {
  /** How long it would keep its node open if it heard nothing more. */
  readonly leftMs: number;
  /** Who has to promise, as it was told last. */
  readonly promisers: readonly string[] | null;
};

/** What a relay is answered that asks for the lease of its node. */
export function grantLease(
  saved: Saved,
  config: GroupConfig,
  { relay, node, runId }: LeaseRequest,
  nowMs: number,
): Grant {
  const { longestMs } = saved.leases;
  const leased = config.fencing === "lease";
  const free = !leased || config.observeOnly || saved.paused !== null;
  const answer = (granted: boolean, why: string): Grant => ({
    granted,
    epoch: saved.epoch,
    // Whoever is being replaced ends with its lease, whatever else is suspended.
    enforced: !free || saved.revokedAtMs !== null,
    why,
    // Never longer than what a failover waits for.
    leaseMs: longestMs > 0 ? Math.min(config.leaseMs, longestMs) : config.leaseMs,
    promisers: promisersFor(config, node),
  });
  if (!leased) return answer(false, "this group has no leases");
  if (!isKeeper(config, relay, node))
    return answer(false, `relay ${relay} is not on the machine of ${node}`);
  if (longestMs === 0) return answer(false, "nothing was decided yet since this group has leases");
  if (isTakingOver(saved, node)) return answer(true, `${node} is becoming the primary`);
  if (saved.primary !== node) return answer(false, `${saved.primary ?? "nobody"} is the primary`);
  if (saved.revokedAtMs !== null)
    return answer(
      false,
      `nothing is granted since ${nowMs - saved.revokedAtMs} ms: a failover runs`,
    );
  if (saved.primaryRunId !== runId)
    return answer(false, `${node} was restarted, and its data is not judged yet`);
  return answer(true, `${node} is the primary at epoch ${saved.epoch}`);
}

/**
 * Told to become the primary, and not given up: if it is, its own lease is revoked and waited for like every
 * other.
 */
function isTakingOver({ phase }: Saved, node: string): boolean {
  if (phase.kind === "promoting") return phase.candidate === node;
  return phase.kind === "switching" && phase.candidate === node && phase.calledOff === null;
}

/** Only the relay on the machine of a node keeps its lease, and only it opens the node. */
export const isKeeper = (config: GroupConfig, relay: string, node: string): boolean =>
  config.relays.find(({ id }) => id === relay)?.local.includes(node) === true;

/** What goes with a verb that opens a node: its first lease; null: the group has none. */
export function firstLease(saved: Saved, config: GroupConfig, node: string): FirstLease | null {
  const { longestMs } = saved.leases;
  if (config.fencing !== "lease" || longestMs === 0) return null;
  return { ms: Math.min(config.leaseMs, longestMs), promisers: promisersFor(config, node) };
}

/** What is known of the relays that keep leases, after one asked. The same object: nothing new. */
export function noteKeeper(saved: Saved, config: GroupConfig, asked: Keeping): Saved["leases"] {
  const { leases } = saved;
  const { relay, node, leftMs, promisers } = asked;
  // One that would stay open for longer than a failover waits was told so by another configuration.
  const bound = config.fencing === "lease" && leftMs <= leases.longestMs;
  if (!bound || !isKeeper(config, relay, node)) return leases;
  const known = leases.keepers?.[node];
  if (known !== undefined && isSame(known, promisers)) return leases;
  const kept = Object.entries(leases.keepers ?? {}).filter(([id]) =>
    config.nodes.some((each) => each.id === id),
  );
  return { ...leases, keepers: { ...Object.fromEntries(kept), [node]: promisers } };
}

const isSame = (a: readonly string[] | null, b: readonly string[] | null): boolean =>
  a === b || (a !== null && b !== null && a.join() === b.join());

/**
 * Why the end of the primary's lease cannot be counted on; null: it can. Its relay has to have asked for one
 * since there are leases, and has to know of everyone who could be promoted: else it may stay open for ever, or
 * stay open by the promise of others than the one that takes over.
 */
export function whyUnleased(saved: Saved, config: GroupConfig, primary: string): string | null {
  if (config.fencing !== "lease") return null;
  const told = saved.leases.keepers?.[primary];
  if (told === undefined)
    return `the relay of ${primary} has never asked for its lease: whether it ends is not known`;
  const missing = (promisersFor(config, primary) ?? []).filter(
    (id) => told?.includes(id) === false,
  );
  return missing.length === 0
    ? null
    : `the relay of ${primary} has not heard yet that relay ${missing.join(", ")} has to promise as well`;
}

/** When the last lease that was granted before `revokedAtMs` has ended, whatever the relay's clock does. */
export const leaseEndMs = (
  revokedAtMs: number,
  { leaseMs }: Pick<GroupConfig, "leaseMs">,
): number => Math.ceil(revokedAtMs + DRIFT * leaseMs + MARGIN_MS);

/**
 * The longest lease that may run: a deploy that makes leases shorter, or does without them, does not end those
 * that were granted before.
 */
export function longestLease(saved: Saved, config: GroupConfig, nowMs: number): Saved["leases"] {
  const { leases } = saved;
  // While a failover runs nothing longer is granted, and nothing is forgotten.
  if (saved.revokedAtMs !== null) return leases;
  const inForceMs = config.fencing === "lease" ? config.leaseMs : 0;
  if (inForceMs >= leases.longestMs)
    return inForceMs === leases.longestMs && leases.untilMs === null
      ? leases
      : { ...kept(leases, inForceMs), longestMs: inForceMs, untilMs: null };
  if (leases.untilMs === null)
    return {
      ...kept(leases, inForceMs),
      untilMs: leaseEndMs(nowMs, { leaseMs: leases.longestMs }),
    };
  return nowMs < leases.untilMs
    ? leases
    : { ...kept(leases, inForceMs), longestMs: inForceMs, untilMs: null };
}

/** What is known of leases now. The same object: nothing new. */
export function leasesNow(
  saved: Saved,
  config: GroupConfig,
  asked: readonly Keeping[],
  nowMs: number,
): Saved["leases"] {
  const longest = longestLease(saved, config, nowMs);
  return asked.reduce((leases, each) => noteKeeper({ ...saved, leases }, config, each), longest);
}

/** Who keeps leases is known anew when there are leases again. */
function kept({ keepers, ...leases }: Saved["leases"], inForceMs: number): Saved["leases"] {
  return inForceMs === 0 || keepers === undefined ? leases : { ...leases, keepers };
}

/**
 * The edge is away, Redis is fine: a relay whose lease ends stays open while the relay of every other node that
 * could be promoted promises to promote nobody. These are their ids; null: some node has no relay to promise,
 * so nobody can be sure, and the primary ends with its lease.
 */
export function promisersFor(config: GroupConfig, primary: string): readonly string[] | null {
  const relays = config.nodes
    .filter((node) => node.id !== primary && node.priority !== 0)
    .map((node) => config.relays.find((relay) => relay.local.includes(node.id))?.id);
  const ids = relays.filter((id) => id !== undefined);
  return ids.length === relays.length ? [...new Set(ids)] : null;
}

/** Until when a promise keeps the asker open: counted from sending, so that it ends before the giver's. */
export const promiseEndsMs = (
  sentAtMs: number,
  { leaseMs }: Pick<GroupConfig, "leaseMs">,
): number => sentAtMs + leaseMs;

/** Until when the giver refuses promotions: counted from receipt, with the margin of a lease. */
export const promiseBindsMs = leaseEndMs;

/** A giver that has seen a higher epoch gives none: another primary may be on its way. */
export const mayPromise = (heldEpoch: number | null, askedEpoch: number): boolean =>
  heldEpoch !== null && heldEpoch <= askedEpoch;
