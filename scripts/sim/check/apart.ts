/**
 * A failover does not know publishers and webhooks: the same decision without them is the same, and comes no later.
 */
import { decide } from "../../../worker/core/decide.ts";
import type { Decision, Input, Pending, Saved, State } from "../../../worker/core/state.ts";
import type { GroupConfig } from "../../../worker/core/types.ts";
import { type Ledger, violate } from "./ledger.ts";

/** KV is under way for ever: nothing is begun for it, and it wakes nobody. */
const silent: Pending = {
  ...{ id: "", kind: "publish", about: "kv", key: null, epoch: 0, beat: true },
  deadlineMs: Number.POSITIVE_INFINITY,
};

/** As if nobody had ever been told of anything. */
function alone(state: State, input: Input): { readonly state: State; readonly input: Input } {
  const { pending } = state.saved;
  const isTelling = (id: string) =>
    pending.some((each) => each.id === id && (each.kind === "publish" || each.kind === "notify"));
  const saved: Saved = {
    ...state.saved,
    notices: [],
    published: {},
    pending: [...pending.filter(({ id }) => !isTelling(id)), silent],
  };
  const outcomes = input.outcomes.filter(({ action }) => !isTelling(action));
  return { state: { ...state, saved }, input: { ...input, outcomes } };
}

/** What is decided about the primary. Ids of actions are counted over all kinds. */
export function about({ actions, state }: Decision): string {
  const { phase, epoch, highestEpoch, primary, rev, routeState } = state.saved;
  const verbs = actions.flatMap((action) => {
    if (action.kind === "publish" || action.kind === "notify") return [];
    const { id: _, ...rest } = action;
    return [rest];
  });
  return JSON.stringify([phase, epoch, highestEpoch, primary, rev, routeState, verbs]);
}

export function checkApart(
  ledger: Ledger,
  made: { readonly state: State; readonly input: Input; readonly decision: Decision },
  config: GroupConfig,
  nowMs: number,
): void {
  const { decision } = made;
  const last = made.state.sight.lastDecisionAtMs;
  // By how much a clock went back is known best from what was told last.
  if (last === null || nowMs < last) return;
  const { state, input } = alone(made.state, made.input);
  const other = decide(state, input, { ...config, dns: null, webhooks: [] }, nowMs);
  if (about(other) !== about(decision))
    violate(
      ledger,
      "held-up",
      `with publishers and webhooks ${about(decision)}, without them ${about(other)}`,
    );
  const busy = decision.state.saved.phase.kind !== "watching";
  if (busy && decision.wakeAtMs > other.wakeAtMs)
    violate(
      ledger,
      "held-up",
      `the next look is ${decision.wakeAtMs - other.wakeAtMs} ms later for publishers and webhooks`,
    );
}
