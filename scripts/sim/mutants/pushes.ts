/**
 * Defects in what relays tell of their own accord, and in what they do at first sight.
 */
import { core, type Mutant } from "./mutant.ts";

export const pushMutants: readonly Mutant[] = [
  {
    name: "what one relay told alone is acted upon",
    file: core("watching"),
    find: "if (draft.sight.newsAtMs === null) return false;",
    replace: "if (draft.sight.nodes !== null) return false;",
    also: [
      {
        file: core("repair"),
        find: "    if (isNews) continue;\n",
        replace: "",
      },
    ],
    scene: "a person switches",
  },
  {
    name: "between two pieces of news a person's switch is sealed",
    file: core("repair"),
    find: "strangeMs >= (draft.sight.newsAtMs ?? Number.POSITIVE_INFINITY);",
    replace: "strangeMs === draft.nowMs && draft.sight.newsAtMs !== null;",
    scene: "a person switches",
  },
  {
    name: "every look counts a refusal, however soon it comes",
    file: core("sight"),
    find: "askedAtMs - refusedAtMs >= NEARLY * retryMs;",
    replace: "askedAtMs >= refusedAtMs;",
    scene: "the primary hangs, and is started again at once",
  },
  {
    name: "news outlives a clock that went back",
    file: core("decide"),
    find: "      newsAtMs: null,\n      lastNewsAtMs: null,\n      tiltUntilMs,",
    replace: "      tiltUntilMs,",
  },
  {
    name: "a relay seals at first sight by what it was told long ago",
    file: "worker/relay/watch/stranger.ts",
    find: "return held === null || (held.epoch <= epoch && held.primary !== id);",
    replace: "return held === null || epoch > 0;",
  },
  {
    name: "a relay seals at first sight who may be the primary",
    file: core("repair"),
    find: ".filter((node) => !mayLead(saved, node.id) && isMember(saved, node))",
    replace: ".filter((node) => isMember(saved, node))",
  },
  {
    name: "a push counts as many looks as it says, for whoever is asked",
    file: core("sight"),
    find: "seen.pushed ?? { looks: 1, sinceMs: seen.atMs };",
    replace: "seen.pushed ?? { looks: 9, sinceMs: 0 };",
    also: [
      {
        file: core("sight"),
        find: "seen.pushed?.refusals ?? 0);",
        replace: "seen.pushed?.refusals ?? 9);",
      },
    ],
  },
  {
    name: "a relay calls a short silence an end",
    file: "worker/relay/watch/gaze.ts",
    find: "    looks: (before?.looks ?? 0) + 1,",
    replace: "    looks: (before?.looks ?? 0) + 9,",
    also: [
      {
        file: "worker/relay/watch/gaze.ts",
        find: "    sinceMs: before?.sinceMs ?? seen.askedAtMs,",
        replace: "    sinceMs: seen.askedAtMs - 60_000,",
      },
    ],
  },
];
