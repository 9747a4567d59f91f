/**
 * Rules about what is on disk and what is told: epochs and revisions that never fall, one primary an epoch, and
 * nobody named who was not seen as primary.
 */
import type { Route } from "../../../worker/core/route.ts";
import type { Decision, Saved } from "../../../worker/core/state.ts";
import type { PublishAction } from "../../../worker/core/types.ts";
import { commitActions } from "./actions.ts";
import { isAutomatic, type Ledger, violate } from "./ledger.ts";

/** A decision was written. */
export function checkSaved(
  ledger: Ledger,
  before: Saved | null,
  { state, actions, events }: Decision,
  leaseMs: number,
): void {
  const { saved } = state;
  const was = ledger.saved;
  if (saved.epoch < was.epoch || (saved.epoch === was.epoch && saved.rev < was.rev))
    violate(
      ledger,
      "epoch-falls",
      `${saved.epoch}.${saved.rev} is saved after ${was.epoch}.${was.rev}`,
    );
  if (saved.highestEpoch < ledger.highestSaved)
    violate(ledger, "epoch-falls", `the highest epoch falls to ${saved.highestEpoch}`);
  if (saved.highestEpoch < saved.epoch)
    violate(
      ledger,
      "epoch-falls",
      `epoch ${saved.epoch} is above the highest, ${saved.highestEpoch}`,
    );
  ledger.saved = { epoch: saved.epoch, rev: saved.rev };
  ledger.highestSaved = saved.highestEpoch;
  ledger.baseline = saved.baseline;
  commitActions(ledger, actions);
  for (const { name, data } of events)
    if (name === "+node-renamed" && typeof data.from === "string")
      renamed(ledger, data.from, saved.primary ?? "");
  if (saved.lastSwitch?.epoch !== before?.lastSwitch?.epoch) ledger.switchedMs = ledger.nowMs;
  follow(ledger, before, saved, leaseMs);
  seen(ledger, before, saved);
  for (const event of events) count(ledger, event.name, event.atMs, event.data);
}

/** The same node under another name: what was seen of it holds. */
function renamed(ledger: Ledger, from: string, to: string): void {
  const seenMs = ledger.seenPrimary.get(from);
  if (seenMs !== undefined) ledger.seenPrimary.set(to, seenMs);
}

/** The primary was restarted meanwhile: what it came back as is another matter. */
function isBack(ledger: Ledger, { primary, primaryRunId }: Saved): boolean {
  const seen = ledger.lastFacts.get(primary ?? "")?.facts;
  return seen !== undefined && seen.runId !== primaryRunId;
}

/** Notes when each part of an attempt began. */
function follow(ledger: Ledger, before: Saved | null, saved: Saved, leaseMs: number): void {
  const { phase } = saved;
  const was = before?.phase;
  if (
    was !== undefined &&
    phase.kind === "watching" &&
    (was.kind === "fencing" || was.kind === "electing")
  )
    ledger.lastAborted =
      isAutomatic(was.attempt.cause) && ledger.beganMs > ledger.forgivenMs && !isBack(ledger, saved)
        ? { atMs: was.attempt.startedAtMs, virtualMs: ledger.beganMs }
        : null;
  if (phase.kind === "watching") return;
  const { epoch, cause } = phase.attempt;
  if (was?.kind === "watching" || (was !== undefined && was.attempt.epoch !== epoch))
    ledger.beganMs = ledger.nowMs;
  ledger.causes.set(epoch, cause);
  if (phase.kind === "electing" && !ledger.electingSince.has(epoch))
    ledger.electingSince.set(epoch, ledger.nowMs);
  if (phase.kind !== "fencing" || saved.revokedAtMs === null || ledger.revokedSince.has(epoch))
    return;
  // What was revoked for the attempt before stays revoked.
  const goesOn =
    was !== undefined && was.kind !== "watching" && before?.revokedAtMs === saved.revokedAtMs;
  const earlier = goesOn ? ledger.revokedSince.get(was.attempt.epoch) : undefined;
  ledger.revokedSince.set(epoch, earlier ?? { atMs: ledger.nowMs, leaseMs });
}

/** Another primary in force: it answered as one after it was ordered to be, or was found so. */
function seen(ledger: Ledger, before: Saved | null, saved: Saved): void {
  if (saved.primary !== null) ledger.everHadPrimary = true;
  else if (ledger.everHadPrimary) violate(ledger, "route-lost", "the primary in force is nobody");
  if (ledger.isActive || saved.primary === null || before?.primary === saved.primary) return;
  const seenMs = ledger.seenPrimary.get(saved.primary);
  if (seenMs === undefined || seenMs < seenSince(ledger, before, saved))
    violate(
      ledger,
      "unseen-primary",
      `${saved.primary} is in force at epoch ${saved.epoch}, and was not seen as primary since it was told to be`,
    );
}

/** What a relay tells of its own accord is so long on its way, where nothing is wrong with that. */
const ON_ITS_WAY_MS = 20;

/** From when on a look shows that the order was obeyed. */
function seenSince(ledger: Ledger, before: Saved | null, saved: Saved): number {
  const orderedMs = ledger.ordered.get(saved.epoch) ?? 0;
  // Whoever is handed over to was a replica when that began: an answer on its way says what is so since.
  if (before?.phase.kind === "switching") return Math.min(orderedMs, ledger.beganMs);
  const heardMs = ledger.heardPrimary.get(saved.primary ?? "") ?? 0;
  return heardMs >= orderedMs ? orderedMs - ON_ITS_WAY_MS : orderedMs;
}

function count(
  ledger: Ledger,
  name: string,
  atMs: number,
  data: Readonly<Record<string, unknown>>,
): void {
  if (name === "+switch-master") {
    const cause = data.cause as string;
    if (cause === "promotion-lost" || isAutomatic(cause as "odown"))
      ledger.failovers.push({ atMs, virtualMs: ledger.nowMs });
    ledger.lastAborted = null;
  }
  if (name === "+acknowledge") ledger.failovers = [];
  if (name === "+acknowledge" || name === "+reset-master") ledger.forgivenMs = ledger.nowMs;
  if (name === "+acknowledge" || name === "+reset-master" || name === "+failover-detected")
    ledger.lastAborted = null;
}

/** A publisher is told a route. */
export function checkPublish(ledger: Ledger, { route, to }: PublishAction): void {
  const { epoch, rev, primary } = route;
  const last = ledger.lastRouted.get(to);
  if (last !== undefined && (epoch < last.epoch || (epoch === last.epoch && rev < last.rev)))
    violate(ledger, "route-falls", `${to} is told ${epoch}.${rev} after ${last.epoch}.${last.rev}`);
  ledger.lastRouted.set(to, { epoch, rev });
  if (primary === null) {
    if (ledger.everHadPrimary)
      violate(ledger, "route-lost", `${to} is told that nobody is primary`);
    return;
  }
  const other = ledger.routed.get(epoch);
  if (other !== undefined && other !== primary.id)
    violate(
      ledger,
      "one-primary",
      `${to} is told ${primary.id} at epoch ${epoch}, which was told for ${other}`,
    );
  ledger.routed.set(epoch, primary.id);
  if (!ledger.isActive && !ledger.seenPrimary.has(primary.id))
    violate(
      ledger,
      "unseen-primary",
      `${to} is told ${primary.id}, which was never seen as primary`,
    );
}

export function fellBack(ledger: Ledger, to: string, before: Route, after: Route): void {
  violate(
    ledger,
    "route-falls",
    `${to} holds ${after.epoch}.${after.rev} after ${before.epoch}.${before.rev}`,
  );
}
