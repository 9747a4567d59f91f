/**
 * Scenes of active-active groups in which people, vantages or deploys say something: who is obeyed, and who decides
 * nothing alone.
 */
import { newcomer, withoutNode } from "../faults/active.ts";
import { deploy } from "../faults/deploys.ts";
import { wish } from "../faults/people.ts";
import type { Random } from "../random.ts";
import { goOn, goOnUntil } from "../time.ts";
import { crash, hang, thaw } from "../world/redis.ts";
import { stopRelay } from "../world/relay.ts";
import type { World } from "../world/types.ts";
import type { Scene } from "./scene.ts";
import {
  evict,
  isSlow,
  leftWithinMs,
  looksMs,
  mustBeLeft,
  mustBeUsed,
  noSwitch,
  rowsIn,
  scene,
  stage,
  two,
} from "./stage.ts";
import { byMajority } from "./vantages.ts";

const refused = (world: World, code: string, what: string): void => {
  const last = world.replies.at(-1);
  if (last?.kind !== "refused" || last.code !== code)
    world.checks.violate("reply", `${what} is answered ${JSON.stringify(last)}, not ${code}`);
};

/** Answered, once it was looked. */
function press(world: World, what: Parameters<typeof wish>[1]): void {
  const replies = world.replies.length;
  wish(world, what);
  goOnUntil(world, 2 * looksMs(world.config) + 5000, () => world.replies.length > replies);
}

/** A vantage says something of all nodes, for long. */
function lies(world: World, random: Random, node: string): void {
  const { regions, relays } = world;
  const kind = random.pick(["refused", "timeout"] as const);
  if (regions.length > 0 && (relays.size === 0 || random.chance(0.5))) {
    world.regionLie = {
      vantage: random.pick(regions).name,
      node: null,
      kind,
      knows: random.chance(0.5),
      left: 10_000,
    };
    return;
  }
  const relay = random.pick([...relays.values()]);
  relay.lie = { node, kind: random.pick(["down", "replica"] as const), left: 10_000 };
}

export const obeyedScenes: readonly Scene[] = [
  scene(
    "reset while the one in use is silent for a moment",
    (world, random) => {
      const staged = stage(world, random);
      const [first] = two(staged);
      const end = noSwitch(world, "nobody looked at it for long enough");
      hang(world, staged.node(first));
      goOn(world, 100);
      press(world, { kind: "reset" });
      goOn(world, world.config.probeTimeoutMs + 500);
      thaw(world, staged.node(first));
      goOn(world, looksMs(world.config));
      end();
    },
    (config) => isSlow(config),
  ),
  scene("paused, the one in use dies", (world, random) => {
    const staged = stage(world, random);
    press(world, { kind: "pause", reason: "maintenance", forMs: null });
    const end = noSwitch(world, "the group is paused");
    crash(world, staged.node(two(staged)[0]));
    goOn(world, leftWithinMs(world.config));
    end();
  }),
  scene("observed, the one in use dies", (world, random) => {
    const staged = stage(world, random);
    deploy(world, random, "observe_only", { ...world.config, observeOnly: true });
    const end = noSwitch(world, "the group is only observed");
    crash(world, staged.node(two(staged)[0]));
    goOn(world, leftWithinMs(world.config));
    end();
  }),
  scene("pinned, evicted, and the pinned one dies", (world, random) => {
    const staged = stage(world, random);
    const [, second] = two(staged);
    press(world, { kind: "select", node: second, pinMs: 300_000 });
    mustBeUsed(world, second, 1);
    const end = noSwitch(world, "it is pinned");
    press(world, { kind: "weight", node: staged.ids[0] ?? "", weight: 1000 });
    evict(world);
    goOn(world, 12_000);
    evict(world);
    crash(world, staged.node(second));
    goOn(world, leftWithinMs(world.config));
    evict(world);
    goOn(world, looksMs(world.config));
    end();
    press(world, { kind: "unpin" });
    mustBeLeft(world, second);
  }),
  scene("a weight is changed, and a deploy says another", (world, random) => {
    const staged = stage(world, random);
    const [first, second] = two(staged);
    press(world, { kind: "weight", node: second, weight: 1000 });
    mustBeUsed(world, second, looksMs(world.config));
    evict(world);
    deploy(world, random, "a setting", { ...world.config, failbackGraceMs: 3000 });
    const end = noSwitch(world, "it is the heaviest by a person's word");
    goOn(world, 12_000);
    end();
    const nodes = world.config.nodes.map((node) =>
      node.id === second ? { ...node, weight: 2 } : node,
    );
    deploy(world, random, "a weight", { ...world.config, nodes });
    mustBeUsed(world, first, 10_000 + leftWithinMs(world.config));
  }),
  scene("nodes are added and taken out, the one in use as well", (world, random) => {
    const staged = stage(world, random);
    const [first, second] = two(staged);
    press(world, { kind: "remove-node", node: first });
    mustBeUsed(world, second, looksMs(world.config));
    for (const id of staged.ids.slice(2)) press(world, { kind: "remove-node", node: id });
    press(world, { kind: "remove-node", node: second });
    refused(world, "LASTNODE", "to take out the last node");
    evict(world);
    press(world, { kind: "add-node", node: { ...newcomer(world, random), weight: 1 } });
    deploy(world, random, "without who was taken out", withoutNode(world.config, first));
    goOn(world, looksMs(world.config));
  }),
  scene("the one in use is taken out, and nobody else is healthy", (world, random) => {
    const staged = stage(world, random);
    const [first] = two(staged);
    for (const id of staged.ids.slice(1)) crash(world, staged.node(id));
    goOn(world, leftWithinMs(world.config));
    press(world, { kind: "remove-node", node: first });
    refused(world, "UNHEALTHY", `to take out ${first}`);
  }),
  scene("one that is down is chosen by hand", (world, random) => {
    const staged = stage(world, random);
    const [, second] = two(staged);
    crash(world, staged.node(second));
    goOn(world, 3 * leftWithinMs(world.config));
    press(world, { kind: "select", node: second, pinMs: null });
    refused(world, "UNHEALTHY", `to choose ${second}`);
    press(world, { kind: "weight", node: second, weight: 1000 });
    goOn(world, looksMs(world.config));
  }),
  scene(
    "one vantage is wrong about the one in use",
    (world, random) => {
      const [first] = two(stage(world, random));
      const end = noSwitch(world, "only one vantage says so");
      lies(world, random, first);
      goOn(world, leftWithinMs(world.config));
      const ms = 20_000;
      const rows = rowsIn(world, ms);
      if (rows > 3) world.checks.violate("rows", `${rows} rows in ${ms} ms of the same lie`);
      end();
    },
    byMajority,
  ),
  scene(
    "one vantage is dead",
    (world, random) => {
      const [first] = two(stage(world, random));
      const end = noSwitch(world, "only one vantage failed");
      const region = world.regions[0];
      const relay = [...world.relays.values()].find(({ local }) => local.name !== first);
      if (region !== undefined) world.regionBlind.add(region.name);
      else if (relay !== undefined) stopRelay(world, relay);
      goOn(world, leftWithinMs(world.config));
      end();
    },
    byMajority,
  ),
  scene(
    "one vantage is dead or lies, then the one in use dies",
    (world, random) => {
      const staged = stage(world, random);
      const [first] = two(staged);
      const region = world.regions[0];
      const relay = [...world.relays.values()].find(({ local }) => local.name !== first);
      if (region !== undefined && random.chance(0.5))
        world.regionLie = {
          vantage: region.name,
          node: null,
          kind: "up",
          knows: random.chance(0.5),
          left: 10_000,
        };
      else if (region !== undefined) world.regionBlind.add(region.name);
      else if (relay !== undefined) relay.lie = { node: first, kind: "up", left: 10_000 };
      goOn(world, random.int(0, 5000));
      crash(world, staged.node(first));
      mustBeLeft(world, first);
    },
    byMajority,
  ),
];
