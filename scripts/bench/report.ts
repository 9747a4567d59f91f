/**
 * What was measured, as tables and as goals met or not.
 *
 * Promises: pure; a system that was not measured in a case is not in its table, and no goal is told of it.
 */
import { BEFORE, BOTH, GAP, LOST, OLD, type Result, TOOK } from "./figures.ts";

export type Measured = {
  readonly case: string;
  readonly system: string;
  readonly results: readonly Result[];
};

type Spread = { readonly min: number; readonly median: number; readonly max: number };

export type Goal = { readonly what: string; readonly holds: boolean };

const BASE = "Sentinel, 1000";

function spread(results: readonly Result[], name: string): Spread | null {
  const sorted = results.map(({ figures }) => figures[name] ?? 0).sort((a, b) => a - b);
  const [min] = sorted;
  if (min === undefined) return null;
  const median = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  return { min, median, max: sorted.at(-1) ?? 0 };
}

const namesOf = (of: readonly Measured[]) =>
  Object.keys(of.flatMap(({ results }) => results)[0]?.figures ?? {});

/** For machines: by figure and system. */
export function summary(rows: readonly Measured[], id: string) {
  const of = rows.filter((row) => row.case === id);
  return namesOf(of).map((name) => {
    const base = spread(of[0]?.results ?? [], name);
    const systems = of.map(({ system, results }) => {
      const own = spread(results, name);
      return { system, ...own, ratio: own && base ? ratio(own.median, base.median) : null };
    });
    return { name, systems };
  });
}

/** For people, in Markdown. */
export function table(rows: readonly Measured[], id: string): readonly string[] {
  const of = rows.filter((row) => row.case === id);
  const head = ["", ...of.map(({ system }) => system), ...of.slice(1).map(() => "ratio")];
  const lines = summary(rows, id).map(({ name, systems }) => [
    name,
    ...systems.map(({ min, median, max }) =>
      min === undefined ? "nothing measured" : `${min} / ${median} / ${max}`,
    ),
    ...systems.slice(1).map((each) => each.ratio ?? "-"),
  ]);
  const said = of.flatMap(({ system, results }) => {
    const told = [...new Set(results.flatMap((result) => result.said))].slice(0, 6);
    return told.length === 0 ? [] : ["", `${system} said:`, ...told.map((line) => `  ${line}`)];
  });
  return [
    ...[head, head.map(() => "---"), ...lines].map((line) => `| ${line.join(" | ")} |`),
    ...said,
  ];
}

const round = (value: number): number => Math.round(value * 100) / 100;

function ratio(ours: number, theirs: number): string {
  if (theirs === 0) return ours === 0 ? "same" : "-";
  return (ours / theirs).toFixed(ours / theirs < 0.1 ? 3 : 2);
}

/** Each says itself what is to be: `[what, holds]`; null: not measured. */
export function goalsOf(rows: readonly Measured[]): readonly Goal[] {
  const median = (system: string, id: string, name: string): number | null => {
    const row = rows.find((each) => each.case === id && each.system === system);
    return spread(row?.results ?? [], name)?.median ?? null;
  };
  const goals: Goal[] = [];
  const below = (what: string, ours: number | null, limit: number | null) => {
    if (ours !== null && limit !== null)
      goals.push({ what: `${what}: ${ours}, at most ${round(limit)}`, holds: ours <= limit });
  };
  const part = (of: number | null, by: number) => (of === null ? null : of / by);
  const kill = median("Picket", "kill", GAP);
  below("SIGKILL, ms without writes", kill, 300);
  below("SIGKILL, an eighth of Sentinel's", kill, part(median(BASE, "kill", GAP), 8));
  const stop = median("Picket", "stop", GAP);
  below("SIGSTOP, half of Sentinel's", stop, part(median(BASE, "stop", GAP), 2));
  below("planned switch, ms without writes", median("Picket", "switch", GAP), 300);
  below("planned switch, lost", median("Picket", "switch", LOST), 0);
  below("the old primary returns, took writes for ms", median("Picket", "returns", TOOK), 100);
  below("the same, boot sealed, acknowledged", median("Picket, sealed", "returns", OLD), 0);
  below("cut off under lease, acknowledged by both", median("Picket, lease", "cut", BOTH), 0);
  for (const { case: id, system } of rows.filter((row) => row.system.startsWith("Picket"))) {
    // Where all that was written is lost it is by chance a write more or less.
    const of = (name: string) => {
      const [lost, before] = [median(name, id, LOST), median(name, id, BEFORE)];
      return lost === null || before === null || before === 0 ? lost : round(lost / before);
    };
    below(`${id}, ${system}, lost`, of(system), of(BASE));
  }
  return goals;
}
