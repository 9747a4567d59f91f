/**
 * The planned switch: the primary hands over by itself (Redis FAILOVER), or stays and takes writes again.
 *
 * Rules: the epoch names the candidate from the beginning; a target that is sealed is unsealed first, which
 * means nothing on a replica; past its deadline, at an operator's word, or when Redis gave up, it is called
 * off, and a further epoch names the primary that stays; a primary that dies in the middle is failed over,
 * with the candidate fenced as one that may have been promoted. Redis's own timeout does not bound its last
 * phase, so the deadline here is the one that counts.
 * Must never: lose an acknowledged write by itself.
 */
import {
  amend,
  type Draft,
  enter,
  factsAfter,
  factsOf,
  isPending,
  save,
  tell,
  wakeBy,
} from "./draft.ts";
import { crash } from "./electing.ts";
import { isSealed } from "./facts.ts";
import { begin } from "./failover.ts";
import { sendVerb, sentWithin } from "./plan.ts";
import { lost, noCost, promoted } from "./promotion.ts";
import type { Attempt, Pending, Phase } from "./state.ts";
import type { Outcome } from "./types.ts";

type Switching = Extract<Phase, { kind: "switching" }>;

/** First word of what a relay says when its Redis knows no FAILOVER (before 6.2). */
const UNSUPPORTED = "UNSUPPORTED";

/** A replica that is linked and not in its primary's list yet, a relay that is told the epoch just now: asked again. */
const NOT_YET = /not online|^UNTOLD\b/i;

/** And for an order that is given a second time, because nobody heard what became of the first. */
const UNDER_WAY = /already in progress/i;

export function beginSwitchover(
  draft: Draft,
  from: string,
  candidate: string,
  timeoutMs: number,
  force: boolean,
): void {
  const { saved, nowMs, config } = draft;
  const epoch = saved.highestEpoch + 1;
  const attempt: Attempt = {
    epoch,
    cause: "switchover",
    target: candidate,
    from,
    fence: [],
    startedAtMs: nowMs,
    untilMs: nowMs + timeoutMs,
    force,
    phases: [],
  };
  const maybePromoted = [...new Set([...saved.maybePromoted, candidate])];
  save(draft, { highestEpoch: epoch, maybePromoted });
  const deadlineMs = nowMs + timeoutMs;
  enter(draft, {
    kind: "switching",
    attempt,
    candidate,
    sinceMs: nowMs,
    deadlineMs,
    giveUpAtMs: deadlineMs + config.commandTtlMs + 2 * config.commandTimeoutMs,
    acceptedAtMs: null,
    calledOff: null,
  });
  tell(draft, "+new-epoch", null, `epoch ${epoch} begins`);
  if (saved.drill === "after-election") crash(draft, "after-election");
  const text = `${from} is told to hand over to ${candidate} within ${timeoutMs} ms`;
  tell(draft, "+switchover", candidate, text, { from, to: candidate, timeoutMs, force });
}

export function stepSwitching(draft: Draft, phase: Switching): void {
  const { nowMs, config } = draft;
  const { attempt, candidate, sinceMs, deadlineMs, giveUpAtMs } = phase;
  wakeBy(draft, nowMs + Math.min(50, config.retryMs));
  const facts = factsAfter(draft, candidate, sinceMs);
  if (facts?.role === "primary") {
    // Somebody else may have promoted it, while the old one went on taking writes.
    const old = factsAfter(draft, attempt.from, sinceMs);
    const open = old?.role === "primary" && !old.switching && !isSealed(old);
    const cost = open ? { lostBytesAtLeast: null, unseenMs: null } : noCost;
    promoted(draft, attempt, candidate, facts, cost);
    // FAILOVER changes no file and drops no client: both are told once more what they are now.
    return save(draft, { toSettle: [candidate, attempt.from ?? candidate] });
  }
  if (attempt.from !== null && draft.known[attempt.from]?.verdict.odown === true)
    return lost(draft, attempt, `${attempt.from} went down while it handed over`);
  const gone = draft.known[candidate]?.verdict.odown === true;
  if (gone && factsAfter(draft, attempt.from, sinceMs)?.role === "replica")
    return lost(draft, attempt, `${candidate} went down when it had taken over`);
  if (nowMs >= giveUpAtMs)
    return lost(draft, attempt, `nobody can tell what became of the switch to ${candidate}`);
  if (phase.calledOff !== null) return takeBack(draft, phase);
  if (nowMs >= deadlineMs) return callOff(draft, phase, "it was not done in time");
  if (config.observeOnly)
    return callOff(draft, phase, "the group is only observed since the last deploy");
  if (phase.acceptedAtMs !== null && stays(draft, phase, phase.acceptedAtMs))
    return callOff(draft, phase, `${attempt.from} gave up by itself`);
  order(draft, phase);
}

/** Unseals the target if it has to be, then tells the primary. */
function order(draft: Draft, phase: Switching): void {
  const { attempt, candidate, deadlineMs } = phase;
  const from = attempt.from ?? "";
  const unsealing = isPending(draft, "unseal", candidate);
  draft.because = `${from} hands over to ${candidate}`;
  if (phase.acceptedAtMs !== null || isPending(draft, "switchover", from)) return;
  const sealed = isSealed(factsOf(draft, candidate));
  if (sealed && !sentWithin(draft, "unseal", candidate, draft.config.retryMs)) {
    sendVerb(draft, "unseal", candidate);
    return;
  }
  if (sealed || unsealing || sentWithin(draft, "switchover", from, draft.config.commandTtlMs))
    return;
  const timeoutMs = deadlineMs - draft.nowMs;
  if (!sendVerb(draft, "switchover", from, { follow: candidate, timeoutMs }))
    draft.because = `no relay can tell ${from} to hand over now`;
}

/** What the relay said of the order to hand over, or to stop. */
export function switchoverAnswered(draft: Draft, pending: Pending, outcome: Outcome): void {
  const { phase } = draft.saved;
  if (phase.kind !== "switching" || pending.kind !== "switchover") return;
  if (pending.epoch !== phase.attempt.epoch || phase.calledOff !== null) return;
  const { attempt, candidate } = phase;
  if (outcome.kind === "done" || UNDER_WAY.test(outcome.detail)) {
    amend<"switching">(draft, phase, { acceptedAtMs: draft.nowMs });
  } else if (
    outcome.kind === "failed" &&
    outcome.detail.startsWith(UNSUPPORTED) &&
    !isPassive(draft)
  ) {
    // Nobody was told anything: the same is done by a seal, and by waiting until the target has it all.
    save(draft, { maybePromoted: draft.saved.maybePromoted.filter((id) => id !== candidate) });
    const why = `${attempt.from} knows no FAILOVER: it is sealed, and ${candidate} promoted when it has all`;
    begin(draft, {
      cause: "switchover",
      target: candidate,
      why,
      force: attempt.force,
      untilMs: phase.deadlineMs,
    });
  } else if (outcome.kind !== "unknown" && !NOT_YET.test(outcome.detail)) {
    callOff(draft, phase, outcome.detail);
  }
}

/** While nothing may begin no primary is sealed either. */
const isPassive = ({ sight, nowMs }: Draft) => (sight.tiltUntilMs ?? 0) > nowMs;

/** Ends a hand-over: what is under way is stopped, and looked at. */
export function callOff(draft: Draft, phase: Switching, why: string): void {
  const { nowMs, config } = draft;
  const giveUpAtMs = nowMs + config.commandTtlMs + 2 * config.commandTimeoutMs;
  amend<"switching">(draft, phase, { calledOff: why, sinceMs: nowMs, giveUpAtMs });
  // In its last phase the relay ends it with a seal.
  if (phase.attempt.from !== null) save(draft, { toUnseal: [phase.attempt.from] });
  draft.because = `the switch to ${phase.candidate} is called off: ${why}`;
  sendVerb(draft, "abort-switchover", phase.attempt.from ?? "");
  wakeBy(draft, nowMs + Math.min(50, config.retryMs));
}

function takeBack(draft: Draft, phase: Switching): void {
  const { attempt, candidate, calledOff } = phase;
  const from = attempt.from ?? "";
  draft.because = `taking the switch to ${candidate} back: ${calledOff}`;
  const stopping = isPending(draft, "abort-switchover", from);
  // An order that is still on its way could arrive after the look that finds all quiet.
  if (stopping || isPending(draft, "switchover", from)) return;
  if (!stays(draft, phase, phase.sinceMs)) {
    if (!sentWithin(draft, "abort-switchover", from, draft.config.retryMs))
      sendVerb(draft, "abort-switchover", from);
    return;
  }
  if (attempt.force) {
    const why = `the switch to ${candidate} is forced: ${calledOff}`;
    return begin(draft, { cause: "operator", target: candidate, why, force: true });
  }
  // Relays hold this epoch for the candidate: the primary that stays needs one of its own.
  const epoch = draft.saved.highestEpoch + 1;
  enter(draft, { kind: "watching" });
  save(draft, { epoch, highestEpoch: epoch, rev: 0 });
  const text = `${from} stays the primary: ${calledOff}`;
  tell(draft, "-switchover-aborted", from, text, { to: candidate, why: calledOff });
  draft.because = text;
}

/** The primary was seen after `atMs` as one that is handing over to nobody. */
function stays(draft: Draft, { attempt }: Switching, atMs: number): boolean {
  const facts = factsAfter(draft, attempt.from, atMs + 1);
  return facts?.role === "primary" && !facts.switching;
}
