/**
 * Which of several databases that all take writes is used: decided from what was seen, and from the clock.
 *
 * Promises: pure. The heaviest healthy one leads at the start; one that failed is left at once; a heavier one is
 * gone back to only when `autoFallbackIntervalMs` has passed since the last switch and no look at it failed for
 * `gracePeriodMs`, so one that alternates is never gone back to. A late result changes nothing.
 * Plain data that JSON carries: the Group keeps it on disk, the client of an app in memory.
 * Must never: look at a clock, wait, or call anyone.
 */

export type Rules = {
  /** 0 or less: never back by itself. */
  readonly autoFallbackIntervalMs: number;
  readonly gracePeriodMs: number;
  readonly failoverAttempts: number;
  readonly failoverDelayMs: number;
};

export type Member = {
  readonly id: string;
  readonly weight: number;
  /** Null: nobody looked yet. */
  readonly healthy: boolean | null;
  /** When a look last failed; null: never. */
  readonly failedAtMs: number | null;
  /** When the look began whose result stands. */
  readonly beganAtMs: number;
};

export type GeoState = {
  /** Among equal weights an earlier one is preferred. */
  readonly members: readonly Member[];
  readonly active: string | null;
  readonly switchedAtMs: number;
  /** Until then nothing but a person's word moves it. */
  readonly pinnedUntilMs: number | null;
  /** How often it was counted that nobody was usable; not more than once in `failoverDelayMs`. */
  readonly attempts: number;
  readonly nextAttemptAtMs: number;
};

export type Reason = "automatic" | "manual" | "failback" | "route";
export type Switch = { readonly from: string; readonly to: string; readonly reason: Reason };
export type Step = { readonly state: GeoState; readonly change: Switch | null };
export type Refusal = "unknown" | "unhealthy" | "last" | "known";
/** What a person asked for: done, or why not. */
export type Answer = ({ readonly kind: "done" } & Step) | { readonly kind: Refusal };

export const newMember = (id: string, weight: number): Member => ({
  ...{ id, weight, healthy: null, failedAtMs: null },
  beganAtMs: 0,
});

export const newState = (members: readonly Member[], nowMs: number): GeoState => ({
  ...{ members, active: null, switchedAtMs: nowMs, pinnedUntilMs: null },
  ...{ attempts: 0, nextAttemptAtMs: 0 },
});

/** A look, which began at `beganAtMs`, ended. A tripped breaker is a look that failed. */
export function saw(
  state: GeoState,
  id: string,
  healthy: boolean,
  beganAtMs: number,
  nowMs: number,
): GeoState {
  return mapped(state, id, (member) =>
    beganAtMs < member.beganAtMs
      ? member
      : { ...member, healthy, beganAtMs, failedAtMs: healthy ? member.failedAtMs : nowMs },
  );
}

/** What follows from what is known: asked after every look, and before every command. */
export function settle(before: GeoState, rules: Rules, nowMs: number): Step {
  const state = unpinned(before, nowMs);
  const active = memberOf(state, state.active);
  if (active === undefined) {
    const first = best(state.members, rules, nowMs);
    if (first === undefined) return { state, change: null };
    return { state: { ...state, active: first.id, switchedAtMs: nowMs }, change: null };
  }
  if (isPinned(state)) return { state: refreshed(state, active), change: null };
  // Nobody looked at it yet: that is no reason to leave it.
  if (active.healthy === null) return { state, change: null };
  if (!active.healthy) {
    const next = best(others(state, active.id), rules, nowMs);
    if (next !== undefined) return switched(state, next.id, "automatic", nowMs);
    return { state, change: null };
  }
  const { autoFallbackIntervalMs: intervalMs } = rules;
  if (intervalMs > 0 && nowMs - state.switchedAtMs >= intervalMs) {
    const clean = state.members.filter((member) => isClean(member, rules, nowMs));
    const next = heaviest(clean.filter(({ healthy }) => healthy === true));
    if (next !== undefined && next.weight > active.weight)
      return switched(refreshed(state, active), next.id, "failback", nowMs);
  }
  return { state: refreshed(state, active), change: null };
}

/** The one to send to; null: nobody is healthy, or the pinned one is not. */
export function usable(state: GeoState): string | null {
  const active = memberOf(state, state.active);
  return active?.healthy === true ? active.id : null;
}

/** A command found nobody: whether that is for now, or has lasted over all attempts. */
export function attempt(
  state: GeoState,
  rules: Rules,
  nowMs: number,
): { readonly state: GeoState; readonly kind: "temporary" | "permanent" } {
  if (nowMs < state.nextAttemptAtMs) return { state, kind: "temporary" };
  const attempts = state.attempts + 1;
  const isOver = attempts > rules.failoverAttempts;
  return {
    state: {
      ...state,
      attempts: isOver ? 0 : attempts,
      nextAttemptAtMs: isOver ? 0 : nowMs + rules.failoverDelayMs,
    },
    kind: isOver ? "permanent" : "temporary",
  };
}

/** A person's choice; `pinMs`: nothing else moves it for so long. */
export function select(state: GeoState, id: string, pinMs: number, nowMs: number): Answer {
  const member = memberOf(state, id);
  if (member === undefined) return { kind: "unknown" };
  if (member.healthy !== true) return { kind: "unhealthy" };
  const pinnedUntilMs = pinMs > 0 ? nowMs + pinMs : null;
  return { kind: "done", ...switched({ ...state, pinnedUntilMs }, id, "manual", nowMs) };
}

export function add(state: GeoState, member: Member, nowMs: number): Answer {
  if (memberOf(state, member.id) !== undefined) return { kind: "known" };
  const members = [...state.members, member];
  return { kind: "done", ...toHeavier({ ...state, members }, member.id, nowMs) };
}

export function remove(before: GeoState, id: string, rules: Rules, nowMs: number): Answer {
  if (memberOf(before, id) === undefined) return { kind: "unknown" };
  const rest = others(before, id);
  if (rest.length === 0) return { kind: "last" };
  if (before.active !== id)
    return { kind: "done", state: { ...before, members: rest }, change: null };
  const next = best(rest, rules, nowMs);
  if (next === undefined) return { kind: "unhealthy" };
  const { state, change } = switched({ ...before, pinnedUntilMs: null }, next.id, "manual", nowMs);
  return { kind: "done", state: { ...state, members: rest }, change };
}

export function weigh(state: GeoState, id: string, weight: number, nowMs: number): Answer {
  if (memberOf(state, id) === undefined) return { kind: "unknown" };
  const weighed = mapped(state, id, (member) => ({ ...member, weight }));
  return { kind: "done", ...toHeavier(weighed, id, nowMs) };
}

/** The route names another one: first among equals from now on, and gone to unless a heavier one is in use. */
export function prefer(before: GeoState, id: string, rules: Rules, nowMs: number): Step {
  const member = memberOf(before, id);
  if (member === undefined) return { state: before, change: null };
  const state = { ...before, members: [member, ...others(before, id)] };
  const active = memberOf(state, state.active);
  const may = member.healthy === true && isClean(member, rules, nowMs) && !isPinned(state);
  if (!may || active === undefined || member.weight < active.weight) return { state, change: null };
  return switched(state, id, "route", nowMs);
}

export const memberOf = (state: GeoState, id: string | null): Member | undefined =>
  state.members.find((member) => member.id === id);

/** No look at it failed for the grace period. */
export const isClean = ({ failedAtMs }: Member, { gracePeriodMs }: Rules, nowMs: number): boolean =>
  failedAtMs === null || nowMs - failedAtMs >= gracePeriodMs;

const isPinned = (state: GeoState) => state.pinnedUntilMs !== null;

const unpinned = (state: GeoState, nowMs: number): GeoState =>
  state.pinnedUntilMs !== null && nowMs >= state.pinnedUntilMs
    ? { ...state, pinnedUntilMs: null }
    : state;

const others = (state: GeoState, id: string) => state.members.filter((each) => each.id !== id);

const mapped = (state: GeoState, id: string, change: (member: Member) => Member): GeoState => ({
  ...state,
  members: state.members.map((each) => (each.id === id ? change(each) : each)),
});

/** Attempts are counted anew once somebody is usable. */
const refreshed = (state: GeoState, active: Member): GeoState =>
  active.healthy === true && state.attempts > 0
    ? { ...state, attempts: 0, nextAttemptAtMs: 0 }
    : state;

const heaviest = (members: readonly Member[]): Member | undefined =>
  members.reduce<Member | undefined>(
    (found, each) => (found === undefined || each.weight > found.weight ? each : found),
    undefined,
  );

/** One in its grace period is better than nobody. */
function best(members: readonly Member[], rules: Rules, nowMs: number): Member | undefined {
  const healthy = members.filter((member) => member.healthy === true);
  return heaviest(healthy.filter((member) => isClean(member, rules, nowMs))) ?? heaviest(healthy);
}

/** `id` weighs something else now: to it if it is heavier, away from it if it is not the heaviest any more. */
function toHeavier(state: GeoState, id: string, nowMs: number): Step {
  const active = memberOf(state, state.active);
  const asked = state.members.filter((each) => id === active?.id || each.id === id);
  const next = heaviest(asked.filter(({ healthy }) => healthy === true));
  const heavier = active !== undefined && next !== undefined && next.weight > active.weight;
  if (!heavier || isPinned(state)) return { state, change: null };
  return switched(state, next.id, "manual", nowMs);
}

function switched(state: GeoState, to: string, reason: Reason, nowMs: number): Step {
  if (state.active === to) return { state: { ...state, switchedAtMs: nowMs }, change: null };
  const from = state.active;
  const attempts = { attempts: 0, nextAttemptAtMs: 0 };
  return {
    state: { ...state, ...attempts, active: to, switchedAtMs: nowMs },
    change: from === null ? null : { from, to, reason },
  };
}
