/**
 * Defects in who has a vote, in what is known of places that look, and in replicas that nobody configured.
 */
import { core, type Mutant } from "./mutant.ts";

export const vantageMutants: readonly Mutant[] = [
  {
    name: "a vantage that does not answer votes down",
    file: core("health"),
    find: 'silentSinceMs !== null ? "down" : voteOf(',
    replace:
      '(sight.vantages[vantage]?.failures ?? 0) >= config.maxFailures ? "down" : silentSinceMs !== null ? "down" : voteOf(',
    scene: "a vantage is dead, and the primary almost",
  },
  {
    name: "a vantage that does not answer votes up",
    file: core("health"),
    find: 'silentSinceMs !== null ? "down" : voteOf(',
    replace:
      '(sight.vantages[vantage]?.failures ?? 0) > 0 ? "up" : silentSinceMs !== null ? "down" : voteOf(',
    scene: "a vantage is dead, then the primary dies",
  },
  {
    name: "nobody tells that a vantage fails",
    file: core("vantages"),
    find: "const silent = belief.failures >= draft.config.maxFailures;",
    replace: "const silent = belief.failures >= 1e9 * draft.config.maxFailures;",
    scene: "a vantage is dead for long",
  },
  {
    name: "nobody tells that a vantage stands elsewhere",
    file: core("vantages"),
    find: "const misplaced = ran !== null && ran !== region;",
    replace: "const misplaced = ran !== null && ran === '';",
    scene: "a vantage runs in the wrong place",
  },
  {
    name: "what a dead place knew of a relay is kept for ever",
    file: core("sight"),
    find: "isPlace(from, config) && nowMs - belief.askedAtMs <= oldestMs(config);",
    replace: "isPlace(from, config) || nowMs < belief.askedAtMs;",
    scene: "two places lose a relay, and die",
  },
  {
    name: "a region without a path of its own has a vote",
    file: core("config-relations"),
    find: 'const votes = named.filter((vantage) => own || vantage.startsWith("relay:"));',
    replace: "const votes = named.filter((vantage) => own || vantage !== '');",
  },
  {
    name: "a region with a path of its own has no vote",
    file: core("config-relations"),
    find: 'const votes = named.filter((vantage) => own || vantage.startsWith("relay:"));',
    replace: 'const votes = named.filter((vantage) => !own || vantage.startsWith("relay:"));',
  },
  {
    name: "who says that it lives is asked what it is",
    file: core("health"),
    find: "4 * Number(belief.facts !== null) +",
    replace: "0 * Number(belief.facts !== null) +",
  },
  {
    name: "what a node said long ago is what it says now",
    file: core("health"),
    find: "const belief = seen.factsAtMs === seen.atMs ? seen : { ...seen, facts: null };",
    replace: "const belief = seen;",
    scene: "a vantage calls all up, then the primary dies",
  },
  {
    name: "who calls a dead primary up holds up the election",
    file: core("candidates"),
    find: "lastOkAtMs(draft, saved.primary, down.votes)",
    replace: "lastOkAtMs(draft, saved.primary)",
    scene: "a vantage calls all up, then the primary dies",
  },
  {
    name: "a region speaks for every relay that it asks",
    file: core("sight"),
    find: "if (!late && !hearsay && (other ===",
    replace: "if (!late && (hearsay || !hearsay) && (other ===",
    scene: "a vantage calls all down",
  },
  {
    name: "a replica that nobody configured is routed to",
    file: core("publishing"),
    find: "  const route = routeOf(draft.saved, draft.config);\n  for",
    replace:
      "  const own = routeOf(draft.saved, draft.config);\n  const seen = Object.values(draft.sight.nodes[draft.saved.primary ?? ''] ?? {}).flatMap((each) => each.facts?.replicas ?? []);\n  const more = seen.filter((at) => !draft.config.nodes.some(({ host }) => host === at.host)).slice(-1).flatMap((at) => (own.primary === null ? [] : [{ ...own.primary, ...at, id: at.host, readWeight: 1 }]));\n  const route = { ...own, replicas: [...own.replicas, ...more] };\n  for",
    scene: "somebody else's replica follows the primary, which dies",
  },
  {
    name: "whoever is configured is told as unknown",
    file: core("discovery"),
    find: "const unknown = facts.replicas.filter((each) => !config.nodes.some((node) => isAt(node, each)));",
    replace: "const unknown = facts.replicas.filter((each) => each.port > 0);",
    also: [
      {
        file: core("discovery"),
        find: "if (unknown.length <= elsewhere.length) return [];",
        replace: "if (unknown.length < elsewhere.length) return [];",
      },
    ],
  },
];
