/**
 * Rules about what the Group was shown and may not forget: what the primary had, and who was a replica before somebody
 * made it a primary.
 *
 * Promises: what a life was shown is forgotten with it, but for roles, which are on disk.
 */
import type { Saved } from "../../../worker/core/state.ts";
import type { NodeFacts } from "../../../worker/core/types.ts";
import type { Judged } from "./attempts.ts";
import { type Ledger, type Life, type Sighted, violate } from "./ledger.ts";

/** Looks of one moment differ by what was written meanwhile. */
const SPARE_BYTES = 250;

/** After the decision: what is shown with it may come too late for it. */
export function noteShown(life: Life, judged: Judged): void {
  const { before, config, nowMs, tilt, input } = judged;
  // An operator took things as they are.
  if (input.requests.some(({ kind }) => kind === "acknowledge" || kind === "reset"))
    life.shown.clear();
  if (tilt) return;
  for (const seen of input.observations) {
    const askedAtMs = seen.atMs - seen.tookMs;
    const pair = `${seen.node} ${seen.vantage}`;
    const old = nowMs - askedAtMs > config.probeTimeoutMs + 1000;
    if (old || seen.atMs > nowMs || seen.tookMs < 0 || seen.epoch < before.epoch) continue;
    if (!config.vantages.includes(seen.vantage)) continue;
    if (askedAtMs < (life.askedMs.get(pair) ?? 0)) continue;
    life.askedMs.set(pair, askedAtMs);
    const facts = seen.facts ?? seen.pushed?.before?.facts ?? null;
    if (facts === null || facts.role !== "primary" || facts.loading) continue;
    if (seen.node !== before.primary || facts.runId !== before.primaryRunId) continue;
    const key = keyOf(facts.runId, facts);
    life.shown.set(key, Math.max(life.shown.get(key) ?? facts.offset, facts.offset));
  }
}

const keyOf = (runId: string | null, { replicationId }: NodeFacts) => `${runId} ${replicationId}`;

/** How far a candidate surely is behind what the primary in force was seen to have; 0: nobody can tell. */
export function surelyBehind(life: Life, before: Saved, facts: NodeFacts): number {
  const had = life.shown.get(keyOf(before.primaryRunId, facts));
  return had === undefined ? 0 : Math.max(0, had - facts.offset - SPARE_BYTES);
}

/** Who was seen as a replica, and since when it is a primary under the same run id. */
export function noteRoles(ledger: Ledger, { before, input, nowMs, config }: Judged): void {
  if (input.requests.some(({ kind }) => kind === "reset")) ledger.roles.clear();
  for (const id of ledger.roles.keys())
    if (!config.nodes.some((node) => node.id === id)) ledger.roles.delete(id);
  const seen = (input.observations as readonly Sighted[]).filter(
    (each) =>
      each.facts !== null &&
      each.atMs <= nowMs &&
      each.tookMs >= 0 &&
      each.epoch >= before.epoch &&
      each.virtualMs >= (ledger.lastFacts.get(each.node)?.virtualMs ?? 0),
  );
  for (const { id } of config.nodes) {
    const all = seen.filter(({ node }) => node === id).flatMap(({ facts }) => facts ?? []);
    const primary = all.find(({ role }) => role === "primary");
    const known = ledger.roles.get(id);
    if (primary === undefined) {
      const runId = all[0]?.runId;
      if (runId !== undefined)
        ledger.roles.set(id, { runId, replicaMs: ledger.nowMs, primaryMs: null });
    } else if (id === before.primary || primary.runId !== known?.runId) ledger.roles.delete(id);
    else if (known.primaryMs === null) ledger.roles.set(id, { ...known, primaryMs: ledger.nowMs });
  }
}

/** What a person promoted is let be for `adopt_after_ms`: it may be the first half of a switch. */
export function checkLetBe(ledger: Ledger, { before, config, clockJumped }: Judged, id: string) {
  const { roles, lastFacts, named, ordered } = ledger;
  const role = roles.get(id);
  const facts = lastFacts.get(id)?.facts;
  const idle = before.phase.kind === "watching" || before.phase.kind === "repointing";
  if (!idle || clockJumped || role === undefined || role.primaryMs === null) return;
  if (facts?.role !== "primary" || facts.runId !== role.runId) return;
  // Whoever was a primary when another one came in force was one before: no switch that is not finished.
  if (role.primaryMs <= ledger.switchedMs) return;
  // By our own order, perhaps, and nobody heard that it was obeyed.
  const isOurs = [...named].some(
    ([epoch, node]) => node === id && (ordered.get(epoch) ?? 0) >= role.replicaMs,
  );
  if (isOurs || before.maybePromoted.includes(id)) return;
  const forMs = ledger.nowMs - role.primaryMs;
  if (forMs < 0.9 * config.adoptAfterMs)
    violate(
      ledger,
      "foreign-fought",
      `${id} is demoted ${forMs} ms after it was made a primary, adopt_after_ms is ${config.adoptAfterMs}`,
    );
}
