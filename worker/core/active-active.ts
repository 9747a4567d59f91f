/**
 * Active-active: every node takes writes, nothing is promoted, and one is routed to: the heaviest that is healthy.
 *
 * Rules: the first one is chosen when as many nodes are healthy as `initial_health_policy` asks for; one that cannot
 * be used is left at once; a heavier one is gone back to after `failback_interval_ms`, when no look at it failed for
 * `failback_grace_ms`; a pin holds against all of that until it ends. Where nobody is healthy the route stays, and it
 * is counted; after `failover_attempts` that is called permanent. Every switch is an epoch of its own.
 * Must never: send a verb: to Redis nothing is done.
 */
import { asSeenNow, isDrained, memberIn, seeMembers, usabilityOf } from "./active-health.ts";
import { type Draft, enter, nodeOf, save, tell, tellEdge, wakeBy } from "./draft.ts";
import { setRoute } from "./publishing.ts";
import type { Saved, Steering } from "./state.ts";
import {
  attempt,
  type GeoState,
  type Reason,
  type Rules,
  remove,
  settle,
  usable,
} from "./steering.ts";
import type { GroupConfig } from "./types.ts";

export const rulesOf = (config: GroupConfig): Rules => ({
  autoFallbackIntervalMs: config.failbackIntervalMs,
  gracePeriodMs: config.failbackGraceMs,
  failoverAttempts: config.failoverAttempts,
  failoverDelayMs: config.failoverDelayMs,
});

/** @param deployed as configured, without whom the group only keeps because it is in use. */
export function steer(draft: Draft, deployed: GroupConfig): void {
  const pinned = draft.saved.steering?.pinnedUntilMs ?? null;
  if (draft.saved.phase.kind !== "watching") enter(draft, { kind: "watching" });
  const { config } = draft;
  const { leaving } = seeMembers(draft, deployed);
  if (draft.sight.lookAskedAtMs === null) draft.because ||= "not everyone was asked yet";
  else if (config.observeOnly) observe(draft, config);
  else move(draft, config, leaving);
  tellPin(draft, pinned);
  const untilMs = draft.saved.steering?.pinnedUntilMs ?? 0;
  if (untilMs > draft.nowMs) wakeBy(draft, untilMs);
  count(draft, config);
  wakeForFailback(draft, config);
  setRoute(draft, routeState(draft), []);
  draft.because ||= becauseOf(draft);
}

/** Whatever follows from what is seen. */
function move(draft: Draft, config: GroupConfig, leaving: boolean): void {
  const { steering, primary } = draft.saved;
  if (steering === null || isHeld(draft)) return;
  if (primary === null || steering.active === null) return chooseFirst(draft, config, steering);
  const rules = rulesOf(config);
  const now = asSeenNow(draft, steering);
  if (leaving) {
    const left = remove(now, primary, rules, draft.nowMs);
    if (left.kind === "done" && left.change !== null)
      return switchTo(
        draft,
        left.state,
        left.change.to,
        "manual",
        `${primary} is no longer configured`,
      );
    draft.because = `${primary} is no longer configured, and stays until another node is healthy`;
  }
  const { state, change } = settle(now, rules, draft.nowMs);
  if (change === null) keep(draft, state);
  else switchTo(draft, state, change.to, change.reason, whyOf(draft, change));
}

/** A person said that nothing is to be done by itself. */
function isHeld(draft: Draft): boolean {
  const { paused } = draft.saved;
  if (paused === null) return false;
  draft.because = `the group is paused: ${paused.reason}`;
  return true;
}

function chooseFirst(draft: Draft, config: GroupConfig, steering: Steering): void {
  const now = asSeenNow(draft, steering);
  const { members } = now;
  const healthy = members.filter((member) => member.healthy === true).length;
  const needed = { all: members.length, majority: Math.floor(members.length / 2) + 1, one: 1 }[
    config.initialHealthPolicy
  ];
  if (healthy < needed) {
    draft.because = `no node is used yet: ${healthy} of ${members.length} are healthy, initial_health_policy "${config.initialHealthPolicy}" needs ${needed}; POST /v1/groups/:group/select names one`;
    return;
  }
  const { state } = settle(now, rulesOf(config), draft.nowMs);
  if (state.active !== null)
    switchTo(draft, state, state.active, "automatic", "the heaviest healthy node");
}

type Change = { readonly from: string; readonly to: string; readonly reason: Reason };

function whyOf({ saved }: Draft, { from, to, reason }: Change): string {
  const weight = (id: string) => saved.steering?.members.find((each) => each.id === id)?.weight;
  return reason === "failback"
    ? `${to} weighs ${weight(to)}, ${from} ${weight(from)}, and no look at ${to} failed for the grace period`
    : `${from} cannot be used; ${to} is the heaviest healthy node`;
}

/** Another node is used from now on: an epoch of its own. */
export function switchTo(
  draft: Draft,
  state: GeoState,
  to: string,
  reason: Reason,
  why: string,
): void {
  const { saved, config, nowMs } = draft;
  const from = saved.primary;
  keep(draft, { ...state, active: to });
  if (from === to) return;
  const epoch = saved.highestEpoch + 1;
  const cause = reason === "route" ? "manual" : reason;
  save(draft, {
    epoch,
    highestEpoch: epoch,
    primary: to,
    primaryRunId: null,
    rev: 0,
    lastSwitch: {
      ...{ epoch, cause, from, to, atMs: nowMs, tookMs: 0 },
      ...{ lostBytesAtLeast: null, unseenMs: null, lostBytes: null },
    },
  });
  draft.because = `${to} is used since now (${cause}): ${why}`;
  if (from === null) return tell(draft, "+monitor", to, `${to} is used: ${why}`);
  const where = (id: string) => {
    const node = nodeOf(config, id);
    return node === null ? id : `${node.host} ${node.port}`;
  };
  const text = `${saved.group} ${where(from)} -> ${where(to)} (${cause}): ${why}`;
  tell(draft, "+switch-master", to, text, { from, to, reason: cause, why });
}

/** What is seen only now is not kept: who is healthy stays as it was judged, but for the one that is used. */
export function keep(draft: Draft, state: GeoState): void {
  const { steering } = draft.saved;
  const members = state.members.map((each) =>
    each.id === state.active
      ? each
      : { ...each, healthy: memberIn(steering, each.id)?.healthy ?? each.healthy },
  );
  const next: Steering = { ...state, members, unavailable: steering?.unavailable ?? null };
  if (JSON.stringify(next) !== JSON.stringify(steering)) save(draft, { steering: next });
}

function observe(draft: Draft, config: GroupConfig): void {
  const { steering } = draft.saved;
  if (steering === null) return;
  const { change } = settle(asSeenNow(draft, steering), rulesOf(config), draft.nowMs);
  if (change !== null)
    draft.because = `observing only: ${change.to} would be used (${change.reason})`;
  tellEdge(draft, "would-failover", change !== null, () => ({
    names: ["+would-failover", null],
    node: change?.to ?? null,
    text: draft.because,
    data: { from: change?.from, reason: change?.reason },
  }));
}

/** @param before until when one was pinned before this. */
export function tellPin(draft: Draft, before: number | null): void {
  const { steering } = draft.saved;
  const untilMs = steering?.pinnedUntilMs ?? null;
  if (untilMs === before) return;
  const node = steering?.active ?? null;
  const text =
    untilMs === null
      ? "the pin is over"
      : `${node} is pinned until ${new Date(untilMs).toISOString()}: nothing but a person's word moves it`;
  tell(draft, untilMs === null ? "-pinned" : "+pinned", node, text, { untilMs });
}

/** Nobody can be used: counted at `failover_delay_ms`, and called permanent after all attempts. */
function count(draft: Draft, config: GroupConfig): void {
  const { steering } = draft.saved;
  const active = steering?.members.find(({ id }) => id === steering.active);
  // Of one that was not seen since the last start nothing is known.
  if (steering === null || active === undefined || active.healthy === null) return;
  const isOver = usable(steering) !== null || isDrained(draft, active.id);
  const before = steering.unavailable;
  if (isOver && before === null) return;
  // Counted anew each time, whatever was left over while nothing moved by itself.
  const anew = { ...steering, attempts: 0, nextAttemptAtMs: 0 };
  const { state, kind } = isOver
    ? { state: anew, kind: null }
    : attempt(before === null ? anew : steering, rulesOf(config), draft.nowMs);
  const permanent = before?.permanent === true || kind === "permanent";
  const unavailable = isOver ? null : { sinceMs: before?.sinceMs ?? draft.nowMs, permanent };
  const next: Steering = { ...state, unavailable };
  if (JSON.stringify(next) !== JSON.stringify(steering)) save(draft, { steering: next });
  if (!isOver && state.nextAttemptAtMs > draft.nowMs) wakeBy(draft, state.nextAttemptAtMs);
  const others = steering.members.filter(({ id, healthy }) => healthy === true && id !== active.id);
  const why =
    others.length === 0
      ? "nobody else is healthy"
      : `nothing moves by itself now, though ${others.map(({ id }) => id).join(", ")} could be used`;
  const howLong = permanent ? `permanent, after ${config.failoverAttempts} attempts` : "temporary";
  const text = isOver
    ? `${active.id} can be used again`
    : `${active.id} cannot be used, and ${why}: ${howLong}`;
  if (isOver || before === null || permanent !== before.permanent)
    tell(draft, isOver ? "-unavailable" : "+unavailable", active.id, text, { permanent });
}

/** The moment at which a heavier one may be gone back to, if nothing changes until then. */
function wakeForFailback(draft: Draft, config: GroupConfig): void {
  const { steering } = draft.saved;
  const { failbackIntervalMs, failbackGraceMs } = config;
  const active = steering?.members.find(({ id }) => id === steering.active);
  if (steering === null || active === undefined || failbackIntervalMs === 0) return;
  for (const { weight, healthy, failedAtMs } of steering.members) {
    if (weight <= active.weight || healthy !== true) continue;
    const cleanAtMs = failedAtMs === null ? 0 : failedAtMs + failbackGraceMs;
    const atMs = Math.max(steering.switchedAtMs + failbackIntervalMs, cleanAtMs);
    if (atMs > draft.nowMs) wakeBy(draft, atMs);
  }
}

function routeState(draft: Draft): Saved["routeState"] {
  const { saved } = draft;
  const { steering } = saved;
  if (saved.primary === null || steering === null) return saved.routeState;
  const active = steering.members.find(({ id }) => id === steering.active);
  // One that was not seen yet since the last start is what it was.
  if (active?.healthy === null) return saved.routeState;
  if (usable(steering) !== null || isDrained(draft, saved.primary)) return "up";
  return steering.unavailable?.permanent === true ? "down" : "failing-over";
}

function becauseOf(draft: Draft): string {
  const { steering, primary } = draft.saved;
  if (steering === null || primary === null) return "no node is used yet";
  const active = steering.members.find(({ id }) => id === steering.active);
  const healthy = steering.members.filter((each) => each.healthy === true).length;
  const rest = `${healthy} of ${steering.members.length} nodes are healthy`;
  if (active?.healthy !== true)
    return `${primary} is used and not healthy, and nobody else is: ${rest}`;
  const node = nodeOf(draft.config, primary);
  const now = node === null ? null : usabilityOf(draft, node);
  if (now?.kind === "unknown")
    return `${primary} is used, and too few see it to be sure: ${now.why}; nothing moves by itself`;
  const heavier = steering.members
    .filter(({ weight }) => weight > active.weight)
    .map(({ id }) => id);
  const waiting = heavier.length > 0 ? `; ${heavier.join(", ")} would be preferred` : "";
  return `${primary} is used: it is healthy and weighs ${active.weight}; ${rest}${waiting}`;
}
