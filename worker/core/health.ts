/**
 * From looks to verdicts: what each vantage believes of each node, and what they believe together.
 *
 * Rules: a refused connection counts fast (`max_failures` looks) when the relay on the node's own machine
 * sees it, or two vantages do; anything else that counts needs `max_failures` and `down_after_ms`.
 * SDOWN is one vantage's view; ODOWN: down votes >= quorum and more down than up. An observer that failed
 * has no vote; but a relay that has been silent that long stands for the machine under its local nodes.
 * Must never: let anything but a good look count as up.
 */
import type { Belief, RelayBelief, Sight } from "./state.ts";
import type { GroupConfig, NodeConfig, NodeFacts, Observation, ObservationClass } from "./types.ts";

/** Redis answered, and as Sentinel accepts it: PONG, LOADING; a planned switch is no failure either. */
const good: readonly ObservationClass[] = ["up", "loading", "switching"];
/** Counts towards down. MISCONF as Sentinel does: an answer, but not an acceptable one. */
const bad: readonly ObservationClass[] = ["refused", "timeout", "misconf"];
/** The observer failed: it saw nothing of the node. */
const blind: readonly ObservationClass[] = ["relay-unreachable", "malformed"];

export type Vote = "up" | "down" | "abstain";

export type Verdict = {
  readonly votes: Readonly<Record<string, Vote>>;
  readonly up: number;
  readonly down: number;
  /** Enough vantages agree that the node is down. */
  readonly odown: boolean;
  /** More than half of the vantages answered, or are confirmed silent. */
  readonly authorised: boolean;
  /** Somebody saw something bad lately: look again soon. */
  readonly suspicious: boolean;
};

/** Takes one complete look into the sight. Observations that do not belong are dropped and counted. */
export function absorb(
  sight: Sight,
  observations: readonly Observation[],
  config: GroupConfig,
  nowMs: number,
): Sight {
  const known = observations.filter((seen) => belongs(seen, config, nowMs));
  const nodes: Record<string, Record<string, Belief>> = {};
  for (const node of config.nodes) nodes[node.id] = { ...sight.nodes[node.id] };
  const relays: Record<string, RelayBelief> = { ...sight.relays };
  for (const seen of known) {
    const beliefs = nodes[seen.node];
    if (beliefs === undefined) continue;
    beliefs[seen.vantage] = nextBelief(beliefs[seen.vantage], seen);
  }
  for (const relay of config.relays) {
    const looks = known.filter((seen) => seen.vantage === vantageOf(relay.id));
    if (looks.length > 0) relays[relay.id] = nextRelayBelief(relays[relay.id], looks);
  }
  const asked = known.map((seen) => seen.atMs - seen.tookMs);
  return {
    ...sight,
    nodes,
    relays,
    lookAskedAtMs: asked.length > 0 ? Math.min(...asked) : sight.lookAskedAtMs,
    dropped: sight.dropped + observations.length - known.length,
  };
}

export const vantageOf = (relay: string): string => `relay:${relay}`;

function belongs(seen: Observation, config: GroupConfig, nowMs: number): boolean {
  return (
    config.relays.some((relay) => vantageOf(relay.id) === seen.vantage) &&
    config.nodes.some((node) => node.id === seen.node) &&
    seen.atMs <= nowMs
  );
}

function nextBelief(before: Belief | undefined, seen: Observation): Belief {
  const isGood = good.includes(seen.class);
  const isBad = bad.includes(seen.class);
  const keep = { failures: before?.failures ?? 0, refusals: before?.refusals ?? 0 };
  const firstBadAtMs = before?.firstBadAtMs ?? (isBad ? seen.atMs : null);
  return {
    class: seen.class,
    detail: seen.detail,
    askedAtMs: seen.atMs - seen.tookMs,
    atMs: seen.atMs,
    failures: isGood ? 0 : keep.failures + (isBad ? 1 : 0),
    refusals: seen.class === "refused" ? keep.refusals + 1 : isGood || isBad ? 0 : keep.refusals,
    successes: seen.class === "up" ? (before?.successes ?? 0) + 1 : 0,
    firstBadAtMs: isGood ? null : firstBadAtMs,
    lastOkAtMs: isGood ? seen.atMs : (before?.lastOkAtMs ?? null),
    facts: seen.facts ?? before?.facts ?? null,
    factsAtMs: seen.facts === null ? (before?.factsAtMs ?? null) : seen.atMs,
  };
}

function nextRelayBelief(
  before: RelayBelief | undefined,
  looks: readonly Observation[],
): RelayBelief {
  const atMs = Math.max(...looks.map((seen) => seen.atMs));
  const answered = looks.filter((seen) => !blind.includes(seen.class));
  const newest = looks
    .map((seen) => seen.relay)
    .filter((facts) => facts !== null)
    .sort((a, b) => b.stamp.ms - a.stamp.ms)[0];
  const reached = answered.length > 0;
  return {
    facts: newest ?? (reached ? null : (before?.facts ?? null)),
    atMs: reached ? atMs : (before?.atMs ?? 0),
    failures: reached ? 0 : (before?.failures ?? 0) + 1,
    firstBadAtMs: reached ? null : (before?.firstBadAtMs ?? atMs),
  };
}

/** What the vantages believe of one node together. */
export function judge(sight: Sight, node: NodeConfig, config: GroupConfig, nowMs: number): Verdict {
  const beliefs = sight.nodes[node.id] ?? {};
  const refusedBy = config.vantages.filter(
    (vantage) => (beliefs[vantage]?.refusals ?? 0) >= config.maxFailures,
  );
  const votes: Record<string, Vote> = {};
  let heard = 0;
  for (const vantage of config.vantages) {
    const local = isLocal(vantage, node, config);
    const belief = beliefs[vantage];
    const silent = local && isSilent(vantage, sight, config, nowMs);
    if (silent || (belief !== undefined && !blind.includes(belief.class))) heard += 1;
    votes[vantage] = silent
      ? "down"
      : voteOf(belief, (local || refusedBy.length >= 2) && refusedBy.includes(vantage), config);
  }
  const up = config.vantages.filter((vantage) => votes[vantage] === "up").length;
  const down = config.vantages.filter((vantage) => votes[vantage] === "down").length;
  return {
    votes,
    up,
    down,
    odown: down >= config.quorum && down > up,
    authorised: heard * 2 > config.vantages.length,
    suspicious: config.vantages.some((vantage) => {
      const belief = beliefs[vantage];
      return belief !== undefined && votes[vantage] === "abstain" && bad.includes(belief.class);
    }),
  };
}

function voteOf(belief: Belief | undefined, refusedFast: boolean, config: GroupConfig): Vote {
  if (belief === undefined) return "abstain";
  if (good.includes(belief.class)) return "up";
  if (!bad.includes(belief.class) || belief.failures < config.maxFailures) return "abstain";
  if (refusedFast) return "down";
  const badForMs = belief.atMs - (belief.firstBadAtMs ?? belief.atMs);
  return badForMs >= config.downAfterMs ? "down" : "abstain";
}

function isLocal(vantage: string, node: NodeConfig, config: GroupConfig): boolean {
  const relay = config.relays.find((each) => vantageOf(each.id) === vantage);
  return relay?.local.includes(node.id) ?? false;
}

/** A relay that the Group has not reached for as long as a node must be silent to be down. */
function isSilent(vantage: string, sight: Sight, config: GroupConfig, nowMs: number): boolean {
  const relay = config.relays.find((each) => vantageOf(each.id) === vantage);
  const belief = relay === undefined ? undefined : sight.relays[relay.id];
  if (belief === undefined || belief.firstBadAtMs === null) return false;
  return belief.failures >= config.maxFailures && nowMs - belief.firstBadAtMs >= config.downAfterMs;
}

/** The best belief about a node: the newest good one, the local relay's where two are as new. */
export function bestBelief(sight: Sight, node: NodeConfig, config: GroupConfig): Belief | null {
  const beliefs = sight.nodes[node.id] ?? {};
  const ranked = config.relays
    .map((relay) => vantageOf(relay.id))
    .map((vantage) => ({ belief: beliefs[vantage], local: isLocal(vantage, node, config) }))
    .filter((each) => each.belief !== undefined && good.includes(each.belief.class))
    .sort(
      (a, b) =>
        (b.belief?.askedAtMs ?? 0) - (a.belief?.askedAtMs ?? 0) ||
        Number(b.local) - Number(a.local),
    );
  return ranked[0]?.belief ?? null;
}

/** What a node says of itself, if it answers at all now. */
export function factsOf(sight: Sight, node: NodeConfig, config: GroupConfig): NodeFacts | null {
  return bestBelief(sight, node, config)?.facts ?? null;
}
