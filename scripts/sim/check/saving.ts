/**
 * A decision that is being written: what it came from, and what of all that was under way it took as ended.
 *
 * Promises: told from what came in and from what stands before and after, never from the core's own opinion.
 */
import type { Decision, Input, Pending, Saved, State } from "../../../worker/core/state.ts";
import type { GroupConfig, Outcome } from "../../../worker/core/types.ts";
import type { Ledger } from "./ledger.ts";

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

/**
 * Now, by a clock that no clock of the Group's has outrun: virtual time, and by how much that ever jumped ahead. What
 * it counted when its clock went back is less, never more.
 */
export const latest = ({ nowMs, aheadMs }: Ledger): number => nowMs + aheadMs;

/** A clock that runs fast is no jump. */
const RUNS_FAST = 0.98;

/** Surely less than `ms` after that moment. */
export const isWithin = (ledger: Ledger, sinceMs: number | null, ms: number): boolean =>
  sinceMs !== null && latest(ledger) < sinceMs + RUNS_FAST * ms;

/** Who asks to be left alone: since when, and for how long. */
export type Asked = { readonly sinceMs: number; readonly forMs: number };

export function askedIn(ledger: Ledger, nowMs: number, outcome: Outcome | null): Asked | null {
  if (outcome?.retryAtMs === undefined) return null;
  const { retryAtMs, atMs } = outcome;
  return { sinceMs: latest(ledger), forMs: Math.min(retryAtMs - atMs, retryAtMs - nowMs) };
}
