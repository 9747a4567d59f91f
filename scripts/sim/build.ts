/**
 * Builds a world from a seed: machines with a Redis and a relay each, the Group, clients, and what tells them.
 *
 * Rules: the first node is the primary and the others follow it, as somebody who begins with Picket has it; where
 * nodes boot sealed they have just booted.
 */
import type { GroupConfig } from "../../worker/core/types.ts";
import type { Checks } from "./check/checks.ts";
import { type Drawn, drawGroup } from "./draw.ts";
import { drawActive } from "./draw-active.ts";
import { after, newQueue } from "./queue.ts";
import { type Random, randomFrom } from "./random.ts";
import { newClient, startClient } from "./world/clients.ts";
import { cron, wake } from "./world/group.ts";
import { newBranch } from "./world/history.ts";
import { startLeases } from "./world/lease.ts";
import { newPublishers } from "./world/publishers.ts";
import { startPushes } from "./world/push.ts";
import { crash, newNode, start } from "./world/redis.ts";
import { newRelay } from "./world/relay.ts";
import { heartbeats, linked, seekPrimary } from "./world/replication.ts";
import { type RedisNode, SEALED, type Spot, type World } from "./world/types.ts";
import { newReceivers } from "./world/webhooks.ts";

/** What every node holds before anybody writes. */
const PRELOADED = 1000;

export type Mode = GroupConfig["mode"];

/** One seed in five is of a group that is active-active. */
export const modeOf = (seed: number): Mode => (seed % 5 === 3 ? "active-active" : "replication");

export function buildWorld(
  seed: number,
  checks: Checks,
  withStory: boolean,
  mode: Mode = modeOf(seed),
): World {
  const random = randomFrom(seed);
  const active = mode === "active-active";
  const drawn = active ? drawActive(random.fork("active")) : drawGroup(random.fork("group"));
  const { config, places } = drawn;
  const spots: Spot[] = [];
  const spot = (name: string): Spot => {
    const made = { index: spots.length, name, down: false };
    spots.push(made);
    return made;
  };
  const edge = spot("edge");
  const nodes = config.nodes.map(({ id, host }) => newNode(id, host, spot(`m-${id}`)));
  const world: World = {
    seed,
    queue: newQueue(),
    random: random.fork("world"),
    config,
    firstConfig: config,
    spots,
    edge,
    paths: new Map(),
    nodes,
    byAddress: new Map(nodes.map((node) => [node.address, node])),
    relays: new Map(),
    regions: config.regions.filter((name) => !places.includes(name)).map(spot),
    places: places.map(spot),
    storage: { version: 0, saved: null, alarmAtMs: null, alarmTurn: 0, events: 0, fails: false },
    instances: [],
    instanceCount: 0,
    clock: { readMs: 1_790_000_000_000 + random.int(0, 1_000_000), atMs: 0, rate: 1 },
    aheadMs: 0,
    publishers: newPublishers(),
    receivers: newReceivers(config.webhooks.map(({ name }) => name)),
    tellings: 0,
    fleet: "granted",
    sealsLost: false,
    outcomesLost: false,
    alarms: "good",
    cron: "good",
    death: null,
    replay: null,
    late: null,
    regionLie: null,
    regionBlind: new Set(),
    misplaced: new Map(),
    bare: drawn.bare,
    foreign: new Set(),
    clients: [],
    writes: [],
    asked: 0,
    replies: [],
    events: [],
    decisions: 0,
    verbs: 0,
    checks,
    story: withStory ? { lines: [] } : null,
    voided: new Set(),
    roughStart: drawn.roughStart,
  };
  checks.watch(world);
  populate(world, drawn);
  addClients(world, spot);
  after(world.queue, 10_000, () => heartbeats(world));
  after(world.queue, random.int(0, 59_999), () => cron(world));
  startLeases(world);
  startPushes(world);
  if (active) awayAtFirst(world, random.fork("away"));
  wake(world, null);
  return world;
}

function populate(world: World, { config, connected, knowsFailover, found }: Drawn): void {
  const { nodes, random } = world;
  const active = config.mode === "active-active";
  const bootSealed = config.fencing !== "none";
  const root = newBranch(null, PRELOADED);
  for (const [at, node] of nodes.entries()) {
    const first = nodes[0] as RedisNode;
    const follow = active ? null : follows(at, nodes, found);
    const minReplicas = bootSealed ? SEALED : config.minReplicas;
    Object.assign(node, {
      branch: active ? newBranch(null, PRELOADED) : root,
      replId: active ? `r-${node.name}` : node.replId,
      length: PRELOADED,
      follow,
      minReplicas,
      syncHeld: bootSealed,
      file: { follow, minReplicas, syncHeld: bootSealed },
      knowsFailover,
      priority: random.chance(0.15) ? 50 : 100,
    });
    if (follow === first.address && first.follow === null) linked(world, node, first);
    else if (follow !== null) seekPrimary(world, node);
    if (config.relays.length === 0) continue;
    const relay = newRelay(node.name, node.spot, node, 1 + (random.next() - 0.5) * 0.02);
    relay.connects = random.chance(connected);
    world.relays.set(node.name, relay);
  }
}

/** Some come up only later: who is used first depends on how many are. */
function awayAtFirst(world: World, random: Random): void {
  const away = world.nodes.filter(() => random.chance(0.25));
  for (const node of away) {
    crash(world, node);
    after(world.queue, random.int(1000, 15_000), () => start(world, node, { data: "kept" }));
  }
}

/** Whom a node follows at the start. */
function follows(at: number, nodes: readonly RedisNode[], found: Drawn["found"]): string | null {
  const [first, second] = nodes;
  if (at === 0) return found === "no primary" ? (second?.address ?? null) : null;
  if (found === "several primaries" && at === 1) return null;
  if (found === "astray" && at === 1) return "10.0.0.99:6379";
  return first?.address ?? null;
}

function addClients(world: World, spot: (name: string) => Spot): void {
  const { random, nodes } = world;
  for (const [at, stays] of [null, null, random.pick(nodes)].entries()) {
    const client = newClient(spot(`client${at}`), stays, random.pick([300, 500, 1000]));
    world.clients.push(client);
    startClient(world, client);
  }
}
