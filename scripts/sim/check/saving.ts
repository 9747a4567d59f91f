/**
 * A decision that is being written: what it came from, and what of all that was under way it took as ended.
 *
 * Promises: told from what came in and from what stands before and after, never from the core's own opinion.
 */
import type { Decision, Input, Pending, Saved, State } from "../../../worker/core/state.ts";
import type { GroupConfig, Outcome } from "../../../worker/core/types.ts";
import type { Ledger, Moment } from "./ledger.ts";

export type Saving = {
  readonly before: Saved;
  readonly after: Saved;
  readonly decision: Decision;
  readonly input: Input;
  /** As deployed. */
  readonly config: GroupConfig;
  readonly nowMs: number;
  /** The first decision of a life: nobody hears what became of what was under way. */
  readonly first: boolean;
};

/** @param stored what stands on disk, whatever was read of it. */
export const savingOf = (
  stored: Saved | null,
  state: State,
  decision: Decision,
  input: Input,
  config: GroupConfig,
  nowMs: number,
): Saving => ({
  before: stored ?? state.saved,
  after: decision.state.saved,
  decision,
  input,
  config,
  nowMs,
  first: state.sight.lastDecisionAtMs === null,
});

export type Ended = {
  readonly pending: Pending;
  /** Null: none came. */
  readonly outcome: Outcome | null;
};

/** What was under way and no longer is. */
export const endedIn = (
  { before, after, input }: Saving,
  kind: Pending["kind"],
): readonly Ended[] =>
  before.pending
    .filter((each) => each.kind === kind && !after.pending.some(({ id }) => id === each.id))
    .map((pending) => ({
      pending,
      outcome: input.outcomes.find(({ action }) => action === pending.id) ?? null,
    }));

/** Less than `ms` after that moment, by both clocks: the Group's may have jumped. */
export const isWithin = (ledger: Ledger, nowMs: number, { atMs, virtualMs }: Moment, ms: number) =>
  nowMs < atMs + ms && ledger.nowMs < virtualMs + ms;

/** Until when somebody asked to be left alone. */
export const askedUntil = (
  ledger: Ledger,
  nowMs: number,
  outcome: Outcome | null,
): Moment | null => {
  if (outcome?.retryAtMs === undefined) return null;
  return { atMs: outcome.retryAtMs, virtualMs: ledger.nowMs + outcome.retryAtMs - nowMs };
};
