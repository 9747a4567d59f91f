/**
 * Picket's Worker as it is, with counters: what wakes its Durable Objects, and what they read and write.
 *
 * Promises: changes nothing that it counts; `GET /counts` tells everything since the last `POST /counts`.
 * Must never: be deployed.
 */
import type { AskedLease, RawEnv } from "../../../worker/env.ts";
import door, { Fleet as RealFleet, Group as RealGroup } from "../../../worker/index.ts";

export { Vantage } from "../../../worker/index.ts";

const counts = new Map<string, number>();
/** Rows are known when a cursor was read to its end: asked for when somebody wants to know. */
const cursors: { readonly of: string; readonly rows: SqlStorageCursor<never> }[] = [];
const count = (what: string, by = 1) => counts.set(what, (counts.get(what) ?? 0) + by);

function watchStorage(of: string, { storage }: DurableObjectState): void {
  const { sql } = storage;
  const exec = sql.exec.bind(sql);
  const setAlarm = storage.setAlarm.bind(storage);
  Object.assign(sql, {
    exec: (...args: Parameters<typeof exec>) => {
      const cursor = exec(...args);
      cursors.push({ of, rows: cursor as SqlStorageCursor<never> });
      return cursor;
    },
  });
  Object.assign(storage, {
    setAlarm: (...args: Parameters<typeof setAlarm>) => {
      count(`${of}: alarms set`);
      return setAlarm(...args);
    },
  });
}

const watched = new WeakSet<object>();
function watchKv({ ROUTES }: RawEnv): void {
  if (watched.has(ROUTES)) return;
  watched.add(ROUTES);
  for (const name of ["get", "put", "list", "delete"] as const) {
    const real = (ROUTES[name] as (...args: unknown[]) => unknown).bind(ROUTES);
    Object.assign(ROUTES, {
      [name]: (...args: unknown[]) => {
        count(`KV: ${name}`);
        return real(...args);
      },
    });
  }
}

export class Group extends RealGroup {
  constructor(ctx: DurableObjectState, env: RawEnv) {
    count("Group: begun anew, after it slept");
    watchStorage("Group", ctx);
    watchKv(env);
    super(ctx, env);
  }
  override alarm(): Promise<void> {
    count("Group: alarms");
    return super.alarm();
  }
  override fetch(request: Request): Promise<Response> {
    count("Group: connections of relays");
    return super.fetch(request);
  }
  override webSocketMessage(socket: WebSocket, data: unknown): Promise<void> {
    count("Group: messages of relays");
    return super.webSocketMessage(socket, data);
  }
  override webSocketClose(): Promise<void> {
    count("Group: connections ended");
    return super.webSocketClose();
  }
  override wake(name: string): Promise<void> {
    count("Group: wake by cron");
    return super.wake(name);
  }
  override lease(name: string, asked: AskedLease) {
    count("Group: leases asked for");
    return super.lease(name, asked);
  }
}

export class Fleet extends RealFleet {
  constructor(ctx: DurableObjectState, env: RawEnv) {
    count("Fleet: begun anew, after it slept");
    watchStorage("Fleet", ctx);
    super(ctx, env);
  }
  override keep(...args: Parameters<RealFleet["keep"]>) {
    count("Fleet: calls");
    return super.keep(...args);
  }
  override names() {
    count("Fleet: calls");
    return super.names();
  }
}

function told(): Record<string, number> {
  const all = Object.fromEntries(counts);
  for (const { of, rows } of cursors) {
    const [read, written] = [`${of}: rows read`, `${of}: rows written`];
    all[read] = (all[read] ?? 0) + rows.rowsRead;
    all[written] = (all[written] ?? 0) + rows.rowsWritten;
  }
  return all;
}

export default {
  fetch: (request, env, context) => {
    if (new URL(request.url).pathname !== "/counts") return door.fetch(request, env, context);
    if (request.method === "GET") return Response.json(told());
    counts.clear();
    cursors.length = 0;
    return new Response(null, { status: 204 });
  },
  scheduled: door.scheduled,
} satisfies ExportedHandler<RawEnv>;
