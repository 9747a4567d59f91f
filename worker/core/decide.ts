/**
 * One decision: `decide(state, input, config, now)` takes what was seen, done and asked, and says what follows.
 *
 * Promises: pure; never throws; inputs are not mutated; `because` is one sentence, also when nothing happens.
 * The order is the rule: time, outcomes, looks, requests, the phase, repairs, the route, publishing.
 * Must never: wait, read a clock, draw lots, log.
 */
import { type Draft, nodeOf, save, startDraft, tell, tellEdge, wakeBy } from "./draft.ts";
import { stepElecting, stepFencing, stepPromoting, stepPublishing } from "./failover.ts";
import { absorb, factsOf, judge } from "./health.ts";
import { tellEpochs } from "./plan.ts";
import { publishDue, published, setRoute } from "./publishing.ts";
import { readableNow, sealStrangers, standing } from "./repair.ts";
import { answer } from "./requests.ts";
import type { Decision, Input, Pending, Saved, State } from "./state.ts";
import type { GroupConfig, NodeConfig, Outcome } from "./types.ts";
import { repoint, watch } from "./watching.ts";

/** How long nothing is done after the clock went back (Sentinel's TILT). */
const TILT_MS = 30_000;

/** A group that nothing is known of yet. */
export function initialState(group: string): State {
  return {
    saved: {
      v: 1,
      group,
      epoch: 0,
      highestEpoch: 0,
      primary: null,
      primaryRunId: null,
      rev: 0,
      routeState: "down",
      readable: [],
      routeAtMs: 0,
      phase: { kind: "watching" },
      pending: [],
      nextAction: 1,
      lastAttemptAtMs: null,
      maybePromoted: [],
      outage: null,
      published: {},
    },
    sight: freshSight,
  };
}

/** What is known after an eviction: nothing, until the next look. */
export const freshSight: State["sight"] = {
  nodes: {},
  relays: {},
  lookAskedAtMs: null,
  lastDecisionAtMs: null,
  tiltUntilMs: null,
  told: [],
  sentAtMs: {},
  dropped: 0,
};

export function decide(state: State, input: Input, config: GroupConfig, nowMs: number): Decision {
  const draft = startDraft(forget(state, config, nowMs), config, nowMs);
  const tilt = watchClock(draft);
  for (const outcome of input.outcomes) settle(draft, outcome);
  expirePending(draft);
  see(draft, input);
  for (const request of input.requests) draft.replies.push(answer(draft, request, tilt));
  if (!tilt) {
    sealStrangers(draft);
    step(draft);
    tellEpochs(draft);
  }
  if (!tilt) updateRoute(draft);
  publishDue(draft);
  for (const pending of draft.saved.pending)
    wakeBy(draft, pending.deadlineMs + config.commandTimeoutMs);
  draft.sight = { ...draft.sight, lastDecisionAtMs: nowMs };
  return {
    state: { saved: draft.saved, sight: draft.sight },
    actions: draft.actions,
    events: draft.events,
    replies: draft.replies,
    because: draft.because,
    wakeAtMs: draft.wakeAtMs,
  };
}

/**
 * Counters of a sight that is too old say nothing of now: they restart from the fresh look. From one look's
 * question to the next one's answer at a hung node it takes two probe timeouts and an interval, and an
 * interval more is no reason yet: with less, silence would never add up where timeouts exceed intervals.
 */
function forget(state: State, config: GroupConfig, nowMs: number): State {
  const { lookAskedAtMs } = state.sight;
  const oldest = 2 * (config.checkIntervalMs + config.probeTimeoutMs);
  if (lookAskedAtMs === null || nowMs - lookAskedAtMs <= oldest) return state;
  return { ...state, sight: { ...state.sight, nodes: {}, relays: {} } };
}

/** True while passive: the clock went back, so no duration can be trusted. */
function watchClock(draft: Draft): boolean {
  const { nowMs, sight } = draft;
  const last = sight.lastDecisionAtMs;
  if (last !== null && nowMs < last)
    draft.sight = { ...sight, nodes: {}, relays: {}, sentAtMs: {}, tiltUntilMs: nowMs + TILT_MS };
  const until = draft.sight.tiltUntilMs;
  const tilt = until !== null && nowMs < until && until - nowMs <= TILT_MS;
  tellEdge(draft, "tilt", tilt, () => ({
    name: tilt ? "+tilt" : "-tilt",
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
    draft.sight = { ...draft.sight, dropped: draft.sight.dropped + 1 };
    return;
  }
  save(draft, { pending: draft.saved.pending.filter((each) => each !== pending) });
  if (pending.kind === "publish") return published(draft, pending, outcome);
  if (pending.kind === "seal") tellSeal(draft, pending, outcome);
}

function tellSeal(draft: Draft, pending: Pending, outcome: Outcome): void {
  const done = outcome.kind === "done";
  const text = done
    ? `${pending.about} confirmed the seal: it takes no writes`
    : `${pending.about} was not sealed (${outcome.kind}): ${outcome.detail}`;
  tell(draft, done ? "+sealed" : "-sealed", pending.about, text);
}

/** An action without an outcome by its deadline may or may not have happened. */
function expirePending(draft: Draft): void {
  for (const pending of draft.saved.pending)
    if (pending.deadlineMs + draft.config.commandTimeoutMs <= draft.nowMs)
      settle(draft, {
        action: pending.id,
        kind: "unknown",
        detail: "no outcome by its deadline",
        atMs: draft.nowMs,
      });
}

/** Takes in the look, and tells what changed in it. */
function see(draft: Draft, input: Input): void {
  const { config, nowMs } = draft;
  draft.sight = absorb(draft.sight, input.observations, config, nowMs);
  for (const node of config.nodes) {
    const verdict = judge(draft.sight, node, config, nowMs);
    for (const vantage of config.vantages) {
      const down = verdict.votes[vantage] === "down";
      const detail = draft.sight.nodes[node.id]?.[vantage]?.detail ?? "silent";
      tellEdge(draft, `sdown:${vantage}:${node.id}`, down, () => ({
        name: down ? "+sdown" : "-sdown",
        node: node.id,
        text: `${vantage} sees ${node.id} ${down ? `down: ${detail}` : "no longer down"}`,
      }));
    }
    if (node.id === draft.saved.primary)
      tellEdge(draft, `odown:${node.id}`, verdict.odown, () => ({
        name: verdict.odown ? "+odown" : "-odown",
        node: node.id,
        text: `${node.id} ${verdict.odown ? "is" : "is not"} objectively down #quorum ${verdict.down}/${config.quorum}`,
      }));
    seeRunId(draft, node);
  }
  const highest = Math.max(
    draft.saved.highestEpoch,
    ...config.relays.map((relay) => draft.sight.relays[relay.id]?.facts?.epoch ?? 0),
  );
  if (highest > draft.saved.highestEpoch) save(draft, { highestEpoch: highest });
  seeOutage(draft);
}

function seeRunId(draft: Draft, node: NodeConfig): void {
  const facts = factsOf(draft.sight, node, draft.config);
  const { saved } = draft;
  if (facts === null) return;
  if (node.id === saved.primary && facts.role === "primary" && facts.runId !== saved.primaryRunId) {
    if (saved.primaryRunId !== null)
      tell(draft, "+reboot", node.id, `${node.id} answers under another run id: it was restarted`);
    save(draft, { primaryRunId: facts.runId });
  }
  if (
    facts.role === "replica" &&
    saved.phase.kind === "watching" &&
    saved.maybePromoted.includes(node.id)
  )
    save(draft, { maybePromoted: saved.maybePromoted.filter((id) => id !== node.id) });
}

/** No node up at all, seen by enough vantages; kept until the primary is up again. */
function seeOutage(draft: Draft): void {
  const { config, saved, nowMs, sight } = draft;
  if (sight.lookAskedAtMs === null || saved.primary === null) return;
  const verdicts = config.nodes.map((node) => judge(sight, node, config, nowMs));
  const primary = nodeOf(config, saved.primary);
  const primaryUp = primary !== null && judge(sight, primary, config, nowMs).up > 0;
  if (saved.outage === null && verdicts.every((verdict) => verdict.odown)) {
    save(draft, { outage: { sinceMs: nowMs, endedMs: null } });
    tell(draft, "+outage", null, "no node of the group is up");
  } else if (saved.outage?.endedMs != null && verdicts.every((verdict) => verdict.odown)) {
    // All down once more: the stored primary has its time again.
    save(draft, { outage: { ...saved.outage, endedMs: null } });
  } else if (saved.outage !== null && saved.outage.endedMs === null) {
    if (verdicts.some((verdict) => verdict.up > 0))
      save(draft, { outage: { ...saved.outage, endedMs: nowMs } });
  }
  if (draft.saved.outage !== null && primaryUp) {
    save(draft, { outage: null });
    tell(draft, "-outage", saved.primary, `${saved.primary} is up again`);
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
    case "promoting":
      return stepPromoting(draft, phase);
    case "publishing":
      return stepPublishing(draft, phase);
    case "repointing":
      return repoint(draft, phase.deadlineMs);
  }
}

function updateRoute(draft: Draft): void {
  setRoute(draft, routeState(draft), readableNow(draft));
}

function routeState(draft: Draft): Saved["routeState"] {
  const { config, saved, nowMs } = draft;
  const primary = nodeOf(config, saved.primary);
  if (primary === null) return "down";
  const { kind } = saved.phase;
  if (kind === "fencing" || kind === "electing" || kind === "promoting") return "failing-over";
  if (judge(draft.sight, primary, config, nowMs).odown) return "down";
  const stands = standing(draft);
  if (stands === "unseen") return saved.routeState === "up" ? "up" : "down";
  return stands === "primary" ? "up" : "down";
}
