/**
 * Who is asked to do what: picks the relay for a node and builds the verb with its epoch, stamp and deadline.
 *
 * Rules: the relay on the node's own machine first, then any that saw the node answer; a relay is asked only
 * with a stamp from its own last answer, and only while that stamp is young enough to be accepted.
 * Must never: decide whether something should be done, only how.
 */
import { act, type Draft, isPending, nodeOf } from "./draft.ts";
import { vantageOf } from "./health.ts";
import type { NodeConfig, NodeFacts, RelayAction, RelayConfig, Stamp } from "./types.ts";

/** min-replicas-to-write of a sealed node. */
export const SEALED = 1_000_000;

export const isSealed = (facts: NodeFacts | null): boolean =>
  (facts?.minReplicasToWrite ?? 0) >= SEALED;

/** True when `facts` is a replica of `primary`, by the address that the other nodes use. */
export function follows(facts: NodeFacts, primary: NodeConfig): boolean {
  const at = facts.replicaOf;
  if (facts.role !== "replica" || at === null) return false;
  return (
    (at.host === primary.replicationHost && at.port === primary.replicationPort) ||
    (at.host === primary.host && at.port === primary.port)
  );
}

/** The epoch under which verbs are sent now, and whom it names. */
export function authority(draft: Draft): { epoch: number; primary: string | null } {
  const phase = draft.saved.phase;
  if (phase.kind === "fencing" || phase.kind === "electing")
    return { epoch: phase.attempt.epoch, primary: null };
  if (phase.kind === "promoting") return { epoch: phase.attempt.epoch, primary: phase.candidate };
  return { epoch: draft.saved.epoch, primary: draft.saved.primary };
}

type Hands = { readonly relay: RelayConfig; readonly stamp: Stamp };

/** The relay that acts for a node, or null when none can now. */
export function handsFor(draft: Draft, node: string): Hands | null {
  const { config, sight, nowMs } = draft;
  // One that saw it answer before one that did not, and the local one first among equals.
  const rank = (relay: RelayConfig) => {
    const seen = sight.nodes[node]?.[vantageOf(relay.id)]?.class;
    const answered = seen === "up" || seen === "loading" || seen === "switching";
    return Number(answered) * 2 + Number(relay.local.includes(node));
  };
  const ordered = [...config.relays].sort((a, b) => rank(b) - rank(a));
  for (const relay of ordered) {
    const belief = sight.relays[relay.id];
    if (belief?.facts === undefined || belief.facts === null) continue;
    if (belief.failures > 0 || nowMs - belief.atMs >= config.commandTtlMs) continue;
    const seen = sight.nodes[node]?.[vantageOf(relay.id)];
    const sees = seen !== undefined && seen.class !== "policy";
    if (sees || relay.local.includes(node)) return { relay, stamp: belief.facts.stamp };
  }
  return null;
}

export type VerbKind = Exclude<RelayAction["kind"], "tell-epoch">;

/** Sends one verb for one node, unless the same is still pending. False when no relay could be asked. */
export function sendVerb(draft: Draft, kind: VerbKind, id: string, primary?: string): boolean {
  if (isPending(draft, kind, id)) return true;
  const hands = handsFor(draft, id);
  if (hands === null) return false;
  const { config } = draft;
  const { epoch, primary: named } = authority(draft);
  const target = nodeOf(config, primary ?? draft.saved.primary);
  act(draft, id, null, (actionId) => {
    const head = {
      id: actionId,
      epoch,
      deadlineMs: draft.nowMs + config.commandTimeoutMs,
      relay: hands.relay.id,
      stamp: hands.stamp,
      primary: named,
    };
    const minReplicas = config.minReplicas;
    switch (kind) {
      case "seal":
        return { ...head, kind, node: id };
      case "promote":
      case "unseal":
        return { ...head, kind, node: id, minReplicas };
      case "demote": {
        const follow = {
          host: target?.replicationHost ?? "",
          port: target?.replicationPort ?? 0,
        };
        return { ...head, kind, node: id, follow, minReplicas };
      }
    }
  });
  return true;
}

/** Tells every relay that holds a lower epoch, or none, which epoch is in force. */
export function tellEpochs(draft: Draft): void {
  const { config, sight, saved } = draft;
  for (const relay of config.relays) {
    const belief = sight.relays[relay.id];
    if (belief?.facts === undefined || belief.facts === null || belief.failures > 0) continue;
    const held = belief.facts.epoch;
    if ((held !== null && held >= saved.epoch) || isPending(draft, "tell-epoch", relay.id))
      continue;
    // A relay that takes no epoch must not be asked again as fast as it refuses.
    if (sentWithin(draft, "tell-epoch", relay.id, config.retryMs)) continue;
    const { stamp } = belief.facts;
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
