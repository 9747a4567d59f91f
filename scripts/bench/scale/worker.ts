/**
 * Picket's Worker as it is, with counters for many groups: how late their ticks are, and what these ask and write.
 *
 * Promises: changes nothing that it counts; `GET /counts` tells everything since the last `POST /counts`.
 * Must never: be deployed.
 */
import type { RawEnv } from "../../../worker/env.ts";
import door, { Group as RealGroup } from "../../../worker/index.ts";
import type { Counted } from "./counted.ts";

export { Fleet, Vantage } from "../../../worker/index.ts";

const fresh = () => ({
  lateMs: [] as number[],
  tookMs: [] as number[],
  fetches: 0,
  alarmsSet: 0,
});
let counted = fresh();
/** Rows are known when a cursor was read to its end: asked for when somebody wants to know. */
let cursors: SqlStorageCursor<never>[] = [];

const realFetch = globalThis.fetch;
globalThis.fetch = (...args: Parameters<typeof realFetch>) => {
  counted.fetches += 1;
  return realFetch(...args);
};

function watch({ storage }: DurableObjectState): void {
  const { sql } = storage;
  const exec = sql.exec.bind(sql);
  const setAlarm = storage.setAlarm.bind(storage);
  Object.assign(sql, {
    exec: (...args: Parameters<typeof exec>) => {
      const cursor = exec(...args);
      cursors.push(cursor as SqlStorageCursor<never>);
      return cursor;
    },
  });
  Object.assign(storage, {
    setAlarm: (...args: Parameters<typeof setAlarm>) => {
      counted.alarmsSet += 1;
      return setAlarm(...args);
    },
  });
}

export class Group extends RealGroup {
  constructor(ctx: DurableObjectState, env: RawEnv) {
    watch(ctx);
    super(ctx, env);
  }
  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    const startMs = Date.now();
    if (info !== undefined) counted.lateMs.push(startMs - info.scheduledTime);
    await super.alarm();
    counted.tookMs.push(Date.now() - startMs);
  }
}

export default {
  fetch: (request, env, context) => {
    if (new URL(request.url).pathname !== "/counts") return door.fetch(request, env, context);
    if (request.method === "POST") {
      counted = fresh();
      cursors = [];
      return new Response(null, { status: 204 });
    }
    const rowsWritten = cursors.reduce((sum, cursor) => sum + cursor.rowsWritten, 0);
    return Response.json({ ...counted, rowsWritten } satisfies Counted);
  },
  scheduled: door.scheduled,
} satisfies ExportedHandler<RawEnv>;
