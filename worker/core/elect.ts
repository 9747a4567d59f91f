/**
 * Which replica is promoted: Sentinel's filter and order (sentinelSelectSlave), with a reason for each refusal.
 *
 * Sentinel's: subjectively down · last good answer older than 5 s · priority 0 · facts older than 5 s (30 s
 * while the primary is up) · link to its primary down for longer than the primary is down plus 10 times
 * down_after, unless it followed when the primary was last seen.
 * Beyond it: no relay at hand · in downtime · not good for `grace_ms` since it was bad · loading or in its
 * first synchronisation · says that it is a primary · its link was silently down while the primary was up ·
 * too far behind the primary as last seen · emptied · in another zone where that is refused.
 * Order: lower priority, larger offset, smaller run id without regard to case, a missing run id last; with
 * `elect = "data"` the offset comes before the priority; one whose promotion was never seen comes last.
 * A candidate that an operator named is spared what only guesses at its data: grace, link, lag, zone.
 * Must never: look at anything but its arguments.
 */
import type { FailoverCause, Refusal } from "./state.ts";
import type { GroupConfig } from "./types.ts";

export type Candidate = {
  readonly id: string;
  readonly runId: string;
  readonly priority: number;
  readonly offset: number;
  readonly keys: number;
  readonly sdown: boolean;
  /** A relay can be told to promote it. */
  readonly reachable: boolean;
  /** Age of the last good answer; null: never. */
  readonly okAgeMs: number | null;
  readonly factsAgeMs: number | null;
  /** Why it is left alone; null: it is not. */
  readonly downtime: string | null;
  /** For how long it is good without a break since it was bad; null: it was never seen bad. */
  readonly cleanForMs: number | null;
  /** Good looks in a row. */
  readonly successes: number;
  /** Null: it had no link since it started. */
  readonly linkDownMs: number | null;
  /** When the primary was last seen up, this one followed it with the link up. Survives an eviction. */
  readonly followed: boolean;
  /** How far behind the primary as last seen, in one history; null: not known. */
  readonly lagBytes: number | null;
  /** Whom it follows, when that is nobody of the group; null: it is one of the group, or it says nobody. */
  readonly stranger: string | null;
  readonly syncing: boolean;
  readonly loading: boolean;
  readonly role: "primary" | "replica" | null;
  /** It may be a primary: named by an operator, or promoted by us or by somebody else. */
  readonly mayBePrimary: boolean;
  /** Was sent a promotion that was never seen: it comes last. */
  readonly lost: boolean;
  readonly named: boolean;
  /** In the zone of the primary that it replaces, or one of the two is in none. */
  readonly sameZone: boolean;
};

export type ElectRules = Pick<
  GroupConfig,
  | "downAfterMs"
  | "upAfter"
  | "graceMs"
  | "maxLinkDownMs"
  | "maxLagBytes"
  | "wipeKeepRatio"
  | "elect"
  | "crossZone"
> & {
  /** How long the primary has been down; null: it is up. */
  readonly primaryDownMs: number | null;
  /** Keys that the primary had when last seen; null: not known. */
  readonly knownKeys: number | null;
  /**
   * What calls for it; null: an operator. When the primary was wiped, or is a replica now, all links are down
   * for that reason, and who waits for a synchronisation from a wiped one still holds what it had.
   */
  readonly cause: FailoverCause | null;
};

export type Election = {
  /** Best first. */
  readonly order: readonly Candidate[];
  readonly refused: readonly Refusal[];
};

const FRESH_MS = 5000;
const FRESH_WHILE_UP_MS = 30_000;

export function elect(candidates: readonly Candidate[], rules: ElectRules): Election {
  const refused: Refusal[] = [];
  const eligible: Candidate[] = [];
  for (const candidate of candidates) {
    const reason =
      refusalOf(candidate, rules) ?? (candidate.named ? null : doubtOf(candidate, rules));
    if (reason === null) eligible.push(candidate);
    else refused.push({ node: candidate.id, reason });
  }
  return { order: eligible.sort((a, b) => compare(a, b, rules)), refused };
}

/** What nobody can talk it out of. */
function refusalOf(candidate: Candidate, rules: ElectRules): string | null {
  if (candidate.okAgeMs === null) return "was never seen up";
  if (candidate.sdown) return "is subjectively down";
  if (!candidate.reachable) return "has no relay that could promote it now";
  if (candidate.okAgeMs > FRESH_MS) return `last good answer is ${candidate.okAgeMs} ms old`;
  if (candidate.downtime !== null) return `is in downtime: ${candidate.downtime}`;
  if (candidate.priority === 0) return "has priority 0";
  const oldest = rules.primaryDownMs === null ? FRESH_WHILE_UP_MS : FRESH_MS;
  if (candidate.factsAgeMs === null) return "told nothing about itself";
  if (candidate.factsAgeMs > oldest) return `last INFO is ${candidate.factsAgeMs} ms old`;
  if (candidate.loading) return "is loading its data";
  // What it had is gone only when it loads; whoever names it knows what that is worth.
  const keeps = rules.cause === "wiped" || (candidate.named && candidate.keys > 0);
  if (candidate.syncing && !keeps) return "is still in its first synchronisation";
  if (candidate.role === "primary" && !candidate.mayBePrimary)
    return "says that it is a primary; promote it only by naming it";
  return null;
}

/** What speaks against its data, or against its standing: an operator who names it knows better. */
function doubtOf(candidate: Candidate, rules: ElectRules): string | null {
  const { cleanForMs, successes, linkDownMs, lagBytes, keys, followed } = candidate;
  if (cleanForMs !== null && successes < rules.upAfter)
    return `was bad, and was seen good only ${successes} times of ${rules.upAfter}`;
  if (cleanForMs !== null && cleanForMs < rules.graceMs)
    return `was bad, and is good for only ${cleanForMs} ms of the ${rules.graceMs} ms of grace`;
  if (candidate.role === "replica" && !followed && !linksSayNothing(rules)) {
    if (linkDownMs === null) return "had no link to its primary since it started";
    const aloneMs = linkDownMs - (rules.primaryDownMs ?? 0);
    const longest = 10 * rules.downAfterMs;
    if (aloneMs > longest)
      return `link to its primary was down for ${linkDownMs} ms, more than ${longest + (rules.primaryDownMs ?? 0)} ms`;
    if (rules.maxLinkDownMs > 0 && aloneMs > rules.maxLinkDownMs)
      return `link to its primary was down for ${aloneMs} ms while the primary was up, more than ${rules.maxLinkDownMs} ms`;
  }
  if (candidate.stranger !== null)
    return `follows ${candidate.stranger}, which is no node of the group`;
  if (rules.maxLagBytes > 0 && lagBytes !== null && lagBytes > rules.maxLagBytes)
    return `is ${lagBytes} bytes behind the primary as last seen, more than ${rules.maxLagBytes}`;
  if (rules.knownKeys !== null && keys < rules.knownKeys * rules.wipeKeepRatio)
    return `holds ${keys} keys of the ${rules.knownKeys} that the primary had`;
  if (rules.crossZone === "refuse" && !candidate.sameZone) return "is in another zone";
  return null;
}

const linksSayNothing = ({ cause }: ElectRules) => cause === "wiped" || cause === "no-primary";

function compare(a: Candidate, b: Candidate, { elect: first, crossZone }: ElectRules): number {
  if (a.lost !== b.lost) return a.lost ? 1 : -1;
  if (crossZone !== "allow" && a.sameZone !== b.sameZone) return a.sameZone ? -1 : 1;
  const byPriority = a.priority - b.priority;
  const byOffset = b.offset - a.offset;
  const order = first === "data" ? byOffset || byPriority : byPriority || byOffset;
  if (order !== 0) return order;
  if (a.runId === "" || b.runId === "") return a.runId === b.runId ? 0 : a.runId === "" ? 1 : -1;
  const [left, right] = [a.runId.toLowerCase(), b.runId.toLowerCase()];
  return left < right ? -1 : left > right ? 1 : 0;
}
