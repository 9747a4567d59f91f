/**
 * Scenes under a lease: who stays open though the edge is away, and who is closed in time. That nobody else is open
 * meanwhile is a rule of its own, for every write.
 */
import { others } from "../faults/fault.ts";
import { upon } from "../faults/network.ts";
import { replicaOfByHand, wish } from "../faults/people.ts";
import { hangRelay } from "../faults/relays.ts";
import type { Random } from "../random.ts";
import { goOn, goOnUntil } from "../time.ts";
import { guardDies } from "../world/lease.ts";
import { crash, isSealed } from "../world/redis.ts";
import { startRelay, stopRelay } from "../world/relay.ts";
import { breakLink } from "../world/replication.ts";
import type { RedisNode, Relay, World } from "../world/types.ts";
import {
  acknowledged,
  around,
  cutOnce,
  failoverWithinMs,
  isTaken,
  mendOnce,
  mustBeReplaced,
  noAttempt,
  type Scene,
} from "./scene.ts";

const leased: Scene["fits"] = ({ fencing }) => fencing === "lease";

function keeperOf(world: World, node: RedisNode): Relay {
  for (const relay of world.relays.values()) if (relay.local === node) return relay;
  throw new Error(`${node.name} has no relay`);
}

/** Every machine, or one of them, has lost the edge. */
function edgeAway(world: World, nodes: readonly RedisNode[]): () => void {
  const asking = [world.edge, ...world.regions, ...world.places];
  const pairs = nodes.flatMap(({ spot }) =>
    asking.flatMap((each) => [[spot, each] as const, [each, spot] as const]),
  );
  return upon(world, pairs, cutOnce, mendOnce);
}

function closedWithin(world: World, node: RedisNode, ms: number, why: string): void {
  const shut = () => isSealed(node) || node.life === "dead" || isTaken(world, node);
  if (!goOnUntil(world, ms, shut))
    world.checks.violate("lease", `${node.name} is open ${Math.round(ms)} ms after ${why}`);
}

/** Neither its replicas nor the other relays reach its Redis any more. */
function outOfReach(world: World, node: RedisNode): void {
  node.refusesSync = true;
  for (const follower of [...node.followers]) breakLink(world, follower);
  for (const relay of world.relays.values()) if (relay.local !== node) relay.blind.add(node.name);
  for (const { name } of world.regions) world.regionBlind.add(name);
}

/** A promise holds one attempt up, and the next ones come slowly: they get so many times the time of one. */
function mustBeReplacedIn(world: World, node: RedisNode, times: number): void {
  const ms = times * failoverWithinMs(world.config);
  if (!goOnUntil(world, ms, () => isTaken(world, node)))
    world.checks.violate("no-failover", `${node.name} is not replaced within ${Math.round(ms)} ms`);
}

/** Some groups have nobody who could promise: there it ends with its lease. */
const stayOpen = (world: World, primary: RedisNode, random: Random): void => {
  acknowledged(world);
  const { leaseMs } = world.config;
  const end = edgeAway(world, world.nodes);
  for (let left = random.int(8, 30); left > 0; left -= 1) {
    goOn(world, leaseMs / 2);
    if (isSealed(primary))
      world.checks.violate("lease", `${primary.name} is sealed, though everyone promised`);
  }
  end();
};

export const leaseScenes: readonly Scene[] = [
  {
    name: "the edge is away, and every relay promises",
    fits: leased,
    play: (world, random, primary) => stayOpen(world, primary, random),
  },
  {
    name: "the edge is away, and one relay does not answer",
    fits: leased,
    play: (world, random, primary) => {
      acknowledged(world);
      const promotable = others(world, primary).filter(({ host }) =>
        world.config.nodes.some((each) => each.host === host && each.priority !== 0),
      );
      if (promotable.length === 0) return;
      stopRelay(world, keeperOf(world, random.pick(promotable)));
      edgeAway(world, world.nodes);
      closedWithin(world, primary, 1.02 * world.config.leaseMs + 100, "the edge went away");
    },
  },
  {
    name: "the primary's relay loses the edge, then its neighbours",
    fits: leased,
    play: (world, random, primary) => {
      acknowledged(world);
      edgeAway(world, [primary]);
      goOn(world, random.int(0, 3 * world.config.leaseMs));
      around(world, primary, (name) => name.startsWith("client"));
      // Who heard it when the edge had lost it is a witness for so long.
      goOn(world, world.config.downAfterMs + 10_000);
      mustBeReplaced(world, primary);
    },
  },
  {
    name: "paused, the primary's machine is cut off with its clients, resumed",
    fits: leased,
    play: (world, random, primary) => {
      acknowledged(world);
      wish(world, { kind: "pause", reason: "maintenance", forMs: null });
      goOn(world, 2 * world.config.leaseMs);
      around(world, primary, (name) => name.startsWith("client"));
      goOn(world, random.int(0, 2000));
      wish(world, { kind: "resume" });
      mustBeReplaced(world, primary);
    },
  },
  {
    name: "paused, nobody reaches the primary but its clients, and somebody fails over by hand",
    fits: leased,
    play: (world, random, primary) => {
      acknowledged(world);
      wish(world, { kind: "pause", reason: "maintenance", forMs: null });
      goOn(world, random.int(500, 5000));
      // What its relay asks is answered: that a failover runs.
      keeperOf(world, primary).portShut = true;
      outOfReach(world, primary);
      goOn(world, world.config.downAfterMs + world.config.graceMs);
      wish(world, { kind: "failover", to: null });
      goOn(world, failoverWithinMs(world.config));
    },
  },
  {
    name: "of the primary's machine nothing is reached but that its relay hears its neighbours",
    // Regions see nothing then, and are missed in the quorum.
    fits: (config, world) =>
      leased(config, world) && config.vantages.every((vantage) => vantage.startsWith("relay:")),
    play: (world, random, primary) => {
      acknowledged(world);
      edgeAway(world, [primary]);
      goOn(world, random.int(0, 2 * world.config.leaseMs));
      // So that nobody hears of the attempt before somebody is to be promoted.
      world.sealsLost = random.chance(0.5);
      outOfReach(world, primary);
      mustBeReplacedIn(world, primary, 3);
      goOn(world, world.config.leaseMs);
    },
  },
  {
    name: "the primary's machine is cut off with its clients, and its wall clock set back",
    fits: leased,
    play: (world, random, primary) => {
      acknowledged(world);
      around(world, primary, (name) => name.startsWith("client"));
      goOn(world, random.int(0, 100));
      keeperOf(world, primary).wallShiftMs -= 3_600_000;
      mustBeReplaced(world, primary);
      goOn(world, world.config.leaseMs);
    },
  },
  {
    name: "who takes over is not closed again",
    fits: leased,
    play: (world, _, primary) => {
      acknowledged(world);
      const told = world.events.length;
      crash(world, primary);
      mustBeReplaced(world, primary);
      goOn(world, 2 * world.config.leaseMs);
      const again = world.events.slice(told).find(({ name }) => name === "+unseal");
      if (again !== undefined)
        world.checks.violate("lease", `${again.node} was sealed again when it had taken over`);
    },
  },
  {
    name: "the primary's relay dies",
    fits: leased,
    play: (world, _, primary) => {
      acknowledged(world);
      stopRelay(world, keeperOf(world, primary));
      closedWithin(world, primary, 200, "its relay died");
    },
  },
  {
    name: "the primary's relay is gone for good",
    fits: leased,
    play: (world, _, primary) => {
      acknowledged(world);
      stopRelay(world, keeperOf(world, primary));
      // Nothing is down; its relay is silent for as long as counts, at looks that nothing hastens.
      const { maxFailures, checkIntervalMs } = world.config;
      goOn(world, maxFailures * checkIntervalMs);
      mustBeReplaced(world, primary);
    },
  },
  {
    name: "the primary's relay is started again",
    fits: (config, world) => leased(config, world) && config.downAfterMs >= 2000,
    play: (world, random, primary) => {
      acknowledged(world);
      const end = noAttempt(world, "its relay was back in time");
      const keeper = keeperOf(world, primary);
      stopRelay(world, keeper);
      goOn(world, random.int(300, 0.8 * world.config.downAfterMs));
      startRelay(world, keeper, false);
      goOn(world, world.config.downAfterMs + 2000);
      end();
    },
  },
  {
    name: "the primary's relay is gone, and back when it is about to be replaced",
    fits: leased,
    play: (world, random, primary) => {
      acknowledged(world);
      const keeper = keeperOf(world, primary);
      stopRelay(world, keeper);
      const fencing = () => world.storage.saved?.phase.kind === "fencing";
      goOnUntil(world, 2 * failoverWithinMs(world.config), fencing);
      goOn(world, random.int(0, 1000));
      startRelay(world, keeper, false);
      goOn(world, failoverWithinMs(world.config));
    },
  },
  {
    name: "a person replaces a primary that nobody reaches but its clients, and whose relay still asks",
    fits: (config, world) =>
      leased(config, world) &&
      !world.voided.has("lease") &&
      config.vantages.every((vantage) => vantage.startsWith("relay:")),
    play: (world, random, primary) => {
      acknowledged(world);
      const to = random.pick(others(world, primary));
      keeperOf(world, primary).portShut = true;
      outOfReach(world, primary);
      for (const node of others(world, primary))
        replicaOfByHand(world, node, node === to ? null : to);
      goOn(world, 2 * failoverWithinMs(world.config));
    },
  },
  {
    name: "the primary's relay stands still",
    fits: leased,
    play: (world, _, primary) => {
      acknowledged(world);
      hangRelay(world, keeperOf(world, primary));
      closedWithin(
        world,
        primary,
        1.02 * (world.config.leaseMs / 4) + 200,
        "its relay was stopped",
      );
    },
  },
  {
    name: "a guard dies, then its relay",
    fits: leased,
    play: (world, random, primary) => {
      acknowledged(world);
      const keeper = keeperOf(world, primary);
      guardDies(world, keeper);
      goOn(world, random.int(500, 2000));
      stopRelay(world, keeper);
      closedWithin(world, primary, 200, "its relay died, which had a guard again");
    },
  },
];
