/**
 * An active-active group to simulate, drawn from a seed: every node takes writes, and one is used.
 *
 * Rules: seen by relays, by regions with a path of their own, or by both; waiting times are short, so that ten minutes
 * hold several failures and failbacks.
 */
import type { GroupConfig } from "../../worker/core/types.ts";
import { type Drawn, drawGroup, isRegion, probe, votesIn } from "./draw.ts";
import type { Random } from "./random.ts";

const REGIONS = ["weur", "enam", "apac", "oc"];

export function drawActive(random: Random): Drawn {
  const drawn = drawGroup(random.fork("drawn"));
  const eyes = random.pick(["relays", "relays", "regions", "regions", "both"] as const);
  const nodes = drawn.config.nodes.map((node) => ({
    ...node,
    priority: null,
    zone: null,
    weight: random.pick([1, 1, 2, 5, 10]),
    probe: eyes === "relays" ? null : probe(node.host),
  }));
  const relays = eyes === "regions" ? [] : drawn.config.relays;
  const asking = eyes === "relays" ? random.pick([0, 0, 1, 2]) : random.int(2, 4);
  const regions = REGIONS.slice(0, eyes === "both" ? Math.min(2, asking) : asking);
  const named = [...relays.map(({ id }) => `relay:${id}`), ...regions];
  const votes = votesIn(named, { relays, nodes });
  const all = votes.vantages.length;
  const config: GroupConfig = {
    ...drawn.config,
    mode: "active-active",
    fencing: "none",
    nodes,
    relays,
    ...votes,
    quorum: random.chance(0.1) ? random.int(1, all) : Math.floor(all / 2) + 1,
    replicaHostname: null,
    initialHealthPolicy: random.pick(["all", "majority", "majority", "one"] as const),
    failbackIntervalMs: random.pick([0, 3000, 8000, 15_000]),
    failbackGraceMs: random.pick([0, 3000, 8000, 12_000]),
    failoverAttempts: random.int(1, 3),
    failoverDelayMs: random.pick([1000, 2000, 5000]),
  };
  return {
    ...drawn,
    config,
    places: config.vantages.some(isRegion) ? [] : config.regions,
    found: "whole",
    bare: eyes === "regions" && random.chance(0.5),
  };
}
