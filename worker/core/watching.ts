/**
 * While there is no attempt, and after its promotion: seeing the primary fail, or its data gone; repairing drift.
 *
 * Rules: an attempt begins only when the primary is objectively down, was wiped, or is none any more, when
 * nothing forbids it, and when somebody can be promoted; each of the three is told when it is the reason that
 * nothing happens. A paused group is only looked at; one that is only observed says what it would do.
 */
import { adoptFirst, adoptForeign } from "./adopting.ts";
import { electFor } from "./candidates.ts";
import {
  type Draft,
  enter,
  factsOf,
  nodeOf,
  save,
  tell,
  tellEdge,
  untellAll,
  wakeBy,
} from "./draft.ts";
import { evidenceOf } from "./evidence.ts";
import { isSealed } from "./facts.ts";
import { begin } from "./failover.ts";
import { whyHeld } from "./hold.ts";
import { repairPrimary, repointFollowers } from "./repair.ts";
import { whyStaysSealed } from "./shut.ts";
import type { FailoverCause, Phase } from "./state.ts";
import { primariesSeen, standing } from "./topology.ts";
import type { NodeConfig } from "./types.ts";
import { giveSealsBack } from "./unsealing.ts";
import { noteRestart, wipeOf } from "./wipe.ts";

/** Time between looks while the others are repointed: a synchronisation may take long. */
const REPOINT_LOOK_MS = 1000;
/** Begin the marks that a failover is held, and that nobody can be promoted, with the reasons. */
const HELD = "held:";
const NO_GOOD_SLAVE = "no-good-slave:";

export function watch(draft: Draft): void {
  const { saved, config } = draft;
  if (saved.primary === null) {
    giveSealsBack(draft);
    return adoptFirst(draft);
  }
  if (isPartial(draft)) return;
  if (adoptForeign(draft)) return;
  if (failOverIfDue(draft)) return;
  giveSealsBack(draft);
  if (saved.paused === null && !config.observeOnly) {
    repairPrimary(draft);
    const wrong = repointFollowers(draft);
    if (wrong.length > 0) draft.because ||= `bringing ${wrong.join(", ")} under ${saved.primary}`;
  }
  draft.because ||= becauseOf(draft);
}

/** What one relay told alone is no picture of the group: the look that it asked for comes first. */
function isPartial(draft: Draft): boolean {
  if (draft.sight.newsAtMs === null) return false;
  draft.because ||= `${becauseOf(draft)}; a relay saw a change: everyone is asked`;
  return true;
}

export function repoint(draft: Draft, phase: Extract<Phase, { kind: "repointing" }>): void {
  if (draft.config.observeOnly) {
    tell(
      draft,
      "+failover-end",
      draft.saved.primary,
      "the group is only observed since the last deploy",
    );
    enter(draft, { kind: "watching" });
    draft.because = "observing only";
    return;
  }
  if (isPartial(draft)) return;
  if (failOverIfDue(draft)) return;
  giveSealsBack(draft);
  repairPrimary(draft);
  const { primary } = draft.saved;
  const waiting = standing(draft) !== "primary";
  const wrong = repointFollowers(draft);
  wakeBy(draft, draft.nowMs + Math.min(REPOINT_LOOK_MS, draft.config.checkIntervalMs));
  const late = draft.nowMs >= phase.deadlineMs;
  if (!late && (waiting || wrong.length > 0)) {
    draft.because = waiting
      ? `waiting to see ${primary} before repointing`
      : `waiting for ${wrong.join(", ")} to follow ${primary}`;
    return;
  }
  if (late && wrong.length > 0)
    tell(draft, "+failover-end-for-timeout", null, `${wrong.join(", ")} did not follow in time`);
  else if (waiting)
    tell(draft, "+failover-end-for-timeout", primary, `${primary} was not seen in time`);
  else tell(draft, "+failover-end", primary, "every node that is up follows the primary");
  enter(draft, { kind: "watching" });
  draft.because = "the failover is over";
}

/** Begins an attempt when one is due and nothing forbids it. True when it did. */
function failOverIfDue(draft: Draft): boolean {
  const { config, saved, known, nowMs } = draft;
  const primary = nodeOf(config, saved.primary);
  if (primary === null) return false;
  if (known[primary.id]?.verdict.suspicious) wakeBy(draft, nowMs + config.retryMs);
  const due = whatIsDue(draft, primary);
  if (due === null) {
    tellHold(draft, null, "");
    untellAll(draft, NO_GOOD_SLAVE);
    return false;
  }
  const held = whyHeld(draft, primary, due.cause);
  tellHold(
    draft,
    held?.kind ?? null,
    `${due.why}; ${held?.why}${held?.remedy ? ` (${held.remedy})` : ""}`,
  );
  if (held !== null) {
    draft.because = `${due.why}; ${held.why}`;
    return false;
  }
  const { order, refused } = electFor(draft, { target: null, cause: due.cause });
  const reasons =
    refused.map(({ node, reason }) => `${node} ${reason}`).join("; ") || "there is none";
  const nobody = `${due.why} and no replica can be promoted: ${reasons}`;
  // Told again when a reason changes, not when an age in it grows: that would be an event for every look.
  const mark = `${NO_GOOD_SLAVE}${reasons.replace(/\d+/g, "n")}`;
  untellAll(draft, NO_GOOD_SLAVE, mark);
  tellEdge(draft, mark, order.length === 0, () => ({
    names: ["-failover-abort-no-good-slave", null],
    node: null,
    text: nobody,
    data: { refused },
  }));
  const best = order[0];
  if (best === undefined) {
    draft.because = nobody;
    return false;
  }
  if (config.observeOnly) {
    draft.because = `${due.why}: observing only; ${best.id} would be promoted`;
    tellEdge(draft, "would-failover", true, () => ({
      names: ["+would-failover", null],
      node: best.id,
      text: draft.because,
      data: { cause: due.cause, refused, ...due.evidence },
    }));
    return false;
  }
  begin(draft, { cause: due.cause, target: null, why: due.why, evidence: due.evidence });
  draft.because = `${due.why}: attempt ${draft.saved.highestEpoch} begins`;
  return true;
}

type Due = {
  readonly cause: FailoverCause;
  readonly why: string;
  readonly evidence: Readonly<Record<string, unknown>>;
};

/** What calls for another primary; null: nothing does. */
function whatIsDue(draft: Draft, primary: NodeConfig): Due | null {
  const { config, known } = draft;
  const verdict = known[primary.id]?.verdict;
  noteRestart(draft);
  const wipe = wipeOf(draft);
  tellEdge(draft, "wiped", wipe.kind === "wiped", () => ({
    names: ["+wiped", null],
    node: primary.id,
    text: `${primary.id} came back without its data: ${wipe.why}`,
    data: wipe.evidence,
  }));
  if (wipe.kind === "wiped") {
    const why = `${primary.id} was wiped: ${wipe.why}`;
    return { cause: "wiped", why, evidence: wipe.evidence };
  }
  if (wipe.kind === "waiting" && standing(draft) !== "unseen")
    wakeBy(draft, draft.nowMs + config.retryMs);
  judgeRestart(draft, primary);
  const sealed = whyStaysSealed(draft, primary);
  if (sealed !== null) return { cause: "sealed", why: sealed, evidence: {} };
  if (verdict === undefined || !verdict.odown) {
    tellEdge(draft, "would-failover", false, () => ({
      names: ["+would-failover", null],
      node: null,
      text: "",
    }));
    return null;
  }
  const evidence = { votes: evidenceOf(draft, primary.id), quorum: config.quorum };
  const seen = primariesSeen(draft);
  const whoElse =
    seen.length === 0 ? "nobody is primary" : `${seen.join(", ")} that they are primary`;
  if (standing(draft) === "made-replica")
    return {
      cause: "no-primary",
      why: `${primary.id} says that it is a replica, and ${whoElse}`,
      evidence,
    };
  const why = `${primary.id} is down: ${verdict.down} of ${config.vantages.length} vantages, quorum ${config.quorum}`;
  return { cause: "odown", why, evidence };
}

/** A restarted primary that kept its data is the primary again. */
function judgeRestart(draft: Draft, primary: NodeConfig): void {
  const facts = factsOf(draft, primary.id);
  if (facts === null || facts.role !== "primary" || facts.runId === draft.saved.primaryRunId)
    return;
  if (wipeOf(draft).kind === "kept") save(draft, { primaryRunId: facts.runId });
}

/** Tells a hold when it begins, when its reason changes, and when it ends. */
function tellHold(draft: Draft, kind: string | null, text: string): void {
  const mark = kind === null ? null : `${HELD}${kind}`;
  const was = draft.sight.told.find((each) => each.startsWith(HELD));
  untellAll(draft, HELD, mark);
  if (mark !== null)
    tellEdge(draft, mark, true, () => ({
      names: ["+held", "-held"],
      node: draft.saved.primary,
      text,
      data: { reason: kind },
    }));
  else if (was !== undefined)
    tell(draft, "-held", draft.saved.primary, "no failover is held any more");
}

function becauseOf(draft: Draft): string {
  const { config, saved, known } = draft;
  const { primary, paused } = saved;
  const verdict = known[primary ?? ""]?.verdict;
  if (verdict === undefined) return "no primary yet";
  const ending = paused === null ? "" : `; the group is paused: ${paused.reason}`;
  const stands = standing(draft);
  if (stands === "made-replica")
    return `${primary} was made a replica by somebody else: not fought${ending}`;
  const all = config.vantages.length;
  if (verdict.down > 0)
    return `${primary} is down for ${verdict.down} of ${all} vantages and up for ${verdict.up}; the quorum is ${config.quorum}${ending}`;
  if (stands === "unseen")
    return verdict.suspicious
      ? `${primary} did not answer as it should: looking again${ending}`
      : `${primary} was not seen in the last look${ending}`;
  const wipe = wipeOf(draft);
  if (wipe.kind !== "kept")
    return `${primary} was restarted and takes no writes yet: ${wipe.why}${ending}`;
  if (isSealed(factsOf(draft, primary)))
    return `${primary} is up and sealed: it takes no writes${ending}`;
  return `${primary} is up as primary: ${verdict.up} of ${all} vantages see it${ending}`;
}
