/**
 * What an active-active group has to be once nothing is wrong any more, for how long it may take, and what people do
 * meanwhile: what they changed at run time is taken back, but for weights.
 */
import { deploy } from "../faults/deploys.ts";
import { wish } from "../faults/people.ts";
import { groupNow } from "../world/clock.ts";
import { currentInstance } from "../world/group.ts";
import { promote, setMinReplicas } from "../world/redis.ts";
import { isPrimary } from "../world/replication.ts";
import { tell, type World } from "../world/types.ts";
import { nodesIn } from "./chosen.ts";
import { missingAtTold } from "./told.ts";

/** What is still missing; null: the group is whole. */
export function missingActive(world: World): string | null {
  const { saved } = world.storage;
  const { config, checks } = world;
  if (saved === null || saved.primary === null) return "no node is used";
  if (config !== world.firstConfig) return "another configuration is deployed";
  if (saved.paused !== null) return "it is paused";
  if (saved.drill !== null) return "a drill is ordered";
  if (Object.keys(saved.downtimes).length > 0) return "a node is in downtime";
  const { added, removed } = saved.overlay;
  if (added.length + removed.length > 0) return `${removed.join(", ")} are taken out`;
  if (saved.steering?.pinnedUntilMs != null) return "a node is pinned";
  for (const node of world.nodes) {
    if (node.life !== "up") return `${node.name} is ${node.life}`;
    if (!isPrimary(node)) return `${node.name} is a replica`;
  }
  const nodes = nodesIn(checks.ledger.active.chosen, config);
  const used = nodes.find(({ id }) => id === saved.primary);
  if (used === undefined) return `${saved.primary} is used and not configured`;
  const most = Math.max(...nodes.map(({ weight }) => weight));
  if (config.failbackIntervalMs > 0 && used.weight < most)
    return `${used.id} is used, weighs ${used.weight}, and another one weighs ${most}`;
  if (saved.routeState !== "up") return `the route is ${saved.routeState}`;
  const untold = missingAtTold(world, saved);
  if (untold !== null) return untold;
  const group = currentInstance(world);
  if (group === null) return "no Group runs";
  if ((group.state.sight.tiltUntilMs ?? 0) > groupNow(world)) return "the clock is not trusted";
  return null;
}

export function settlesWithinMs({ firstConfig }: World): number {
  const { failbackIntervalMs, failbackGraceMs, checkIntervalMs, downAfterMs } = firstConfig;
  const [cronMs, tiltMs, loadingMs] = [60_000, 30_000, 15_000];
  // They come every ten seconds, and each does one thing.
  const peopleMs = 80_000;
  const lookMs = 20 * checkIntervalMs + downAfterMs;
  // What people take back begins the time anew.
  const backMs = 3 * (failbackIntervalMs + failbackGraceMs);
  return cronMs + tiltMs + loadingMs + peopleMs + lookMs + backMs;
}

/** Every node takes writes again, whatever was made of it while the group was another one. */
export function restoreAll(world: World): void {
  for (const node of world.nodes) {
    if (node.life !== "up") continue;
    if (!isPrimary(node)) {
      tell(world, () => `by hand: ${node.name} REPLICAOF NO ONE`);
      node.handover = null;
      promote(world, node);
    }
    setMinReplicas(node, world.firstConfig.minReplicas);
    Object.assign(node, { syncHeld: false, file: { ...node.file, follow: null, minReplicas: 0 } });
  }
}

/** What an operator does who comes back now and then. */
export function attendActive(world: World): void {
  const { saved } = world.storage;
  if (saved === null) return;
  restoreAll(world);
  if (saved.paused !== null) wish(world, { kind: "resume" });
  for (const node of Object.keys(saved.downtimes)) wish(world, { kind: "end-downtime", node });
  if (saved.drill !== null) wish(world, { kind: "reset" });
  if (saved.steering?.pinnedUntilMs != null) wish(world, { kind: "unpin" });
  const { added, removed } = saved.overlay;
  const { firstConfig } = world;
  if (world.config !== firstConfig)
    return deploy(world, world.random, "the first configuration", firstConfig);
  // One that was taken out is back once it was deployed anew.
  const left = firstConfig.nodes.filter(({ id }) => !removed.includes(id));
  const nodes = left.length > 0 ? left : firstConfig.nodes.slice(0, 1);
  if (removed.length > 0)
    return deploy(world, world.random, "without who was taken out", { ...firstConfig, nodes });
  for (const { id } of added) wish(world, { kind: "remove-node", node: id });
}
