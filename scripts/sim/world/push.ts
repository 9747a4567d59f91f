/**
 * Relays that hold a connection to the Group: they look at every node often, and tell at once when one changed.
 *
 * Rules: a relay that dies closes its connection, which the Group hears; one that is stopped or cut off seems to be
 * connected for half a minute more.
 */
import { after } from "../queue.ts";
import { wake } from "./group.ts";
import { isCutEitherWay, send } from "./network.ts";
import { isSilent, runIdOf } from "./redis.ts";
import { reaches } from "./relay.ts";
import { isPrimary } from "./replication.ts";
import type { Relay, World } from "./types.ts";

const EVERY_MS = 1000;
const SILENCE_MS = 30_000;

export function startPushes(world: World): void {
  for (const relay of world.relays.values())
    after(world.queue, world.random.int(0, EVERY_MS), () => tick(world, relay));
}

function tick(world: World, relay: Relay): void {
  after(world.queue, EVERY_MS, () => tick(world, relay));
  const { socket, spot } = relay;
  const { nowMs } = world.queue;
  const heard = relay.connects && relay.life === "up" && !isCutEitherWay(world, spot, world.edge);
  if (heard) socket.heardMs = nowMs;
  const gone = relay.life === "dead" || !relay.connects || nowMs - socket.heardMs > SILENCE_MS;
  if (socket.open && gone) {
    socket.open = false;
    wake(world, null);
  }
  if (!heard) return;
  const said = socket.open ? socket.said : "";
  socket.open = true;
  socket.said = sightOf(world, relay);
  if (socket.said !== said) send(world, spot, world.edge, () => wake(world, null));
}

function sightOf(world: World, relay: Relay): string {
  let seen = "";
  for (const node of world.nodes) {
    const well = node.life === "up" && node.script === null && !node.misconf;
    const up = well && reaches(world, relay, node) && !isSilent(world, node);
    seen += up ? `${isPrimary(node)} ${runIdOf(node)} ` : "down ";
  }
  return seen;
}
