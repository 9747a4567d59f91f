/**
 * Relays that hold a connection to the Group look at their own node often, and tell at once when it changed.
 */
import { after } from "../queue.ts";
import { wake } from "./group.ts";
import { send } from "./network.ts";
import { isSilent, runIdOf } from "./redis.ts";
import { isPrimary } from "./replication.ts";
import type { Relay, World } from "./types.ts";

const EVERY_MS = 1000;

export function startPushes(world: World): void {
  for (const relay of world.relays.values())
    if (relay.connected)
      after(world.queue, world.random.int(0, EVERY_MS), () => push(world, relay));
}

function push(world: World, relay: Relay): void {
  after(world.queue, EVERY_MS, () => push(world, relay));
  if (relay.life !== "up" || !relay.connected) return;
  const { local } = relay;
  const up =
    local.life === "up" && !isSilent(world, local) && local.script === null && !local.misconf;
  const seen = `${up} ${isPrimary(local)} ${runIdOf(local)}`;
  if (seen === relay.lastPushed) return;
  relay.lastPushed = seen;
  send(world, relay.spot, world.edge, () => wake(world, null));
}
