/**
 * Faults of the edge: deaths of the Group at every point, storage, alarms, cron, clocks, Fleet; looks that come late.
 */
import { after } from "../queue.ts";
import { drift, jump } from "../world/clock.ts";
import { currentInstance, die, newInstance, wake } from "../world/group.ts";
import type { DeathPoint } from "../world/types.ts";
import { type Fault, nothing, switched } from "./fault.ts";

const dying = (point: DeathPoint, supersede: boolean): Fault => ({
  name: `${supersede ? "superseded" : "evicted"}-${point}`,
  begin: (world, random) => {
    const death = { point, left: random.int(1, 4), supersede };
    world.death = death;
    return () => {
      if (world.death === death) world.death = null;
    };
  },
});

const points: readonly DeathPoint[] = ["looking", "before-save", "after-save", "acting"];

const jumping = (name: string, from: number, to: number): Fault => ({
  name,
  begin: (world, random, ms) => {
    for (let count = random.int(1, 3); count > 0; count -= 1)
      after(world.queue, random.int(0, ms), () => {
        // Under a lease a clock that runs ahead is beyond what is promised.
        if (world.config.fencing === "lease" && from > 0) return;
        jump(world, random.int(from, to));
      });
    return nothing;
  },
});

export const edgeFaults: readonly Fault[] = [
  ...points.map((point) => dying(point, false)),
  ...points.map((point) => dying(point, true)),
  {
    name: "evictions",
    begin: (world, random, ms) => {
      for (let count = random.int(1, 5); count > 0; count -= 1)
        after(world.queue, random.int(0, ms), () => {
          const group = currentInstance(world);
          if (group === null) return;
          die(world, group, "evicted");
          if (random.chance(0.5)) wake(world, newInstance(world));
        });
      return nothing;
    },
  },
  switched(
    "outcomes-lost",
    (world) => {
      world.outcomesLost = true;
    },
    (world) => {
      world.outcomesLost = false;
    },
  ),
  switched(
    "saves-fail",
    (world) => {
      world.storage.fails = true;
    },
    (world) => {
      world.storage.fails = false;
    },
  ),
  ...(["late", "lost", "doubled"] as const).map((alarms) =>
    switched(
      `alarms-${alarms}`,
      (world) => {
        world.alarms = alarms;
      },
      (world) => {
        world.alarms = "good";
      },
    ),
  ),
  ...(["skipped", "doubled"] as const).map((cron) =>
    switched(
      `cron-${cron}`,
      (world) => {
        world.cron = cron;
      },
      (world) => {
        world.cron = "good";
      },
    ),
  ),
  jumping("clock-back", -5000, -1),
  jumping("clock-far-back", -3_600_000, -20_000),
  jumping("clock-forward", 1, 10_000),
  jumping("clock-far-forward", 60_000, 3_600_000),
  {
    name: "clock-drift",
    begin: (world, random) => {
      drift(world, 1 + (random.next() - 0.5) * 0.016);
      return () => drift(world, 1);
    },
  },
  ...(["refused", "silent"] as const).map((fleet) =>
    switched(
      `fleet-${fleet}`,
      (world) => {
        world.fleet = fleet;
      },
      (world) => {
        world.fleet = "granted";
      },
    ),
  ),
  {
    name: "looks-come-late",
    begin: (world, random) => {
      world.late = { vantage: random.pick(world.config.vantages), owed: [] };
      return () => {
        world.late = null;
      };
    },
  },
  {
    name: "old-looks-again",
    begin: (world, random, ms) => {
      const vantage = random.pick(world.config.vantages);
      world.replay = {
        vantage,
        kept: null,
        left: random.int(1, 6),
        fromMs: world.queue.nowMs + ms / 2,
      };
      return () => {
        world.replay = null;
      };
    },
  },
];
