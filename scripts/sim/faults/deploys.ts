/**
 * A new configuration at any moment, also in the middle of a failover; the end of the fault deploys the first one
 * again.
 */
import type { GroupConfig } from "../../../worker/core/types.ts";
import { after } from "../queue.ts";
import type { Random } from "../random.ts";
import { currentInstance, die, newInstance, wake } from "../world/group.ts";
import { tell, type World } from "../world/types.ts";
import type { Fault } from "./fault.ts";

/** A deploy ends the object that runs, mostly. */
export function deploy(world: World, random: Random, what: string, config: GroupConfig): void {
  tell(world, () => `deployed: ${what}`);
  world.config = config;
  const group = currentInstance(world);
  if (group === null || random.chance(0.2)) return;
  die(world, group, "new code");
  wake(world, newInstance(world));
}

export const changing = (
  name: string,
  change: (config: GroupConfig, random: Random, world: World) => GroupConfig,
  /** Stays as deployed. */
  stays = false,
): Fault => ({
  name,
  begin: (world, random, ms) => {
    after(world.queue, random.int(0, ms / 2), () =>
      deploy(world, random, name, change(world.config, random, world)),
    );
    return () => {
      if (!stays && world.config !== world.firstConfig)
        deploy(world, random, "the first configuration", world.firstConfig);
    };
  },
});

function without(config: GroupConfig, id: string): GroupConfig {
  if (config.nodes.length < 3 || !config.nodes.some((node) => node.id === id)) return config;
  return {
    ...config,
    nodes: config.nodes.filter((node) => node.id !== id),
    relays: config.relays.map((relay) => ({
      ...relay,
      local: relay.local.filter((each) => each !== id),
    })),
  };
}

function renamed(config: GroupConfig, id: string): GroupConfig {
  const to = id.endsWith("2") ? id.slice(0, -1) : `${id}2`;
  const called = (each: string) => (each === id ? to : each);
  return {
    ...config,
    nodes: config.nodes.map((node) => ({ ...node, id: called(node.id) })),
    relays: config.relays.map((relay) => ({ ...relay, local: relay.local.map(called) })),
  };
}

const primaryId = (config: GroupConfig, random: Random, world: World): string =>
  world.storage.saved?.primary ?? random.pick(config.nodes).id;

export const deployFaults: readonly Fault[] = [
  changing("deploy-without-a-node", (config, random) =>
    without(config, random.pick(config.nodes).id),
  ),
  changing("deploy-without-the-primary", (config, random, world) =>
    without(config, primaryId(config, random, world)),
  ),
  changing("deploy-renamed-node", (config, random) =>
    renamed(config, random.pick(config.nodes).id),
  ),
  changing("deploy-renamed-primary", (config, random, world) =>
    renamed(config, primaryId(config, random, world)),
  ),
  changing("deploy-without-a-webhook", (config) => ({
    ...config,
    webhooks: config.webhooks.slice(1),
  })),
  changing("deploy-priorities", (config, random) => ({
    ...config,
    nodes: config.nodes.map((node) => ({ ...node, priority: random.pick([null, 10, 20, 200]) })),
  })),
  changing("deploy-quorum", (config, random) => ({
    ...config,
    quorum: random.int(1, config.vantages.length),
  })),
  changing("deploy-times", (config, random) => ({
    ...config,
    downAfterMs: random.pick([500, 2000, 8000]),
    maxFailures: random.int(1, 5),
    graceMs: random.pick([0, 3000]),
  })),
  changing("deploy-leases", (config, random) => ({
    ...config,
    leaseMs: random.pick([1500, 3000, 6000]),
  })),
  changing("deploy-observe-only", (config) => ({ ...config, observeOnly: true })),
  changing("deploy-active-active", (config) =>
    config.fencing === "none" ? { ...config, mode: "active-active" } : config,
  ),
  changing("deploy-fewer-vantages", (config) => {
    const vantages = config.vantages.slice(0, Math.max(2, config.vantages.length - 1));
    const gone = config.vantages.filter((each) => !vantages.includes(each));
    const regions = config.regions.filter((each) => !gone.includes(each));
    return { ...config, vantages, regions, quorum: Math.min(config.quorum, vantages.length) };
  }),
];
