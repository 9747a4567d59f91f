/**
 * Which replica is promoted: Sentinel's filter and order (sentinelSelectSlave), with a reason for each refusal.
 *
 * Refused: subjectively down · its relay not to be reached · last good answer older than 5 s · priority 0 ·
 * facts older than 5 s (30 s while the primary is up) · link to its primary down for longer than the primary
 * is down plus 10 times down_after, unless it followed when the primary was last seen (nobody may have looked
 * for a while, so how long the primary is down is not known) · still loading or in its first synchronisation ·
 * says that it is a primary.
 * Order: lower priority, larger offset, smaller run id without regard to case, a missing run id last.
 * Must never: look at anything but its arguments.
 */
import type { Refusal } from "./state.ts";

export type Candidate = {
  readonly id: string;
  readonly runId: string;
  readonly priority: number;
  readonly offset: number;
  readonly sdown: boolean;
  /** A relay can be told to promote it. */
  readonly reachable: boolean;
  /** Age of the last good answer; null: never. */
  readonly okAgeMs: number | null;
  readonly factsAgeMs: number | null;
  readonly linkDownMs: number | null;
  /** When the primary was last seen up, this one followed it with the link up. Survives an eviction. */
  readonly followed: boolean;
  readonly syncing: boolean;
  readonly loading: boolean;
  readonly role: "primary" | "replica" | null;
  /** Was sent a promotion that was never seen: it may be a primary because of us, and it comes last. */
  readonly lost: boolean;
};

export type ElectRules = {
  /** How long the primary has been down; null: it is up. */
  readonly primaryDownMs: number | null;
  readonly downAfterMs: number;
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
    const reason = refusalOf(candidate, rules);
    if (reason === null) eligible.push(candidate);
    else refused.push({ node: candidate.id, reason });
  }
  return { order: eligible.sort(compare), refused };
}

function refusalOf(candidate: Candidate, rules: ElectRules): string | null {
  if (candidate.okAgeMs === null) return "was never seen up";
  if (candidate.sdown) return "is subjectively down";
  if (!candidate.reachable) return "has no relay that could promote it now";
  if (candidate.okAgeMs > FRESH_MS) return `last good answer is ${candidate.okAgeMs} ms old`;
  if (candidate.priority === 0) return "has priority 0";
  const oldest = rules.primaryDownMs === null ? FRESH_WHILE_UP_MS : FRESH_MS;
  if (candidate.factsAgeMs === null) return "told nothing about itself";
  if (candidate.factsAgeMs > oldest) return `last INFO is ${candidate.factsAgeMs} ms old`;
  if (candidate.loading) return "is loading its data";
  if (candidate.syncing) return "is still in its first synchronisation";
  if (candidate.role === "primary" && !candidate.lost)
    return "says that it is a primary; promote it only by naming it";
  const longest = (rules.primaryDownMs ?? 0) + 10 * rules.downAfterMs;
  if (!candidate.followed && candidate.linkDownMs !== null && candidate.linkDownMs > longest)
    return `link to its primary was down for ${candidate.linkDownMs} ms, more than ${longest} ms`;
  return null;
}

function compare(a: Candidate, b: Candidate): number {
  if (a.lost !== b.lost) return a.lost ? 1 : -1;
  if (a.priority !== b.priority) return a.priority - b.priority;
  if (a.offset !== b.offset) return b.offset - a.offset;
  if (a.runId === "" || b.runId === "") return a.runId === b.runId ? 0 : a.runId === "" ? 1 : -1;
  const [left, right] = [a.runId.toLowerCase(), b.runId.toLowerCase()];
  return left < right ? -1 : left > right ? 1 : 0;
}
