/**
 * What the scale bench measured, as tables and as goals met or not.
 *
 * Promises: pure. A tick is one that an alarm began; what was used meanwhile is divided by their number.
 */
import type { Counted } from "./counted.ts";
import type { Replaced, Usage } from "./side.ts";

export type Window = { readonly usage: Usage; readonly wallMs: number };

/** Of one number of groups, both systems. */
export type Ticks = { readonly groups: number; readonly figures: Readonly<Record<string, number>> };

export type Kills = {
  readonly system: string;
  /** Milliseconds: one at a time, in the middle, and all at once. */
  readonly one: Replaced;
  readonly many: Replaced;
};

/** Names of the figures that the goals are about. */
const CPU = "Worker, CPU ms for each tick";
const LATE = "a tick is late by, ms (p99)";
const MOST_CPU_MS = 3;
const MOST_LATE_MS = 1000;
const MOST_TIMES = 1.5;

const round = (value: number, digits = 2) => Number(value.toFixed(digits));
const mib = (bytes: number) => Math.round(bytes / 2 ** 20);

function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}

export function ticksOf(groups: number, counted: Counted, ours: Window, theirs: Window): Ticks {
  const count = counted.lateMs.length;
  const used = ({ usage }: Window, kind: string) => usage[kind]?.processorMs ?? Number.NaN;
  const held = ({ usage }: Window, kind: string) => mib(usage[kind]?.bytes ?? Number.NaN);
  const perCore = (window: Window, kind: string) =>
    round((100 * used(window, kind)) / window.wallMs, 1);
  const [worker, relay] = [perCore(ours, "workerd"), perCore(ours, "relay")];
  const sentinels = perCore(theirs, "sentinels");
  return {
    groups,
    figures: {
      "ticks of a group in a second": round(count / groups / (ours.wallMs / 1000)),
      [CPU]: round(used(ours, "workerd") / count),
      "relay, CPU ms for each tick": round(used(ours, "relay") / count),
      "a tick is late by, ms (p50)": quantile(counted.lateMs, 0.5),
      [LATE]: quantile(counted.lateMs, 0.99),
      "a tick takes, ms (p50)": quantile(counted.tookMs, 0.5),
      "a tick takes, ms (p99)": quantile(counted.tookMs, 0.99),
      "requests for each tick": round(counted.fetches / count),
      "rows written for each tick": round((counted.alarmsSet + counted.rowsWritten) / count),
      "Worker, memory MiB": held(ours, "workerd"),
      "relay, memory MiB": held(ours, "relay"),
      "Worker, % of a core": worker,
      "relay, % of a core": relay,
      "redis-servers under Picket, % of a core": perCore(ours, "redis"),
      "three Sentinels, % of a core": sentinels,
      "three Sentinels, memory MiB": held(theirs, "sentinels"),
      "redis-servers under Sentinel, % of a core": perCore(theirs, "redis"),
      "Worker and relay to Sentinels, CPU, times": round((worker + relay) / sentinels),
    },
  };
}

const goal = (what: string, value: number, most: number) =>
  `goal: ${what}: ${value}, at most ${most}: ${value <= most ? "holds" : "does NOT hold"}`;

const rowOf = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;

export function ticksTable(all: readonly Ticks[]): readonly string[] {
  const [first] = all;
  const last = all.at(-1);
  if (first === undefined || last === undefined) return [];
  const head = ["groups of three", ...all.map(({ groups }) => groups)];
  const names = Object.keys(first.figures);
  const of = (name: string) => last.figures[name] ?? Number.NaN;
  return [
    rowOf(head),
    rowOf(head.map(() => "---")),
    ...names.map((name) => rowOf([name, ...all.map(({ figures }) => figures[name] ?? "")])),
    "",
    goal(`${last.groups} groups, ${CPU}`, of(CPU), MOST_CPU_MS),
    goal(`${last.groups} groups, ${LATE}`, of(LATE), MOST_LATE_MS),
  ];
}

/** The one in the middle, by the time until it was promoted. */
export function killsOf(system: string, ones: readonly Replaced[], many: Replaced): Kills {
  const sorted = [...ones].sort((a, b) => a.promotedMs - b.promotedMs);
  const one = sorted[Math.floor((sorted.length - 1) / 2)] ?? many;
  const whole = ({ promotedMs, toldMs }: Replaced) => ({
    ...{ promotedMs: Math.round(promotedMs), toldMs: Math.round(toldMs) },
  });
  return { system, one: whole(one), many: whole(many) };
}

export function killsTable(all: readonly Kills[], count: number): readonly string[] {
  if (all.length === 0) return [];
  const head = ["primaries killed at once", ...all.map(({ system }) => system)];
  const times = ({ one, many }: Kills) => round(many.promotedMs / one.promotedMs);
  return [
    rowOf(head),
    rowOf(head.map(() => "---")),
    rowOf(["1: promoted after, ms", ...all.map(({ one }) => one.promotedMs)]),
    rowOf([`${count}: all promoted after, ms`, ...all.map(({ many }) => many.promotedMs)]),
    rowOf([`${count} to 1, times`, ...all.map(times)]),
    rowOf(["1: told after, ms", ...all.map(({ one }) => one.toldMs)]),
    rowOf([`${count}: all told after, ms`, ...all.map(({ many }) => many.toldMs)]),
    "",
    ...all
      .filter(({ system }) => system.startsWith("Picket"))
      .map((each) => goal(`${each.system}, ${count} to 1, times`, times(each), MOST_TIMES)),
  ];
}
