/**
 * What operators ask for, and whether it can be done now: accepted, or refused with the reason and what would
 * make it possible.
 *
 * Promises: a refused request changes nothing.
 */
import { answerActive } from "./active-requests.ts";
import { type Answer, no, noSuchNode, yes } from "./answers.ts";
import { electFor } from "./candidates.ts";
import { attemptOf, type Draft, enter, factsOf, nodeOf, remember, save, tell } from "./draft.ts";
import { abort, begin, isLiving, isStrict } from "./failover.ts";
import { memberOf } from "./membership.ts";
import { isUnknown } from "./repair.ts";
import { freshSight } from "./saved.ts";
import { downtime, endDowntime, pause, resume } from "./standstill.ts";
import type { OperatorRequest, Reply } from "./state.ts";
import { beginSwitchover, callOff } from "./switchover.ts";
import type { GroupConfig } from "./types.ts";

const CHANGES = ["failover", "switchover", "bootstrap"] as const;

/**
 * What depends on the nodes is not judged by what was seen before it was asked: of one that hung a moment ago
 * nobody knows.
 */
export function isLookedFor(
  { sight }: Draft,
  { kind, askedAtMs }: OperatorRequest,
  tilt: boolean,
): boolean {
  // The clock went back: no look is later than what was asked before, and nothing is done anyway.
  if (tilt || ![...CHANGES, "acknowledge", "select", "remove-node"].includes(kind)) return true;
  return askedAtMs === undefined || (sight.lookAskedAtMs ?? 0) >= askedAtMs;
}

/** @param deployed the configuration as deployed, without what is only kept. */
export function answer(
  draft: Draft,
  request: OperatorRequest,
  tilt: boolean,
  deployed: GroupConfig,
): Reply {
  const { id } = request;
  const given = answerTo(draft, request, tilt, deployed);
  if (given.ok)
    return { id, kind: "accepted", epoch: draft.saved.highestEpoch, detail: given.detail };
  const { code, detail, reasons = [] } = given;
  return { id, kind: "refused", code, detail, reasons };
}

function answerTo(
  draft: Draft,
  request: OperatorRequest,
  tilt: boolean,
  deployed: GroupConfig,
): Answer {
  const active = draft.config.mode === "active-active";
  switch (request.kind) {
    case "pause":
      return pause(draft, request);
    case "resume":
      return resume(draft);
    case "downtime":
      return downtime(draft, request);
    case "end-downtime":
      return endDowntime(draft, request.node);
    case "acknowledge":
      return active ? no("NOTHING", "there is nothing to acknowledge") : acknowledge(draft);
    case "drill":
      if (active) return no("MODE", "there is no failover to die in: nothing is promoted");
      save(draft, { drill: request.at });
      tell(draft, "+drill", null, `the Group will die ${request.at} of the next failover`);
      return yes(`the Group will die ${request.at}`);
    case "reset":
      return reset(draft);
    case "abort-switchover":
      return abortSwitchover(draft);
    case "select":
    case "unpin":
    case "weight":
    case "add-node":
    case "remove-node":
      if (!active) return no("MODE", `${request.kind} is for mode "active-active"`);
      if (tilt) return TILTED;
      return answerActive(draft, request, deployed);
    default:
      if (active && tilt) return TILTED;
      if (active) return answerActive(draft, asSelect(request), deployed);
      return changePrimary(draft, request, tilt);
  }
}

const TILTED = no("NOTREADY", "the clock went back: nothing is done for 30 seconds");

/** Whoever names another node means that it is to be used: there is nothing to promote. */
const asSelect = (request: Change) => ({
  id: request.id,
  kind: "select" as const,
  node: request.kind === "bootstrap" ? request.primary : request.to,
  pinMs: null,
});

type Change = Extract<OperatorRequest, { kind: (typeof CHANGES)[number] }>;

/** What all that give the group another primary need first. */
function changePrimary(draft: Draft, request: Change, tilt: boolean): Answer {
  const { saved, config } = draft;
  const attempt = attemptOf(saved);
  if (config.observeOnly)
    return no("OBSERVING", "the group is only observed: deploy it without observe_only to act");
  if (tilt) return TILTED;
  if (attempt !== null)
    return no(
      "INPROG",
      `failover already in progress: ${saved.phase.kind} at epoch ${attempt.epoch}; ask again when it is over`,
    );
  const named = request.kind === "bootstrap" ? request.primary : request.to;
  if (named !== null && nodeOf(config, named) === null)
    return noSuchNode(draft, named, "NOGOODSLAVE");
  if (request.kind === "bootstrap") return bootstrap(draft, request.primary);
  if (saved.primary === null)
    return no(
      "NOTREADY",
      "the group has no primary yet: POST /v1/groups/:group/bootstrap names one",
    );
  const isReplica = factsOf(draft, saved.primary)?.role === "replica";
  if (request.to === saved.primary && !isReplica)
    return no("ISPRIMARY", `${request.to} is the primary already`);
  return request.kind === "failover" ? failover(draft, request.to) : switchover(draft, request);
}

function bootstrap(draft: Draft, primary: string): Answer {
  const { saved } = draft;
  if (saved.primary !== null)
    return no(
      "BOOTSTRAPPED",
      `the group has a primary: ${saved.primary}, at epoch ${saved.epoch}; POST failover or switchover moves it`,
    );
  if (factsOf(draft, primary) === null)
    return no("NOTREADY", `${primary} does not answer: it must be up to become primary`);
  const { order, refused } = electFor(draft, { target: primary, cause: null });
  if (order.length === 0) return no("NOGOODSLAVE", `${primary} cannot be promoted`, refused);
  // Whoever is configured now is to be one of the group, whatever it holds.
  save(draft, { members: draft.config.nodes.map(memberOf) });
  begin(draft, {
    cause: "bootstrap",
    target: primary,
    why: `an operator named ${primary} the first primary`,
  });
  return yes(`${primary} is being made the first primary`);
}

function failover(draft: Draft, to: string | null): Answer {
  const { order, refused } = electFor(draft, { target: to, cause: null });
  if (order.length === 0) return no("NOGOODSLAVE", "no suitable replica to promote", refused);
  const why = `an operator asked for a failover${to === null ? "" : ` to ${to}`}`;
  begin(draft, { cause: "operator", target: to, why });
  return yes(`${order[0]?.id} is the best candidate now; the election looks once more`);
}

function switchover(draft: Draft, request: Extract<Change, { kind: "switchover" }>): Answer {
  const { saved, config } = draft;
  const from = saved.primary ?? "";
  if (!isLiving(draft, from))
    return no(
      "NOTREADY",
      `${from} does not answer as a primary: POST failover promotes without it`,
    );
  if (factsOf(draft, from)?.switching === true)
    return no(
      "INPROG",
      `${from} is handing over already, at somebody else's word; ask again when it is over`,
    );
  const { order, refused } = electFor(draft, { target: request.to, cause: null });
  const linked = order.filter(({ id }) => factsOf(draft, id)?.linkUp === true);
  const alone = order
    .filter((each) => !linked.includes(each))
    .map(({ id }) => ({ node: id, reason: "has no link to the primary: it could not catch up" }));
  const candidate = linked[0];
  if (candidate === undefined)
    return no("NOGOODSLAVE", "no replica could take over without loss", [...refused, ...alone]);
  beginSwitchover(
    draft,
    from,
    candidate.id,
    request.timeoutMs ?? config.switchoverTimeoutMs,
    request.force,
  );
  return yes(`${from} hands over to ${candidate.id}`);
}

function abortSwitchover(draft: Draft): Answer {
  const { phase } = draft.saved;
  if ((phase.kind === "fencing" || phase.kind === "electing") && isStrict(phase.attempt)) {
    abort(draft, phase.attempt, "-switchover-aborted", "an operator ended it");
    return yes("the switchover is ended: the primary is unsealed");
  }
  if (phase.kind !== "switching") return no("NOTHING", "no switchover is under way");
  if (phase.calledOff !== null)
    return no("NOTHING", `it is called off already: ${phase.calledOff}`);
  callOff(draft, phase, "an operator ended it");
  return yes("the switchover is called off, if it is not too late; an event tells who is primary");
}

/** Lifts the cooldown and the hourly limit, and takes a primary that came back emptied as it is. */
function acknowledge(draft: Draft): Answer {
  const { saved } = draft;
  const facts = factsOf(draft, saved.primary);
  const unjudged = facts?.role === "primary" && facts.runId !== saved.primaryRunId;
  const failovers = saved.failoversAtMs.length;
  const joining = draft.config.nodes.filter(
    ({ id }) => factsOf(draft, id)?.role === "primary" && isUnknown(draft, id),
  );
  if (failovers === 0 && !unjudged && joining.length === 0)
    return no("NOTHING", "there is nothing to acknowledge");
  save(draft, { members: [...saved.members, ...joining.map(memberOf)] });
  save(draft, { failoversAtMs: [], lastAttemptAtMs: null });
  const done = [
    failovers > 0 ? `${failovers} failovers` : "",
    unjudged ? "the data of the primary" : "",
    joining.length > 0
      ? `that ${joining.map(({ id }) => id).join(", ")} joins, and what it holds is lost`
      : "",
  ];
  if (unjudged && facts !== null) {
    save(draft, { primaryRunId: facts.runId, baseline: null });
    remember(draft, { lastSeen: null });
  }
  const text = `acknowledged: ${done.filter((each) => each !== "").join(" and ")}`;
  tell(draft, "+acknowledge", saved.primary, text, { failovers, restartAccepted: unjudged });
  return yes(text);
}

/** Forgets what is believed, ends what may be ended, and lets everything begin anew. */
function reset(draft: Draft): Answer {
  const { phase } = draft.saved;
  if (phase.kind === "promoting" || phase.kind === "switching")
    return no(
      "INPROG",
      `${phase.candidate} was told to become primary: that is gone through with; ask again when it is over`,
    );
  if (
    (phase.kind === "fencing" || phase.kind === "electing") &&
    phase.attempt.cause === "promotion-lost"
  )
    return no(
      "INPROG",
      "a promotion was sent and not seen: that is gone through with; ask again when it is over",
    );
  if (phase.kind === "fencing" || phase.kind === "electing")
    abort(
      draft,
      phase.attempt,
      "+reset-master",
      "an operator reset the group: the attempt is ended",
    );
  else
    tell(
      draft,
      "+reset-master",
      null,
      "an operator reset the group: what was believed is forgotten",
    );
  enter(draft, { kind: "watching" });
  save(draft, { outage: null, lastAttemptAtMs: null, aborted: 0, downtimes: {}, drill: null });
  save(draft, { replicaRunIds: {}, steering: null });
  const { lastDecisionAtMs, dropped, lookAskedAtMs, tiltUntilMs, told } = draft.sight;
  const kept = { lastDecisionAtMs, dropped, lookAskedAtMs, tiltUntilMs };
  draft.sight = { ...freshSight, ...kept, told: told.filter((mark) => mark === "tilt") };
  draft.known = {};
  return yes("what was believed is forgotten; the next look begins anew");
}
