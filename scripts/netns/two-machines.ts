/**
 * Picket on two machines and no third: in each box a Redis, its relay and a client; the Worker, and one client
 * more, at the edge.
 *
 * Promises: stands when the route names both nodes; `stop` leaves nothing behind.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Route } from "../../worker/core/route.ts";
import { BOOT_SEALED } from "../../worker/relay/protocol.ts";
import { follows, isPrimary, until } from "../bench/side.ts";
import { hangUp, startWriter, type Writer } from "../bench/writer.ts";
import { startStack } from "../demo/stack.ts";
import { eventsAfter, routeNow } from "../demo/watch.ts";
import type { RedisProcess } from "../redis-server.ts";
import { EDGE, makeBoxes } from "./boxes.ts";
import { infoInside, type Stays, startStays } from "./stays.ts";

export const modes = ["none", "sealed", "lease"] as const;
export type Mode = (typeof modes)[number] | "lease";

/** Quick, but silence still has to last for long enough to be silence; and one failover may follow another. */
const settings = {
  check_interval_ms: 500,
  down_after_ms: 2000,
  failover_retry_ms: 1000,
  grace_ms: 0,
  cooldown_ms: 0,
  max_failovers_per_hour: 0,
};

export type TwoMachines = Awaited<ReturnType<typeof startTwoMachines>>;

/** `more`: settings of the group beside those above. */
export async function startTwoMachines(mode: Mode, more: Readonly<Record<string, number>> = {}) {
  const boxes = makeBoxes(["a", "b"]);
  const sealed = BOOT_SEALED.flatMap(([setting, value]) => [`--${setting}`, String(value)]);
  const stack = await startStack({
    ids: ["a", "b"],
    hostOf: boxes.hostOf,
    inside: boxes.inside,
    edgeHostOf: () => boxes.hostOf(EDGE),
    settings: { ...settings, ...more, fencing: mode },
    // A machine that does other work as well may take its time to confirm.
    lease: () => ({ seal_ms: 500 }),
    // Without a password Redis answers itself alone; nobody but this machine reaches a box.
    redisArgs: () => ["--protected-mode", "no", ...(mode === "none" ? [] : sealed)],
  }).catch((error) => {
    boxes.stop();
    throw error;
  });
  const stop = async () => {
    hangUp();
    await stack.stop();
    boxes.stop();
  };
  const server = (id: string): RedisProcess => {
    const found = stack.redis[id];
    if (found === undefined) throw new Error(`there is no redis ${id}`);
    return found;
  };
  const other = (id: string) => (id === "a" ? "b" : "a");
  /** The last that was told of `+link-down`, of a switch, and of anything else. */
  const events = () => eventsAfter(stack, 0);
  const mark = async () => (await events()).at(-1)?.seq ?? 0;
  const told = (name: string, after: number) =>
    until(name, async () => {
      const found = (await eventsAfter(stack, after)).find((event) => event.name === name);
      return found ?? null;
    });
  /** Everybody says the same: `id` is primary, and the other follows it. */
  const steady = (id: string) =>
    until(`${id} is primary and ${other(id)} follows it`, async () => {
      const route = await routeNow(stack);
      const all = route?.primary?.id === id && route.replicas.length === 1 && route.state === "up";
      if (!all || !(await isPrimary(server(id)))) return null;
      return (await follows(server(other(id)), server(id))) ? route : null;
    });
  /** Without a primary for far longer than silence takes, by its own clock, and still a replica. */
  const leftAlone = (id: string) =>
    until(`${id} is a replica without a primary`, async () => {
      const { role, master_link_down_since_seconds: alone } = await infoInside(
        boxes.inside(id),
        server(id),
      );
      return role === "slave" && Number(alone) * 1000 >= 2 * settings.down_after_ms;
    });
  const routed = (id: string) =>
    until(`the route leads to ${id}`, async () => {
      const route = await routeNow(stack);
      return route?.primary?.id === id && route.state === "up" ? route : null;
    });
  let numbers = 0;
  /** Numbers that nobody else writes. */
  const range = () => {
    numbers += 1_000_000;
    return numbers;
  };
  /** At the edge: it asks for the route while its writes fail. */
  const outside = (at: string): Writer => {
    const writer = startWriter(server(at), range());
    let ended = false;
    const follow = async () => {
      let known: Route | undefined;
      for (; !ended; await pause(25)) {
        if (!writer.failing()) continue;
        known = (await routeNow(stack, known).catch(() => null)) ?? known;
        if (known?.primary != null) writer.turn(server(known.primary.id));
      }
    };
    void follow();
    const end = () => {
      ended = true;
      writer.stop();
    };
    return { ...writer, stop: end };
  };
  /** In the box of `at`: it stays at the server `to`, whatever happens. */
  const stays = (at: string, to: string): Stays =>
    startStays(boxes.inside(at), server(to), range());
  /** Power is gone: nobody says goodbye. */
  const lose = async (id: string) => {
    boxes.cut(id, other(id));
    boxes.cut(id, EDGE);
    await Promise.all([server(id).kill(), stack.relays[id]?.kill()]);
  };
  const bringBack = async (id: string) => {
    boxes.healAll();
    await Promise.all([server(id).start(), stack.relays[id]?.start()]);
  };
  try {
    void stack.cron();
    await steady("a");
    const world = { boxes, stack, mode, server, other, outside, stays, lose, bringBack };
    return { ...world, steady, leftAlone, routed, mark, told, events, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
