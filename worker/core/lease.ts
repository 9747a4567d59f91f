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
import type { GroupConfig } from "./types.ts";

const DRIFT = 1.02;
const MARGIN_MS = 1000;

export type Grant = {
  readonly granted: boolean;
  readonly epoch: number;
  /** A paused group ends no primary whose lease runs out. */
  readonly enforced: boolean;
  /** Why, in words. */
  readonly why: string;
};

export type LeaseRequest = {
  readonly relay: string;
  readonly node: string;
  /** Under which the node runs: one that was restarted gets nothing before it was judged. */
  readonly runId: string;
};

/** What a relay is answered that asks for the lease of its node. */
export function grantLease(
  saved: Saved,
  config: GroupConfig,
  { relay, node, runId }: LeaseRequest,
  nowMs: number,
): Grant {
  const enforced = saved.paused === null;
  const answer = (granted: boolean, why: string): Grant => ({
    granted,
    epoch: saved.epoch,
    enforced,
    why,
  });
  if (config.fencing !== "lease") return answer(false, "this group has no leases");
  const asks = config.relays.find((each) => each.id === relay);
  if (asks === undefined || !asks.local.includes(node))
    return answer(false, `relay ${relay} is not on the machine of ${node}`);
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
  const inForceMs = config.fencing === "lease" ? config.leaseMs : 0;
  if (inForceMs >= leases.longestMs)
    return inForceMs === leases.longestMs && leases.untilMs === null
      ? leases
      : { longestMs: inForceMs, untilMs: null };
  if (leases.untilMs === null)
    return { ...leases, untilMs: leaseEndMs(nowMs, { leaseMs: leases.longestMs }) };
  return nowMs < leases.untilMs ? leases : { longestMs: inForceMs, untilMs: null };
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
