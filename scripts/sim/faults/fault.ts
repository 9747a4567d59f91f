/**
 * What can go wrong, as one shape: it begins, and gives back what ends it.
 */
import type { Random } from "../random.ts";
import { type RedisNode, type Relay, tell, type World } from "../world/types.ts";

export type Fault = {
  readonly name: string;
  /** Begins it, for about `ms`; what it returns ends it, and may be called whatever happened meanwhile. */
  readonly begin: (world: World, random: Random, ms: number) => () => void;
};

export const nothing = (): void => {};

/** Something is another than it should be, and then what it was. */
export const switched = (
  name: string,
  set: (world: World) => void,
  unset: (world: World) => void,
): Fault => ({
  name,
  begin: (world) => {
    tell(world, () => name);
    set(world);
    return () => unset(world);
  },
});

/** A node: mostly the primary, for there it matters. */
export function anyNode(world: World, random: Random): RedisNode {
  const primary = primaryOf(world);
  return primary !== null && random.chance(0.6) ? primary : random.pick(world.nodes);
}

export function primaryOf(world: World): RedisNode | null {
  const id = world.storage.saved?.primary ?? null;
  const node = world.config.nodes.find((each) => each.id === id);
  return node === undefined ? null : (world.byAddress.get(`${node.host}:${node.port}`) ?? null);
}

export const others = (world: World, node: RedisNode): readonly RedisNode[] =>
  world.nodes.filter((each) => each !== node);

export const anyRelay = (world: World, random: Random): Relay =>
  random.pick([...world.relays.values()]);

export const idOf = (world: World, node: RedisNode): string =>
  world.config.nodes.find(({ host }) => host === node.host)?.id ?? node.name;
