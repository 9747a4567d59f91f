/**
 * Faults of the network: cuts both ways and one way, delays, losses, doubles.
 */
import type { Random } from "../random.ts";
import { faultOn, forgetSound } from "../world/network.ts";
import { resumeStreams } from "../world/replication.ts";
import { type PathFault, type Spot, tell, type World } from "../world/types.ts";
import { anyNode, type Fault } from "./fault.ts";

type Pair = readonly [Spot, Spot];

const both = (a: Spot, b: Spot): Pair[] => [
  [a, b],
  [b, a],
];

/** Something on some paths, and off again. */
export function upon(
  world: World,
  pairs: readonly Pair[],
  on: (path: PathFault) => void,
  off: (path: PathFault) => void,
): () => void {
  for (const [from, to] of pairs) on(faultOn(world, from, to));
  let over = false;
  return () => {
    if (over) return;
    over = true;
    for (const [from, to] of pairs) off(faultOn(world, from, to));
    forgetSound(world);
    resumeStreams(world);
  };
}

const cut = (name: string, pairs: (world: World, random: Random) => readonly Pair[]): Fault => ({
  name,
  begin: (world, random) => {
    const some = pairs(world, random);
    tell(world, () => `cut: ${some.map(([from, to]) => `${from.name}>${to.name}`).join(" ")}`);
    const end = upon(
      world,
      some,
      (path) => {
        path.cuts += 1;
      },
      (path) => {
        path.cuts -= 1;
      },
    );
    return () => {
      tell(world, () => `${name} is over`);
      end();
    };
  },
});

const spots = (world: World): Spot[] => world.spots.filter(({ name }) => name.startsWith("m-"));
const asking = (world: World): Spot[] => [world.edge, ...world.regions, ...world.places];

const worse = (
  name: string,
  set: (path: PathFault, random: Random) => void,
  unset: (path: PathFault) => void,
): Fault => ({
  name,
  begin: (world, random) => {
    const spot = anyNode(world, random).spot;
    const pairs = world.spots.filter((each) => each !== spot).flatMap((each) => both(spot, each));
    const some = random.chance(0.5) ? pairs : pairs.filter(() => random.chance(0.5));
    tell(world, () => `${name} around ${spot.name}`);
    return upon(world, some, (path) => set(path, random), unset);
  },
});

export const networkFaults: readonly Fault[] = [
  cut("machine-alone", (world, random) => {
    const { spot } = anyNode(world, random);
    // Its clients may be on its side of the cut.
    const clients = random.chance(0.5);
    return world.spots
      .filter((each) => each !== spot && !(clients && each.name.startsWith("client")))
      .flatMap((each) => both(spot, each));
  }),
  cut("machine-from-edge", (world, random) => {
    const { spot } = anyNode(world, random);
    return asking(world).flatMap((each) => both(spot, each));
  }),
  cut("machine-from-machines", (world, random) => {
    const { spot } = anyNode(world, random);
    return spots(world)
      .filter((each) => each !== spot)
      .flatMap((each) => both(spot, each));
  }),
  cut("one-way-to-machine", (world, random) => {
    const { spot } = anyNode(world, random);
    return world.spots.filter((each) => each !== spot).map((each): Pair => [each, spot]);
  }),
  cut("one-way-from-machine", (world, random) => {
    const { spot } = anyNode(world, random);
    return world.spots.filter((each) => each !== spot).map((each): Pair => [spot, each]);
  }),
  cut("one-way-between-machines", (world, random) => {
    const { spot } = anyNode(world, random);
    const other = random.pick(spots(world).filter((each) => each !== spot));
    return [random.chance(0.5) ? [spot, other] : [other, spot]];
  }),
  cut("edge-from-machines", (world) =>
    spots(world).flatMap((spot) => asking(world).flatMap((each) => both(spot, each))),
  ),
  cut("answers-lost", (world, random) => {
    const { spot } = anyNode(world, random);
    return [[spot, world.edge]];
  }),
  worse(
    "slow",
    (path, random) => {
      path.delayMs = random.pick([100, 400, 2000, 6000]);
    },
    (path) => {
      path.delayMs = 0;
    },
  ),
  worse(
    "lossy",
    (path) => {
      path.drop = 0.3;
    },
    (path) => {
      path.drop = 0;
    },
  ),
  worse(
    "doubling",
    (path) => {
      path.double = 0.5;
    },
    (path) => {
      path.double = 0;
    },
  ),
];
