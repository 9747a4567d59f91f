/**
 * People at an active-active group, and what they deploy: nodes chosen, pinned, weighed, added and taken out, at run time
 * and by a new configuration; another mode, and back.
 */
import type { GroupConfig, NodeConfig } from "../../../worker/core/types.ts";
import { after } from "../queue.ts";
import type { Random } from "../random.ts";
import type { World } from "../world/types.ts";
import { changing } from "./deploys.ts";
import { anyNode, type Fault, idOf } from "./fault.ts";
import { peopleFaults, pressing, type Wish, wish } from "./people.ts";

const anyId = (world: World, random: Random): string => {
  const ids = [...world.config.nodes, ...(world.storage.saved?.overlay.added ?? [])];
  return random.pick(ids).id;
};

export const WEIGHTS = [1, 2, 5, 10, 50];

/** A server that is there, under a name that nobody used, or one that was taken out. */
export function newcomer(world: World, random: Random): NodeConfig {
  const { removed = [] } = world.storage.saved?.overlay ?? {};
  const back = world.firstConfig.nodes.find(({ id }) => removed.includes(id));
  if (back !== undefined && random.chance(0.5)) return back;
  const [first] = world.firstConfig.nodes;
  const { host, port } = random.pick(world.nodes);
  const known = world.firstConfig.nodes.find((node) => node.host === host) ?? first;
  const own = { host, port, replicationHost: host, replicationPort: port };
  return {
    ...(known as NodeConfig),
    ...own,
    id: `${known?.id}${random.int(2, 9)}`,
    weight: random.pick(WEIGHTS),
  };
}

const selecting = (world: World, random: Random): Wish => ({
  kind: "select",
  node: random.chance(0.3) ? null : anyId(world, random),
  pinMs: random.pick([null, 2000, 10_000, 60_000]),
});

const shared = ["press-pause", "press-acknowledge", "press-reset", "press-failover", "drill"];

export const activePeopleFaults: readonly Fault[] = [
  ...peopleFaults.filter(({ name }) => shared.includes(name)),
  pressing("press-downtime", (world, random) => ({
    kind: "downtime",
    node: idOf(world, anyNode(world, random)),
    reason: "upgrade",
    forMs: random.int(1000, 30_000),
  })),
  pressing("press-select", selecting),
  {
    name: "press-pin",
    begin: (world, random, ms) => {
      wish(world, { ...selecting(world, random), pinMs: random.int(1000, 60_000) } as Wish);
      after(world.queue, random.int(1, ms), () => {
        if (random.chance(0.4)) wish(world, { kind: "unpin" });
      });
      return () => undefined;
    },
  },
  pressing("press-weight", (world, random) => ({
    kind: "weight",
    node: anyId(world, random),
    weight: random.pick(WEIGHTS),
  })),
  pressing("press-add", (world, random) => ({ kind: "add-node", node: newcomer(world, random) })),
  pressing("press-remove", (world, random) => ({
    kind: "remove-node",
    node: anyId(world, random),
  })),
  {
    name: "press-remove-and-add",
    begin: (world, random, ms) => {
      wish(world, { kind: "remove-node", node: anyId(world, random) });
      after(world.queue, random.int(100, ms), () =>
        wish(world, { kind: "add-node", node: newcomer(world, random) }),
      );
      return () => undefined;
    },
  },
];

export const withoutNode = (config: GroupConfig, id: string): GroupConfig =>
  config.nodes.length < 2 || !config.nodes.some((node) => node.id === id)
    ? config
    : {
        ...config,
        nodes: config.nodes.filter((node) => node.id !== id),
        relays: config.relays.map((relay) => ({
          ...relay,
          local: relay.local.filter((each) => each !== id),
        })),
      };

export const activeDeployFaults: readonly Fault[] = [
  changing("deploy-weights", (config, random) => ({
    ...config,
    nodes: config.nodes.map((node) => ({ ...node, weight: random.pick(WEIGHTS) })),
  })),
  changing("deploy-without-a-node", (config, random) =>
    withoutNode(config, random.pick(config.nodes).id),
  ),
  changing("deploy-without-the-one-in-use", (config, random, world) =>
    withoutNode(config, world.storage.saved?.primary ?? random.pick(config.nodes).id),
  ),
  // Somebody has to promote there.
  changing("deploy-replication", (config) =>
    config.relays.length === 0 ? config : { ...config, mode: "replication" },
  ),
  changing("deploy-failback", (config, random) => ({
    ...config,
    failbackIntervalMs: random.pick([0, 2000, 20_000]),
    failbackGraceMs: random.pick([0, 2000, 20_000]),
  })),
  changing("deploy-quorum", (config, random) => ({
    ...config,
    quorum: random.int(1, config.vantages.length),
  })),
  changing("deploy-times", (config, random) => ({
    ...config,
    downAfterMs: random.pick([500, 2000, 8000]),
    maxFailures: random.int(1, 5),
    upAfter: random.int(1, 4),
  })),
  changing("deploy-observe-only", (config) => ({ ...config, observeOnly: true })),
];
