/**
 * What an event carries for those who ask why: who saw what since when, and how long each phase took.
 */
import type { Draft } from "./draft.ts";
import type { Attempt } from "./state.ts";

type Evidence = Readonly<Record<string, unknown>>;

/** How each vantage sees a node, and since when. */
export function evidenceOf({ sight, known, config }: Draft, id: string): Evidence {
  const beliefs = sight.nodes[id] ?? {};
  const { votes = {} } = known[id]?.verdict ?? {};
  return Object.fromEntries(
    config.vantages.map((vantage) => {
      const belief = beliefs[vantage];
      const vote = votes[vantage] ?? "abstain";
      if (belief === undefined) return [vantage, { vote, class: "unknown" }];
      const { class: kind, failures, firstBadAtMs, atMs } = belief;
      return [vantage, { vote, class: kind, failures, firstBadAtMs, atMs }];
    }),
  );
}

/** How long each phase of an attempt took, until now. */
export function durations({ phases }: Attempt, nowMs: number): Readonly<Record<string, number>> {
  const took: Record<string, number> = {};
  for (const [at, { kind, atMs }] of phases.entries())
    took[kind] = (took[kind] ?? 0) + (phases[at + 1]?.atMs ?? nowMs) - atMs;
  return took;
}
