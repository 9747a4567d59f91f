/**
 * Scenes of vantages that fail, lie or stand in the wrong place, under a majority: none decides alone, and none holds
 * up what the others see; and of replicas that nobody configured.
 */
import type { GroupConfig } from "../../../worker/core/types.ts";
import type { Judged } from "../check/attempts.ts";
import { upon } from "../faults/network.ts";
import { foreignReplica } from "../faults/vantages.ts";
import type { Random } from "../random.ts";
import { goOn, goOnUntil } from "../time.ts";
import { wake } from "../world/group.ts";
import { crash } from "../world/redis.ts";
import type { RedisNode, World } from "../world/types.ts";
import {
  acknowledged,
  cutOnce,
  failoverWithinMs,
  idIn,
  mendOnce,
  mustBeReplaced,
  noAttempt,
  type Scene,
} from "./scene.ts";

export const byMajority = ({ vantages, quorum }: GroupConfig): boolean =>
  vantages.length >= 3 && quorum === Math.floor(vantages.length / 2) + 1;

const mayLose = (config: GroupConfig, { regions }: World): boolean =>
  byMajority(config) && regions.length > 0;

const dead = (world: World, random: Random): string => {
  const { name } = random.pick(world.regions);
  world.regionBlind.add(name);
  return name;
};

const lying = (world: World, random: Random, kind: "timeout" | "refused" | "up"): void => {
  const vantage = random.pick(world.regions).name;
  world.regionLie = { vantage, node: null, kind, knows: random.chance(0.5), left: 10_000 };
};

/** Nobody is called objectively down by that. */
function nobodyDown(world: World, why: string): () => void {
  const end = noAttempt(world, why);
  world.checks.expect(({ decision }: Judged) => {
    const event = decision.events.find(({ name }) => name === "+odown");
    const { phase } = decision.state.saved;
    if (event !== undefined || phase.kind !== "watching")
      world.checks.violate("quorum", `${event?.text ?? `the phase is ${phase.kind}`}: ${why}`);
  });
  return end;
}

/** Somebody tells of it, once it has not answered often enough. */
function isTold(world: World, name: string, region: string, from: number): void {
  const { checkIntervalMs, maxFailures, probeTimeoutMs, quiet } = world.config;
  const ms = (maxFailures + 3) * (checkIntervalMs + probeTimeoutMs) + (quiet ? 180_000 : 0);
  const told = () =>
    world.events.slice(from).some((event) => event.name === name && event.data.vantage === region);
  if (!goOnUntil(world, ms, told))
    world.checks.violate("vantage", `${name} of ${region} is not told within ${ms} ms`);
}

/** So many others cannot see the node that one more would decide, and its own relay can. */
function almostDown(world: World, node: RedisNode, but: string | null): void {
  const { vantages, quorum } = world.config;
  const own = [...world.relays.values()].find(({ local }) => local === node)?.id;
  const others = vantages.filter((each) => each !== `relay:${own}` && each !== but);
  for (const vantage of others.slice(0, quorum - 1)) {
    const relay = world.relays.get(vantage.replace("relay:", ""));
    if (relay !== undefined) relay.blind.add(node.name);
    const region = world.regions.find(({ name }) => name === vantage);
    if (region !== undefined)
      upon(
        world,
        [
          [region, node.spot],
          [node.spot, region],
        ],
        cutOnce,
        mendOnce,
      );
  }
}

export const vantageScenes: readonly Scene[] = [
  {
    name: "a vantage is dead for long",
    fits: mayLose,
    play: (world, random) => {
      acknowledged(world);
      const from = world.events.length;
      const end = nobodyDown(world, "only one vantage failed");
      const region = dead(world, random);
      isTold(world, "+vantage-fault", region, from);
      goOn(world, failoverWithinMs(world.config));
      world.regionBlind.clear();
      isTold(world, "-vantage-fault", region, from);
      end();
    },
  },
  {
    name: "a vantage is dead, and the primary almost",
    fits: (config, world) =>
      byMajority(config) && world.regions.length > 0 && config.fencing !== "lease",
    play: (world, random, primary) => {
      acknowledged(world);
      const end = nobodyDown(world, "one vote is missing, and a vantage that failed has none");
      almostDown(world, primary, dead(world, random));
      goOn(world, failoverWithinMs(world.config));
      end();
    },
  },
  {
    name: "a vantage is dead, then the primary dies",
    fits: mayLose,
    play: (world, random, primary) => {
      acknowledged(world);
      dead(world, random);
      goOn(world, random.int(0, 10_000));
      crash(world, primary);
      mustBeReplaced(world, primary);
    },
  },
  {
    name: "a vantage calls all down",
    fits: mayLose,
    play: (world, random) => {
      acknowledged(world);
      const end = nobodyDown(world, "only one vantage says so");
      lying(world, random, random.pick(["timeout", "refused"] as const));
      goOn(world, failoverWithinMs(world.config) + random.int(0, 5000));
      end();
    },
  },
  {
    name: "a vantage calls all up, then the primary dies",
    fits: mayLose,
    play: (world, random, primary) => {
      acknowledged(world);
      lying(world, random, "up");
      goOn(world, random.int(0, 5000));
      crash(world, primary);
      mustBeReplaced(world, primary);
    },
  },
  {
    name: "a vantage runs in the wrong place",
    fits: (_, { regions, places }) => regions.length + places.length > 0,
    play: (world, random) => {
      acknowledged(world);
      const { name } = random.pick([...world.regions, ...world.places]);
      const from = world.events.length;
      world.misplaced.set(name, "oc");
      isTold(world, "+misplaced", name, from);
      world.misplaced.clear();
      isTold(world, "-misplaced", name, from);
    },
  },
  {
    // What they knew of the relay says nothing of now: asked by the Group it answers, and sees its node up.
    name: "two places lose a relay, and die",
    fits: (config, { regions, places }) =>
      byMajority(config) &&
      config.vantages.every((each) => each.startsWith("relay:")) &&
      regions.length + places.length >= 2,
    play: (world, _, primary) => {
      acknowledged(world);
      const end = nobodyDown(world, "its own relay sees it up");
      for (const place of world.places)
        upon(
          world,
          [
            [place, primary.spot],
            [primary.spot, place],
          ],
          cutOnce,
          mendOnce,
        );
      // They look when the Group does.
      const { checkIntervalMs, probeTimeoutMs, maxFailures, downAfterMs } = world.config;
      const untilMs = world.queue.nowMs + 2 * downAfterMs + (maxFailures + 3) * checkIntervalMs;
      while (world.queue.nowMs < untilMs) {
        wake(world, null);
        goOn(world, probeTimeoutMs + checkIntervalMs);
      }
      for (const { name } of world.places) world.regionBlind.add(name);
      goOn(world, 3 * (checkIntervalMs + probeTimeoutMs) + 5000);
      almostDown(world, primary, null);
      goOn(world, failoverWithinMs(world.config));
      end();
    },
  },
  {
    name: "somebody else's replica follows the primary, which dies",
    play: (world, _, primary) => {
      acknowledged(world);
      const from = world.events.length;
      foreignReplica(world);
      wake(world, null);
      const told = () => world.events.slice(from).some(({ name }) => name === "+discovered");
      if (!goOnUntil(world, 65_000, told))
        world.checks.violate("stranger", "a replica that nobody configured is told by nobody");
      crash(world, primary);
      mustBeReplaced(world, primary);
      if (world.storage.saved?.primary === idIn(world, primary)) return;
      goOn(world, 5000);
    },
  },
];
