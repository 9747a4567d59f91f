/**
 * Who is asked to do what: picks the relay for a node and builds the verb with its epoch, stamp and deadline.
 *
 * Rules: the relay on the node's own machine first, then any that saw the node answer; a relay is asked only
 * with a stamp from its own last answer, and only while that stamp is young enough to be accepted; a verb
 * that fails is repeated more and more slowly.
 * Must never: decide whether something should be done, only how.
 */
import { act, type Draft, isPending, nodeOf, remember } from "./draft.ts";
import { bootsSealed } from "./facts.ts";
import { relayBelief } from "./health.ts";
import { firstLease } from "./lease.ts";
import { good, vantageOf } from "./sight.ts";
import type { Address, RelayAction, RelayConfig, Stamp } from "./types.ts";

/** A repair that showed no effect, or failed, is sent again after `first`, doubled for each failure. */
const AGAIN_MS = { first: 1000, most: 30_000 };

/** The epoch under which verbs are sent now, and whom it names. */
export function authority(draft: Draft): { epoch: number; primary: string | null } {
  const phase = draft.saved.phase;
  switch (phase.kind) {
    case "fencing":
    case "electing":
      return { epoch: phase.attempt.epoch, primary: null };
    case "switching":
    case "promoting":
      return { epoch: phase.attempt.epoch, primary: phase.candidate };
    default: {
      // Before the first primary relays hold the epoch of whoever was not made one.
      const { epoch, highestEpoch, primary } = draft.saved;
      return { epoch: primary === null ? highestEpoch : epoch, primary };
    }
  }
}

type Hands = { readonly relay: RelayConfig; readonly stamp: Stamp };

/** The relay that acts for a node, or null when none can now. */
export function handsFor(draft: Draft, node: string, kind: VerbKind): Hands | null {
  const { config, sight, nowMs, saved } = draft;
  // Whoever opens a node keeps its lease, and has promised or not.
  const leased = OPENS.includes(kind) && firstLease(saved, config, node) !== null;
  let best: Hands | null = null;
  let bestRank = -1;
  for (const relay of config.relays) {
    const belief = relayBelief(sight, relay.id);
    if (belief === null || belief.facts === null || belief.failures > 0) continue;
    if (nowMs - belief.atMs >= config.commandTtlMs) continue;
    const seen = sight.nodes[node]?.[vantageOf(relay.id)]?.class;
    const local = relay.local.includes(node);
    if (!local && leased) continue;
    if (!local && (seen === undefined || seen === "policy")) continue;
    // One that saw it answer before one that did not, and the local one first among equals.
    const rank = Number(seen !== undefined && good.includes(seen)) * 2 + Number(local);
    if (rank <= bestRank) continue;
    [best, bestRank] = [{ relay, stamp: belief.facts.stamp }, rank];
  }
  return best;
}

const OPENS: readonly VerbKind[] = ["promote", "unseal"];

export type VerbKind = Exclude<RelayAction["kind"], "tell-epoch">;

/** What a verb needs beside its node. */
type Order = {
  /** Whom to follow; the primary in force unless said. */
  readonly follow?: string;
  readonly timeoutMs?: number;
};

/** Sends one verb for one node, unless the same is still pending. False when no relay could be asked. */
export function sendVerb(draft: Draft, kind: VerbKind, id: string, order: Order = {}): boolean {
  if (isPending(draft, kind, id)) return true;
  const hands = handsFor(draft, id, kind);
  if (hands === null) return false;
  const { config } = draft;
  const { epoch, primary } = authority(draft);
  act(draft, id, hands.relay.id, (actionId) => {
    const head = {
      id: actionId,
      epoch,
      deadlineMs: draft.nowMs + config.commandTimeoutMs,
      relay: hands.relay.id,
      stamp: hands.stamp,
      primary,
      node: id,
    };
    const opened = { minReplicas: config.minReplicas, bootSealed: bootsSealed(config) };
    switch (kind) {
      case "promote":
      case "unseal": {
        const lease = firstLease(draft.saved, config, id);
        return { ...head, kind, ...opened, ...(lease === null ? {} : { lease }) };
      }
      case "demote":
        return { ...head, kind, follow: replicationOf(draft, order.follow), ...opened };
      case "switchover": {
        const to = replicationOf(draft, order.follow);
        return { ...head, kind, to, timeoutMs: order.timeoutMs ?? config.switchoverTimeoutMs };
      }
      case "seal": {
        const down = draft.known[id]?.verdict.odown === true;
        return down ? { ...head, kind, hard: true } : { ...head, kind };
      }
      default:
        return { ...head, kind };
    }
  });
  return true;
}

/** Where replicas of a node connect; the primary in force unless named. */
function replicationOf(draft: Draft, id: string | undefined): Address {
  const node = nodeOf(draft.config, id ?? draft.saved.primary);
  return { host: node?.replicationHost ?? "", port: node?.replicationPort ?? 0 };
}

/** The same for a repair: not again at once, and more slowly the more often it failed. */
export function repairBy(draft: Draft, kind: VerbKind, id: string): boolean {
  if (isPending(draft, kind, id) || sentWithin(draft, kind, id, gapMs(draft, kind, id)))
    return false;
  return sendVerb(draft, kind, id);
}

const gapMs = (draft: Draft, kind: VerbKind, id: string) =>
  Math.min(AGAIN_MS.first * 2 ** (draft.sight.failed[`${kind}:${id}`] ?? 0), AGAIN_MS.most);

/** Counts what became of a verb. */
export function countFailure(draft: Draft, kind: string, about: string, done: boolean): void {
  const key = `${kind}:${about}`;
  const { [key]: before = 0, ...rest } = draft.sight.failed;
  if (done && before === 0) return;
  // Past the longest wait a higher count says no more.
  remember(draft, { failed: done ? rest : { ...rest, [key]: Math.min(before + 1, 8) } });
}

/** Tells every relay that holds a lower epoch, or none, which epoch is in force. */
export function tellEpochs(draft: Draft): void {
  const { config, sight, saved } = draft;
  for (const relay of config.relays) {
    const belief = relayBelief(sight, relay.id);
    if (belief === null || belief.facts === null || belief.failures > 0) continue;
    const { epoch: held, stamp } = belief.facts;
    if ((held !== null && held >= saved.epoch) || isPending(draft, "tell-epoch", relay.id))
      continue;
    // A relay that takes no epoch must not be asked again as fast as it refuses.
    if (sentWithin(draft, "tell-epoch", relay.id, config.retryMs)) continue;
    act(draft, relay.id, null, (id) => ({
      id,
      kind: "tell-epoch",
      epoch: saved.epoch,
      deadlineMs: draft.nowMs + config.commandTimeoutMs,
      relay: relay.id,
      stamp,
      primary: saved.primary,
    }));
  }
}

/** True when a verb of this kind went to the node less than `gapMs` ago. */
export function sentWithin(
  draft: Draft,
  kind: RelayAction["kind"],
  about: string,
  gapMs: number,
): boolean {
  const at = draft.sight.sentAtMs[`${kind}:${about}`];
  return at !== undefined && draft.nowMs - at < gapMs;
}

/** True when a verb of this kind went to the node since the sight began. */
export function wasSent(draft: Draft, kind: VerbKind, node: string): boolean {
  return draft.sight.sentAtMs[`${kind}:${node}`] !== undefined;
}
