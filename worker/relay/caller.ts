/**
 * The Worker's end of a relay's verbs: one call, one outcome.
 *
 * Promises: never rejects; ends by its deadline; says `done`, `refused`, `failed` or `unreachable`
 * only when that is certain, and `unknown` for all the rest: being wrong towards unknown costs a
 * wait, being wrong the other way costs a second primary.
 * Must never: retry. The Group decides, with a new stamp.
 */
import * as v from "valibot";
import type { OutcomeKind, RelayAction } from "../core/types.ts";
import { headers, type TellEpochBody, type VerbBody, verbAnswer } from "./protocol.ts";
import { type Answer, brief, type Fetch, request } from "./request.ts";

export type RelayAccess = { readonly url: string; readonly token: string };
type CallOptions = { readonly timeoutMs: number; readonly fetch?: Fetch };
type CallResult = { readonly kind: OutcomeKind; readonly detail: string };

export async function callVerb(
  relay: RelayAccess,
  group: string,
  action: RelayAction,
  options: CallOptions,
): Promise<CallResult> {
  const { path, body } = messageOf(group, action);
  const answer = await request(
    {
      method: "POST",
      url: relay.url.replace(/\/+$/, "") + path,
      headers: relayHeaders(relay.token, group, options.timeoutMs),
      body,
    },
    { ...options, maxBytes: 65_536 },
  );
  const { kind, detail } = resultOf(answer);
  return { kind, detail: brief(detail, relay.token) };
}

/**
 * What every request to a relay carries. The relay is given less time than we wait: its own
 * NODE_TIMEOUT says more than our silence.
 */
export const relayHeaders = (token: string, group: string, timeoutMs: number) => ({
  authorization: `Bearer ${token}`,
  [headers.group]: group,
  [headers.deadline]: String(Math.max(1, Math.floor(timeoutMs * 0.8))),
});

function messageOf(group: string, action: RelayAction): { path: string; body: unknown } {
  const { epoch, primary, stamp } = action;
  if (action.kind === "tell-epoch") {
    const body: TellEpochBody = { epoch, primary, stamp };
    return { path: `/groups/${encodeURIComponent(group)}/epoch`, body };
  }
  const path = `/nodes/${encodeURIComponent(action.node)}/${action.kind}`;
  const head: VerbBody<"abort-switchover" | "script-kill"> = {
    group,
    epoch,
    primary,
    action: action.id,
    stamp,
  };
  switch (action.kind) {
    case "abort-switchover":
    case "script-kill":
      return { path, body: head };
    case "seal": {
      const body: VerbBody<"seal"> = action.hard ? { ...head, hard: true } : head;
      return { path, body };
    }
    case "promote":
    case "unseal": {
      const { minReplicas, bootSealed, lease } = action;
      const body: VerbBody<"promote" | "unseal"> = {
        ...head,
        minReplicas,
        bootSealed,
        ...(lease === undefined ? {} : { lease: { ...lease, promisers: copied(lease.promisers) } }),
      };
      return { path, body };
    }
    case "demote": {
      const { follow, minReplicas, bootSealed } = action;
      const body: VerbBody<"demote"> = { ...head, follow, minReplicas, bootSealed };
      return { path, body };
    }
    case "switchover": {
      const { to, timeoutMs } = action;
      const body: VerbBody<"switchover"> = { ...head, to, timeoutMs };
      return { path, body };
    }
  }
}

const copied = (ids: readonly string[] | null) => (ids === null ? null : [...ids]);

const statusOf = { done: 200, refused: 409, failed: 502, unreachable: 502, unknown: 504 } as const;

/** Refused at the door, by the relay or by a proxy before it: nothing was executed. */
const turnedAway: readonly number[] = [400, 401, 403, 404, 405, 413, 415, 422, 429];

function resultOf(answer: Answer): CallResult {
  if (answer.kind === "none") {
    return { kind: answer.unsent ? "unreachable" : "unknown", detail: answer.detail };
  }
  const { status } = answer;
  const said = v.safeParse(verbAnswer, answer.kind === "json" ? answer.body : null);
  if (said.success && statusOf[said.output.outcome] === status) {
    return { kind: said.output.outcome, detail: said.output.detail };
  }
  const why = answer.kind === "no-json" ? answer.detail : `HTTP ${status}, no verb's answer`;
  return { kind: turnedAway.includes(status) ? "failed" : "unknown", detail: why };
}
