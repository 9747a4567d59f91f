/**
 * What publishers and webhooks have to be once nothing is wrong any more, and for how long that may take.
 */
import { routeOf } from "../../../worker/core/projection.ts";
import type { Pending, Saved } from "../../../worker/core/state.ts";
import { groupNow } from "../world/clock.ts";
import { differs, publishersIn } from "../world/publishers.ts";
import type { World } from "../world/types.ts";

const NOTIFY_TIMEOUT_MS = 10_000;
const SPARE_MS = 3000;

/** What is still missing; null: nothing is. */
export function missingAtTold(world: World, saved: Saved): string | null {
  const nowMs = groupNow(world);
  const { config } = world;
  const stays = (each: Pending) =>
    each.kind === "notify"
      ? each.deadlineMs - nowMs < NOTIFY_TIMEOUT_MS - 1000
      : each.beat !== true;
  const under = saved.pending.find(stays);
  if (under !== undefined) return `${under.kind} is pending`;
  for (const [name, { problem }] of Object.entries(saved.published))
    if (problem !== null) return `${name} is to be written again: ${problem}`;
  const route = routeOf(saved, config);
  for (const publisher of publishersIn(world, config)) {
    const { name } = publisher;
    const stands = differs(publisher, publisher.route, route);
    if (stands !== null) return `${name} holds ${stands}, not ${route.epoch}.${route.rev}`;
    const { drift, receipt } = saved.published[name] ?? {};
    if (drift != null) return `${name} is believed to hold ${drift}`;
    if (receipt != null) return `${name} is to be asked for ${receipt.text}`;
  }
  const lateMs = config.checkIntervalMs + SPARE_MS;
  const late = saved.notices.find(({ nextAtMs, to }) => {
    const dueAtMs = Math.max(nextAtMs, saved.failing[to]?.pausedUntilMs ?? 0);
    // One after another is told.
    const stands = world.queue.nowMs - (world.receivers.get(to)?.toldMs ?? 0) > lateMs;
    return stands && dueAtMs + lateMs < nowMs;
  });
  return late === undefined ? null : `${late.to} is not told ${late.event.name}, which is due`;
}

/** How much longer healing may take where somebody changed by hand what stands there. */
export function toldWithinMs(world: World): number {
  const { saved } = world.storage;
  const wrong = publishersIn(world, world.config).filter(
    ({ name, byHand }) => byHand || saved?.published[name]?.drift != null,
  );
  if (wrong.length === 0) return 0;
  return lookWithinMs(world, wrong.some(({ name }) => name === "kv") ? "kv" : "dns");
}

/** By when what stands at a publisher was looked at: quiet groups decide with cron. */
export const lookWithinMs = ({ config }: World, name: string): number =>
  Math.max(config.driftIntervalMs, name === "kv" ? 120_000 : 0) + 60_000 + SPARE_MS;
