/**
 * How the vantages themselves do: who does not answer, and who runs in the wrong place.
 *
 * Rules: one that does not answer is an observer that fails: it says nothing of a node, and holds up nobody once it
 * has failed `max_failures` times in a row.
 * Must never: touch a vote.
 */
import type { VantageBelief } from "./believed.ts";
import { type Draft, remember, save, tellEdge, tellLasting } from "./draft.ts";
import type { VantageReport } from "./looking.ts";

const MISPLACED = "misplaced:";

export function seeVantages(draft: Draft, reports: readonly VantageReport[]): void {
  const { regions } = draft.config;
  const { vantages: before } = draft.sight;
  const known: Record<string, VantageBelief> = {};
  for (const region of regions) {
    let belief = before[region];
    for (const report of reports)
      if (report.vantage === region) belief = nextBelief(belief, report);
    if (belief !== undefined) known[region] = belief;
  }
  if (reports.length > 0 || Object.keys(before).length > Object.keys(known).length)
    remember(draft, { vantages: known });
  for (const region of regions) tellOf(draft, region, known[region]);
  // Who looks no more runs nowhere.
  const { lasting } = draft.saved;
  const isOver = (mark: string) =>
    mark.startsWith(MISPLACED) && !regions.includes(mark.slice(MISPLACED.length));
  if (lasting.some(isOver)) save(draft, { lasting: lasting.filter((mark) => !isOver(mark)) });
}

function nextBelief(before: VantageBelief | undefined, report: VantageReport): VantageBelief {
  const { whereabouts, detail, atMs } = report;
  const answered = whereabouts !== null;
  // Where it runs it does not know at once, and does not change while it runs.
  const where = whereabouts?.colo === null ? null : whereabouts;
  return {
    failures: answered ? 0 : (before?.failures ?? 0) + 1,
    firstBadAtMs: answered ? null : (before?.firstBadAtMs ?? atMs),
    detail,
    atMs,
    whereabouts: where ?? before?.whereabouts ?? null,
  };
}

/** The vantages that nobody waits for. */
export const silentRegions = ({ sight, config }: Draft): readonly string[] =>
  config.regions.filter((each) => (sight.vantages[each]?.failures ?? 0) >= config.maxFailures);

function tellOf(draft: Draft, region: string, belief: VantageBelief | undefined): void {
  if (belief === undefined) return;
  const silent = belief.failures >= draft.config.maxFailures;
  if (silent || belief.failures === 0)
    tellEdge(draft, `vantage:${region}`, silent, () => ({
      names: ["+vantage-fault", "-vantage-fault"],
      node: null,
      text: silent
        ? `vantage ${region} does not answer: an observer fails, which says nothing of a node: ${belief.detail}`
        : `vantage ${region} answers again`,
      data: { vantage: region },
    }));
  const colo = belief.whereabouts?.colo ?? null;
  const ran = belief.whereabouts?.region ?? null;
  // Until it is known where it runs, what was told stands.
  if (colo === null) return;
  const misplaced = ran !== null && ran !== region;
  tellLasting(draft, `${MISPLACED}${region}`, misplaced, () => ({
    names: ["+misplaced", "-misplaced"],
    node: null,
    text: misplaced
      ? `vantage ${region} runs in ${colo}, which is ${ran}: what it sees is seen from there; another VANTAGE_SERIES puts it up anew`
      : `vantage ${region} runs where it was asked for`,
    data: { vantage: region, colo, region: ran },
  }));
}
