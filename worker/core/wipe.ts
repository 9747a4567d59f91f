/**
 * The wipe guard: a primary that was restarted is judged by its keys before it counts as the primary again.
 *
 * Rules: it is wiped when its run id changed, it is not loading, it holds less than `wipe_keep_ratio` of the
 * keys that were noted, or that a replica of it holds, and a replica still holds more. While a node that may hold more was not seen, the
 * verdict waits, for at most `primary_start_timeout_ms`. Offsets never count: an ordinary restart resets them.
 * It takes two looks, so that one wrong answer wipes nothing.
 */

import type { Baseline } from "./believed.ts";
import { lastKnown } from "./candidates.ts";
import { type Draft, factsOf, nodeOf, onlySince, save } from "./draft.ts";
import { followsNode } from "./facts.ts";
import { good } from "./sight.ts";

const BASELINE_MS = 60_000;
/** While relays tell with a death what the node last said, a note that says the same of its keys can wait. */
const QUIET_BASELINE_MS = 600_000;
/** By how much the keys have moved, as part of what is noted, so that another note says something else. */
const MOVED = 1 / 8;

export type Wipe = {
  readonly kind: "kept" | "wiped" | "waiting";
  readonly why: string;
  readonly evidence: Readonly<Record<string, unknown>>;
};

/** What the primary in force is since its last restart; `kept` also while it was not restarted. */
export function wipeOf(draft: Draft): Wipe {
  const { saved, config, nowMs } = draft;
  const wipe = (kind: Wipe["kind"], why: string, evidence: Wipe["evidence"] = {}): Wipe => ({
    kind,
    why,
    evidence,
  });
  const facts = factsOf(draft, saved.primary);
  const baseline = lastKnown(draft);
  if (facts === null) return wipe("waiting", "it was not seen");
  if (facts.runId === saved.primaryRunId) return wipe("kept", "it was not restarted");
  if (facts.loading) return wipe("waiting", "it is loading its data");
  const others = config.nodes.filter((node) => node.id !== saved.primary);
  const keys = others.map(({ id }) => ({ id, keys: factsOf(draft, id)?.keys ?? null }));
  const unseen = keys.some((other) => other.keys === null);
  const had = Math.max(baseline?.keys ?? 0, ...copied(draft));
  // What was noted may be from when it held nothing: an empty one is judged when everyone was seen.
  const doubtful = facts.keys === 0 && unseen;
  if (facts.keys >= had * config.wipeKeepRatio && !doubtful)
    return wipe("kept", `it holds ${facts.keys} keys`);
  const evidence = { keys: facts.keys, keysBefore: had, others: keys };
  const since = draft.sight.since[RESTARTED + facts.runId] ?? nowMs;
  if (contradicted(draft)) return wipe("waiting", "another vantage sees it as it was", evidence);
  if (keys.some((other) => other.keys !== null && other.keys > facts.keys)) {
    const text = `it was restarted with ${facts.keys} of ${had} keys, and a replica holds more`;
    // One answer proves nothing: the next look has to say the same.
    return wipe((draft.sight.lookAskedAtMs ?? 0) > since ? "wiped" : "waiting", text, evidence);
  }
  if (unseen && nowMs - since < config.primaryStartTimeoutMs)
    return wipe("waiting", "who may hold its data was not seen yet", evidence);
  return wipe("kept", `it holds ${facts.keys} keys, and nobody holds more`, evidence);
}

/** What its replicas hold of it, whoever looked when: a group that is quiet is looked at once a minute. */
function copied(draft: Draft): readonly number[] {
  const primary = nodeOf(draft.config, draft.saved.primary);
  return draft.config.nodes.flatMap(({ id }) => {
    const facts = factsOf(draft, id);
    return facts !== null && primary !== null && followsNode(facts, primary) ? [facts.keys] : [];
  });
}

/** In the same look somebody sees it under the run id that it had. */
function contradicted({ sight, saved }: Draft): boolean {
  return Object.values(sight.nodes[saved.primary ?? ""] ?? {}).some(
    ({ class: kind, askedAtMs, facts }) =>
      good.includes(kind) &&
      askedAtMs >= (sight.lookAskedAtMs ?? 0) &&
      facts?.runId === saved.primaryRunId,
  );
}

const RESTARTED = "restarted:";

/** Notes since when the primary answers under a run id that was not judged yet. */
export function noteRestart(draft: Draft): void {
  const facts = factsOf(draft, draft.saved.primary);
  if (facts === null) return;
  const judged = facts.runId === draft.saved.primaryRunId;
  onlySince(draft, RESTARTED, judged ? null : facts.runId);
}

/** What the primary in force said of itself last, to whoever looks at it; null: nobody heard it. */
function newestOf({ saved, sight }: Draft): Baseline | null {
  let newest: Baseline | null = null;
  for (const belief of Object.values(sight.nodes[saved.primary ?? ""] ?? {})) {
    const { facts, factsAtMs } = belief;
    if (facts === null || factsAtMs === null) continue;
    // What it said may be as old as the question.
    const atMs = factsAtMs === belief.atMs ? belief.askedAtMs : factsAtMs;
    const { runId, role, loading, keys, offset, replicationId } = facts;
    if (role !== "primary" || loading || runId !== saved.primaryRunId) continue;
    if (atMs > (newest?.atMs ?? 0)) newest = { runId, keys, offset, replicationId, atMs };
  }
  return newest;
}

/** Notes what the primary holds: in memory at every look, on disk at most once a minute and when it changed, more rarely in a quiet group. */
export function noteBaseline(draft: Draft, quiet: boolean): void {
  const { saved, nowMs, sight } = draft;
  const seen = newestOf(draft);
  if (seen === null || seen.atMs <= (sight.lastSeen?.atMs ?? 0)) return;
  const { runId, keys, replicationId } = seen;
  draft.sight = { ...sight, lastSeen: seen };
  const { baseline } = saved;
  const changed = baseline?.runId !== runId || baseline.replicationId !== replicationId;
  const moved = Math.abs(keys - (baseline?.keys ?? 0));
  const same = quiet && moved <= MOVED * (baseline?.keys ?? 0);
  const gapMs = same ? QUIET_BASELINE_MS : BASELINE_MS;
  const grown = baseline !== null && moved > 0 && nowMs - baseline.atMs >= gapMs;
  // One that would call a wiped node whole is no guard, however young it is.
  const useless = baseline !== null && baseline.keys < keys * draft.config.wipeKeepRatio;
  if (changed || grown || useless) save(draft, { baseline: seen });
}
