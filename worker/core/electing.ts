/**
 * The election: one more look, every reason to stop asked again, the best candidate, and the order to promote.
 *
 * Rules: only a look asked for after the fence counts; an attempt ends when the primary answers again, when a
 * replica still hears it, when too few vantages answered, or when the reason that it began for is gone; a
 * sealed primary that still feeds its replicas is waited for, so that what it acknowledged is not lost.
 * Must never: promote whom the epoch does not name.
 */
import { bytesBehind, electFor, lastKnown } from "./candidates.ts";
import { type Draft, enter, factsAfter, factsOf, nodeOf, save, tell, wakeBy } from "./draft.ts";
import type { Candidate, Election } from "./elect.ts";
import type { EventName } from "./events.ts";
import { isSealed } from "./facts.ts";
import { abort, isAutomatic, isLiving, isStrict, stopped } from "./failover.ts";
import { isLocal, witnessesOf } from "./health.ts";
import { sendVerb } from "./plan.ts";
import { lost } from "./promotion.ts";
import { isOpenAgain, whyStaysSealed } from "./shut.ts";
import { bad, blind } from "./sight.ts";
import type { Attempt, Cost, Phase, Refusal } from "./state.ts";
import { primariesSeen } from "./topology.ts";
import type { NodeConfig } from "./types.ts";
import { wipeOf } from "./wipe.ts";

type Electing = Extract<Phase, { kind: "electing" }>;

export function stepElecting(draft: Draft, phase: Electing): void {
  const { attempt, sinceMs, deadlineMs } = phase;
  if (stopped(draft, attempt)) return;
  const late = draft.nowMs >= deadlineMs;
  if ((draft.sight.lookAskedAtMs ?? -1) < sinceMs) {
    if (late)
      return abort(draft, attempt, "-failover-abort-not-elected", "no look came back in time");
    return wait(draft, "waiting for a fresh look before electing");
  }
  // A living primary is not forced; who may have been promoted meanwhile must not be forgotten either.
  const { from, cause } = attempt;
  if (cause === "promotion-lost" && isLiving(draft, from) && !isSealed(factsOf(draft, from))) {
    if (!nobodyWasPromoted(draft, sinceMs)) {
      const text = `${from} is up and not sealed, and nobody knows who was promoted`;
      return late ? lost(draft, attempt, text) : wait(draft, text);
    }
  }
  const over = whyOver(draft, attempt, sinceMs);
  if (over !== null) {
    if (over.waits && !late) return wait(draft, over.text);
    return abort(draft, attempt, over.name, over.text, over.evidence);
  }
  const election = electFor(draft, {
    target: attempt.target,
    cause: attempt.cause,
  });
  const chosen = election.order[0];
  if (chosen === undefined)
    return abortElection(draft, attempt, election.refused, "no good replica");
  const behind = behindLiving(draft, chosen, attempt, sinceMs);
  if (behind !== 0) {
    const text = `${chosen.id} is ${behind ?? "an unknown number of"} bytes behind the sealed ${attempt.from}`;
    if (!late) return wait(draft, text);
    if (isStrict(attempt))
      return abort(draft, attempt, "-switchover-aborted", `${text}: nothing was switched`);
  }
  promote(draft, attempt, chosen, election);
}

type Over = {
  readonly name: EventName;
  readonly text: string;
  /** It may pass before the deadline. */
  readonly waits?: true;
  readonly evidence?: Readonly<Record<string, unknown>>;
};

/** Why the attempt has lost its reason; null: it stands. */
function whyOver(draft: Draft, attempt: Attempt, sinceMs: number): Over | null {
  const { config, known } = draft;
  const from = nodeOf(config, attempt.from);
  if (from === null || attempt.cause === "operator") return null;
  const verdict = known[from.id]?.verdict;
  if (verdict === undefined) return null;
  if (attempt.cause === "switchover") {
    if (!isStrict(attempt) || !verdict.odown) return null;
    return {
      name: "-switchover-aborted",
      text: `${from.id} went down: it cannot hand over any more`,
    };
  }
  const { votes, up, down } = verdict;
  const evidence = { votes, up, down };
  if (!verdict.authorised)
    return {
      name: "-failover-abort-not-elected",
      text: "NOQUORUM: too few vantages answered",
      waits: true,
      evidence,
    };
  if (attempt.cause === "wiped") {
    const wipe = wipeOf(draft);
    if (wipe.kind === "wiped" || verdict.odown) return null;
    const text = `${from.id} is not wiped: ${wipe.why}`;
    if (wipe.kind === "waiting") return { name: "-failover-abort-primary-up", text, waits: true };
    return { name: "-failover-abort-primary-up", text };
  }
  if (attempt.cause === "sealed") {
    const stays = verdict.odown || whyStaysSealed(draft, from) !== null;
    if (stays || !isOpenAgain(draft, from, sinceMs)) return null;
    const text = `${from.id} is not sealed for good: somebody can open it again`;
    return { name: "-failover-abort-primary-up", text };
  }
  if (attempt.cause === "no-primary") {
    if (!isLiving(draft, from.id)) return null;
    return { name: "-failover-abort-primary-up", text: `${from.id} is a primary again` };
  }
  // The saved attempt says that it was objectively down; after an eviction the counts begin anew, so now it
  // takes no more than that enough vantages answer and nobody sees it up.
  if (!verdict.odown && up > 0 && nobodyWasPromoted(draft, sinceMs))
    return { name: "-failover-abort-primary-up", text: `${from.id} is no longer down`, evidence };
  if (!verdict.odown && up === 0 && seenBad(draft, from, sinceMs) < config.quorum)
    return {
      name: "-failover-abort-primary-up",
      text: `too few vantages see ${from.id} down now`,
      waits: true,
      evidence,
    };
  const witnesses = witnessesOf(from, known, config);
  if (witnesses.length > 0 && primariesSeen(draft).length === 0)
    return {
      name: "-failover-abort-primary-up",
      text: `${witnesses.join(", ")} still hears from ${from.id}: out of reach, not dead`,
      evidence: { ...evidence, witnesses },
    };
  return null;
}

/** How many vantages see it bad now, or are the silent relay of its own machine. */
function seenBad({ sight, config }: Draft, node: NodeConfig, sinceMs: number): number {
  return config.vantages.filter((vantage) => {
    const belief = sight.nodes[node.id]?.[vantage];
    if (belief === undefined || belief.askedAtMs < sinceMs) return false;
    return (
      bad.includes(belief.class) || (blind.includes(belief.class) && isLocal(vantage, node, config))
    );
  }).length;
}

/** True when every node that was sent a promotion in vain is seen as a replica: no command is left to act. */
function nobodyWasPromoted(draft: Draft, sinceMs: number): boolean {
  return draft.saved.maybePromoted.every((id) => {
    const best = draft.known[id]?.best;
    return best != null && best.askedAtMs >= sinceMs && best.facts?.role === "replica";
  });
}

/** Looks again soon, without leaving the phase. */
function wait(draft: Draft, because: string): void {
  draft.because = because;
  wakeBy(draft, draft.nowMs + Math.min(20, draft.config.retryMs));
}

/**
 * What a sealed primary that answers still has for its replica; null: nobody can tell. 0: nothing, or it feeds
 * nobody, and there is nothing to wait for. A planned switch has to see that it is nothing.
 */
function behindLiving(
  draft: Draft,
  chosen: Candidate,
  attempt: Attempt,
  sinceMs: number,
): number | null {
  const { from, cause } = attempt;
  if (from === null || from === chosen.id || cause === "wiped" || cause === "no-primary") return 0;
  const ahead = factsAfter(draft, from, sinceMs);
  const facts = factsAfter(draft, chosen.id, sinceMs);
  const feeds = ahead?.role === "primary" && isSealed(ahead);
  if (!feeds || facts === null) return isStrict(attempt) ? null : 0;
  // One that tells another history feeds nobody; whoever asked for it may wait for that to end.
  return bytesBehind(ahead, facts) ?? (isAutomatic(cause) ? 0 : null);
}

function promote(draft: Draft, attempt: Attempt, chosen: Candidate, election: Election): void {
  const { config, nowMs } = draft;
  const order = election.order.map(({ id, priority, offset }) => ({ id, priority, offset }));
  const cost = costOf(draft, chosen);
  tell(draft, "+selected-slave", chosen.id, `${chosen.id} is the best of ${order.length}`, {
    order,
    refused: election.refused,
    ...cost,
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
    cost,
    answeredAtMs: null,
  });
  tell(draft, "+failover-state-send-slaveof-noone", chosen.id, `promoting ${chosen.id}`);
  sendVerb(draft, "promote", chosen.id);
  if (draft.saved.drill === "after-election") crash(draft, "after-election");
  draft.because = `promoting ${chosen.id} at epoch ${attempt.epoch}`;
  wakeBy(draft, nowMs + config.retryMs);
}

/** The drill that an operator asked for: the host dies when this decision is saved. */
export function crash(draft: Draft, at: string): void {
  save(draft, { drill: null });
  draft.crash = true;
  tell(draft, "+drill", null, `drill: the Group dies here, ${at}`);
}

/** What the old primary had that the chosen one has not, as far as anybody saw it. */
function costOf(draft: Draft, chosen: Candidate): Cost {
  const last = lastKnown(draft);
  const facts = factsOf(draft, chosen.id);
  if (last === null || facts === null) return { lostBytesAtLeast: null, unseenMs: null };
  return {
    lostBytesAtLeast: bytesBehind(last, facts),
    unseenMs: Math.max(0, draft.nowMs - last.atMs),
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
  abort(draft, attempt, "-failover-abort-no-good-slave", text, { refused });
}
