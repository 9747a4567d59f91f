/**
 * Faults of whom the Group tells: publishers that fail, say nothing, answer late, ask to wait or are slow; what they
 * hold, changed by hand; webhooks that do not take what they are told, or take it and say so to nobody.
 */
import type { Route } from "../../../worker/core/route.ts";
import { after } from "../queue.ts";
import type { Random } from "../random.ts";
import { changeByHand, type Publisher, publishersIn, sound } from "../world/publishers.ts";
import { tell, type World } from "../world/types.ts";
import type { Way } from "../world/webhooks.ts";
import { type Fault, nothing, switched } from "./fault.ts";

const publisher = (which: string, name: string, how: Partial<Publisher>): Fault =>
  switched(
    `${which}-${name}`,
    (world) => Object.assign(world.publishers.get(which) ?? {}, how),
    (world) => Object.assign(world.publishers.get(which) ?? {}, sound),
  );

/** What somebody might leave there: what was right before, a name of somewhere else, nothing. */
export function anotherRoute(route: Route, random: Random): Route | null {
  const away = { host: "10.0.0.77", id: "elsewhere" };
  const elsewhere: Route = {
    ...route,
    primary: route.primary === null ? null : { ...route.primary, ...away },
    replicas: [],
  };
  return random.pick([
    { ...elsewhere, rev: Math.max(1, route.rev - 1) },
    { ...elsewhere, epoch: Math.max(0, route.epoch - 1), rev: 1 },
    elsewhere,
    null,
  ]);
}

const byHand = (which: string): Fault => ({
  name: `${which}-by-hand`,
  begin: (world, random, ms) => {
    after(world.queue, random.int(0, ms), () => {
      const found = publishersIn(world, world.config).find(({ name }) => name === which);
      if (found === undefined || found.own === null) return;
      changeByHand(world, found, anotherRoute(found.own, random));
    });
    return nothing;
  },
});

/** One of them, or all. */
function some(world: World, random: Random) {
  const all = [...world.receivers.values()];
  return all.length > 1 && random.chance(0.5) ? [random.pick(all)] : all;
}

const webhook = (way: Way): Fault => ({
  name: `webhook-${way}`,
  begin: (world, random) => {
    const which = some(world, random);
    for (const receiver of which)
      Object.assign(receiver, { way, asksMs: random.pick([5000, 40_000, 90_000]) });
    tell(world, () => `webhook-${way}: ${which.map(({ name }) => name).join(", ")}`);
    return () => {
      for (const receiver of which) receiver.way = "takes";
    };
  },
});

export const tellingFaults: readonly Fault[] = [
  publisher("kv", "fails", { fails: true }),
  publisher("kv", "silent", { silent: true }),
  publisher("kv", "late", { delayMs: 7000 }),
  publisher("kv", "asks", { fails: true, asksMs: 10_000 }),
  publisher("dns", "fails", { fails: true }),
  publisher("dns", "silent", { silent: true }),
  publisher("dns", "late", { delayMs: 7000 }),
  publisher("dns", "slow", { slowMs: 9000 }),
  publisher("dns-replicas", "silent", { silent: true }),
  publisher("dns-replicas", "late", { delayMs: 7000 }),
  publisher("dns-replicas", "slow", { slowMs: 5000 }),
  byHand("kv"),
  byHand("dns"),
  byHand("dns-replicas"),
  ...(["fails", "asks", "gone", "refuses", "hangs", "loses"] as const).map(webhook),
];
