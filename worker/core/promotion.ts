/**
 * The promotion, until it was seen and told: promoting -> publishing -> repointing.
 *
 * Rules: a promotion is done when a look asked for after it shows the candidate as primary, never because a
 * reply said so; one that was sent is never aborted, only replaced by an attempt at a higher epoch that
 * fences its candidate first; publishing is never waited for.
 */

import { lastKnown } from "./candidates.ts";
import {
  amend,
  type Draft,
  enter,
  factsAfter,
  isPending,
  nodeOf,
  save,
  tell,
  untellAll,
  wakeBy,
} from "./draft.ts";
import { crash } from "./electing.ts";
import { durations } from "./evidence.ts";
import { begin, isAutomatic } from "./failover.ts";
import { sendVerb, sentWithin } from "./plan.ts";
import type { Attempt, Cost, Pending, Phase } from "./state.ts";
import { primariesSeen } from "./topology.ts";
import type { NodeConfig, NodeFacts, Outcome } from "./types.ts";

const HOUR_MS = 3_600_000;
/** Of a primary that handed over by itself. */
export const noCost: Cost = { lostBytesAtLeast: 0, unseenMs: 0 };

export function stepPromoting(draft: Draft, phase: Extract<Phase, { kind: "promoting" }>): void {
  const { config, nowMs } = draft;
  const { attempt, candidate, cost } = phase;
  const facts = factsAfter(draft, candidate, phase.sinceMs);
  if (facts?.role === "primary")
    return promoted(draft, attempt, candidate, facts, costBy(draft, facts) ?? cost);
  if (nowMs >= phase.deadlineMs) {
    const text = `${candidate} was not seen as primary within ${config.promoteTimeoutMs} ms`;
    tell(draft, "-failover-abort-slave-timeout", candidate, text);
    return lost(draft, attempt, text);
  }
  const { answeredAtMs } = phase;
  // A second order would drop the clients that came after the first: it takes a look that shows that one in vain.
  const inVain =
    answeredAtMs === null || factsAfter(draft, candidate, answeredAtMs)?.role === "replica";
  const pending = isPending(draft, "promote", candidate);
  const again = inVain && !pending && nowMs <= phase.sendUntilMs;
  if (again && !sentWithin(draft, "promote", candidate, config.retryMs))
    sendVerb(draft, "promote", candidate);
  draft.because = `waiting to see ${candidate} as primary`;
  wakeBy(draft, nowMs + config.retryMs);
}

/** What became of the order to promote. */
export function promotionAnswered(draft: Draft, pending: Pending, outcome: Outcome): void {
  const { phase } = draft.saved;
  if (phase.kind !== "promoting" || phase.attempt.epoch !== pending.epoch) return;
  if (outcome.kind !== "done" && outcome.kind !== "unknown") return;
  amend<"promoting">(draft, phase, { answeredAtMs: draft.nowMs });
}

/** Nobody knows whether the candidate was promoted: it is fenced like an old primary, at the next epoch. */
export function lost(draft: Draft, attempt: Attempt, why: string): void {
  save(draft, { aborted: draft.saved.aborted + 1 });
  draft.because = `${why}: another attempt begins`;
  // Whom an operator named the first primary is not replaced by anybody else.
  const target = attempt.from === null ? attempt.target : null;
  begin(draft, { cause: "promotion-lost", target, why });
}

/** The promotion was seen: from here on the new primary is in force. */
export function promoted(
  draft: Draft,
  attempt: Attempt,
  candidate: string,
  facts: NodeFacts,
  cost: Cost,
): void {
  const { config, nowMs, saved } = draft;
  const { from, cause, epoch, startedAtMs } = attempt;
  const tookMs = nowMs - startedAtMs;
  // A hand-over that was seen to be one loses nothing.
  const lostBytes = cost === noCost ? 0 : null;
  const lately = saved.failoversAtMs.filter((atMs) => nowMs - atMs < HOUR_MS);
  const counts = isAutomatic(cause) || (cause === "promotion-lost" && from !== null);
  save(draft, {
    epoch,
    primary: candidate,
    primaryRunId: facts.runId,
    rev: 0,
    lastAttemptAtMs: null,
    aborted: 0,
    outage: null,
    revokedAtMs: null,
    failoversAtMs: counts ? [...lately, nowMs] : lately,
    maybePromoted: saved.maybePromoted.filter((id) => id !== candidate),
    lastSwitch: {
      epoch,
      cause,
      from,
      to: candidate,
      atMs: nowMs,
      tookMs,
      ...cost,
      lostBytes,
    },
  });
  // Whoever else is a primary now was one before, and is no switch of somebody's that is not finished.
  const seen = primariesSeen(draft);
  const replicas = Object.entries(draft.saved.replicaRunIds).filter(([id]) => !seen.includes(id));
  save(draft, { replicaRunIds: Object.fromEntries(replicas) });
  // What was told of the old primary ends with its time.
  for (const mark of ["odown:", "unreachable", "reboot", "wiped"]) untellAll(draft, mark);
  tell(draft, "+promoted-slave", candidate, `${candidate} was seen as primary`);
  const evidence = {
    from,
    to: candidate,
    cause,
    tookMs,
    phasesMs: durations(attempt, nowMs),
    ...cost,
  };
  const text = `${saved.group} ${addressOf(nodeOf(config, from))} -> ${addressOf(nodeOf(config, candidate))}`;
  if (from === candidate)
    tell(draft, "+restore-primary", candidate, `${candidate} is the primary again`, evidence);
  else tell(draft, "+switch-master", candidate, text, evidence);
  enter(draft, { kind: "publishing", attempt, deadlineMs: nowMs + config.commandTimeoutMs });
  if (saved.drill === "after-promotion") crash(draft, "after-promotion");
  draft.because = `${candidate} is primary at epoch ${epoch}`;
  wakeBy(draft, nowMs);
}

/** The cost as the promotion shows it: until then the candidate may have received more. */
function costBy(draft: Draft, { replicationId2, secondOffset }: NodeFacts): Cost | null {
  const last = lastKnown(draft);
  if (last === null || secondOffset === null || replicationId2 !== last.replicationId) return null;
  const lostBytesAtLeast = Math.max(0, last.offset - (secondOffset - 1));
  return { lostBytesAtLeast, unseenMs: Math.max(0, draft.nowMs - last.atMs) };
}

export const addressOf = (node: NodeConfig | null): string =>
  node === null ? "nobody" : `${node.host}:${node.port}`;

/** Publishing is under way and is retried by the loop: nothing here waits for it. */
export function stepPublishing(draft: Draft, phase: Extract<Phase, { kind: "publishing" }>): void {
  const { attempt } = phase;
  const deadlineMs = draft.nowMs + draft.config.failoverTimeoutMs;
  enter(draft, { kind: "repointing", attempt, deadlineMs });
  tell(draft, "+failover-state-reconf-slaves", null, "repointing the other nodes");
  draft.because = "repointing the other nodes";
  wakeBy(draft, draft.nowMs);
}
