/**
 * A primary that lives and takes no writes, and that nobody can open.
 *
 * Rules: under a lease only the relay on its own machine opens a node. When that one is gone, its guard has sealed the
 * node, and it stays so, however well Redis is: after `down_after_ms` that is as good as down.
 */
import { type Draft, factsOf } from "./draft.ts";
import { isSealed } from "./facts.ts";
import { relayBelief } from "./health.ts";
import { firstLease, isKeeper } from "./lease.ts";
import type { NodeConfig } from "./types.ts";

/** Why it stays sealed; null: it takes writes, or can be opened, or that is not sure yet. */
export function whyStaysSealed(draft: Draft, { id }: NodeConfig): string | null {
  const { config, saved, sight, nowMs } = draft;
  const facts = factsOf(draft, id);
  if (facts?.role !== "primary" || !isSealed(facts)) return null;
  if (firstLease(saved, config, id) === null) return null;
  const keeper = config.relays.find((relay) => isKeeper(config, relay.id, id));
  const belief = keeper === undefined ? null : relayBelief(sight, keeper.id);
  if (keeper === undefined || belief === null || belief.firstBadAtMs === null) return null;
  const awayMs = nowMs - belief.firstBadAtMs;
  if (belief.failures < config.maxFailures || awayMs < config.downAfterMs) return null;
  return `${id} is up and sealed, and relay ${keeper.id}, which alone can open it, does not answer`;
}
