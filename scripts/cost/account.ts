/**
 * From months of groups to the whole of an account.
 *
 * Promises: pure; in whatever order groups are listed, the sum is the same. What groups share is there once: cron and
 * the Fleet for the Worker, a vantage's clock for each region where somebody ticks; nor is a vantage's time ever billed
 * for more than all of it, however many ask at once.
 */
import { most, noUsage, sum, times, type Usage } from "./bill.ts";
import { MINUTES, type Month } from "./month.ts";
import { OBJECT_GB } from "./prices.ts";

export type Member = {
  readonly month: Month;
  /** Where it has vantages. */
  readonly regions: readonly string[];
};

export type Account = { readonly shared: Usage; readonly whole: Usage };

/** worker/env.ts: so many groups of a Worker share a vantage. */
const GROUPS_PER_VANTAGE = 100;
const ALWAYS_GB_S = MINUTES * 60 * OBJECT_GB;

export function accountOf(members: readonly Member[]): Account {
  const vantages = Math.ceil(members.length / GROUPS_PER_VANTAGE);
  const regions = [...new Set(members.flatMap((member) => member.regions))];
  const places = regions.map((region) => {
    const users = members.filter((member) => member.regions.includes(region));
    return { clock: clockOf(users, vantages), twice: twiceOf(users, vantages) };
  });
  const worker = most(...members.map(({ month }) => month.worker));
  const shared = sum(worker, ...places.map(({ clock }) => clock));
  const twice = places.reduce((total, place) => total + place.twice, 0);
  const groups = sum(...members.map(({ month }) => month.group));
  return { shared, whole: sum(groups, shared, { ...noUsage, objectGbS: -twice }) };
}

/** So many such groups, in the same regions. */
export function together(month: Month, groups: number): Usage {
  const regions = Array.from({ length: month.places.count }, (_, at) => String(at));
  return accountOf(Array.from({ length: groups }, () => ({ month, regions }))).whole;
}

/**
 * worker/vantage/register.ts: the alarm stands where the first of those that ask will have missed two intervals and a
 * look, and is set anew only when it rings. Of one group that is two intervals on; of many, somebody last asked nearly
 * an interval ago, and it is little more than one.
 */
const APART_MS = 5000;
const LOOK_MS = 900;
export const ringsEveryMs = (intervalMs: number, groups: number): number =>
  Math.max(APART_MS, intervalMs * (1 + 1 / Math.max(1, groups)) + LOOK_MS);

/** A region's clocks; those who ask most often decide. */
function clockOf(users: readonly Member[], vantages: number): Usage {
  const asking = users.flatMap(({ month }) => month.asks ?? []);
  const [first] = asking;
  if (first === undefined) return noUsage;
  const leastMs = Math.min(...asking.map(({ everyMs }) => everyMs));
  const often = asking.filter(({ everyMs }) => everyMs === leastMs).length;
  const clocks = Math.min(vantages, asking.length);
  const rings = (MINUTES * 60_000) / ringsEveryMs(leastMs, often / clocks);
  return times(first.ring, clocks * rings);
}

/** GB-s that several groups ask for at once. */
function twiceOf(users: readonly Member[], vantages: number): number {
  const asked = users.reduce(
    (total, { month: { places } }) => total + places.gbS / places.count,
    0,
  );
  return Math.max(0, asked - Math.min(vantages, users.length) * ALWAYS_GB_S);
}
