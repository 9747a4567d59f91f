/**
 * From operations to dollars.
 *
 * Promises: pure. The list price counts from the first operation on; the invoice knows what the plan includes, and
 * bills every million that was begun.
 */
import { free, type Meter, PLAN, prices } from "./prices.ts";

/** Operations of a month. */
export type Usage = Readonly<Record<Meter, number>>;

export const METERS = Object.keys(prices) as readonly Meter[];

const MILLION = 1_000_000;

const usageOf = (of: (meter: Meter) => number): Usage =>
  Object.fromEntries(METERS.map((meter) => [meter, of(meter)])) as Usage;

export const noUsage: Usage = usageOf(() => 0);
export const sum = (...all: readonly Usage[]): Usage =>
  usageOf((meter) => all.reduce((total, each) => total + each[meter], 0));
/** The most of each meter: of what there is once, and was counted several times. */
export const most = (...all: readonly Usage[]): Usage =>
  usageOf((meter) => Math.max(0, ...all.map((each) => each[meter])));
export const times = (usage: Usage, by: number): Usage => usageOf((meter) => usage[meter] * by);

/** What each more of it costs where the included quantities are used up. */
export const listOf = (usage: Usage, meter: Meter): number =>
  (usage[meter] / MILLION) * prices[meter].perMillion;
export const listPrice = (usage: Usage): number =>
  METERS.reduce((total, meter) => total + listOf(usage, meter), 0);

export const overageOf = (usage: Usage, meter: Meter): number => {
  const { included, perMillion } = prices[meter];
  // What counting in fractions leaves behind is no operation.
  const over = Math.round(Math.max(0, usage[meter] - included));
  return Math.ceil(over / MILLION) * perMillion;
};
/** Of an account that runs nothing else. */
export const invoice = (usage: Usage): number =>
  METERS.reduce((total, meter) => total + overageOf(usage, meter), PLAN.dollars);

const DAYS = 30;

/** How many groups the Free plan carries: more are not asked for. */
const MANY = 1000;
export function groupsForFree(used: (groups: number) => Usage): number {
  const fits = (usage: Usage) =>
    METERS.every((meter) => usage[meter] <= (free[meter] ?? Number.POSITIVE_INFINITY) * DAYS);
  let groups = 0;
  while (groups < MANY && fits(used(groups + 1))) groups += 1;
  return groups;
}
