/**
 * What we do to Redis: one action in, one outcome out.
 *
 * Promises: never rejects; ends by the action's deadline; an action that was never sent is
 * `unreachable`.
 * Must never: believe that `done` means done. Only a later look proves a promotion.
 */
import type { Outcome, RelayAction } from "../core/types.ts";
import { callVerb, type RelayAccess } from "../relay/caller.ts";
import type { Fetch } from "../relay/request.ts";

export type PerformDeps = {
  readonly group: string;
  readonly now: () => number;
  /** Address and control token of a relay; null when the configuration has none. */
  readonly relay: (id: string) => RelayAccess | null;
  readonly fetch?: Fetch;
};

export async function perform(action: RelayAction, deps: PerformDeps): Promise<Outcome> {
  const relay = deps.relay(action.relay);
  const timeoutMs = action.deadlineMs - deps.now();
  const result =
    relay === null
      ? { kind: "unreachable" as const, detail: `relay ${action.relay} is not configured` }
      : await callVerb(relay, deps.group, action, {
          timeoutMs,
          ...(deps.fetch === undefined ? {} : { fetch: deps.fetch }),
        });
  return { action: action.id, ...result, atMs: deps.now() };
}
