/**
 * Who looks at what: the Group itself and every region of a group, pair by pair, and the order that each is given.
 *
 * Promises: pure; what follows from a configuration alone is worked out once for each.
 */
import type { LookOrder } from "../core/looking.ts";
import { vantageOf } from "../core/sight.ts";
import type { GroupConfig } from "../core/types.ts";
import type { Pair } from "../probe/look.ts";

/** The Group itself, as a place that looks. */
export const GROUP = "group";

/** A pair, and its name among everything that is under way. */
export type PlacePair = Pair & { readonly key: string };

export const keyOf = (from: string, { vantage, node }: Pair) => `${from}|${vantage}|${node}`;

export type Place = { readonly from: string; readonly pairs: readonly PlacePair[] };

const known = new WeakMap<GroupConfig, readonly Place[]>();

/** The Group looks through relays only; a region sees every relay, and nodes by their own paths if it has a vote. */
export function placesOf(config: GroupConfig): readonly Place[] {
  const places = known.get(config) ?? [
    placeOf(GROUP, config),
    ...config.regions.map((region) => placeOf(region, config)),
  ];
  known.set(config, places);
  return places;
}

function placeOf(from: string, { relays, nodes, vantages }: GroupConfig): Place {
  const pair = (vantage: string, node: string) => {
    const named = { vantage, node };
    return { ...named, key: keyOf(from, named) };
  };
  const through = relays.flatMap(({ id }) => nodes.map((node) => pair(vantageOf(id), node.id)));
  const votes = from !== GROUP && vantages.includes(from);
  const own = nodes.filter(({ probe }) => votes && probe !== null);
  return { from, pairs: [...through, ...own.map(({ id }) => pair(from, id))] };
}

/** @param pairs of this place: those that are wanted now. */
export function orderOf(config: GroupConfig, from: string, pairs: readonly Pair[]): LookOrder {
  const { name, probeTimeoutMs, probes, probeDelayMs, probePolicy } = config;
  const nodesOf = (vantage: string) =>
    pairs.filter((pair) => pair.vantage === vantage).map(({ node }) => node);
  const own = from === GROUP ? [] : nodesOf(from);
  return {
    group: name,
    timeoutMs: probeTimeoutMs,
    repeat: { probes, delayMs: probeDelayMs, policy: probePolicy },
    relays: config.relays
      .map(({ id, url, controlTokenSecret }) => ({
        ...{ id, url, tokenSecret: controlTokenSecret },
        nodes: nodesOf(vantageOf(id)),
      }))
      .filter(({ nodes }) => nodes.length > 0),
    nodes: config.nodes.flatMap(({ id, probe }) =>
      probe !== null && own.includes(id) ? [{ id, probe }] : [],
    ),
  };
}
