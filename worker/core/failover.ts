/**
 * The failover: watching -> fencing -> electing -> promoting -> publishing -> repointing -> watching.
 *
 * Rules: one epoch names at most one candidate, for ever; a promotion is done when a look asked for after it
 * shows the candidate as primary, never because a reply said so; a promotion that was sent is never aborted,
 * only replaced by an attempt at a higher epoch that fences its candidate first; every abort unseals.
 * Must never: be entered by two doors: `begin` starts an attempt, each `step` leaves only its own phase.
 */
import { type Draft, enter, isPending, nodeOf, save, tell, wakeBy } from "./draft.ts";
import { type Candidate, type Election, elect } from "./elect.ts";
import { bestBelief, factsOf, judge } from "./health.ts";
import { handsFor, isSealed, sendVerb, sentWithin } from "./plan.ts";
import type { Attempt, FailoverCause, Phase, Refusal } from "./state.ts";
import type { NodeConfig } from "./types.ts";

/** Starts an attempt: the next epoch, and seals for whoever may still take writes. */
export function begin(
  draft: Draft,
  cause: FailoverCause,
  target: string | null,
  why: string,
): void {
  const { config, nowMs, saved } = draft;
  const epoch = saved.highestEpoch + 1;
  const masters = config.nodes
    .filter((node) => factsOf(draft.sight, node, config)?.role === "primary")
    .map((node) => node.id);
  const suspects = [
    ...(saved.primary === null ? [] : [saved.primary]),
    ...saved.maybePromoted,
    ...masters,
  ];
  const attempt: Attempt = {
    epoch,
    cause,
    target,
    from: saved.primary,
    fence: [...new Set(suspects)].filter((id) => id !== target),
    startedAtMs: nowMs,
  };
  save(draft, { highestEpoch: epoch, lastAttemptAtMs: nowMs });
  enter(draft, { kind: "fencing", attempt, deadlineMs: nowMs + config.fenceWaitMs });
  tell(draft, "+new-epoch", null, `epoch ${epoch} begins`);
  tell(draft, "+try-failover", saved.primary, why, { cause, target });
  for (const node of attempt.fence)
    if (!sendVerb(draft, "seal", node))
      tell(draft, "-sealed", node, `${node} was not sealed: no relay can act for it now`);
  wakeBy(draft, nowMs + config.fenceWaitMs);
}

export function stepFencing(draft: Draft, phase: Extract<Phase, { kind: "fencing" }>): void {
  const waiting = phase.attempt.fence.filter((node) => isPending(draft, "seal", node));
  if (waiting.length > 0 && draft.nowMs < phase.deadlineMs) {
    draft.because = `waiting for the seal of ${waiting.join(", ")}`;
    wakeBy(draft, phase.deadlineMs);
    return;
  }
  const { nowMs, config } = draft;
  enter(draft, {
    kind: "electing",
    attempt: phase.attempt,
    sinceMs: nowMs,
    deadlineMs: nowMs + config.probeTimeoutMs + config.fenceWaitMs,
  });
  tell(draft, "+failover-state-select-slave", null, "looking once more before electing");
  draft.because = "looking once more before electing";
  wakeBy(draft, nowMs);
}

export function stepElecting(draft: Draft, phase: Extract<Phase, { kind: "electing" }>): void {
  const { attempt } = phase;
  const looked = (draft.sight.lookAskedAtMs ?? -1) >= phase.sinceMs;
  if (!looked && draft.nowMs < phase.deadlineMs) {
    draft.because = "waiting for a fresh look before electing";
    wakeBy(draft, draft.nowMs);
    return;
  }
  if (!looked) return abortElection(draft, attempt, [], "no look came back in time");
  const from = nodeOf(draft.config, attempt.from);
  if (from !== null && (attempt.cause === "odown" || attempt.cause === "promotion-lost")) {
    // The saved attempt says that it was objectively down; after an eviction the counts begin anew, so now
    // it takes no more than that enough vantages answer and nobody sees it up.
    const verdict = judge(draft.sight, from, draft.config, draft.nowMs);
    if (!verdict.odown && verdict.up > 0 && nobodyWasPromoted(draft, phase.sinceMs)) {
      tell(draft, "-failover-abort-primary-up", from.id, `${from.id} is no longer down`, verdict);
      return abort(draft, attempt, `${from.id} is no longer down: attempt ${attempt.epoch} ended`);
    }
    if (!verdict.authorised) {
      if (draft.nowMs < phase.deadlineMs) return wait(draft, "NOQUORUM: too few vantages answered");
      tell(draft, "-failover-abort-not-elected", null, "NOQUORUM: too few vantages answered");
      return abort(draft, attempt, "NOQUORUM: too few vantages answered");
    }
  }
  const election = electFor(draft, attempt.target);
  const chosen = election.order[0];
  if (chosen === undefined)
    return abortElection(draft, attempt, election.refused, "no good replica");
  const behind = bytesBehind(draft, chosen, from);
  if (behind > 0 && draft.nowMs < phase.deadlineMs)
    return wait(draft, `${chosen.id} is ${behind} bytes behind the sealed ${from?.id}`);
  promote(draft, attempt, chosen, election);
}

/** True when every node that was sent a promotion in vain is seen as a replica: no command is left to act. */
function nobodyWasPromoted(draft: Draft, sinceMs: number): boolean {
  return draft.saved.maybePromoted.every((id) => {
    const node = nodeOf(draft.config, id);
    const belief = node === null ? null : bestBelief(draft.sight, node, draft.config);
    return belief !== null && belief.askedAtMs >= sinceMs && belief.facts?.role === "replica";
  });
}

/** Looks again soon, without leaving the phase. */
function wait(draft: Draft, because: string): void {
  draft.because = because;
  wakeBy(draft, draft.nowMs + Math.min(20, draft.config.retryMs));
}

/** A sealed primary that answers still feeds its replica: what it acknowledged need not be lost. */
function bytesBehind(draft: Draft, chosen: Candidate, from: NodeConfig | null): number {
  if (from === null || from.id === chosen.id) return 0;
  const facts = factsOf(draft.sight, from, draft.config);
  if (facts === null || facts.role !== "primary" || !isSealed(facts)) return 0;
  return facts.offset - chosen.offset;
}

function promote(draft: Draft, attempt: Attempt, chosen: Candidate, election: Election): void {
  const { config, nowMs } = draft;
  const order = election.order.map(({ id, priority, offset }) => ({ id, priority, offset }));
  tell(draft, "+selected-slave", chosen.id, `${chosen.id} is the best of ${order.length}`, {
    order,
    refused: election.refused,
  });
  save(draft, { maybePromoted: [...new Set([...draft.saved.maybePromoted, chosen.id])] });
  const deadlineMs = nowMs + config.promoteTimeoutMs;
  enter(draft, {
    kind: "promoting",
    attempt,
    candidate: chosen.id,
    sinceMs: nowMs,
    sendUntilMs: deadlineMs - config.commandTtlMs - config.commandTimeoutMs,
    deadlineMs,
  });
  tell(draft, "+failover-state-send-slaveof-noone", chosen.id, `promoting ${chosen.id}`);
  sendVerb(draft, "promote", chosen.id);
  draft.because = `promoting ${chosen.id} at epoch ${attempt.epoch}`;
  wakeBy(draft, nowMs + config.retryMs);
}

export function stepPromoting(draft: Draft, phase: Extract<Phase, { kind: "promoting" }>): void {
  const { config, nowMs } = draft;
  const { attempt, candidate } = phase;
  const node = nodeOf(config, candidate);
  const belief = node === null ? null : bestBelief(draft.sight, node, config);
  if (belief !== null && belief.askedAtMs >= phase.sinceMs && belief.facts?.role === "primary")
    return promoted(draft, attempt, candidate, belief.facts.runId);
  if (nowMs >= phase.deadlineMs) {
    const text = `${candidate} was not seen as primary within ${config.promoteTimeoutMs} ms`;
    tell(draft, "-failover-abort-slave-timeout", candidate, text);
    draft.because = `${text}: another attempt begins`;
    // Whom an operator named the first primary is not replaced by anybody else.
    return begin(draft, "promotion-lost", attempt.from === null ? attempt.target : null, text);
  }
  const again = !isPending(draft, "promote", candidate) && nowMs <= phase.sendUntilMs;
  if (again && !sentWithin(draft, "promote", candidate, config.retryMs))
    sendVerb(draft, "promote", candidate);
  draft.because = `waiting to see ${candidate} as primary`;
  wakeBy(draft, nowMs + config.retryMs);
}

/** The promotion was seen: from here on the new primary is in force. */
function promoted(draft: Draft, attempt: Attempt, candidate: string, runId: string): void {
  const { config, nowMs, saved } = draft;
  save(draft, {
    epoch: attempt.epoch,
    primary: candidate,
    primaryRunId: runId,
    rev: 0,
    lastAttemptAtMs: null,
    maybePromoted: saved.maybePromoted.filter((id) => id !== candidate),
  });
  tell(draft, "+promoted-slave", candidate, `${candidate} was seen as primary`);
  const old = nodeOf(config, attempt.from);
  const now = nodeOf(config, candidate);
  const address = (node: NodeConfig | null) =>
    node === null ? "nobody" : `${node.host}:${node.port}`;
  tell(draft, "+switch-master", candidate, `${saved.group} ${address(old)} -> ${address(now)}`, {
    from: attempt.from,
    to: candidate,
    tookMs: nowMs - attempt.startedAtMs,
  });
  enter(draft, { kind: "publishing", attempt, deadlineMs: nowMs + config.commandTimeoutMs });
  draft.because = `${candidate} is primary at epoch ${attempt.epoch}`;
  wakeBy(draft, nowMs);
}

/** Publishing is under way and is retried by the loop: nothing here waits for it. */
export function stepPublishing(draft: Draft, phase: Extract<Phase, { kind: "publishing" }>): void {
  const { attempt } = phase;
  const deadlineMs = draft.nowMs + draft.config.failoverTimeoutMs;
  enter(draft, { kind: "repointing", attempt, deadlineMs });
  tell(draft, "+failover-state-reconf-slaves", null, "repointing the other nodes");
  draft.because = "repointing the other nodes";
  wakeBy(draft, draft.nowMs);
}

/** The dry run of an election, as an attempt or an operator would get it now. */
export function electFor(draft: Draft, target: string | null): Election {
  const { config, sight, nowMs, saved } = draft;
  const primary = nodeOf(config, saved.primary);
  const down = primary === null ? null : judge(sight, primary, config, nowMs);
  const firstBad = Object.values(sight.nodes[saved.primary ?? ""] ?? {})
    .map((belief) => belief.firstBadAtMs)
    .filter((at) => at !== null);
  const primaryDownMs =
    down?.odown === true && firstBad.length > 0 ? nowMs - Math.min(...firstBad) : null;
  const nodes = config.nodes.filter((node) =>
    target === null ? node.id !== saved.primary : node.id === target,
  );
  const candidates = nodes.map((node) => candidateOf(draft, node, target === node.id));
  return elect(candidates, { primaryDownMs, downAfterMs: config.downAfterMs });
}

function candidateOf(draft: Draft, node: NodeConfig, named: boolean): Candidate {
  const { config, sight, nowMs, saved } = draft;
  const belief = bestBelief(sight, node, config);
  const facts = belief?.facts ?? null;
  const seen = Object.values(sight.nodes[node.id] ?? {});
  const lastOk = seen.map((each) => each.lastOkAtMs).filter((at) => at !== null);
  return {
    id: node.id,
    runId: facts?.runId ?? "",
    priority: node.priority ?? facts?.priority ?? 100,
    offset: facts?.offset ?? 0,
    sdown: judge(sight, node, config, nowMs).down > 0,
    reachable: handsFor(draft, node.id) !== null,
    okAgeMs: lastOk.length === 0 ? null : nowMs - Math.max(...lastOk),
    factsAgeMs: belief === null || belief.factsAtMs === null ? null : nowMs - belief.factsAtMs,
    linkDownMs: facts?.linkDownMs ?? null,
    // Kept through an outage: it is dropped only by a look that shows the primary up and the link down.
    followed: saved.readable.includes(node.id),
    syncing: facts?.syncing ?? false,
    loading: facts?.loading ?? false,
    role: facts?.role ?? null,
    lost: named || saved.maybePromoted.includes(node.id),
  };
}

function abortElection(
  draft: Draft,
  attempt: Attempt,
  refused: readonly Refusal[],
  why: string,
): void {
  const reasons = refused.map(({ node, reason }) => `${node} ${reason}`).join("; ");
  const text = reasons === "" ? why : `${why}: ${reasons}`;
  tell(draft, "-failover-abort-no-good-slave", null, text, { refused });
  abort(draft, attempt, text);
}

/**
 * Ends an attempt that promoted nobody. Its epoch now names the primary that stays, because relays may hold
 * it already; and whoever was sealed for it is unsealed.
 */
function abort(draft: Draft, attempt: Attempt, because: string): void {
  if (attempt.from === null) {
    // Nobody is in force: the seals are taken back under the epoch that set them, which names nobody.
    for (const node of attempt.fence) sendVerb(draft, "unseal", node);
    enter(draft, { kind: "watching" });
  } else {
    enter(draft, { kind: "watching" });
    save(draft, { epoch: attempt.epoch, rev: 0 });
    sendVerb(draft, "unseal", attempt.from);
  }
  draft.because = because;
  wakeBy(draft, draft.nowMs + draft.config.retryMs);
}
