/**
 * Scenes in which the primary is lost, its data, or more: somebody takes over in time, or the old one comes back.
 */
import type { GroupConfig } from "../../../worker/core/types.ts";
import { nodeNamed } from "../check/healed.ts";
import { others } from "../faults/fault.ts";
import { hangRelay } from "../faults/relays.ts";
import type { Random } from "../random.ts";
import { goOn, goOnUntil } from "../time.ts";
import { currentInstance, die } from "../world/group.ts";
import { crash, hang, isSealed, start } from "../world/redis.ts";
import { stopRelay } from "../world/relay.ts";
import { breakLink, isPrimary } from "../world/replication.ts";
import { type RedisNode, tell, type World } from "../world/types.ts";
import {
  acknowledged,
  around,
  failoverWithinMs,
  mustBeReplaced,
  nameOf,
  noAttempt,
  type Scene,
} from "./scene.ts";

const lost = (name: string, how: (world: World, node: RedisNode) => void): Scene => ({
  name,
  play: (world, _, primary) => {
    acknowledged(world);
    how(world, primary);
    mustBeReplaced(world, primary);
  },
});

const machineOf = (world: World, node: RedisNode) => {
  for (const relay of world.relays.values()) if (relay.local === node) return relay;
  throw new Error(`${node.name} has no relay`);
};

/** A machine that is gone is seen by the looks that go on, not by cron. */
const noticedWithinMs = (config: GroupConfig): number =>
  config.downAfterMs + (config.maxFailures + 3) * (config.checkIntervalMs + config.probeTimeoutMs);

function emptied(world: World, random: Random, primary: RedisNode): void {
  acknowledged(world);
  world.voided.delete("wipe");
  const had = primary.length;
  crash(world, primary);
  goOn(world, random.int(50, 300));
  start(world, primary, { data: "empty" });
  const whole = () => {
    const node = nodeNamed(world, nameOf(world) ?? "");
    return node !== null && isPrimary(node) && !isSealed(node) && node.length >= had * 0.9;
  };
  if (!goOnUntil(world, 2 * failoverWithinMs(world.config) + 15_000, whole))
    world.checks.violate(
      "wiped",
      `${primary.name} came back empty, and the group does not have its ${had} writes again`,
    );
}

function allDownAndBack(world: World, random: Random, primary: RedisNode): void {
  const end = noAttempt(world, "the stored primary came back in its time");
  for (const node of world.nodes) crash(world, node);
  goOn(world, 3000 + failoverWithinMs(world.config));
  for (const node of others(world, primary)) start(world, node, { data: "kept" });
  goOn(world, random.int(1, world.config.primaryStartTimeoutMs / 3));
  start(world, primary, { data: "kept" });
  goOn(world, 5000);
  end();
}

export const lostScenes: readonly Scene[] = [
  lost("the primary dies", crash),
  lost("the primary hangs", hang),
  lost("the primary's machine is gone", (world, node) => {
    node.spot.down = true;
    stopRelay(world, machineOf(world, node));
    crash(world, node);
  }),
  lost("the primary's machine is cut off", (world, node) => void around(world, node)),
  {
    name: "the primary comes back empty",
    fits: ({ fencing, maxLagBytes }) => fencing !== "none" && maxLagBytes !== 500,
    play: emptied,
  },
  {
    name: "all go down and come back",
    fits: ({ primaryStartTimeoutMs, quiet }) => primaryStartTimeoutMs >= 5000 && !quiet,
    play: allDownAndBack,
  },
  {
    name: "the link is silently down, then the primary dies",
    fits: ({ maxLinkDownMs, quiet }) => maxLinkDownMs > 0 && !quiet,
    play: (world, _, primary) => {
      acknowledged(world);
      primary.refusesSync = true;
      for (const follower of [...primary.followers]) breakLink(world, follower);
      goOn(world, world.config.maxLinkDownMs + 4 * world.config.checkIntervalMs + 5000);
      crash(world, primary);
      goOn(world, failoverWithinMs(world.config));
    },
  },
  {
    name: "the new primary dies as well, before all follow it",
    fits: ({ nodes }) => nodes.length > 2,
    play: (world, random, primary) => {
      acknowledged(world);
      crash(world, primary);
      const promoting = () =>
        ["promoting", "publishing", "repointing"].includes(world.storage.saved?.phase.kind ?? "");
      goOnUntil(world, failoverWithinMs(world.config), promoting);
      goOn(world, random.int(0, 30));
      const { saved } = world.storage;
      const phase = saved?.phase;
      const id = phase?.kind === "promoting" ? phase.candidate : saved?.primary;
      const next = nodeNamed(world, id ?? "");
      if (next !== null && next !== primary) crash(world, next);
      goOn(world, failoverWithinMs(world.config));
    },
  },
  {
    name: "the old primary comes back open",
    play: (world, random, primary) => {
      acknowledged(world);
      if (random.chance(0.5)) hang(world, primary);
      else around(world, primary, (name) => name.startsWith("client"));
      mustBeReplaced(world, primary);
      goOn(world, random.int(0, 3000));
      tell(world, () => "the old primary is back");
    },
  },
  {
    name: "a machine dies that only its own relay knows",
    fits: (config, world) =>
      config.quiet && noticedWithinMs(config) < 25_000 && world.regions.length === 0,
    play: (world, _, primary) => {
      acknowledged(world);
      const own = machineOf(world, primary);
      for (const relay of world.relays.values())
        if (relay !== own) relay.unlisted.add(primary.name);
      goOn(world, 5000 + 3 * world.config.checkIntervalMs);
      const told = world.events.length;
      primary.spot.down = true;
      stopRelay(world, own);
      crash(world, primary);
      const ms = noticedWithinMs(world.config);
      const noticed = () => world.events.slice(told).some(({ name }) => name === "+sdown");
      if (!goOnUntil(world, ms, noticed))
        world.checks.violate(
          "not-noticed",
          `the machine of ${primary.name} is gone for ${ms} ms, and the group has not looked`,
        );
    },
  },
  {
    name: "the primary is far ahead, the Group sleeps, and the primary dies",
    fits: ({ quiet, maxLagBytes }, { relays }) =>
      quiet && maxLagBytes === 500 && [...relays.values()].every(({ connects }) => connects),
    play: (world, _, primary) => {
      acknowledged(world);
      // What is written from now on comes later than the primary lives.
      for (const node of others(world, primary)) node.lagMs = 8000;
      goOn(world, 20_000);
      const group = currentInstance(world);
      if (group !== null) die(world, group, "nothing to do");
      crash(world, primary);
      goOn(world, failoverWithinMs(world.config));
    },
  },
  {
    name: "a relay stands still, then the primary dies",
    play: (world, random, primary) => {
      acknowledged(world);
      const relay = random.pick([...world.relays.values()]);
      hangRelay(world, relay);
      goOn(world, 1000);
      crash(world, primary);
      goOn(world, failoverWithinMs(world.config));
    },
  },
];
