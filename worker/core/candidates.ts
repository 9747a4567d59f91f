/**
 * The dry run of an election: every node as a candidate, from what is known of it now.
 *
 * Promises: the same for an attempt, for an operator's question, and for what is only said.
 */

import type { Baseline, Belief } from "./believed.ts";
import { type Draft, factsOf, nodeOf } from "./draft.ts";
import { type Candidate, type Election, elect } from "./elect.ts";
import { followsNode } from "./facts.ts";
import type { Verdict } from "./health.ts";
import { handsFor } from "./plan.ts";
import type { FailoverCause } from "./state.ts";
import { promotedAtRunTime } from "./topology.ts";
import type { NodeConfig, NodeFacts } from "./types.ts";

export type Ask = {
  /** The only candidate; null: every node but the primary in force. */
  readonly target: string | null;
  /** What calls for it; null: an operator. */
  readonly cause: FailoverCause | null;
};

export function electFor(draft: Draft, { target, cause }: Ask): Election {
  const { config, saved, known, nowMs } = draft;
  const primary = nodeOf(config, saved.primary);
  const wiped = cause === "wiped";
  const down = primary === null ? null : known[primary.id]?.verdict;
  const sinceMs = wiped
    ? (draft.sight.lastSeen?.atMs ?? nowMs)
    : down?.odown === true
      ? Math.max(down.firstBadAtMs ?? 0, lastOkAtMs(draft, saved.primary, down.votes) ?? 0)
      : null;
  // One that says that it is a replica may be made what it was, unless it copies somebody already.
  const stored = factsOf(draft, saved.primary);
  const orStored =
    (cause === "no-primary" || cause === "promotion-lost") &&
    stored?.role === "replica" &&
    !stored.linkUp;
  const nodes = config.nodes.filter((node) =>
    target === null ? orStored || node.id !== saved.primary : node.id === target,
  );
  const last = lastKnown(draft);
  const candidates = nodes.map((node) => candidateOf(draft, node, primary, last, target !== null));
  return elect(candidates, {
    ...config,
    primaryDownMs: sinceMs === null ? null : nowMs - sinceMs,
    knownKeys: last !== null && someoneHolds(draft, last.keys) ? last.keys : null,
    cause,
  });
}

/**
 * When anybody last saw a node answer as it should: while one vantage does, its clients may too.
 * @param votes only those who vote down count: one that calls it up for ever decides nothing.
 */
export function lastOkAtMs(
  { sight }: Draft,
  id: string | null,
  votes: Verdict["votes"] | null = null,
): number | null {
  const times = Object.entries(sight.nodes[id ?? ""] ?? {})
    .filter(([vantage]) => votes === null || votes[vantage] === "down")
    .map(([, belief]) => belief.lastOkAtMs)
    .filter((atMs) => atMs !== null);
  return times.length === 0 ? null : Math.max(...times);
}

/** When all were emptied, that one is empty says nothing against it. */
const someoneHolds = ({ known, config }: Draft, keys: number): boolean =>
  Object.values(known).some(({ best }) => (best?.facts?.keys ?? 0) >= keys * config.wipeKeepRatio);

/** The primary as it was last seen; after an eviction as it was last noted. */
export const lastKnown = (draft: Draft): Baseline | null =>
  draft.sight.lastSeen ?? draft.saved.baseline;

/** How many bytes `facts` is behind, where the two tell one history; null where they do not. */
export function bytesBehind(ahead: Pick<NodeFacts, "offset" | "replicationId">, facts: NodeFacts) {
  const one = ahead.replicationId !== "" && ahead.replicationId === facts.replicationId;
  return one ? Math.max(0, ahead.offset - facts.offset) : null;
}

/** Whom a replica follows that is no node of the group; what the stored primary was told later is another matter. */
function strangerOf({ config, saved }: Draft, node: NodeConfig, facts: NodeFacts | null) {
  if (facts === null || facts.replicaOf === null || node.id === saved.primary) return null;
  const known = config.nodes.some((other) => followsNode(facts, other));
  return known ? null : `${facts.replicaOf.host}:${facts.replicaOf.port}`;
}

/** A link that is cut in silence is up for Redis: since when nothing came says more. */
const linkDownMsOf = ({ linkUp, linkDownMs, lastIoMs }: NodeFacts): number | null =>
  linkUp ? Math.max(linkDownMs ?? 0, lastIoMs ?? 0) : linkDownMs;

function candidateOf(
  draft: Draft,
  node: NodeConfig,
  primary: NodeConfig | null,
  last: Baseline | null,
  named: boolean,
): Candidate {
  const { known, nowMs, saved } = draft;
  const best: Belief | null = known[node.id]?.best ?? null;
  const facts = best?.facts ?? null;
  const verdict = known[node.id]?.verdict;
  const okAtMs = lastOkAtMs(draft, node.id);
  const lost = saved.maybePromoted.includes(node.id);
  // Its votes for down say that it is no primary, not that it does not answer.
  const isReplaced = node.id === saved.primary && facts?.role === "replica";
  const zones = [node.zone, primary?.zone ?? null];
  return {
    id: node.id,
    runId: facts?.runId ?? "",
    priority: node.priority ?? facts?.priority ?? 100,
    offset: facts?.offset ?? 0,
    keys: facts?.keys ?? 0,
    sdown: !isReplaced && verdict !== undefined && verdict.down > 0 && verdict.down >= verdict.up,
    reachable: handsFor(draft, node.id, "promote") !== null,
    okAgeMs: okAtMs === null ? null : nowMs - okAtMs,
    factsAgeMs: best === null || best.factsAtMs === null ? null : nowMs - best.factsAtMs,
    downtime: saved.downtimes[node.id]?.reason ?? null,
    cleanForMs: best === null || best.cleanSinceMs === null ? null : nowMs - best.cleanSinceMs,
    successes: best?.successes ?? 0,
    linkDownMs: facts === null ? null : linkDownMsOf(facts),
    followed: saved.followed.includes(node.id),
    lagBytes: facts === null || last === null ? null : bytesBehind(last, facts),
    stranger: strangerOf(draft, node, facts),
    syncing: facts?.syncing ?? false,
    loading: facts?.loading ?? false,
    role: facts?.role ?? null,
    mayBePrimary: named || lost || promotedAtRunTime(draft, node.id),
    lost,
    named,
    sameZone: zones.includes(null) || zones[0] === zones[1],
  };
}
