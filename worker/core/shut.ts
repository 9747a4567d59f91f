/**
 * A primary that lives and takes no writes, and that nobody can open.
 *
 * Rules: under a lease only the relay on its own machine opens a node. When that one is gone, its guard has sealed the
 * node, and it stays so, however well Redis is: after `down_after_ms` that is as good as down. So it is where the
 * order to open it failed `max_failures` times in a row, whatever the reason.
 */
import { type Draft, factsAfter, factsOf } from "./draft.ts";
import { isSealed } from "./facts.ts";
import { relayBelief } from "./health.ts";
import { firstLease, isKeeper } from "./lease.ts";
import { handsFor } from "./plan.ts";
import type { NodeConfig } from "./types.ts";

/** Why it stays sealed; null: it takes writes, or can be opened, or that is not sure yet. */
export function whyStaysSealed(draft: Draft, { id }: NodeConfig): string | null {
  const { config, saved, sight, nowMs } = draft;
  const facts = factsOf(draft, id);
  if (facts?.role !== "primary" || !isSealed(facts)) return null;
  const failed = sight.failed[`unseal:${id}`] ?? 0;
  if (failed >= config.maxFailures)
    return `${id} is up and sealed, and ${failed} orders to open it failed`;
  if (firstLease(saved, config, id) === null) return null;
  const keeper = config.relays.find((relay) => isKeeper(config, relay.id, id));
  const belief = keeper === undefined ? null : relayBelief(sight, keeper.id);
  if (keeper === undefined || belief === null || belief.firstBadAtMs === null) return null;
  const awayMs = nowMs - belief.firstBadAtMs;
  if (belief.failures < config.maxFailures || awayMs < config.downAfterMs) return null;
  return `${id} is up and sealed, and relay ${keeper.id}, which alone can open it, does not answer`;
}

/**
 * It was seen, by a look asked for at `sinceMs` or later, that it takes writes, or that somebody can be told to open it.
 * After an eviction nobody knows for how long its relay was away: that it does not answer now is enough.
 */
export function isOpenAgain(draft: Draft, { id }: NodeConfig, sinceMs: number): boolean {
  const facts = factsAfter(draft, id, sinceMs);
  if (facts === null) return false;
  return !isSealed(facts) || handsFor(draft, id, "unseal") !== null;
}
