/**
 * Defects in what a Group knows that slept: when it sleeps, what it is told when it wakes, and what it kept.
 */
import { core, type Mutant } from "./mutant.ts";

export const asleepMutants: readonly Mutant[] = [
  {
    name: "what operators ask is judged by what was seen before",
    file: core("requests"),
    find: "(sight.lookAskedAtMs ?? 0) >= askedAtMs;",
    replace: "(sight.lookAskedAtMs ?? 0) >= 0;",
  },
  {
    name: "what a dead node last said of itself is thrown away",
    file: core("sight"),
    find: "const told = seen.pushed?.before ?? null;",
    replace: "const told = seen.vantage === '' ? (seen.pushed?.before ?? null) : null;",
    scene: "the primary is far ahead, the Group sleeps, and the primary dies",
  },
  {
    name: "one refusal after a silence counts as many",
    file: "worker/relay/watch/gaze.ts",
    find: 'refusals: seen.class === "refused" ? (before?.refusals ?? 0) + 1 : 0,',
    replace: 'refusals: seen.class === "refused" ? (before?.looks ?? 0) + 1 : 0,',
    scene: "the primary hangs, and is started again at once",
  },
  {
    name: "who was a replica is forgotten with the Group",
    file: core("saved"),
    find: "return { ok: true, saved: version === VERSION ? saved : fromFirst(saved) };",
    replace:
      "return { ok: true, saved: version === VERSION ? { ...saved, replicaRunIds: {} } : fromFirst(saved) };",
    scene: "the Group sleeps, and a person switches, one node after the other",
  },
  {
    name: "quiet, though a machine that dies takes its only witness with it",
    file: core("quiet"),
    find: "return !isLocal(vantage, node, config) && sight",
    replace: "return isLocal(vantage, node, config) || sight",
    scene: "a machine dies that only its own relay knows",
  },
];
