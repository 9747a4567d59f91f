/**
 * One decision while it is being made: what it has so far, and the only ways to add to it.
 *
 * Promises: inputs are never mutated, every change replaces `saved` or `sight`; an action is recorded as
 * pending in the same step that returns it, so it is saved before it is performed.
 * Must never: decide anything.
 */
import type { EventName, GroupEvent } from "./events.ts";
import type { Pending, Phase, Reply, Saved, Sight, State } from "./state.ts";
import type { Action, GroupConfig, NodeConfig } from "./types.ts";

export type Draft = {
  readonly nowMs: number;
  readonly config: GroupConfig;
  saved: Saved;
  sight: Sight;
  because: string;
  wakeAtMs: number;
  readonly actions: Action[];
  readonly events: GroupEvent[];
  readonly replies: Reply[];
};

export function startDraft(state: State, config: GroupConfig, nowMs: number): Draft {
  return {
    nowMs,
    config,
    saved: state.saved,
    sight: state.sight,
    because: "",
    wakeAtMs: nowMs + config.checkIntervalMs,
    actions: [],
    events: [],
    replies: [],
  };
}

export function save(draft: Draft, change: Partial<Saved>): void {
  draft.saved = { ...draft.saved, ...change };
}

export function enter(draft: Draft, phase: Phase): void {
  save(draft, { phase });
}

/** Wakes no later than `atMs`, and never in the past. */
export function wakeBy(draft: Draft, atMs: number): void {
  draft.wakeAtMs = Math.max(draft.nowMs, Math.min(draft.wakeAtMs, atMs));
}

export function tell(
  draft: Draft,
  name: EventName,
  node: string | null,
  text: string,
  data: Readonly<Record<string, unknown>> = {},
): void {
  const phase = draft.saved.phase;
  const epoch = phase.kind === "watching" ? draft.saved.epoch : phase.attempt.epoch;
  draft.events.push({ atMs: draft.nowMs, name, epoch, node, text, data });
}

/** Tells `name` when `holds` becomes true, `ended` when it ends; nothing while it stays as it is. */
export function tellEdge(
  draft: Draft,
  mark: string,
  holds: boolean,
  event: () => { readonly name: EventName; readonly node: string | null; readonly text: string },
): void {
  const told = draft.sight.told.includes(mark);
  if (told === holds) return;
  const rest = draft.sight.told.filter((each) => each !== mark);
  draft.sight = { ...draft.sight, told: holds ? [...rest, mark] : rest };
  const { name, node, text } = event();
  tell(draft, name, node, text);
}

/** The same, for what is told only when it begins. */
export function tellOnce(
  draft: Draft,
  mark: string,
  holds: boolean,
  event: () => { readonly name: EventName; readonly node: string | null; readonly text: string },
): void {
  if (holds) tellEdge(draft, mark, true, event);
  else untell(draft, mark);
}

/** Forgets that something was told, so that it is told again. */
export function untell(draft: Draft, mark: string): void {
  if (draft.sight.told.includes(mark))
    draft.sight = { ...draft.sight, told: draft.sight.told.filter((each) => each !== mark) };
}

/** The same for every mark that begins so, but for one. */
export function untellAll(draft: Draft, prefix: string, but: string | null = null): void {
  const told = draft.sight.told.filter((each) => each === but || !each.startsWith(prefix));
  if (told.length < draft.sight.told.length) draft.sight = { ...draft.sight, told };
}

/** Numbers an action, records it as pending and as sent, and adds it. */
export function act(
  draft: Draft,
  about: string,
  key: string | null,
  build: (id: string) => Action,
): void {
  const action = build(`${draft.saved.group}.${draft.saved.nextAction}`);
  const pending: Pending = {
    id: action.id,
    kind: action.kind,
    about,
    key,
    epoch: action.epoch,
    deadlineMs: action.deadlineMs,
  };
  save(draft, {
    nextAction: draft.saved.nextAction + 1,
    pending: [...draft.saved.pending, pending],
  });
  draft.sight = {
    ...draft.sight,
    sentAtMs: { ...draft.sight.sentAtMs, [`${action.kind}:${about}`]: draft.nowMs },
  };
  draft.actions.push(action);
}

export function isPending(draft: Draft, kind: Action["kind"], about: string): boolean {
  return draft.saved.pending.some((each) => each.kind === kind && each.about === about);
}

export function nodeOf(config: GroupConfig, id: string | null): NodeConfig | null {
  return config.nodes.find((node) => node.id === id) ?? null;
}
