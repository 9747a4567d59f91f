/**
 * A failover until somebody is chosen: watching -> fencing -> electing.
 *
 * Rules: one epoch names at most one candidate, for ever; whoever may still take writes is sealed first, and
 * under a lease nobody is promoted before the seal is confirmed or the lease has surely ended; an automatic
 * one asks the Fleet meanwhile; all evidence is looked at once more before anybody is chosen; every abort
 * unseals, and leaves the epoch to the primary that stays.
 * Must never: promote while a reason to stop is known.
 */

import { lastOkAtMs } from "./candidates.ts";
import {
  act,
  amend,
  type Draft,
  enter,
  factsOf,
  isPending,
  save,
  tell,
  untellAll,
  wakeBy,
} from "./draft.ts";
import type { EventName } from "./events.ts";
import { durations } from "./evidence.ts";
import { bootsSealed, isSealed } from "./facts.ts";
import { isKeeper, leaseEndMs } from "./lease.ts";
import { handsFor, sendVerb, sentWithin } from "./plan.ts";
import type { Attempt, FailoverCause, Pending, Phase } from "./state.ts";
import type { Outcome } from "./types.ts";
import { mayTakeWrites } from "./unsealing.ts";

const PERMIT_MS = 300;
/** Between two seals of a node that does not answer. */
const SEAL_AGAIN_MS = 250;
/** Attempts whose promotion was never seen follow each other more and more slowly. */
const LOST_GAP_MS = { first: 1000, most: 30_000 };

export type Start = {
  readonly cause: FailoverCause;
  readonly target: string | null;
  readonly why: string;
  readonly force?: boolean;
  /** Of a planned switch: until when it may take. */
  readonly untilMs?: number;
  readonly evidence?: Readonly<Record<string, unknown>>;
};

/** Begun by the Group itself, for a reason that it saw: the Fleet is asked, a pause ends it. */
export const isAutomatic = (cause: FailoverCause): boolean =>
  cause === "odown" || cause === "wiped" || cause === "no-primary" || cause === "sealed";

/** Starts an attempt: the next epoch, and seals for whoever may still take writes. */
export function begin(draft: Draft, start: Start): void {
  const { cause, target, why, force = false, untilMs = null, evidence } = start;
  const { config, nowMs, saved } = draft;
  const epoch = saved.highestEpoch + 1;
  const suspects = config.nodes
    .map(({ id }) => id)
    .filter((id) => {
      const isReplica = factsOf(draft, id)?.role === "replica";
      if (saved.maybePromoted.includes(id)) return true;
      // While it may hold a lease, one relay's word that it is a replica is not enough.
      if (id === saved.primary) return !isReplica || saved.leases.longestMs > 0;
      return factsOf(draft, id)?.role === "primary";
    });
  const attempt: Attempt = {
    epoch,
    cause,
    target,
    from: saved.primary,
    fence: suspects.filter((id) => id !== target),
    startedAtMs: nowMs,
    untilMs,
    force,
    phases: [],
  };
  save(draft, {
    highestEpoch: epoch,
    // What an operator tried and gave up holds no failover up.
    lastAttemptAtMs: isPlanned({ cause }) ? saved.lastAttemptAtMs : nowMs,
    revokedAtMs: saved.leases.longestMs > 0 ? nowMs : null,
  });
  // Nothing is forced on a primary that lives: what became of its seal is heard, however long that takes.
  const hears = isPlanned(attempt) && !force && mayLive(draft, saved.primary);
  const deadlineMs = nowMs + Math.max(config.fenceWaitMs, hears ? 2 * config.commandTimeoutMs : 0);
  enter(draft, { kind: "fencing", attempt, sealed: [], deadlineMs });
  untellAll(draft, "not-sealed:");
  tell(draft, "+new-epoch", null, `epoch ${epoch} begins`);
  tell(draft, "+try-failover", saved.primary, why, { cause, target, ...evidence });
  for (const node of attempt.fence)
    if (!sendVerb(draft, "seal", node))
      tell(draft, "-sealed", node, `${node} was not sealed: no relay can act for it now`);
  if (isAutomatic(cause)) askPermit(draft, attempt);
  wakeBy(draft, deadlineMs);
}

function askPermit(draft: Draft, { epoch }: Attempt): void {
  act(draft, "fleet", null, (id) => ({
    id,
    kind: "permit",
    epoch,
    deadlineMs: draft.nowMs + PERMIT_MS,
  }));
}

/** What the Fleet said: no ends the attempt while nobody was promoted; no answer is a yes. */
export function permitted(draft: Draft, pending: Pending, outcome: Outcome): void {
  const { phase } = draft.saved;
  if (phase.kind !== "fencing" && phase.kind !== "electing") return;
  if (phase.attempt.epoch !== pending.epoch) return;
  if (outcome.kind === "refused")
    return abort(
      draft,
      phase.attempt,
      "-failover-abort-brake",
      `the brake is on: ${outcome.detail}`,
    );
  if (outcome.kind !== "done")
    tell(draft, "+brake-unknown", null, `the Fleet did not answer (${outcome.detail}): granted`);
}

/** What became of a seal while it is waited for. */
export function sealAnswered(draft: Draft, pending: Pending, outcome: Outcome): void {
  const { phase } = draft.saved;
  if (phase.kind !== "fencing" || outcome.kind !== "done") return;
  // One that another relay sealed may still be opened by its own, with an order that is on its way.
  const { saved, config } = draft;
  if (saved.leases.longestMs > 0 && !isKeeper(config, pending.key ?? "", pending.about)) return;
  if (pending.epoch !== phase.attempt.epoch || phase.sealed.includes(pending.about)) return;
  amend<"fencing">(draft, phase, { sealed: [...phase.sealed, pending.about] });
}

export function stepFencing(draft: Draft, phase: Extract<Phase, { kind: "fencing" }>): void {
  const { nowMs, config, saved } = draft;
  const { attempt, sealed } = phase;
  if (stopped(draft, attempt)) return;
  const open = attempt.fence.filter((id) => !sealed.includes(id));
  const notBeforeMs = Math.max(leaseWaitMs(draft, open), lostWaitMs(draft, attempt));
  if (nowMs < Math.max(phase.deadlineMs, notBeforeMs)) for (const id of open) sealAgain(draft, id);
  const pending = open.filter((id) => isPending(draft, "seal", id));
  const asked = isPending(draft, "permit", "fleet");
  const living = mayLive(draft, attempt.from);
  // What the Fleet says is heard, or its own deadline passes.
  if (asked || (pending.length > 0 && nowMs < phase.deadlineMs)) {
    draft.because = asked
      ? "waiting for the Fleet"
      : `waiting for the seal of ${pending.join(", ")}`;
    return wakeBy(draft, Math.max(phase.deadlineMs, nowMs + Math.min(20, config.retryMs)));
  }
  const mustSeal = isStrict(attempt) || (living && isPlanned(attempt) && !attempt.force);
  // (Sealed by another relay than its own it is waited for, and takes no writes meanwhile.)
  if (mustSeal && open.includes(attempt.from ?? "") && !isSealed(factsOf(draft, attempt.from))) {
    const text = `${attempt.from} ${living ? "is up and " : ""}could not be sealed: nothing is forced on it`;
    return abort(draft, attempt, "-failover-abort-not-sealed", text);
  }
  if (nowMs < notBeforeMs) {
    draft.because = `waiting ${notBeforeMs - nowMs} ms before anybody is promoted: ${open.join(", ")} may still take writes`;
    return wakeBy(draft, Math.min(notBeforeMs, nowMs + config.retryMs));
  }
  const lookMs = config.probeTimeoutMs + config.fenceWaitMs;
  enter(draft, {
    kind: "electing",
    attempt,
    sinceMs: nowMs,
    deadlineMs: Math.max(nowMs + lookMs, attempt.untilMs ?? 0),
  });
  tell(draft, "+failover-state-select-slave", null, "looking once more before electing", {
    sealed,
    notSealed: open,
    leaseRevokedAtMs: saved.revokedAtMs,
  });
  draft.because = "looking once more before electing";
  wakeBy(draft, nowMs);
}

/**
 * A seal that failed is sent again for as long as the node answers; where there are leases also afterwards, to the
 * relay that keeps its lease and can say that it is gone.
 */
function sealAgain(draft: Draft, id: string): void {
  const { config, saved } = draft;
  if (isPending(draft, "seal", id)) return;
  const facts = factsOf(draft, id);
  const answers = facts !== null;
  const leased = saved.leases.longestMs > 0;
  const keeps = leased && isKeeper(config, handsFor(draft, id, "seal")?.relay.id ?? "", id);
  // Where only its own relay's word counts, another one seals it once.
  if (!keeps && (!answers || (leased && isSealed(facts)))) return;
  const gapMs = answers ? Math.min(config.retryMs, config.fenceWaitMs) : SEAL_AGAIN_MS;
  if (sentWithin(draft, "seal", id, gapMs)) return;
  sendVerb(draft, "seal", id);
}

/** Until when a lease may still be held by somebody who did not confirm a seal. */
function leaseWaitMs({ saved }: Draft, open: readonly string[]): number {
  if (saved.revokedAtMs === null || open.length === 0) return 0;
  return leaseEndMs(saved.revokedAtMs, { leaseMs: saved.leases.longestMs });
}

function lostWaitMs({ saved }: Draft, attempt: Attempt): number {
  if (attempt.cause !== "promotion-lost" || saved.aborted < 2) return 0;
  const gapMs = Math.min(LOST_GAP_MS.first * 2 ** (saved.aborted - 2), LOST_GAP_MS.most);
  return attempt.startedAtMs + gapMs;
}

/** A planned switch without FAILOVER: it loses nothing, or does not happen. */
export const isStrict = ({ cause, force }: Attempt): boolean => cause === "switchover" && !force;

const isPlanned = ({ cause }: Pick<Attempt, "cause">) =>
  cause === "operator" || cause === "switchover";

/** Answers as a primary, and is not objectively down. */
export function isLiving(draft: Draft, id: string | null): boolean {
  if (id === null) return false;
  const verdict = draft.known[id]?.verdict;
  const facts = factsOf(draft, id);
  return facts?.role === "primary" && verdict !== undefined && !verdict.odown && verdict.up > 0;
}

/** It is not known to be down, and answered not long ago: one look that missed it proves nothing. */
function mayLive(draft: Draft, id: string | null): boolean {
  const verdict = draft.known[id ?? ""]?.verdict;
  const okAtMs = lastOkAtMs(draft, id);
  if (verdict === undefined || verdict.odown || okAtMs === null) return false;
  return draft.nowMs - okAtMs <= draft.config.downAfterMs;
}

/** A pause ends what the Group began by itself, and observing everything, as long as nobody was promoted. */
export function stopped(draft: Draft, attempt: Attempt): boolean {
  const { paused } = draft.saved;
  if (draft.config.observeOnly && attempt.cause !== "promotion-lost") {
    abort(
      draft,
      attempt,
      "-failover-abort-observing",
      "the group is only observed since the last deploy",
    );
    return true;
  }
  const lost = attempt.cause === "promotion-lost";
  if (paused === null || lost || !isAutomatic(attempt.cause)) return false;
  abort(draft, attempt, "-failover-abort-paused", `the group was paused: ${paused.reason}`);
  return true;
}

/**
 * Ends an attempt that promoted nobody. Its epoch now names the primary that stays, because relays may hold
 * it already; and whoever was sealed for it is unsealed, now or when it is seen.
 */
export function abort(
  draft: Draft,
  attempt: Attempt,
  name: EventName,
  text: string,
  evidence: Readonly<Record<string, unknown>> = {},
): void {
  const phasesMs = durations(attempt, draft.nowMs);
  tell(draft, name, attempt.from, text, { cause: attempt.cause, phasesMs, ...evidence });
  const { saved, nowMs, config } = draft;
  enter(draft, { kind: "watching" });
  save(draft, { aborted: saved.aborted + 1, revokedAtMs: null });
  // It was restarted meanwhile: what it came back as, without its data perhaps, is another matter than that it
  // was gone, and does not wait until that may be tried again.
  const back = factsOf(draft, attempt.from);
  if (back !== null && back.runId !== saved.primaryRunId) save(draft, { lastAttemptAtMs: null });
  if (attempt.from !== null)
    save(draft, { epoch: attempt.epoch, rev: 0, toUnseal: [attempt.from] });
  else if (!bootsSealed(config)) save(draft, { toUnseal: attempt.fence });
  // Also where no look shows the seal yet: it may be on its way. One that comes later is seen.
  for (const node of attempt.from === null ? attempt.fence : [attempt.from])
    if (mayTakeWrites(draft, node)) sendVerb(draft, "unseal", node);
  draft.because = text;
  wakeBy(draft, nowMs + config.retryMs);
}
