/**
 * Faults of vantages, which observe and must not decide alone: dead, lying, in the wrong place; and replicas of
 * somebody else, which must never become ours.
 */
import { tell, type World } from "../world/types.ts";
import { anyNode, type Fault, idOf, nothing, primaryOf } from "./fault.ts";

const regionFault = (name: string, begin: (world: World, region: string) => () => void): Fault => ({
  name,
  begin: (world, random) => {
    const all = [...world.regions, ...world.places];
    if (all.length === 0) return nothing;
    const region = random.pick(all).name;
    tell(world, () => `${name}: ${region}`);
    return begin(world, region);
  },
});

export function foreignReplica(world: World): () => void {
  const follows = primaryOf(world)?.name ?? world.nodes[0]?.name ?? "";
  const stranger = { host: "10.0.9.9", port: 6379, follows };
  tell(world, () => `${stranger.host} of somebody else follows ${follows}`);
  world.foreign.add(stranger);
  return () => void world.foreign.delete(stranger);
}

export const vantageFaults: readonly Fault[] = [
  regionFault("region-silent", (world, region) => {
    world.regionBlind.add(region);
    return () => void world.regionBlind.delete(region);
  }),
  regionFault("region-misplaced", (world, region) => {
    world.misplaced.set(region, "oc");
    return () => void world.misplaced.delete(region);
  }),
  {
    name: "region-lies",
    begin: (world, random) => {
      if (world.regions.length === 0) return nothing;
      const vantage = random.pick(world.regions).name;
      const node = random.chance(0.3) ? null : idOf(world, anyNode(world, random));
      const kind = random.pick(["refused", "timeout", "up"] as const);
      tell(world, () => `${vantage} says ${kind} of ${node ?? "all"}`);
      world.regionLie = {
        vantage,
        node,
        kind,
        knows: random.chance(0.5),
        left: random.pick([4, 30]),
      };
      return () => {
        world.regionLie = null;
      };
    },
  },
  { name: "foreign-replica", begin: (world) => foreignReplica(world) },
];
