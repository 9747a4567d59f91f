/**
 * From what was counted in a minute to a month of some group.
 *
 * Promises: pure. What is counted is multiplied by how often it happens and for how many: what comes with each tick
 * by the ticks, what relays do by the relays, what places do by the places, the rest by the minutes. What comes at most
 * once a minute is added: the beats of relays, each a look like that of cron, and the notes of a group's data. What
 * groups share is kept apart, for account.ts to count once.
 */
import { noUsage, sum, type Usage } from "./bill.ts";
import { MESSAGES_PER_REQUEST, OBJECT_GB } from "./prices.ts";
import { type Case, type Counted, nothing, type Rows, type Tally } from "./tally.ts";

export type Shape = {
  readonly fencing: Case["fencing"];
  readonly intervalMs: number;
  /** Its relays are connected, and it is left to them and to cron. */
  readonly quiet: boolean;
  readonly relays: number;
  readonly regions: number;
  readonly leaseMs: number;
  /** `observability.logs.invocation_logs`: each invocation is an event. */
  readonly invocationLogs: boolean;
};

export type Month = {
  readonly group: Usage;
  /** Cron and the Fleet, once for all groups of a Worker. */
  readonly worker: Usage;
  /** It keeps the clock of its vantages going: how often it asks, and what each ring costs. Null: it leaves that to others. */
  readonly asks: { readonly everyMs: number; readonly ring: Usage } | null;
  /** Of the group's duration: in places that other groups use as well, and how many there are. */
  readonly places: { readonly gbS: number; readonly count: number };
};

export const MINUTES = 30 * 24 * 60;
const CRON_MS = 60_000;
/** worker/relay/watch/watch.ts: each relay repeats what it knows every five minutes. */
const BEATS_PER_MINUTE = 1 / 5;
/** worker/core/wipe.ts: how often a group is noted whose number of keys changes all the time, and little. */
const NOTES_PER_MINUTE = { quiet: 1 / 10, scheduled: 1 / 10, ticks: 1 };
const NOTE = "Group: INSERT OR REPLACE INTO state";
/** The simulator's own table: nothing of it is there in production. */
const SIMULATED = /__miniflare/;

export const modeOf = ({ intervalMs, quiet }: Shape): Case["mode"] =>
  intervalMs >= CRON_MS ? "scheduled" : quiet ? "quiet" : "ticks";

/** The run that is nearest; null: none was counted. */
export function countedFor(all: readonly Counted[], shape: Shape): Counted | null {
  const fit = all.filter(
    (each) =>
      each.fencing === shape.fencing &&
      each.mode === modeOf(shape) &&
      each.regions > 0 === shape.regions > 0,
  );
  return fit[0] ?? null;
}

export function monthOf(counted: Counted, shape: Shape): Month {
  const minutes = MINUTES / (counted.ms / 60_000);
  /** Cron comes once a minute, however often it was run. */
  const crons = counted.ms / 60_000 / counted.crons;
  const regions = counted.regions === 0 ? 0 : shape.regions / counted.regions;
  const ticks = counted.mode === "ticks" ? ticksBy(counted, shape.intervalMs) : 1;
  const leases = (shape.relays / counted.nodes) * (counted.leaseMs / shape.leaseMs);
  const beats = shape.relays * BEATS_PER_MINUTE;
  /** Where nothing ticks, looks are those of cron and of beats. */
  const rounds = counted.mode === "ticks" ? ticks : (1 + beats) * crons;

  const factorOf = (handler: string): number => {
    if (handler === "Group.alarm") return ticks;
    if (handler === "Group.lease" || handler === "door.fetch") return leases;
    if (handler === "Vantage.look") return regions * rounds;
    if (isOfCron(handler)) return crons;
    // The one is counted as what it is like, below; the other is no group's own.
    if (handler === "Group.webSocketMessage" || handler === "Vantage.alarm") return 0;
    return share(handler);
  };
  const share = (what: string) => (what.startsWith("Vantage") ? regions : 1);

  const calls = Object.values(counted.handlers).reduce((total, each) => total + each.calls, 0);
  const cpuMs = counted.cpuMs / Math.max(1, calls);
  const lingers = counted.mode === "ticks" && shape.intervalMs <= LINGER_MS;
  const usages = Object.entries(counted.handlers).map(([handler, tally]) => ({
    handler,
    usage:
      lingers && handler === "Group.alarm"
        ? usageOf(handler, lingering, MINUTES, { ...shape, cpuMs })
        : usageOf(handler, tally, minutes * factorOf(handler), { ...shape, cpuMs }),
  }));
  const of = (shared: boolean): Usage => {
    const handlers = usages
      .filter(({ handler }) => isShared(handler) === shared)
      .map(({ usage }) => usage);
    const rows = Object.entries(counted.rows)
      .filter(([what]) => isShared(what) === shared && !SIMULATED.test(what) && what !== NOTE)
      .map(([what, each]) => rowsOf(each, minutes * (isOfCron(what) ? crons : share(what))));
    return sum(...handlers, ...rows);
  };
  const wake = counted.handlers["Group.wake"] ?? nothing();
  const beat = usageOf("Group.webSocketMessage", wake, minutes * beats * crons, {
    ...shape,
    cpuMs,
  });
  const notes = rowsOf({ read: 1, written: 1 }, MINUTES * NOTES_PER_MINUTE[counted.mode]);
  const looks = usages.find(({ handler }) => handler === "Vantage.look")?.usage ?? noUsage;
  return {
    group: sum(of(false), beat, notes),
    worker: of(true),
    asks:
      counted.mode === "ticks" && shape.regions > 0
        ? {
            everyMs: shape.intervalMs,
            ring: usageOf("Vantage.alarm", RING, 1, { ...shape, cpuMs }),
          }
        : null,
    places: { gbS: looks.objectGbS, count: shape.regions },
  };
}

/** The alarm of a vantage sets the next one. */
const RING: Tally = { ...nothing(), calls: 1, alarmsSet: 1 };

const isOfCron = (name: string): boolean =>
  name.startsWith("Fleet") || name === "door.scheduled" || name === "Group.wake";

/** However many groups there are. */
const isShared = (name: string): boolean => name.startsWith("Fleet") || name === "door.scheduled";

/** A tick comes an interval after the last one ended: what it took was counted too. */
function ticksBy({ handlers, ms }: Counted, intervalMs: number): number {
  const { calls } = handlers["Group.alarm"] ?? nothing();
  if (calls === 0) return 0;
  const extraMs = Math.max(0, ms / calls - COUNTED_INTERVAL_MS);
  return (COUNTED_INTERVAL_MS + extraMs) / (intervalMs + extraMs);
}
/** `check_interval_ms` of the runs that tick. */
export const COUNTED_INTERVAL_MS = 1000;

/** worker/group.ts: a next look so near is waited for in the same invocation, for so long at most. */
const LINGER_MS = 500;
const INVOCATION_MS = 25_000;
/** A minute of that: active all the time, and hardly an alarm. */
const lingering: Tally = {
  ...nothing(),
  calls: 60_000 / INVOCATION_MS,
  activeMs: 60_000,
  alarmsSet: (2 * 60_000) / INVOCATION_MS,
};

function usageOf(
  handler: string,
  tally: Tally,
  by: number,
  { invocationLogs, cpuMs }: { readonly invocationLogs: boolean; readonly cpuMs: number },
): Usage {
  const [of = "", method = ""] = handler.split(".");
  const isCall = method !== "new";
  const calls = isCall ? tally.calls * by : 0;
  const inObject = of !== "door" && !["webSocketClose", "webSocketError"].includes(method);
  const perRequest = method === "webSocketMessage" ? MESSAGES_PER_REQUEST : 1;
  return {
    ...noUsage,
    workerRequests: of === "door" ? calls : 0,
    workerCpuMs: of === "door" ? calls * cpuMs : 0,
    objectRequests: inObject ? calls / perRequest : 0,
    objectGbS: (tally.activeMs / 1000) * OBJECT_GB * by,
    rowsWritten: (tally.alarmsSet + tally.alarmsDeleted) * by,
    kvReads: tally.kvReads * by,
    kvWrites: tally.kvWrites * by,
    logEvents: tally.logs * by + (invocationLogs ? calls : 0),
  };
}

const rowsOf = ({ read, written }: Rows, by: number): Usage => ({
  ...noUsage,
  rowsRead: read * by,
  rowsWritten: written * by,
});
