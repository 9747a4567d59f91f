/**
 * One decision while it is being made: what it has so far, and the only ways to add to it.
 *
 * Promises: inputs are never mutated, every change replaces `saved` or `sight`; an action is recorded as
 * pending in the same step that returns it, so it is saved before it is performed.
 * Must never: decide anything.
 */

import type { Sight } from "./believed.ts";
import type { EventName, GroupEvent } from "./events.ts";
import { type Survey, survey } from "./health.ts";
import { effectiveConfig } from "./membership.ts";
import type { Attempt, Pending, Phase, Reply, Saved, State } from "./state.ts";
import type { Action, GroupConfig, NodeConfig, NodeFacts } from "./types.ts";

export type Draft = {
  readonly nowMs: number;
  /** As deployed, and with every node that must not vanish. */
  readonly config: GroupConfig;
  saved: Saved;
  sight: Sight;
  /** What the sight comes to, judged once. */
  known: Survey;
  because: string;
  wakeAtMs: number;
  crash: boolean;
  readonly actions: Action[];
  readonly events: GroupEvent[];
  readonly replies: Reply[];
};

export function startDraft(state: State, deployed: GroupConfig, nowMs: number): Draft {
  const config = effectiveConfig(state.saved, deployed);
  return {
    nowMs,
    config,
    saved: state.saved,
    sight: state.sight,
    known: survey(state.sight, config, nowMs),
    because: "",
    wakeAtMs: Number.POSITIVE_INFINITY,
    crash: false,
    actions: [],
    events: [],
    replies: [],
  };
}

export function save(draft: Draft, change: Partial<Saved>): void {
  draft.saved = { ...draft.saved, ...change };
}

export function remember(draft: Draft, change: Partial<Sight>): void {
  draft.sight = { ...draft.sight, ...change };
}

/** Enters a phase, and notes in its attempt when that was. */
export function enter(draft: Draft, phase: Phase): void {
  if (phase.kind === "watching") return save(draft, { phase });
  const phases = [...phase.attempt.phases, { kind: phase.kind, atMs: draft.nowMs }];
  save(draft, { phase: { ...phase, attempt: { ...phase.attempt, phases } } });
}

/** Changes something in a phase without leaving it. */
export function amend<K extends Phase["kind"]>(
  draft: Draft,
  phase: Extract<Phase, { kind: K }>,
  change: Partial<Extract<Phase, { kind: K }>>,
): void {
  save(draft, { phase: { ...phase, ...change } });
}

export function attemptOf(saved: Saved): Attempt | null {
  return saved.phase.kind === "watching" ? null : saved.phase.attempt;
}

/** Wakes no later than `atMs`, and never in the past. */
export function wakeBy(draft: Draft, atMs: number): void {
  draft.wakeAtMs = Math.max(draft.nowMs, Math.min(draft.wakeAtMs, atMs));
}

type Evidence = Readonly<Record<string, unknown>>;

export function tell(
  draft: Draft,
  name: EventName,
  node: string | null,
  text: string,
  data: Evidence = {},
): void {
  const epoch = attemptOf(draft.saved)?.epoch ?? draft.saved.epoch;
  draft.events.push({ atMs: draft.nowMs, name, epoch, node, text, data });
}

/** What is told: the name when it begins, the name when it ends (null: that is not told). */
type Edge = {
  readonly names: readonly [EventName, EventName | null];
  readonly node: string | null;
  readonly text: string;
  readonly data?: Evidence;
};

/** Tells when `holds` becomes true and when it ends; nothing while it stays as it is. */
export function tellEdge(draft: Draft, mark: string, holds: boolean, event: () => Edge): void {
  if (draft.sight.told.includes(mark) === holds) return;
  if (holds) remember(draft, { told: [...draft.sight.told, mark] });
  else untell(draft, mark);
  const { names, node, text, data } = event();
  const name = names[holds ? 0 : 1];
  if (name !== null) tell(draft, name, node, text, data);
}

/** The same for what may last while nobody remembers: told once, though the Group sleeps between looks. */
export function tellLasting(draft: Draft, mark: string, holds: boolean, event: () => Edge): void {
  const { lasting } = draft.saved;
  if (lasting.includes(mark) === holds) return;
  const rest = lasting.filter((each) => each !== mark);
  save(draft, { lasting: holds ? [...rest, mark] : rest });
  const { names, node, text, data } = event();
  const name = names[holds ? 0 : 1];
  if (name !== null) tell(draft, name, node, text, data);
}

/** Forgets that something was told, so that it is told again. */
export function untell(draft: Draft, mark: string): void {
  if (draft.sight.told.includes(mark))
    remember(draft, { told: draft.sight.told.filter((each) => each !== mark) });
}

/** The same for every mark that begins so, but for one. */
export function untellAll(draft: Draft, prefix: string, but: string | null = null): void {
  const told = draft.sight.told.filter((each) => each === but || !each.startsWith(prefix));
  if (told.length < draft.sight.told.length) remember(draft, { told });
}

/** Since when something holds without a break, noted while it does; null: it does not. */
export function holdsSince(draft: Draft, mark: string, holds: boolean): number | null {
  const since = draft.sight.since[mark];
  if (holds && since !== undefined) return since;
  if (!holds && since === undefined) return null;
  const rest = { ...draft.sight.since };
  if (holds) rest[mark] = draft.nowMs;
  else delete rest[mark];
  remember(draft, { since: rest });
  return holds ? draft.nowMs : null;
}

/** The same for one of many: what is noted under the prefix for anybody else is forgotten. */
export function onlySince(draft: Draft, prefix: string, id: string | null): number | null {
  const mark = id === null ? null : `${prefix}${id}`;
  for (const other of Object.keys(draft.sight.since))
    if (other.startsWith(prefix) && other !== mark) holdsSince(draft, other, false);
  return mark === null ? null : holdsSince(draft, mark, true);
}

/** Numbers an action, records it as pending and as sent, and adds it. */
export function act(
  draft: Draft,
  about: string,
  key: string | null,
  build: (id: string) => Action,
  note: Pick<Pending, "beat"> = {},
): void {
  const action = build(`${draft.saved.group}.${draft.saved.nextAction}`);
  const pending: Pending = {
    id: action.id,
    kind: action.kind,
    about,
    key,
    epoch: action.epoch,
    deadlineMs: action.deadlineMs,
    ...note,
  };
  save(draft, {
    nextAction: draft.saved.nextAction + 1,
    pending: [...draft.saved.pending, pending],
  });
  remember(draft, {
    sentAtMs: { ...draft.sight.sentAtMs, [`${action.kind}:${about}`]: draft.nowMs },
  });
  draft.actions.push(action);
}

export function isPending(draft: Draft, kind: Action["kind"], about: string): boolean {
  return draft.saved.pending.some((each) => each.kind === kind && each.about === about);
}

export function nodeOf(config: GroupConfig, id: string | null): NodeConfig | null {
  return config.nodes.find((node) => node.id === id) ?? null;
}

/** What a node said of itself in its newest good look; null: there is none. */
export function factsOf(draft: Draft, id: string | null): NodeFacts | null {
  return (id === null ? undefined : draft.known[id]?.best?.facts) ?? null;
}

/** The same, if it was asked for after `atMs`. */
export function factsAfter(draft: Draft, id: string | null, atMs: number): NodeFacts | null {
  const best = id === null ? null : (draft.known[id]?.best ?? null);
  return best !== null && best.askedAtMs >= atMs ? best.facts : null;
}
