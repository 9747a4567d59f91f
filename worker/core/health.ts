/**
 * From beliefs to verdicts: how each vantage votes about each node, and what they decide together.
 *
 * Rules: a refused connection counts fast (`max_failures` looks) when the relay on the node's own machine
 * sees it, or two vantages do; silence and MISCONF need `max_failures` and `down_after_ms`; loading, a script
 * and a primary that says it is a replica count only past their own limits; policy, auth, tls and dns never.
 * SDOWN is one vantage's view; ODOWN: down votes >= quorum and more down than up. An observer that failed
 * has no vote; but a relay that most places cannot reach for that long stands for the machine under its nodes.
 * Must never: let anything but a good look count as up.
 */

import type { Belief, RelayBelief, Sight } from "./believed.ts";
import { followsNode } from "./facts.ts";
import { bad, blind, good, vantageOf } from "./sight.ts";
import type { GroupConfig, NodeConfig } from "./types.ts";

/** A primary pings its replicas so often (repl-ping-replica-period). */
const PING_PERIOD_MS = 10_000;
const REPL_TIMEOUT_MS = 60_000;

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
  /** Vantages whose vote is that the machine under the node is silent: they saw nothing of the node itself. */
  readonly silent: readonly string[];
  /** When the first of the bad looks was that still last; null: there is none. */
  readonly firstBadAtMs: number | null;
};

/** What is known of one node: the verdict, and the newest good look. */
export type Known = { readonly verdict: Verdict; readonly best: Belief | null };
export type Survey = Readonly<Record<string, Known>>;

/** Judges every node once. */
export function survey(sight: Sight, config: GroupConfig, nowMs: number): Survey {
  const known: Record<string, Known> = {};
  for (const node of config.nodes)
    known[node.id] = {
      verdict: judge(sight, node, config, nowMs),
      best: bestBelief(sight, node, config),
    };
  return known;
}

/** What the vantages believe of one node together. */
export function judge(sight: Sight, node: NodeConfig, config: GroupConfig, nowMs: number): Verdict {
  const beliefs = sight.nodes[node.id] ?? {};
  const wrongSinceMs = sight.since[`wrong-role:${node.id}`] ?? null;
  const wrong =
    wrongSinceMs !== null &&
    nowMs - wrongSinceMs >= Math.max(config.downAfterMs, 2 * config.checkIntervalMs);
  let refusedBy = 0;
  for (const vantage of config.vantages)
    if ((beliefs[vantage]?.refusals ?? 0) >= config.maxFailures) refusedBy += 1;
  // Two that are turned away by the same wall say little where the one beside the node sees it up: that is silence at most.
  const seenUpBeside = config.relays.some(
    ({ id, local: its }) =>
      its.includes(node.id) && good.includes(beliefs[vantageOf(id)]?.class ?? "refused"),
  );
  const isRefused = refusedBy >= 2 && !seenUpBeside;
  const votes: Record<string, Vote> = {};
  const silent: string[] = [];
  let [heard, up, down] = [0, 0, 0];
  let suspicious = false;
  let firstBadAtMs: number | null = null;
  for (const vantage of config.vantages) {
    const belief = beliefs[vantage];
    const local = isLocal(vantage, node, config);
    const silentSinceMs = local ? silentSince(vantage, sight, config, nowMs) : null;
    if (silentSinceMs !== null || (belief !== undefined && !blind.includes(belief.class)))
      heard += 1;
    const vote =
      silentSinceMs !== null ? "down" : voteOf(belief, local || isRefused, wrong, config);
    votes[vantage] = vote;
    if (silentSinceMs !== null) silent.push(vantage);
    if (vote === "up") up += 1;
    if (vote === "down") down += 1;
    const since = silentSinceMs ?? belief?.firstBadAtMs ?? null;
    if (since !== null && (firstBadAtMs === null || since < firstBadAtMs)) firstBadAtMs = since;
    if (vote === "abstain" && belief !== undefined && isDoubtful(belief, config)) suspicious = true;
  }
  const odown = down >= config.quorum && down > up;
  const authorised = heard * 2 > config.vantages.length;
  return { votes, up, down, odown, authorised, suspicious, silent, firstBadAtMs };
}

/** Bad, or a connection that was dropped: the next look tells more, unless it is dropped again and again. */
const isDoubtful = (belief: Belief, config: GroupConfig) =>
  bad.includes(belief.class) || (belief.class === "closed" && !isDropped(belief, config));

/** Whoever stands there hangs up: no death, and no look more tells why. */
export const isDropped = ({ drops }: Belief, { maxFailures }: GroupConfig): boolean =>
  drops >= maxFailures;

/** Where another node can be used at once and nothing is lost, nobody waits for one that loads. */
const loadingLimitMs = ({ mode, downAfterMs, loadingLimitMs: limitMs }: GroupConfig): number =>
  mode === "active-active" ? downAfterMs : limitMs;

/** For how long it loads, or runs a script. */
export const stuckForMs = ({ atMs, stuck }: Belief): number =>
  stuck === null ? 0 : atMs - stuck.sinceMs;

function voteOf(
  belief: Belief | undefined,
  refusedCounts: boolean,
  wrongRole: boolean,
  config: GroupConfig,
): Vote {
  if (belief === undefined) return "abstain";
  if (blind.includes(belief.class)) return "abstain";
  // However it answers in between: it loads, or runs a script, until it is up.
  const limitMs = belief.stuck?.class === "busy" ? config.busyLimitMs : loadingLimitMs(config);
  if (belief.stuck !== null && limitMs > 0 && stuckForMs(belief) >= limitMs) return "down";
  if (belief.class === "busy") return "abstain";
  // Who was told that it lives, and not what it is, cannot say that it is a primary.
  if (belief.class === "up" && wrongRole && belief.facts?.role !== "primary")
    return belief.facts === null ? "abstain" : "down";
  if (good.includes(belief.class)) return "up";
  if (!bad.includes(belief.class) || belief.failures < config.maxFailures) return "abstain";
  if (refusedCounts && belief.refusals >= config.maxFailures) return "down";
  const badForMs = belief.atMs - (belief.firstBadAtMs ?? belief.atMs);
  return badForMs >= config.downAfterMs ? "down" : "abstain";
}

export function isLocal(vantage: string, node: NodeConfig, config: GroupConfig): boolean {
  const relay = config.relays.find((each) => vantageOf(each.id) === vantage);
  return relay?.local.includes(node.id) ?? false;
}

/** Since when most places that ask a relay get no answer, if for as long as silence takes; else null. */
function silentSince(
  vantage: string,
  sight: Sight,
  config: GroupConfig,
  nowMs: number,
): number | null {
  const relay = config.relays.find((each) => vantageOf(each.id) === vantage);
  const places = Object.values((relay && sight.relays[relay.id]) ?? {});
  const silent = places.filter(
    ({ firstBadAtMs, failures }) =>
      firstBadAtMs !== null &&
      failures >= config.maxFailures &&
      nowMs - firstBadAtMs >= config.downAfterMs,
  );
  if (silent.length * 2 <= places.length) return null;
  return Math.min(...silent.map(({ firstBadAtMs }) => firstBadAtMs ?? nowMs));
}

/** A relay as the place knows it that heard from it last; null: never asked. */
export function relayBelief(sight: Sight, relay: string): RelayBelief | null {
  const places = Object.values(sight.relays[relay] ?? {});
  return places.sort((a, b) => a.failures - b.failures || b.atMs - a.atMs)[0] ?? null;
}

/**
 * The best belief about a node: of the good ones of the latest look the local relay's, else the newest. One
 * that answers only with MISCONF still says what it is.
 */
function bestBelief(sight: Sight, node: NodeConfig, config: GroupConfig): Belief | null {
  let best: Belief | null = null;
  let bestRank = 0;
  for (const [vantage, seen] of Object.entries(sight.nodes[node.id] ?? {})) {
    // What it said of itself at an older look is not what it says now.
    const belief = seen.factsAtMs === seen.atMs ? seen : { ...seen, facts: null };
    const isGood = good.includes(belief.class);
    if (!isGood && (belief.class !== "misconf" || belief.facts === null)) continue;
    const ofLook = belief.askedAtMs >= (sight.lookAskedAtMs ?? 0);
    // A region may be told that it lives, and not what it is.
    const rank =
      8 * Number(isGood) +
      4 * Number(belief.facts !== null) +
      2 * Number(ofLook) +
      Number(ofLook && isLocal(vantage, node, config));
    const newer = best === null || belief.askedAtMs > best.askedAtMs;
    if (best !== null && (rank < bestRank || (rank === bestRank && !newer))) continue;
    [best, bestRank] = [belief, rank];
  }
  return best;
}

/**
 * Replicas that heard from the primary after the first bad look: it is alive, and only out of reach. INFO
 * counts whole seconds, so hearing has to be a second newer; and whoever heard nothing for longer than a
 * primary is silent when it has nothing to say is no witness any more. A link that is up proves nothing: behind a
 * stopped primary it stays up for a minute.
 */
export function witnessesOf(
  primary: NodeConfig,
  known: Survey,
  config: GroupConfig,
): readonly string[] {
  const firstBadAtMs = known[primary.id]?.verdict.firstBadAtMs ?? null;
  if (firstBadAtMs === null || isWaived(primary, known, config)) return [];
  return config.nodes
    .filter((node) => {
      const best = known[node.id]?.best;
      const facts = best?.facts;
      if (node.id === primary.id || best == null || facts == null) return false;
      if (!followsNode(facts, primary)) return false;
      // Redis ends a synchronisation that gets no more after repl-timeout.
      if (facts.syncing) return best.atMs - firstBadAtMs <= REPL_TIMEOUT_MS + config.downAfterMs;
      if (facts.lastIoMs === null || facts.lastIoMs > config.downAfterMs + PING_PERIOD_MS)
        return false;
      return best.atMs - facts.lastIoMs > firstBadAtMs + 1000;
    })
    .map((node) => node.id);
}

/** The relay on the primary's own machine answers, and itself sees nobody there: that is enough. */
function isWaived(primary: NodeConfig, known: Survey, config: GroupConfig): boolean {
  const { votes = {}, silent = [] } = known[primary.id]?.verdict ?? {};
  return config.relays.some((relay) => {
    const vantage = vantageOf(relay.id);
    return (
      relay.local.includes(primary.id) && votes[vantage] === "down" && !silent.includes(vantage)
    );
  });
}
