/**
 * Picket's Worker as it is, with counters: every operation that an invoice names, by who was called for what.
 *
 * Promises: changes nothing that it counts, but for a vantage's answer, which takes as long as one from another
 * continent (AWAY_MS), unbilled to the vantage itself; `GET /counts` tells everything since the last
 * `POST /counts`. An object is active while a handler, a request or a timer of it is open: that time is billed,
 * once, however many are open.
 * Must never: be deployed.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { RawEnv } from "../../worker/env.ts";
import door, {
  Fleet as RealFleet,
  Group as RealGroup,
  Vantage as RealVantage,
} from "../../worker/index.ts";
import { type Counts, nothing, type Tally } from "./tally.ts";

type Class = new (ctx: DurableObjectState, env: RawEnv) => DurableObject;
type Method = (...args: unknown[]) => unknown;
type Env = RawEnv & { readonly AWAY_MS?: number };

let counts: Record<string, Tally> = {};
/** How long objects were active at a time, by what woke them. */
let periods: Record<string, number[]> = {};
/** Rows are known when a cursor was read to its end: asked for when somebody wants to know. */
let cursors: { readonly what: string; readonly rows: SqlStorageCursor<never> }[] = [];
const add = (handler: string, what: keyof Tally, by = 1): void => {
  counts[handler] ??= nothing();
  counts[handler][what] += by;
};

/** What an object does at the moment, and since when; of the Worker itself only the handler is known. */
type Life = { open: number; sinceMs: number; billed: string };
type Scope = { readonly handler: string; readonly life: Life | null };
const scopes = new AsyncLocalStorage<Scope>();
const here = (): string => scopes.getStore()?.handler ?? "unknown";

function begin(life: Life, handler: string): () => void {
  if (life.open === 0) [life.sinceMs, life.billed] = [performance.now(), handler];
  life.open += 1;
  let ended = false;
  return () => {
    if (ended) return;
    ended = true;
    life.open -= 1;
    if (life.open > 0) return;
    periods[life.billed] ??= [];
    periods[life.billed]?.push(performance.now() - life.sinceMs);
  };
}

/** What keeps an object in memory, and billed, after its handler has ended. */
const started = (): (() => void) => {
  const scope = scopes.getStore();
  return scope?.life ? begin(scope.life, scope.handler) : () => undefined;
};
const realFetch = globalThis.fetch;
globalThis.fetch = async (...args: Parameters<typeof fetch>) => {
  add(here(), "subrequests");
  const end = started();
  return await realFetch(...args).finally(end);
};
const timers = new Map<unknown, () => void>();
const { setTimeout: realSet, clearTimeout: realClear } = globalThis;
const set = (run: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) => {
  const end = started();
  const timer = realSet(() => {
    timers.delete(timer);
    run(...args);
    end();
  }, ms);
  timers.set(timer, end);
  return timer;
};
const clear = (timer: Parameters<typeof clearTimeout>[0]) => {
  timers.get(timer)?.();
  timers.delete(timer);
  realClear(timer);
};
Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
for (const level of ["log", "info", "warn", "error", "debug"] as const) {
  const real = console[level];
  console[level] = (...args: unknown[]) => {
    add(here(), "logs");
    real(...args);
  };
}

function watchStorage(of: string, { storage }: DurableObjectState): void {
  const { sql } = storage;
  const exec = sql.exec.bind(sql);
  const [setAlarm, deleteAlarm] = [
    storage.setAlarm.bind(storage),
    storage.deleteAlarm.bind(storage),
  ];
  Object.assign(sql, {
    exec: (...args: Parameters<typeof exec>) => {
      const cursor = exec(...args);
      const what = `${of}: ${args[0].trim().split(/[(?]|\s(?=WHERE|VALUES)/)[0]}`;
      cursors.push({ what, rows: cursor as SqlStorageCursor<never> });
      return cursor;
    },
  });
  Object.assign(storage, {
    setAlarm: (...args: Parameters<typeof setAlarm>) => {
      add(here(), "alarmsSet");
      return setAlarm(...args);
    },
    deleteAlarm: (...args: Parameters<typeof deleteAlarm>) => {
      add(here(), "alarmsDeleted");
      return deleteAlarm(...args);
    },
  });
}

const kvKinds = { get: "kvReads", put: "kvWrites", delete: "kvWrites", list: "kvWrites" } as const;
const watched = new WeakSet<object>();
function watchKv({ ROUTES }: RawEnv): void {
  if (watched.has(ROUTES)) return;
  watched.add(ROUTES);
  for (const [name, kind] of Object.entries(kvKinds)) {
    const real = (Reflect.get(ROUTES, name) as Method).bind(ROUTES);
    Object.assign(ROUTES, {
      [name]: (...args: unknown[]) => {
        add(here(), kind);
        return real(...args);
      },
    });
  }
}

const pause = (ms: number) => new Promise<void>((done) => realSet(done, ms));

/** The same object; each method that somebody else can call is counted as what was called. */
function counted(of: string, Real: Class): Class {
  const lives = new WeakMap<object, Life>();
  class Counted extends Real {
    constructor(ctx: DurableObjectState, env: RawEnv) {
      add(`${of}.new`, "calls");
      watchStorage(of, ctx);
      watchKv(env);
      super(ctx, env);
      lives.set(this, { open: 0, sinceMs: 0, billed: "" });
    }
  }
  const names = Object.getOwnPropertyNames(Real.prototype).filter((name) => name !== "constructor");
  for (const name of names) {
    const real: unknown = Reflect.get(Real.prototype, name);
    if (typeof real !== "function") continue;
    const handler = `${of}.${name}`;
    const value = async function (this: DurableObject, ...args: unknown[]): Promise<unknown> {
      const life = lives.get(this);
      // One method that calls another is one call.
      if (life === undefined || scopes.getStore()?.life === life) return real.apply(this, args);
      const env: Env = Reflect.get(this, "env");
      const awayMs = handler === "Vantage.look" ? (env.AWAY_MS ?? 0) : 0;
      if (awayMs > 0) await pause(awayMs / 2);
      add(handler, "calls");
      const end = begin(life, handler);
      try {
        return await scopes.run({ handler, life }, () => real.apply(this, args));
      } finally {
        end();
        if (awayMs > 0) await pause(awayMs / 2);
      }
    };
    Object.defineProperty(Counted.prototype, name, { value, writable: true, configurable: true });
  }
  return Counted;
}

export const Group = counted("Group", RealGroup as unknown as Class);
export const Fleet = counted("Fleet", RealFleet as unknown as Class);
export const Vantage = counted("Vantage", RealVantage as unknown as Class);

function told(): Counts {
  const rows: Record<string, { read: number; written: number }> = {};
  for (const { what, rows: cursor } of cursors) {
    rows[what] ??= { read: 0, written: 0 };
    rows[what].read += cursor.rowsRead;
    rows[what].written += cursor.rowsWritten;
  }
  for (const [handler, times] of Object.entries(periods)) {
    // The median of them all: a machine that had other work for a moment says nothing of Picket.
    const median = times.sort((a, b) => a - b)[Math.floor((times.length - 1) / 2)] ?? 0;
    counts[handler] = { ...(counts[handler] ?? nothing()), activeMs: median * times.length };
  }
  return { handlers: counts, rows };
}

const inDoor = <T>(handler: string, run: () => T): T => {
  add(handler, "calls");
  return scopes.run({ handler, life: null }, run);
};

export default {
  fetch: (request, env, context) => {
    if (new URL(request.url).pathname !== "/counts")
      return inDoor("door.fetch", () => door.fetch(request, env, context));
    if (request.method === "GET") return Response.json(told());
    counts = {};
    periods = {};
    cursors = [];
    return new Response(null, { status: 204 });
  },
  scheduled: (...args: Parameters<typeof door.scheduled>) =>
    inDoor("door.scheduled", () => door.scheduled(...args)),
} satisfies ExportedHandler<RawEnv>;
