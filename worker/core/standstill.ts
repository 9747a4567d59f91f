/**
 * Pauses and downtimes end by themselves: nothing that an operator left behind lasts for ever.
 */
import { type Draft, nodeOf, save, tell, wakeBy } from "./draft.ts";

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
