/**
 * Scenes of active-active groups: one that cannot be used is left, a heavier one is gone back to in its time, people
 * are obeyed where that can be, and nobody else moves anything.
 */
import { newcomer, withoutNode } from "../faults/active.ts";
import { deploy } from "../faults/deploys.ts";
import { wish } from "../faults/people.ts";
import type { Random } from "../random.ts";
import { goOn, goOnUntil } from "../time.ts";
import { crash, hang, start, thaw } from "../world/redis.ts";
import { stopRelay } from "../world/relay.ts";
import type { World } from "../world/types.ts";
import { nameOf, type Scene } from "./scene.ts";
import {
  evict,
  leftWithinMs,
  looksMs,
  mustBeLeft,
  mustBeUsed,
  noSwitch,
  outOfSight,
  rowsIn,
  type Stage,
  stage,
} from "./stage.ts";
import { byMajority } from "./vantages.ts";

const scene = (
  name: string,
  play: (world: World, random: Random) => void,
  fits?: Scene["fits"],
) => ({
  name,
  mode: "active-active" as const,
  play,
  ...(fits === undefined ? {} : { fits }),
});

/** The heaviest, and the one after it. */
const two = ({ ids }: Stage): readonly [string, string] => [ids[0] ?? "", ids[1] ?? ""];

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

/** It dies, another one is used, and it is gone back to when it is well again for long enough. */
function leftAndBack(
  lose: (world: World, staged: Stage, id: string) => () => void,
): (world: World, random: Random) => void {
  return (world, random) => {
    const staged = stage(world, random);
    const [first, second] = two(staged);
    const end = lose(world, staged, first);
    mustBeLeft(world, first);
    if (nameOf(world) !== second)
      world.checks.violate("not-used", `${nameOf(world)} is used; ${second} weighs more`);
    goOn(world, random.int(0, 10_000));
    end();
    mustBeUsed(world, first, 8000 + 2 * leftWithinMs(world.config));
  };
}

const isSlow = ({ downAfterMs, checkIntervalMs, probeTimeoutMs }: World["config"]) =>
  downAfterMs >= checkIntervalMs + 2 * probeTimeoutMs + 600;

/** A vantage says something of all nodes, for long. */
function lies(world: World, random: Random, node: string): void {
  const { regions, relays } = world;
  const kind = random.pick(["refused", "timeout"] as const);
  if (regions.length > 0 && (relays.size === 0 || random.chance(0.5))) {
    world.regionLie = { vantage: random.pick(regions).name, node: null, kind, left: 10_000 };
    return;
  }
  const relay = random.pick([...relays.values()]);
  relay.lie = { node, kind: random.pick(["down", "replica"] as const), left: 10_000 };
}

export const activeScenes: readonly Scene[] = [
  scene(
    "the one in use dies, and comes back",
    leftAndBack((world, { node }, id) => {
      crash(world, node(id));
      return () => start(world, node(id), { data: "kept" });
    }),
  ),
  scene(
    "the one in use hangs, and goes on",
    leftAndBack((world, { node }, id) => {
      hang(world, node(id));
      return () => thaw(world, node(id));
    }),
  ),
  scene(
    "the one in use is out of reach",
    leftAndBack((world, { node }, id) => outOfSight(world, node(id))),
  ),
  scene(
    "the one in use is in downtime",
    leftAndBack((world, _, id) => {
      wish(world, { kind: "downtime", node: id, reason: "upgrade", forMs: 300_000 });
      return () => wish(world, { kind: "end-downtime", node: id });
    }),
  ),
  scene(
    "a heavier one is bad once more within its grace",
    (world, random) => {
      const staged = stage(world, random, { failbackIntervalMs: 1000, failbackGraceMs: 15_000 });
      const [first] = two(staged);
      const node = staged.node(first);
      crash(world, node);
      mustBeLeft(world, first);
      start(world, node, { data: "kept" });
      goOn(world, 9000);
      hang(world, node);
      const { checkIntervalMs, probeTimeoutMs } = world.config;
      goOn(world, checkIntervalMs + probeTimeoutMs + 300);
      thaw(world, node);
      mustBeUsed(world, first, 15_000 + 2 * leftWithinMs(world.config));
    },
    (config) => isSlow(config),
  ),
  scene("a heavier one was down for longer than the grace", (world, random) => {
    const staged = stage(world, random, { failbackIntervalMs: 1000, failbackGraceMs: 9000 });
    const [first] = two(staged);
    crash(world, staged.node(first));
    mustBeLeft(world, first);
    goOn(world, 20_000);
    start(world, staged.node(first), { data: "kept" });
    mustBeUsed(world, first, 9000 + 2 * leftWithinMs(world.config));
  }),
  scene("a heavier one is back long before the interval is over", (world, random) => {
    const staged = stage(world, random, { failbackIntervalMs: 25_000, failbackGraceMs: 1000 });
    const [first] = two(staged);
    crash(world, staged.node(first));
    mustBeLeft(world, first);
    start(world, staged.node(first), { data: "kept" });
    mustBeUsed(world, first, 25_000 + 2 * leftWithinMs(world.config));
  }),
  scene("nobody is gone back to where that is off", (world, random) => {
    const staged = stage(world, random);
    const [first] = two(staged);
    deploy(world, random, "no failback", { ...world.config, failbackIntervalMs: 0 });
    crash(world, staged.node(first));
    mustBeLeft(world, first);
    start(world, staged.node(first), { data: "kept" });
    const end = noSwitch(world, "nobody is gone back to");
    goOn(world, 20_000);
    end();
  }),
  scene("the only other one is in its grace", (world, random) => {
    const staged = stage(world, random, { failbackIntervalMs: 3000, failbackGraceMs: 10_000 });
    const [first, second] = two(staged);
    deploy(world, random, "a long grace", { ...world.config, failbackGraceMs: 120_000 });
    for (const id of staged.ids.slice(1)) crash(world, staged.node(id));
    goOn(world, leftWithinMs(world.config));
    start(world, staged.node(second), { data: "kept" });
    goOn(world, leftWithinMs(world.config));
    crash(world, staged.node(first));
    mustBeUsed(world, second, leftWithinMs(world.config));
  }),
  scene("seen up again by half of the vantages", (world, random) => {
    const staged = stage(world, random, { failbackIntervalMs: 2000, failbackGraceMs: 2000 });
    const [first] = two(staged);
    const { spot } = staged.node(first);
    crash(world, staged.node(first));
    mustBeLeft(world, first);
    goOn(world, 3 * leftWithinMs(world.config));
    const end = noSwitch(world, "most vantages are dead, and did not see it up");
    const { vantages } = world.config;
    const own = (vantage: string) => world.relays.get(vantage.replace("relay:", ""))?.spot === spot;
    const others = vantages.filter((each) => !own(each));
    for (const vantage of others.slice(0, Math.ceil(vantages.length / 2))) {
      const relay = world.relays.get(vantage.replace("relay:", ""));
      if (relay === undefined) world.regionBlind.add(vantage);
      else stopRelay(world, relay);
    }
    start(world, staged.node(first), { data: "kept" });
    goOn(world, leftWithinMs(world.config) + 5000);
    end();
  }),
  scene("all die, for now and then for good", (world, random) => {
    const staged = stage(world, random, { failoverAttempts: 2, failoverDelayMs: 3000 });
    for (const id of staged.ids) crash(world, staged.node(id));
    const held = () => world.storage.saved?.steering?.unavailable ?? null;
    const ms = leftWithinMs(world.config);
    const wrong = (text: string) => world.checks.violate("permanent", text);
    if (!goOnUntil(world, ms, () => held() !== null)) return wrong("nobody tells of it");
    if (!goOnUntil(world, 9000 + ms, () => held()?.permanent === true))
      return wrong("it is never called permanent");
    const last = staged.ids.at(-1) ?? "";
    start(world, staged.node(last), { data: "kept" });
    mustBeUsed(world, last, ms);
    if (!goOnUntil(world, ms, () => held() === null)) wrong("it is never over");
  }),
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
        world.regionLie = { vantage: region.name, node: null, kind: "up", left: 10_000 };
      else if (region !== undefined) world.regionBlind.add(region.name);
      else if (relay !== undefined) relay.lie = { node: first, kind: "up", left: 10_000 };
      goOn(world, random.int(0, 5000));
      crash(world, staged.node(first));
      mustBeLeft(world, first);
    },
    byMajority,
  ),
];
