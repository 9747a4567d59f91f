/**
 * What a relay makes of its own looks at one node: what is news, and when to look again.
 *
 * Rules: a refused connection is asked again `max_failures` times at `retry_ms` and then told; silence and
 * MISCONF are told when they have lasted for `down_after_ms` as well; a change of role, link or state is told
 * at once; a connection that was dropped is no look, what the next one finds is.
 * Must never: read a clock, or decide what follows: the Group counts it as one vote.
 */
import type { NodeFacts, ObservationClass } from "../../core/types.ts";

/** How the Group wants it watched. */
export type Plan = {
  readonly checkIntervalMs: number;
  readonly probeTimeoutMs: number;
  readonly retryMs: number;
  readonly maxFailures: number;
  readonly downAfterMs: number;
};

/** One look, by this relay's monotonic clock. */
export type Seen = {
  readonly class: Exclude<ObservationClass, "relay-unreachable" | "wrong-role" | "unavailable">;
  readonly detail: string;
  readonly facts: NodeFacts | null;
  readonly askedAtMs: number;
  readonly atMs: number;
};

export type Gaze = {
  readonly last: Seen | null;
  /** The last look at which it said what it is: the only witness of it, when it is gone and the Group slept. */
  readonly known: { readonly facts: NodeFacts; readonly askedAtMs: number } | null;
  /** Bad looks in a row, those of them at the end that were refused, and when the first of them was asked for. */
  readonly bad: {
    readonly looks: number;
    readonly refusals: number;
    readonly sinceMs: number;
  } | null;
  /** What was told last, in short. */
  readonly told: string | null;
};

export type Step = {
  readonly gaze: Gaze;
  readonly news: boolean;
  /** From the end of this look to the next one. */
  readonly nextMs: number;
};

export const blank: Gaze = { last: null, known: null, bad: null, told: null };

const good: readonly string[] = ["up", "loading", "switching"];
const bad: readonly string[] = ["refused", "timeout", "misconf"];

/** Silence that lasts for `down_after_ms` is to be seen soon after it began. */
const BEATS_IN_DOWN_AFTER = 4;
const FASTEST_MS = 50;

export const beatMs = ({ checkIntervalMs, downAfterMs }: Plan): number =>
  Math.max(FASTEST_MS, Math.min(checkIntervalMs, downAfterMs / BEATS_IN_DOWN_AFTER));

/**
 * What is not answered after so long counts as silent for now: `max_failures` of it fill `down_after_ms`. An answer that
 * comes within `probe_timeout_ms` ends the row all the same.
 */
export const lookMs = ({ probeTimeoutMs, downAfterMs, maxFailures }: Plan): number =>
  Math.max(FASTEST_MS, Math.min(probeTimeoutMs, Math.ceil(downAfterMs / maxFailures)));

export function take(gaze: Gaze, seen: Seen, plan: Plan): Step {
  const isBad = bad.includes(seen.class);
  const row = good.includes(seen.class) ? null : isBad ? longer(gaze, seen) : gaze.bad;
  const word = wordOf(seen, row, plan);
  // What is not sure yet is not told: the last word stands until it is.
  const news = word !== null && word !== gaze.told;
  const { facts, askedAtMs } = seen;
  const known = facts === null ? gaze.known : { facts, askedAtMs };
  return {
    gaze: { last: seen, known, bad: row, told: word ?? gaze.told },
    news,
    nextMs: row === null ? beatMs(plan) : Math.max(0, plan.retryMs - waitedMs(seen)),
  };
}

/** The next question to one that is silent follows at once: the last one has waited. */
const waitedMs = ({ class: kind, askedAtMs, atMs }: Seen): number =>
  kind === "timeout" ? atMs - askedAtMs : 0;

function longer({ bad: before }: Gaze, seen: Seen): NonNullable<Gaze["bad"]> {
  return {
    looks: (before?.looks ?? 0) + 1,
    refusals: seen.class === "refused" ? (before?.refusals ?? 0) + 1 : 0,
    sinceMs: before?.sinceMs ?? seen.askedAtMs,
  };
}

/** What would be told of it, in short; null: it is too early. */
function wordOf(seen: Seen, row: Gaze["bad"], plan: Plan): string | null {
  const { facts } = seen;
  if (seen.class === "closed") return null;
  if (!bad.includes(seen.class)) return [seen.class, ...changing(facts)].join(" ");
  const { looks, refusals, sinceMs } = row ?? { looks: 0, refusals: 0, sinceMs: seen.atMs };
  const lasts = looks >= plan.maxFailures && seen.atMs - sinceMs >= plan.downAfterMs;
  return refusals >= plan.maxFailures || lasts ? seen.class : null;
}

/** What of a node is worth a message when it changes. Offsets and keys change all the time. */
function changing(facts: NodeFacts | null): readonly unknown[] {
  if (facts === null) return [];
  const { runId, role, replicaOf, linkUp, switching, minReplicasToWrite } = facts;
  return [runId, role, replicaOf?.host, replicaOf?.port, linkUp, switching, minReplicasToWrite];
}

/** What is told of a node; null: it was not looked at yet. */
export function lookOf(node: string, { last, known, bad: row }: Gaze, nowMs: number) {
  if (last === null) return null;
  const { class: kind, detail, facts, askedAtMs, atMs } = last;
  const before =
    facts !== null || known === null
      ? null
      : { facts: known.facts, agoMs: Math.max(0, nowMs - known.askedAtMs) };
  return {
    ...{ node, class: kind, detail, facts, before },
    ...{ agoMs: nowMs - atMs, tookMs: atMs - askedAtMs },
    ...{ looks: row?.looks ?? 0, refusals: row?.refusals ?? 0 },
    badForMs: row === null ? 0 : Math.max(0, atMs - row.sinceMs),
  };
}

/** It was away, or is another one than before: what it says of itself is seen for the first time. */
export function isFirstSight({ last, bad: row }: Gaze, seen: Seen): boolean {
  if (seen.facts === null) return false;
  return row !== null || last?.facts == null || last.facts.runId !== seen.facts.runId;
}
