/**
 * Scenes in which nobody may be promoted: something forbids it, or nothing is lost at all.
 */
import type { GroupConfig } from "../../../worker/core/types.ts";
import { beatMs, lookMs } from "../../../worker/relay/watch/gaze.ts";
import { nodeNamed } from "../check/healed.ts";
import { deploy } from "../faults/deploys.ts";
import { others } from "../faults/fault.ts";
import { upon } from "../faults/network.ts";
import { wish } from "../faults/people.ts";
import type { Random } from "../random.ts";
import { goOn, goOnUntil } from "../time.ts";
import { jump } from "../world/clock.ts";
import { crash, hang, start, thaw } from "../world/redis.ts";
import type { RedisNode, World } from "../world/types.ts";
import {
  acknowledged,
  around,
  cutOnce,
  failoverWithinMs,
  isTaken,
  mendOnce,
  mustBeReplaced,
  nameOf,
  noAttempt,
  type Scene,
} from "./scene.ts";

/** Something forbids it: the primary dies, and nobody is promoted. */
const held = (
  name: string,
  why: string,
  before: (world: World, random: Random) => void,
  fits: Scene["fits"] = () => true,
): Scene => ({
  name,
  fits,
  play: (world, random, primary) => {
    acknowledged(world);
    before(world, random);
    const end = noAttempt(world, why);
    crash(world, primary);
    goOn(world, Math.min(15_000, failoverWithinMs(world.config)));
    end();
  },
});

const harmless = (
  name: string,
  why: string,
  happens: (world: World, random: Random, primary: RedisNode) => void,
  fits: Scene["fits"] = () => true,
): Scene => ({
  name,
  fits,
  play: (world, random, primary) => {
    acknowledged(world);
    const end = noAttempt(world, why);
    happens(world, random, primary);
    end();
  },
});

/** Silent for a while, then refused once or twice, and together for less than counts. */
function restart(config: GroupConfig) {
  const awayMs = Math.ceil(lookMs(config) + 0.3 * config.retryMs + 50);
  return { awayMs, hangMs: config.downAfterMs - awayMs - 300 };
}

const promptWitness = ({ downAfterMs, minReplicas }: GroupConfig) =>
  downAfterMs >= 3000 && minReplicas === 0;

export const heldScenes: readonly Scene[] = [
  held("paused, the primary dies", "the group is paused", (world) =>
    wish(world, { kind: "pause", reason: "maintenance", forMs: null }),
  ),
  held("observed, the primary dies", "the group is only observed", (world, random) =>
    deploy(world, random, "observe_only", { ...world.config, observeOnly: true }),
  ),
  held("in downtime, the primary dies", "the node is in downtime", (world) =>
    wish(world, { kind: "downtime", node: nameOf(world) ?? "", reason: "upgrade", forMs: 60_000 }),
  ),
  held(
    "in tilt, the primary dies",
    "the clock went back",
    (world, random) => {
      jump(world, -random.int(5000, 60_000));
      goOn(world, 2 * world.config.checkIntervalMs + 1000);
    },
    ({ quiet }) => !quiet,
  ),
  {
    name: "a second primary dies soon after",
    fits: ({ nodes, cooldownMs, quorum, vantages }) =>
      nodes.length > 2 && cooldownMs >= 15_000 && quorum <= Math.floor(vantages.length / 2) + 1,
    play: (world, random, primary) => {
      acknowledged(world);
      crash(world, primary);
      mustBeReplaced(world, primary);
      goOnUntil(world, 8000, () => world.storage.saved?.phase.kind === "watching");
      if (world.storage.saved?.phase.kind !== "watching") return;
      const next = nodeNamed(world, nameOf(world) ?? "");
      if (next === null) return;
      const end = noAttempt(world, "the cooldown runs");
      crash(world, next);
      goOn(world, Math.min(4000, world.config.cooldownMs / 3) + random.int(0, 500));
      end();
    },
  },
  {
    name: "one failover an hour",
    fits: ({ nodes }) => nodes.length >= 3,
    play: (world, random, primary) => {
      acknowledged(world);
      const most = { maxFailoversPerHour: 1, cooldownMs: 0, failoverRetryMs: 0 };
      deploy(world, random, "one failover an hour", { ...world.config, ...most });
      crash(world, primary);
      mustBeReplaced(world, primary);
      goOnUntil(world, 8000, () => world.storage.saved?.phase.kind === "watching");
      const next = nodeNamed(world, nameOf(world) ?? "");
      if (next === null || world.storage.saved?.phase.kind !== "watching") return;
      const end = noAttempt(world, "there was one within the hour");
      crash(world, next);
      goOn(world, failoverWithinMs(world.config));
      end();
    },
  },
  {
    name: "one vantage of many answers, then the primary dies",
    fits: ({ vantages, nodes }) => vantages.length >= 3 && nodes.length >= 3,
    play: (world, random, primary) => {
      acknowledged(world);
      deploy(world, random, "quorum 1", { ...world.config, quorum: 1 });
      for (const { name } of [...world.regions, ...world.places]) world.regionBlind.add(name);
      for (const node of others(world, primary))
        upon(
          world,
          [
            [world.edge, node.spot],
            [node.spot, world.edge],
          ],
          cutOnce,
          mendOnce,
        );
      goOn(world, 2 * world.config.probeTimeoutMs + world.config.checkIntervalMs);
      const end = noAttempt(world, "only one vantage of many answers");
      crash(world, primary);
      goOn(world, failoverWithinMs(world.config));
      end();
    },
  },
  {
    name: "the Fleet says no",
    play: (world, _, primary) => {
      acknowledged(world);
      world.fleet = "refused";
      crash(world, primary);
      goOn(world, failoverWithinMs(world.config));
      if (isTaken(world, primary))
        world.checks.violate("brake", "somebody was promoted though the Fleet refused");
    },
  },
  harmless(
    "the primary stands still for a moment",
    "the primary was away for less than down_after",
    (world, random, primary) => {
      for (let times = random.int(1, 4); times > 0; times -= 1) {
        hang(world, primary);
        goOn(world, Math.max(100, world.config.downAfterMs - 300));
        thaw(world, primary);
        goOn(world, 2000 + 2 * world.config.checkIntervalMs + world.config.probeTimeoutMs);
      }
    },
    ({ fencing }) => fencing !== "lease",
  ),
  {
    // What else is news makes the Group look more often: that is no reason either.
    name: "the primary hangs, and is started again at once",
    fits: (config, { relays }) => {
      const silent = (config.maxFailures - 1) * lookMs(config) + beatMs(config);
      const looks = config.maxFailures > 2 && restart(config).hangMs > silent;
      const told = [...relays.values()].every(({ connects }) => connects);
      return looks && told && config.fencing !== "lease";
    },
    play: (world, random, primary) => {
      acknowledged(world);
      const { retryMs, maxFailures } = world.config;
      const { hangMs, awayMs } = restart(world.config);
      // Where it is away for longer the votes are judged by what was seen.
      const few = awayMs < 0.8 * (maxFailures - 1) * retryMs;
      const end = few ? noAttempt(world, "it was refused for too short") : () => {};
      hang(world, primary);
      goOn(world, hangMs);
      crash(world, primary);
      goOn(world, awayMs);
      start(world, primary, { data: "kept" });
      goOn(world, 3000 + random.int(0, 500));
      end();
    },
  },
  harmless(
    "one vantage is wrong",
    "only one vantage says so",
    (world, random, primary) => {
      const [relay] = [...world.relays.values()].filter((each) => each.local !== primary);
      if (relay === undefined) return;
      relay.lie = { node: primary.name, kind: "down", left: 1000 };
      goOn(world, failoverWithinMs(world.config) + random.int(0, 5000));
    },
    ({ quorum }) => quorum >= 2,
  ),
  harmless(
    "the primary is out of reach, and its replicas hear it",
    "replicas still hear from it",
    (world, _, primary) => {
      around(world, primary, (name) => name.startsWith("m-") || name.startsWith("client"));
      goOn(world, failoverWithinMs(world.config));
    },
    (config, world) =>
      promptWitness(config) && config.fencing !== "lease" && world.clients.length > 0,
  ),
];
