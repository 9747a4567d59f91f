/**
 * Who asked this vantage, and when: the second clock of every group that did.
 *
 * Rules: who meant to ask again and did not for two intervals is woken; if that does not help, again after four, eight,
 * and so on; who does not ask for ten minutes is forgotten, and so is who leaves its next look to others.
 * Promises: a row is written only when a group is new, means something else than before, is woken, or asks after that;
 * the alarm only when none stands. Both survive an eviction, and after one whoever is known and does not ask is woken;
 * since when one does not ask survives it too, for an object that nobody asks sleeps between its alarms, and each of
 * them puts it up anew. Nothing throws out of it: a look is worth more than its register.
 */
import type { Sleeper } from "../env.ts";

export type Asker = Sleeper & {
  /** When it means to ask again; null: it leaves that to others. */
  readonly againMs: number | null;
};

type Entry = Sleeper & {
  readonly againMs: number;
  readonly askedAtMs: number;
  readonly dueAtMs: number;
  /** It was woken since it asked, and its row says when that was. */
  readonly overdue: boolean;
};

/** Two alarms are at least so far apart: while somebody is overdue, and while all is well, for each one costs. */
const APART_MS = { overdue: 1000, well: 5000 };
/** Who does not ask for so long is gone, or asks another vantage. */
const FORGET_MS = 600_000;
/** An alarm may be late by a minute. */
const LOST_MS = 60_000;

export type Register = ReturnType<typeof createRegister>;

/** @param startedAtMs since when this is in memory: nobody has asked yet. */
export function createRegister(storage: DurableObjectStorage, startedAtMs: number) {
  const { sql } = storage;
  sql.exec(
    "CREATE TABLE IF NOT EXISTS askers (name TEXT PRIMARY KEY, location TEXT, again_ms INTEGER, silent_since_ms INTEGER)",
  );
  type Row = {
    name: string;
    location: string | null;
    again_ms: number;
    silent_since_ms: number | null;
  };
  const entries = new Map(
    sql
      .exec<Row>("SELECT name, location, again_ms, silent_since_ms FROM askers")
      .toArray()
      .map(({ name, location, again_ms: againMs, silent_since_ms: sinceMs }): [string, Entry] => {
        // A clock may have gone back since.
        const askedAtMs = Math.min(sinceMs ?? startedAtMs, startedAtMs);
        const overdue = sinceMs !== null;
        return [name, { name, location, againMs, askedAtMs, dueAtMs: startedAtMs, overdue }];
      }),
  );
  /** Null: none stands; undefined: not known. */
  let armedAtMs: number | null | undefined;

  /** Sets the alarm, unless one stands that comes soon enough; one that should have rung long ago is lost. */
  async function arm(atMs: number, nowMs: number): Promise<void> {
    try {
      if (armedAtMs === undefined) armedAtMs = await storage.getAlarm();
      if (armedAtMs !== null && armedAtMs <= atMs && armedAtMs > nowMs - LOST_MS) return;
      armedAtMs = atMs;
      await storage.setAlarm(atMs);
    } catch (error) {
      armedAtMs = undefined;
      console.error("no alarm", error instanceof Error ? error.message : "unknown");
    }
  }

  function write(statement: string, ...values: readonly (string | number | null)[]): void {
    try {
      sql.exec(statement, ...values);
    } catch (error) {
      console.error("not noted", error instanceof Error ? error.message : "unknown");
    }
  }

  function note(asker: Sleeper & { readonly againMs: number }, silentSinceMs: number | null): void {
    const { name, location, againMs } = asker;
    write(
      "INSERT OR REPLACE INTO askers VALUES (?, ?, ?, ?)",
      name,
      location,
      againMs,
      silentSinceMs,
    );
  }

  function forget(name: string): void {
    if (entries.delete(name)) write("DELETE FROM askers WHERE name = ?", name);
  }

  return {
    /** @param forMs how long the look may take that it asked for. */
    async asked({ name, location, againMs }: Asker, forMs: number, nowMs: number): Promise<void> {
      if (againMs === null) return forget(name);
      const before = entries.get(name);
      const dueAtMs = nowMs + forMs + 2 * againMs;
      entries.set(name, { name, location, againMs, askedAtMs: nowMs, dueAtMs, overdue: false });
      if (before?.againMs !== againMs || before.location !== location || before.overdue)
        note({ name, location, againMs }, null);
      await arm(Math.max(dueAtMs, nowMs + APART_MS.well), nowMs);
    },

    /** The alarm went off: sets the next one, and tells who is to be woken. */
    async rang(nowMs: number): Promise<readonly Sleeper[]> {
      armedAtMs = null;
      const overdue: Sleeper[] = [];
      let nextAtMs = Number.POSITIVE_INFINITY;
      for (const entry of [...entries.values()]) {
        if (nowMs - entry.askedAtMs >= FORGET_MS) {
          forget(entry.name);
          continue;
        }
        const { name, location, againMs, askedAtMs } = entry;
        let { dueAtMs } = entry;
        if (dueAtMs <= nowMs) {
          overdue.push({ name, location });
          if (!entry.overdue) note({ name, location, againMs }, askedAtMs);
          // As long again as it has been silent, and two intervals: after 2 of them 4 more, then 8, 16.
          dueAtMs = nowMs + Math.max(0, nowMs - askedAtMs) + 2 * againMs;
          entries.set(name, { ...entry, dueAtMs, overdue: true });
        }
        nextAtMs = Math.min(nextAtMs, dueAtMs, askedAtMs + FORGET_MS);
      }
      const apartMs = overdue.length > 0 ? APART_MS.overdue : APART_MS.well;
      if (entries.size > 0) await arm(Math.max(nextAtMs, nowMs + apartMs), nowMs);
      return overdue;
    },
  };
}
