/**
 * What a Group keeps: its state as one document with a version, and the newest events.
 *
 * Promises: a decision is written whole or not at all; whoever did not read the version that is stored
 * writes nothing. Must never: know what is in the document.
 */
import type { GroupEvent } from "../core/events.ts";
import type { EventPage, LoggedEvent } from "../env.ts";

/** Events kept. */
const MAX_EVENTS = 1000;

export type Stored = { readonly version: number; readonly json: string };

export type Store = ReturnType<typeof openStore>;

export function openStore(storage: DurableObjectStorage) {
  const { sql } = storage;
  sql.exec(
    "CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER, json TEXT)",
  );
  sql.exec("CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY AUTOINCREMENT, json TEXT)");

  const read = (): Stored | null =>
    sql.exec<Stored>("SELECT version, json FROM state").toArray()[0] ?? null;

  return {
    read,

    /**
     * One transaction; throws, and writes nothing, when another instance wrote meanwhile.
     * @param json the new state; null when only events are to be written.
     * @param basis the version that was decided on; 0 when there was none.
     * @returns the version that is stored now.
     */
    write(json: string | null, events: readonly GroupEvent[], basis: number): number {
      if (json === null && events.length === 0) return basis;
      return storage.transactionSync(() => {
        const stored = sql.exec<{ version: number }>("SELECT version FROM state").toArray()[0];
        const found = stored?.version ?? 0;
        if (found !== basis)
          throw new Error(`another instance decided meanwhile: version ${found}, not ${basis}`);
        for (const event of events)
          sql.exec("INSERT INTO events (json) VALUES (?)", JSON.stringify(event));
        if (events.length > 0)
          sql.exec("DELETE FROM events WHERE seq <= (SELECT max(seq) FROM events) - ?", MAX_EVENTS);
        if (json === null) return basis;
        sql.exec("INSERT OR REPLACE INTO state VALUES (1, ?, ?)", basis + 1, json);
        return basis + 1;
      });
    },

    /** Events with a higher number than `after`, oldest first, at most `limit`; and which are kept at all. */
    events(after: number, limit: number): EventPage {
      const kept = sql
        .exec<{ oldest: number | null; newest: number | null }>(
          "SELECT min(seq) AS oldest, max(seq) AS newest FROM events",
        )
        .one();
      const events = sql
        .exec<{ seq: number; json: string }>(
          "SELECT seq, json FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
          after,
          limit,
        )
        .toArray()
        .map(({ seq, json }): LoggedEvent => ({ seq, ...(JSON.parse(json) as GroupEvent) }));
      return { events, ...kept };
    },
  };
}
