/**
 * Counting what happens tens of thousands of times a second: numbers in small tables, no label hashed, no
 * object made.
 *
 * Promises: adding costs about as much as finding a number in a Map.
 * Must never: be keyed by what a caller sent: a table only grows.
 */
import type { Metric } from "prom-client";

export type Counts<A, B> = {
  readonly add: (first: A, second: B, count: number) => void;
  readonly all: () => (readonly [A, B, number])[];
};

export function createCounts<A, B>(): Counts<A, B> {
  const counts = new Map<A, Map<B, number>>();
  return {
    add: (first, second, count) => {
      let row = counts.get(first);
      if (row === undefined) {
        row = new Map();
        counts.set(first, row);
      }
      row.set(second, (row.get(second) ?? 0) + count);
    },
    all: () =>
      [...counts].flatMap(([first, row]) =>
        [...row].map(([second, count]) => [first, second, count] as const),
      ),
  };
}

export type Times<A> = {
  readonly add: (label: A, seconds: number) => void;
  /** For a registry of prom-client. */
  readonly metric: (name: string, help: string, labelName: string) => Metric;
};

/** From half a millisecond to the longest wait that a request may ask for, roughly doubled. */
const BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export function createTimes<A extends string>(): Times<A> {
  const rows = new Map<A, { readonly buckets: number[]; sum: number }>();

  function values(name: string, labelName: string) {
    return [...rows].flatMap(([label, { buckets, sum }]) => {
      let below = 0;
      const upTo = (le: number | string, count: number) => {
        below += count;
        return { metricName: `${name}_bucket`, labels: { le, [labelName]: label }, value: below };
      };
      const finite = BOUNDS.map((bound, at) => upTo(bound, buckets[at] ?? 0));
      const labels = { [labelName]: label };
      return [
        ...finite,
        upTo("+Inf", buckets[BOUNDS.length] ?? 0),
        { metricName: `${name}_sum`, labels, value: sum },
        { metricName: `${name}_count`, labels, value: below },
      ];
    });
  }

  return {
    add: (label, seconds) => {
      let row = rows.get(label);
      if (row === undefined) {
        row = { buckets: new Array<number>(BOUNDS.length + 1).fill(0), sum: 0 };
        rows.set(label, row);
      }
      let at = 0;
      while (at < BOUNDS.length && seconds > (BOUNDS[at] ?? 0)) at += 1;
      row.buckets[at] = (row.buckets[at] ?? 0) + 1;
      row.sum += seconds;
    },
    // All that a registry asks of a metric is its name, and this when it is read.
    metric: (name, help, labelName) =>
      ({
        name,
        get: async () => ({
          ...{ name, help, type: "histogram", aggregator: "sum" },
          values: values(name, labelName),
        }),
      }) as unknown as Metric,
  };
}
