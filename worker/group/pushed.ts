/**
 * What relays and the Group say to each other, in the Group's words: from a decision to a message, and from a
 * message to what was seen.
 *
 * Promises: pure. Must never: believe a relay's clock, or let one relay speak for another.
 */
import { attemptOf } from "../core/draft.ts";
import { routeOf } from "../core/projection.ts";
import { strangersOf } from "../core/repair.ts";
import { vantageOf } from "../core/sight.ts";
import type { State } from "../core/state.ts";
import type { GroupConfig, Observation, Stamp } from "../core/types.ts";
import type { LooksMessage, WatchMessage } from "../relay/push.ts";

/** What relays are told: what to watch and how, who must not be primary, and the route. */
export function watchOf(saved: State["saved"], config: GroupConfig): WatchMessage {
  const { name, checkIntervalMs, probeTimeoutMs, retryMs, maxFailures, downAfterMs } = config;
  return {
    v: 1,
    kind: "watch",
    group: name,
    nodes: config.nodes.map(({ id }) => id),
    ...{ checkIntervalMs, probeTimeoutMs, retryMs, maxFailures, downAfterMs },
    // While an attempt is under way relays hold its epoch.
    epoch: attemptOf(saved)?.epoch ?? saved.epoch,
    strangers: [...strangersOf(saved, config)],
    route: routeOf(saved, config),
  };
}

/** By the Group's clock: what is told as so long ago was then, or earlier if the message was on its way. */
export function observationsOf(
  relay: string,
  message: LooksMessage,
  { saved, sight }: State,
  nowMs: number,
): readonly Observation[] {
  const { boot, ms, epoch } = message;
  const sentAtMs = sentAt({ boot, ms }, sight.relays[relay]?.group, nowMs);
  return message.looks.map((look) => {
    const atMs = Math.floor(sentAtMs - look.agoMs);
    // The stamp of the look, not of the message: a verb is built on what was seen.
    const stamp = { boot, ms: Math.max(0, Math.floor(ms - look.agoMs)) };
    return {
      vantage: vantageOf(relay),
      from: "group",
      epoch: saved.epoch,
      node: look.node,
      class: look.class,
      detail: look.detail,
      atMs,
      tookMs: look.tookMs,
      facts: look.facts,
      relay: { stamp, epoch },
      pushed: {
        news: message.news,
        looks: look.looks,
        refusals: look.refusals ?? (look.class === "refused" ? look.looks : 0),
        before:
          look.before === null
            ? null
            : { facts: look.before.facts, atMs: Math.floor(sentAtMs - look.before.agoMs) },
        sinceMs: Math.floor(atMs - look.badForMs),
      },
    };
  });
}

/**
 * When it was sent, at the latest. The relay's clock at an answer that we had from it bounds how far its clock
 * is behind ours: what took longer than that answer was on its way for the rest.
 */
function sentAt(
  stamp: Stamp,
  known: State["sight"]["relays"][string][string] | undefined,
  nowMs: number,
): number {
  const before = known?.facts?.stamp;
  if (known === undefined || before === undefined || before.boot !== stamp.boot) return nowMs;
  const atMs = known.atMs + (stamp.ms - before.ms);
  return Math.min(nowMs, atMs);
}
