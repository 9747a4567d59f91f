/**
 * Faults of Redis processes and their machines.
 */
import { after } from "../queue.ts";
import type { Random } from "../random.ts";
import { crash, drain, hang, type Restart, start, thaw } from "../world/redis.ts";
import { startRelay, stopRelay } from "../world/relay.ts";
import { breakLink } from "../world/replication.ts";
import { type RedisNode, tell, type World } from "../world/types.ts";
import { anyNode, type Fault, others } from "./fault.ts";

const kept = (random: Random): Restart => ({ data: random.chance(0.5) ? "kept" : "same-id" });

const crashed = (
  name: string,
  how: (random: Random) => Restart,
  change: (world: World, node: RedisNode, random: Random) => void = () => {},
): Fault => ({
  name,
  begin: (world, random) => {
    const node = anyNode(world, random);
    crash(world, node);
    change(world, node, random);
    return () => start(world, node, how(random));
  },
});

/** Comes back after a moment, as a supervisor does it. */
const restarted = (name: string, how: (random: Random) => Restart): Fault => ({
  name,
  begin: (world, random) => {
    const node = anyNode(world, random);
    crash(world, node);
    after(world.queue, random.int(50, 400), () => start(world, node, how(random)));
    return () => start(world, node, how(random));
  },
});

const whole = (name: string, part: number): Fault => ({
  name,
  begin: (world, random, ms) => {
    const some = world.nodes.filter(() => random.chance(part));
    for (const node of some) crash(world, node);
    // In any order.
    for (const node of some)
      after(world.queue, random.int(ms / 2, ms), () => start(world, node, kept(random)));
    return () => {
      for (const node of some) start(world, node, kept(random));
    };
  },
});

/** Over and over: `off` and `on` in turns. */
const flapping = (
  name: string,
  off: (world: World, node: RedisNode) => void,
  on: (world: World, node: RedisNode, random: Random) => void,
): Fault => ({
  name,
  begin: (world, random) => {
    const node = anyNode(world, random);
    let over = false;
    const turn = () => {
      if (over) return;
      off(world, node);
      after(world.queue, random.int(200, 4000), () => {
        on(world, node, random);
        if (!over) after(world.queue, random.int(200, 5000), turn);
      });
    };
    turn();
    return () => {
      over = true;
      on(world, node, random);
    };
  },
});

const flag = (name: string, set: (node: RedisNode, on: boolean) => void): Fault => ({
  name,
  begin: (world, random) => {
    const node = anyNode(world, random);
    tell(world, () => `${node.name}: ${name}`);
    set(node, true);
    return () => {
      tell(world, () => `${node.name}: ${name} is over`);
      set(node, false);
    };
  },
});

const machineDown: Fault = {
  name: "machine-down",
  begin: (world, random) => {
    const node = anyNode(world, random);
    const relay = [...world.relays.values()].find((each) => each.local === node);
    tell(world, () => `the machine of ${node.name} is gone`);
    node.spot.down = true;
    if (relay !== undefined) stopRelay(world, relay);
    crash(world, node);
    // What was not on disk yet is gone with the power.
    node.length = Math.max(node.branch.from, node.length - random.int(0, 3));
    node.tailLost = true;
    return () => {
      if (!node.spot.down) return;
      node.spot.down = false;
      if (relay !== undefined) startRelay(world, relay, false);
      start(world, node, kept(random));
    };
  },
};

/** A script that blocks: silent at first, then BUSY; it cannot be killed once it has written. */
const script: Fault = {
  name: "script",
  begin: (world, random) => {
    const node = anyNode(world, random);
    const running = { sinceMs: world.queue.nowMs, wrote: random.chance(0.4) };
    if (node.life !== "up" || node.script !== null) return () => {};
    tell(world, () => `${node.name} runs a script that ${running.wrote ? "wrote" : "only reads"}`);
    node.script = running;
    return () => {
      if (node.script === running) {
        tell(world, () => `the script of ${node.name} ends`);
        node.script = null;
        drain(node);
      }
    };
  },
};

/** Replicas are dropped and refused: nobody notices until the primary dies. */
const linkSilentlyDown: Fault = {
  name: "link-silently-down",
  begin: (world, random) => {
    const node = anyNode(world, random);
    tell(world, () => `${node.name} serves no replica any more`);
    node.refusesSync = true;
    for (const follower of [...node.followers]) breakLink(world, follower);
    return () => {
      node.refusesSync = false;
    };
  },
};

export const nodeFaults: readonly Fault[] = [
  crashed("crash", kept),
  crashed("crash-loading", (random) => ({ data: "kept", loadingMs: random.int(500, 15_000) })),
  crashed("crash-other-role", kept, (world, node, random) => {
    const other = random.pick([null, ...others(world, node)]);
    node.file = { ...node.file, follow: other?.address ?? null };
  }),
  crashed("crash-empty", () => ({ data: "empty" })),
  restarted("restart", kept),
  restarted("restart-empty", () => ({ data: "empty" })),
  restarted("restart-loading", (random) => ({ data: "kept", loadingMs: random.int(200, 8000) })),
  whole("some-crash", 0.6),
  whole("all-crash", 1.1),
  machineDown,
  {
    name: "hang",
    begin: (world, random) => {
      const node = anyNode(world, random);
      hang(world, node);
      return () => thaw(world, node);
    },
  },
  flapping("flapping-crash", crash, (world, node, random) => start(world, node, kept(random))),
  flapping("flapping-hang", hang, (world, node) => thaw(world, node)),
  script,
  flag("misconf", (node, on) => {
    node.misconf = on;
  }),
  flag("maxclients", (node, on) => {
    node.policy = on;
  }),
  flag("auth", (node, on) => {
    node.auth = on;
  }),
  flag("lag", (node, on) => {
    node.lagMs = on ? 1500 : 2;
  }),
  linkSilentlyDown,
];
