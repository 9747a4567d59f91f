/**
 * One decision: `decide(state, input, config, now)` takes what was seen, done and asked, and says what follows.
 *
 * Promises: pure; never throws; inputs are not mutated; `because` is one sentence, also when nothing happens.
 * The order is the rule: time, outcomes, looks, requests, the phase, repairs, the route, publishing.
 * Must never: wait, read a clock, draw lots, log.
 */
import { steer } from "./active-active.ts";
import {
  attemptOf,
  type Draft,
  factsOf,
  nodeOf,
  remember,
  save,
  startDraft,
  tell,
  tellEdge,
  wakeBy,
} from "./draft.ts";
import { stepElecting } from "./electing.ts";
import { isSealed } from "./facts.ts";
import { permitted, sealAnswered, stepFencing } from "./failover.ts";
import { stuckForMs } from "./health.ts";
import { leasesNow } from "./lease.ts";
import { followConfig, forgetRemoved, keepNodes } from "./membership.ts";
import { aheadOf, moveBack } from "./moments.ts";
import { noteEvents, notified, notifyDue } from "./notices.ts";
import { overlaid } from "./overlay.ts";
import { countFailure, sendVerb, tellEpochs } from "./plan.ts";
import { promotionAnswered, stepPromoting, stepPublishing } from "./promotion.ts";
import { publishDue, published, publishLost, setRoute } from "./publishing.ts";
import { isQuiet } from "./quiet.ts";
import { noteFollowers, readableNow, sealStrangers } from "./repair.ts";
import { answer, isLookedFor } from "./requests.ts";
import { raiseEpoch, see } from "./seeing.ts";
import { forget } from "./sight.ts";
import { expireStandstills } from "./standstill.ts";
import type { Decision, Input, Pending, Saved, State } from "./state.ts";
import { stepSwitching, switchoverAnswered } from "./switchover.ts";
import { standing } from "./topology.ts";
import type { GroupConfig, Outcome } from "./types.ts";
import { repoint, watch } from "./watching.ts";
import { noteBaseline } from "./wipe.ts";

/** How long nothing is done after the clock went back (Sentinel's TILT). */
const TILT_MS = 30_000;
/** Without an alarm cron looks once a minute. */
const QUIET_MS = 60_000;

export function decide(state: State, input: Input, config: GroupConfig, nowMs: number): Decision {
  const saved = followConfig(state.saved, config);
  const draft = startDraft({ saved, sight: forget(state, config, nowMs) }, config, nowMs);
  tellMembership(draft, state.saved, config);
  const tilt = watchClock(draft);
  noteLeases(draft, input);
  for (const outcome of input.outcomes) settle(draft, outcome);
  if (state.sight.lastDecisionAtMs === null) forgetPending(draft);
  expirePending(draft);
  // A look is of the epoch in which this decision began, whatever its outcomes make of that.
  see(draft, input, saved.epoch);
  expireStandstills(draft);
  for (const request of input.requests)
    if (isLookedFor(draft, request, tilt)) draft.replies.push(answer(draft, request, tilt, config));
    else wakeBy(draft, nowMs + config.retryMs);
  if (!tilt) {
    if (config.mode === "active-active") steer(draft, config);
    else replicate(draft, input);
  }
  publishDue(draft);
  noteEvents(draft);
  notifyDue(draft);
  for (const { kind, deadlineMs } of draft.saved.pending)
    wakeBy(draft, deadlineMs + graceOf(kind, draft.config));
  if (input.requests.length > 0 || !isQuiet(draft, input))
    wakeBy(draft, nowMs + config.checkIntervalMs);
  else wakeBy(draft, nowMs + QUIET_MS);
  remember(draft, { lastDecisionAtMs: nowMs });
  return {
    // Whom this decision named cannot be removed by the next deploy; whom it let go is no member for the next.
    state: {
      saved: keepNodes(forgetRemoved(draft.saved, overlaid(draft.saved, config)), draft.config),
      sight: draft.sight,
    },
    actions: draft.actions,
    events: draft.events,
    replies: draft.replies,
    because: draft.because,
    wakeAtMs: draft.wakeAtMs,
    crash: draft.crash,
  };
}

/** One primary, promoted by command. */
function replicate(draft: Draft, input: Input): void {
  sealStrangers(draft);
  step(draft);
  killScripts(draft);
  if (!draft.config.observeOnly) tellEpochs(draft);
  noteBaseline(draft, isQuiet(draft, input));
  // Of nodes that go down together one is told first: who followed the others is not forgotten for that.
  if (draft.sight.newsAtMs === null) noteFollowers(draft);
  setRoute(draft, routeState(draft), readableNow(draft));
}

/** What a new configuration changed that nobody may overlook. */
function tellMembership(draft: Draft, before: Saved, deployed: GroupConfig): void {
  const { saved } = draft;
  if (before.primary !== saved.primary)
    tell(
      draft,
      "+node-renamed",
      saved.primary,
      `${before.primary} is now called ${saved.primary}`,
      {
        from: before.primary,
      },
    );
  const { nodes } = overlaid(saved, deployed);
  const kept = saved.keptNodes.filter(({ id }) => !nodes.some((node) => node.id === id));
  tellEdge(draft, "node-kept", kept.length > 0, () => ({
    names: ["+node-kept", null],
    node: kept[0]?.id ?? null,
    text: `${kept.map(({ id }) => id).join(", ")} cannot be removed while it is, or may be, the primary: move the primary first`,
  }));
}

/** True while passive: the clock went back, so no duration can be trusted. */
function watchClock(draft: Draft): boolean {
  const { nowMs, sight } = draft;
  const last = sight.lastDecisionAtMs;
  // A Group that was evicted meanwhile knows the old clock only from what it saved.
  const ahead = last !== null && nowMs >= last ? 0 : aheadOf(draft.saved, nowMs);
  if (ahead > 0) draft.saved = moveBack(draft.saved, ahead);
  if ((last !== null && nowMs < last) || ahead > 0) {
    const tiltUntilMs = nowMs + TILT_MS;
    remember(draft, {
      nodes: {},
      relays: {},
      vantages: {},
      paths: {},
      sentAtMs: {},
      since: {},
      lastSeen: null,
      newsAtMs: null,
      lastNewsAtMs: null,
      tiltUntilMs,
    });
  }
  const until = draft.sight.tiltUntilMs;
  const tilt = until !== null && nowMs < until && until - nowMs <= TILT_MS;
  tellEdge(draft, "tilt", tilt, () => ({
    names: ["+tilt", "-tilt"],
    node: null,
    text: tilt
      ? `the clock went back: passive for ${TILT_MS} ms`
      : "the clock can be trusted again",
  }));
  if (tilt) draft.because = "the clock went back: looking, not acting";
  return tilt;
}

function settle(draft: Draft, outcome: Outcome): void {
  const pending = draft.saved.pending.find((each) => each.id === outcome.action);
  if (pending === undefined) {
    remember(draft, { dropped: draft.sight.dropped + 1 });
    return;
  }
  save(draft, { pending: draft.saved.pending.filter((each) => each !== pending) });
  if (pending.kind === "publish") return published(draft, pending, outcome);
  if (pending.kind === "notify") return notified(draft, pending, outcome);
  if (pending.kind === "permit") return permitted(draft, pending, outcome);
  countFailure(draft, pending.kind, pending.about, outcome.kind === "done");
  if (outcome.kind === "done" && (pending.kind === "unseal" || pending.kind === "demote"))
    save(draft, { toSettle: draft.saved.toSettle.filter((id) => id !== pending.about) });
  if (isForAnother(pending, outcome) && pending.epoch === draft.saved.epoch)
    raiseEpoch(draft, `a relay holds epoch ${pending.epoch} for another primary`);
  if (pending.kind === "seal") {
    sealAnswered(draft, pending, outcome);
    tellSeal(draft, pending, outcome);
  }
  if (pending.kind === "promote") promotionAnswered(draft, pending, outcome);
  if (pending.kind === "switchover") switchoverAnswered(draft, pending, outcome);
}

/** A relay's word that the epoch names somebody else: of a Group that was superseded, or restored. */
const isForAnother = ({ kind }: Pending, outcome: Outcome) =>
  // (A seal of the one that the epoch names is refused for that.)
  kind !== "tell-epoch" &&
  kind !== "seal" &&
  outcome.kind === "refused" &&
  /^PRIMARY\b/.test(outcome.detail);

function tellSeal(draft: Draft, { about }: Pending, outcome: Outcome): void {
  const done = outcome.kind === "done";
  if (done) tell(draft, "+sealed", about, `${about} confirmed the seal: it takes no writes`);
  tellEdge(draft, `not-sealed:${about}`, !done, () => ({
    names: ["-sealed", null],
    node: about,
    text: `${about} was not sealed (${outcome.kind}): ${outcome.detail}`,
  }));
}

/** How long after its deadline an outcome may still come in: a permit is not waited for. */
const graceOf = (kind: Pending["kind"], config: GroupConfig) =>
  kind === "permit" ? 0 : config.commandTimeoutMs;

function noteLeases(draft: Draft, { keepers = [] }: Input): void {
  const leases = leasesNow(draft.saved, draft.config, keepers, draft.nowMs);
  if (leases !== draft.saved.leases) save(draft, { leases });
}

/** After an eviction nobody hears what became of what was under way: each may be done once more. */
function forgetPending(draft: Draft): void {
  for (const pending of draft.saved.pending) {
    const { id, kind } = pending;
    // Telling is begun again at once, and has not failed.
    if (kind === "notify" || kind === "publish") {
      save(draft, { pending: draft.saved.pending.filter((each) => each.id !== id) });
      if (kind === "publish") publishLost(draft, pending);
      continue;
    }
    const detail = "the Group was restarted meanwhile";
    settle(draft, { action: id, kind: "unknown", detail, atMs: draft.nowMs });
  }
}

/** An action without an outcome by its deadline may or may not have happened. */
function expirePending(draft: Draft): void {
  const { nowMs, config } = draft;
  for (const { id, kind, deadlineMs } of draft.saved.pending)
    if (deadlineMs + graceOf(kind, config) <= nowMs) {
      const detail = "no outcome by its deadline";
      settle(draft, { action: id, kind: "unknown", detail, atMs: nowMs });
    }
}

function step(draft: Draft): void {
  const { phase } = draft.saved;
  switch (phase.kind) {
    case "watching":
      return watch(draft);
    case "fencing":
      return stepFencing(draft, phase);
    case "electing":
      return stepElecting(draft, phase);
    case "switching":
      return stepSwitching(draft, phase);
    case "promoting":
      return stepPromoting(draft, phase);
    case "publishing":
      return stepPublishing(draft, phase);
    case "repointing":
      return repoint(draft, phase);
  }
}

/** A script that blocks a node for as long as silence would count is ended once, if it has not written. */
function killScripts(draft: Draft): void {
  const { config, saved, sight } = draft;
  if (config.observeOnly || saved.paused !== null || saved.primary === null) return;
  for (const { id } of config.nodes) {
    const busy = Object.values(sight.nodes[id] ?? {}).some(
      (belief) => belief.class === "busy" && stuckForMs(belief) >= config.downAfterMs,
    );
    const told = sight.told.includes(`script-kill:${id}`);
    if (saved.downtimes[id] !== undefined || busy === told) continue;
    if (busy && !sendVerb(draft, "script-kill", id)) continue;
    tellEdge(draft, `script-kill:${id}`, busy, () => ({
      names: ["+script-kill", null],
      node: id,
      text: `${id} is blocked by a script for more than ${config.downAfterMs} ms: told to end it`,
    }));
  }
}

function routeState(draft: Draft): Saved["routeState"] {
  const { config, saved, known } = draft;
  const primary = nodeOf(config, saved.primary);
  if (primary === null) return "down";
  const { kind } = saved.phase;
  if (kind === "fencing" || kind === "electing" || kind === "promoting") return "failing-over";
  const verdict = known[primary.id]?.verdict;
  if (verdict?.odown === true) return "down";
  const stands = standing(draft);
  if (stands === "unseen") {
    // Everyone who answers says that nothing listens there: no route to it is up, whatever the quorum. That
    // its machine is silent says no such thing.
    const { up, down, silent } = verdict ?? { up: 0, down: 0, silent: [] };
    const gone = up === 0 && down > silent.length && attemptOf(saved) === null;
    return saved.routeState === "up" && !gone ? "up" : "down";
  }
  if (stands !== "primary") return "down";
  // One that is sealed, or not judged after a restart, takes no writes, and that is about to be settled.
  const facts = factsOf(draft, primary.id);
  const open = !isSealed(facts) && facts?.runId === saved.primaryRunId;
  return open ? "up" : "failing-over";
}
