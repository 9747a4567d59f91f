/**
 * Clients that write: some follow the route, some stay where they are. Each write has its number.
 *
 * Rules: one that follows gives up after a second, and reads the route again when it is refused; one that stays
 * waits for its answer however long it takes. A write whose answer was lost is not acknowledged.
 */
import { routeOf } from "../../../worker/core/projection.ts";
import { isNewer } from "../../../worker/core/route.ts";
import { after } from "../queue.ts";
import { currentInstance } from "./group.ts";
import { isCut, send } from "./network.ts";
import { write } from "./redis.ts";
import type { Client, RedisNode, Spot, World } from "./types.ts";

const PATIENCE_MS = 1000;
const STAYS_MS = 30_000;

export function newClient(spot: Spot, stays: RedisNode | null, everyMs: number): Client {
  return { name: spot.name, spot, stays, route: null, busy: false, everyMs };
}

/** Begins to write, for as long as the world lasts. */
export function startClient(world: World, client: Client): void {
  const again = () => after(world.queue, client.everyMs + world.random.int(0, 20), next);
  const next = () => {
    if (!client.busy) writeOnce(world, client);
    again();
  };
  after(world.queue, world.random.int(1, client.everyMs), next);
}

function targetOf(world: World, client: Client): RedisNode | null {
  if (client.stays !== null) return client.stays;
  const primary = client.route?.primary;
  return primary == null ? null : (world.byAddress.get(`${primary.host}:${primary.port}`) ?? null);
}

function writeOnce(world: World, client: Client): void {
  const node = targetOf(world, client);
  if (node === null) return readRoute(world, client);
  const id = world.writes.length;
  const record = {
    id,
    atMs: world.queue.nowMs,
    acks: [] as { node: string; atMs: number; kept: boolean }[],
  };
  world.writes.push(record);
  client.busy = true;
  let over = false;
  const end = () => {
    if (over) return;
    over = true;
    client.busy = false;
  };
  after(world.queue, client.stays === null ? PATIENCE_MS : STAYS_MS, () => {
    if (!over && client.stays === null) readRoute(world, client);
    end();
  });
  send(world, client.spot, node.spot, () => {
    if (node.life === "dead") {
      if (client.stays === null && !isCut(world, node.spot, client.spot)) readRoute(world, client);
      return end();
    }
    write(world, node, id, (said) => {
      // Redis has answered; whether the client hears it is another question.
      if (said === "ok") world.checks.acknowledged(node, id);
      send(world, node.spot, client.spot, () => {
        if (over) return;
        if (said === "ok")
          record.acks.push({ node: node.name, atMs: world.queue.nowMs, kept: true });
        else if (client.stays === null) readRoute(world, client);
        end();
      });
    });
  });
}

/** The authoritative route, from the memory of whatever life the Group has now. */
function readRoute(world: World, client: Client): void {
  send(world, client.spot, world.edge, () => {
    const group = currentInstance(world);
    if (group === null || group.state.saved.primary === null) return;
    const route = routeOf(group.state.saved, world.config);
    send(world, world.edge, client.spot, () => {
      if (isNewer(route, client.route)) client.route = route;
    });
  });
}
