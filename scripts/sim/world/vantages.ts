/**
 * Places that look beside the Group: whom they ask, how they themselves do, and what they say instead of what they saw.
 *
 * Rules: as worker/group has it: every region asks every relay, and one with a vote the nodes as well; of a region that
 * does not answer nothing is heard but that it failed, and no relay is silent for that; where it runs is told with
 * every answer, once it is known.
 */
import type { VantageReport } from "../../../worker/core/looking.ts";
import type { NodeConfig, NodeFacts, Observation } from "../../../worker/core/types.ts";
import { groupNow } from "./clock.ts";
import { factsOf } from "./facts.ts";
import { nodeOf } from "./relay.ts";
import type { Relay, Spot, World } from "./types.ts";

/** Who asks whom: the answers of one such pair come together, those about silent nodes later. */
export type Question = {
  readonly vantage: string;
  readonly from: string;
  readonly spot: Spot;
  /** Null: a region asks the nodes by a path of its own. */
  readonly relay: Relay | null;
};

/** A region does not know at once where it runs. */
const KNOWS_AFTER_MS = 5000;

export const regionsOf = ({ regions, places, config }: World): readonly Spot[] =>
  [...regions, ...places].filter(({ name }) => config.regions.includes(name));

export function questionsOf(world: World): Question[] {
  const regions = regionsOf(world);
  const questions: Question[] = [];
  for (const { id } of world.config.relays) {
    const relay = world.relays.get(id);
    if (relay === undefined) continue;
    const vantage = `relay:${id}`;
    questions.push({ vantage, from: "group", spot: world.edge, relay });
    for (const spot of regions) questions.push({ vantage, from: spot.name, spot, relay });
  }
  for (const spot of regions)
    if (world.config.vantages.includes(spot.name))
      questions.push({ vantage: spot.name, from: spot.name, spot, relay: null });
  return questions;
}

/** A region asks by itself only those that have a path for that. */
export const askedFor = ({ relay }: Question, nodes: readonly NodeConfig[]): readonly string[] =>
  nodes.filter(({ probe }) => relay !== null || probe !== null).map(({ id }) => id);

/** Of its own look at a node nothing is known, and of what it would have seen through relays nothing is said. */
export const isUnheard = ({ regionBlind }: World, { from, relay }: Question): boolean =>
  relay !== null && regionBlind.has(from);

/** How each region did in a look. */
export const reportsOf = (world: World): VantageReport[] =>
  regionsOf(world).map(({ name }) => {
    const atMs = groupNow(world);
    if (world.regionBlind.has(name))
      return { vantage: name, whereabouts: null, detail: "no answer", atMs };
    const region = world.misplaced.get(name) ?? name;
    const knows = world.queue.nowMs >= KNOWS_AFTER_MS;
    const whereabouts = knows ? { colo: `XX-${region}`, region } : { colo: null, region: null };
    return { vantage: name, whereabouts, detail: "answers", atMs };
  });

/** Who says that all is well may say what the node would say. */
function liedFacts(world: World, id: string): NodeFacts | null {
  const node = nodeOf(world, id);
  const { kind, knows } = world.regionLie ?? {};
  return kind === "up" && knows === true && node !== null ? factsOf(world, node) : null;
}

/** A region that lies, also of what it saw through relays, and a place that says an old look once more. */
export function distorted(world: World, observations: Observation[]): Observation[] {
  const { replay, regionLie, late } = world;
  let told = observations;
  if (regionLie !== null && regionLie.left > 0) {
    regionLie.left -= 1;
    told = told.map((seen) =>
      seen.from === regionLie.vantage && [seen.node, null].includes(regionLie.node)
        ? { ...seen, class: regionLie.kind, detail: "a lie", facts: liedFacts(world, seen.node) }
        : seen,
    );
  }
  if (late !== null) {
    const owed = told.filter((seen) => seen.vantage === late.vantage);
    told = [...told.filter((seen) => seen.vantage !== late.vantage), ...late.owed];
    late.owed = owed;
  }
  if (replay === null) return told;
  replay.kept ??= told.filter((seen) => seen.vantage === replay.vantage);
  if (world.queue.nowMs >= replay.fromMs && replay.left > 0) {
    replay.left -= 1;
    // Instead of what it sees now, or after it.
    const rest = told.filter((seen) => seen.vantage !== replay.vantage);
    told = [...(replay.left % 2 === 0 ? rest : told), ...replay.kept];
  }
  return told;
}
