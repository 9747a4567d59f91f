/**
 * Scenes of active-active groups in which nodes are lost: one that cannot be used is left at once, and a heavier one is
 * gone back to in its time.
 */
import { deploy } from "../faults/deploys.ts";
import { wish } from "../faults/people.ts";
import type { Random } from "../random.ts";
import { goOn, goOnUntil } from "../time.ts";
import { crash, hang, start, thaw } from "../world/redis.ts";
import type { World } from "../world/types.ts";
import { nameOf, type Scene } from "./scene.ts";
import {
  isSlow,
  leftWithinMs,
  mustBeLeft,
  mustBeUsed,
  noSwitch,
  outOfSight,
  type Stage,
  scene,
  stage,
  two,
} from "./stage.ts";

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
    const node = staged.node(first);
    crash(world, node);
    mustBeLeft(world, first);
    goOn(world, 3 * leftWithinMs(world.config));
    const end = noSwitch(world, "most vantages cannot see whether it is up");
    const { vantages } = world.config;
    for (const vantage of vantages.slice(0, Math.ceil(vantages.length / 2))) {
      const relay = world.relays.get(vantage.replace("relay:", ""));
      if (relay === undefined) world.regionBlind.add(vantage);
      else relay.unlisted.add(node.name);
    }
    start(world, node, { data: "kept" });
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
];
