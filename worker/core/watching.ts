/**
 * While there is no attempt, and after its promotion: adopting a primary, seeing it fail, repairing drift.
 *
 * Rules: at the first start an existing sane replication is kept, anything else is left to an operator; an
 * attempt begins only when the primary is objectively down, enough vantages answered, and a replica can be
 * promoted; after an outage of all nodes the stored primary is given time to return first.
 */
import { type Draft, enter, nodeOf, save, tell, tellOnce, untellAll, wakeBy } from "./draft.ts";
import { begin, electFor } from "./failover.ts";
import { factsOf, judge } from "./health.ts";
import { follows } from "./plan.ts";
import { isForeign, repairPrimary, repointFollowers, standing } from "./repair.ts";

/** Time between looks while the others are repointed: a synchronisation may take long. */
const REPOINT_LOOK_MS = 1000;
/** Begins the mark that nobody can be promoted was told, with the reasons. */
const NO_GOOD_SLAVE = "no-good-slave:";

export function watch(draft: Draft): void {
  if (draft.saved.primary === null) return adopt(draft);
  if (failOverIfDown(draft)) return;
  repairPrimary(draft);
  const wrong = repointFollowers(draft);
  if (wrong.length > 0)
    draft.because ||= `bringing ${wrong.join(", ")} under ${draft.saved.primary}`;
  draft.because ||= becauseOf(draft);
}

export function repoint(draft: Draft, deadlineMs: number): void {
  if (failOverIfDown(draft)) return;
  repairPrimary(draft);
  const waiting = standing(draft) !== "primary";
  const wrong = repointFollowers(draft);
  wakeBy(draft, draft.nowMs + Math.min(REPOINT_LOOK_MS, draft.config.checkIntervalMs));
  const late = draft.nowMs >= deadlineMs;
  if (!late && (waiting || wrong.length > 0)) {
    draft.because = waiting
      ? `waiting to see ${draft.saved.primary} before repointing`
      : `waiting for ${wrong.join(", ")} to follow ${draft.saved.primary}`;
    return;
  }
  if (late && wrong.length > 0)
    tell(draft, "+failover-end-for-timeout", null, `${wrong.join(", ")} did not follow in time`);
  else
    tell(draft, "+failover-end", draft.saved.primary, "every node that is up follows the primary");
  enter(draft, { kind: "watching" });
  draft.because = "the failover is over";
}

/** Begins an attempt when the primary is objectively down and nothing forbids it. True when it did. */
function failOverIfDown(draft: Draft): boolean {
  const { config, saved, nowMs } = draft;
  const primary = nodeOf(config, saved.primary);
  if (primary === null) {
    draft.because = `the primary in force, ${saved.primary}, is not configured: an operator decides`;
    return false;
  }
  const verdict = judge(draft.sight, primary, config, nowMs);
  if (verdict.suspicious) wakeBy(draft, nowMs + config.retryMs);
  if (!verdict.odown) {
    untellAll(draft, NO_GOOD_SLAVE);
    return false;
  }
  const held = whyHeld(draft, verdict.authorised);
  if (held !== null) {
    draft.because = `${primary.id} is down; ${held}`;
    return false;
  }
  const { order, refused } = electFor(draft, null);
  const reasons = refused.map(({ node, reason }) => `${node} ${reason}`).join("; ");
  // Told again when a reason changes, not when an age in it grows: that would be an event for every look.
  const mark = `${NO_GOOD_SLAVE}${reasons.replace(/\d+ ms/g, "ms")}`;
  untellAll(draft, NO_GOOD_SLAVE, mark);
  tellOnce(draft, mark, order.length === 0, () => ({
    name: "-failover-abort-no-good-slave",
    node: null,
    text: `${primary.id} is down and no replica can be promoted: ${reasons || "there is none"}`,
  }));
  if (order.length === 0) {
    draft.because = `${primary.id} is down and no replica can be promoted: ${reasons || "there is none"}`;
    return false;
  }
  const why = `${primary.id} is down: ${verdict.down} of ${config.vantages.length} vantages, quorum ${config.quorum}`;
  begin(draft, "odown", null, why);
  draft.because = `${why}: attempt ${draft.saved.highestEpoch} begins`;
  return true;
}

/** What forbids an attempt now, in words; null: nothing. */
function whyHeld(draft: Draft, authorised: boolean): string | null {
  const { config, saved, nowMs } = draft;
  if (isForeign(draft)) return "somebody else made it a replica before: an operator decides";
  if (!authorised) return "NOQUORUM: too few vantages answered";
  if (saved.outage !== null && saved.outage.endedMs === null) return "and so is every other node";
  if (saved.outage?.endedMs != null) {
    const waitMs = saved.outage.endedMs + config.primaryStartTimeoutMs - nowMs;
    if (waitMs > 0)
      return `after an outage of all nodes it has ${waitMs} ms more to return before a replica is promoted`;
  }
  if (saved.lastAttemptAtMs !== null) {
    const waitMs = saved.lastAttemptAtMs + config.failoverRetryMs - nowMs;
    if (waitMs > 0) return `the last attempt was aborted, the next one may begin in ${waitMs} ms`;
  }
  return null;
}

/** First bootstrap: an existing sane replication is kept as it is, anything else is left to the operator. */
function adopt(draft: Draft): void {
  const { config } = draft;
  const seen = config.nodes.map((node) => ({ node, facts: factsOf(draft.sight, node, config) }));
  const missing = seen.filter((each) => each.facts === null).map(({ node }) => node.id);
  const primaries = seen.filter((each) => each.facts?.role === "primary");
  const only = primaries[0];
  const settle = "POST /v1/groups/:group/bootstrap settles it";
  wakeBy(draft, draft.nowMs + config.checkIntervalMs);
  if (missing.length > 0) {
    draft.because = `no primary yet: ${missing.join(", ")} did not answer; ${settle}`;
    return;
  }
  if (only === undefined || primaries.length > 1) {
    const who = primaries.map(({ node }) => node.id).join(", ") || "none";
    draft.because = `no primary yet: ${who} of the nodes say they are primary, it must be exactly one; ${settle}`;
    return;
  }
  const astray = seen.filter(
    ({ node, facts }) => node !== only.node && facts !== null && !follows(facts, only.node),
  );
  if (astray.length > 0) {
    const who = astray.map(({ node }) => node.id).join(", ");
    draft.because = `no primary yet: ${who} do not follow ${only.node.id}; ${settle}`;
    return;
  }
  const epoch = draft.saved.highestEpoch + 1;
  save(draft, {
    epoch,
    highestEpoch: epoch,
    primary: only.node.id,
    primaryRunId: only.facts?.runId ?? null,
    rev: 0,
    readable: config.nodes.filter((node) => node !== only.node).map((node) => node.id),
  });
  tell(
    draft,
    "+monitor",
    only.node.id,
    `${only.node.id} was found as primary, everyone else follows it`,
  );
  draft.because = `${only.node.id} was found as primary and is kept`;
}

function becauseOf(draft: Draft): string {
  const { config, saved, nowMs } = draft;
  const primary = nodeOf(config, saved.primary);
  if (primary === null) return "no primary yet";
  const stands = standing(draft);
  if (stands === "made-replica")
    return `${primary.id} was made a replica by somebody else: an operator decides`;
  const verdict = judge(draft.sight, primary, config, nowMs);
  const all = config.vantages.length;
  if (verdict.down > 0)
    return `${primary.id} is down for ${verdict.down} of ${all} vantages and up for ${verdict.up}; the quorum is ${config.quorum}`;
  if (stands === "unseen")
    return verdict.suspicious
      ? `${primary.id} did not answer as it should: looking again`
      : `${primary.id} was not seen in the last look`;
  return `${primary.id} is up as primary: ${verdict.up} of ${all} vantages see it`;
}
