/**
 * Pauses and downtimes: asked for by operators, and ended by themselves: nothing that was left behind lasts for ever.
 */
import { type Answer, no, noSuchNode, yes } from "./answers.ts";
import { type Draft, nodeOf, save, tell, wakeBy } from "./draft.ts";
import type { OperatorRequest } from "./state.ts";

export function expireStandstills(draft: Draft): void {
  const { saved, nowMs, config } = draft;
  const untilMs = saved.paused?.untilMs ?? null;
  if (untilMs !== null && untilMs <= nowMs) {
    save(draft, { paused: null });
    tell(draft, "-pause", null, "the pause is over: everything is judged anew");
  } else if (untilMs !== null) wakeBy(draft, untilMs);
  for (const [node, { untilMs: endMs }] of Object.entries(saved.downtimes)) {
    if (nodeOf(config, node) === null) expire(draft, node, "the node is no longer configured");
    else if (endMs <= nowMs) expire(draft, node, "its time is over");
    else wakeBy(draft, endMs);
  }
}

export function expire(draft: Draft, node: string, why: string): void {
  const { [node]: _, ...rest } = draft.saved.downtimes;
  save(draft, { downtimes: rest });
  tell(draft, "-downtime", node, `the downtime of ${node} is over: ${why}`);
}

export function pause(
  draft: Draft,
  { reason, forMs }: Extract<OperatorRequest, { kind: "pause" }>,
): Answer {
  const { nowMs } = draft;
  const untilMs = forMs === null ? null : nowMs + forMs;
  save(draft, { paused: { reason, sinceMs: nowMs, untilMs } });
  const end = forMs === null ? "until it is resumed" : `for ${forMs} ms`;
  tell(draft, "+pause", null, `nothing is done by itself ${end}: ${reason}`, { reason, untilMs });
  return yes(`paused ${end}; a failover or switchover by hand works as ever`);
}

export function resume(draft: Draft): Answer {
  if (draft.saved.paused === null) return no("NOTHING", "the group is not paused");
  save(draft, { paused: null });
  tell(draft, "-pause", null, "an operator ended the pause: everything is judged anew");
  return yes("resumed");
}

export function downtime(
  draft: Draft,
  { node, reason, forMs }: Extract<OperatorRequest, { kind: "downtime" }>,
): Answer {
  if (nodeOf(draft.config, node) === null) return noSuchNode(draft, node, "NOTREADY");
  const untilMs = draft.nowMs + forMs;
  save(draft, { downtimes: { ...draft.saved.downtimes, [node]: { reason, untilMs } } });
  const text = `${node} is left alone for ${forMs} ms: ${reason}`;
  tell(draft, "+downtime", node, text, { reason, untilMs });
  return yes(text);
}

export function endDowntime(draft: Draft, node: string): Answer {
  if (draft.saved.downtimes[node] === undefined) return no("NOTHING", `${node} is in no downtime`);
  expire(draft, node, "an operator ended it");
  return yes(`the downtime of ${node} is over`);
}
