/**
 * Follows the route of one group: KV as a rule, the authority on demand, the last good one else.
 *
 * Promises: never goes back to a lower (epoch, rev); never rejects; every wait has a deadline;
 * concurrent callers share one request.
 * Must never: talk to Redis.
 */
import { isNewer, parseRoute, type Route, routeKey } from "../core/route.ts";

/** A KV namespace, as far as it is needed. */
export type RouteStore = {
  get(key: string, options: { type: "json"; cacheTtl: number }): Promise<unknown>;
};

/** Who knows the route at once: Picket's API or a relay, by HTTPS or by service binding. */
export type Authority =
  /** `url`: without path, `https://picket.example.com`; `token`: a read token. */
  { readonly url: string; readonly token: string } | { fetch(request: Request): Promise<Response> };

export type ReaderOptions = {
  readonly authority?: Authority;
  /** How long a route is believed without asking KV again. */
  readonly memoMs: number;
  readonly onSwitch?: (from: Route, to: Route) => void;
};

export type RouteReader = {
  /** The route as KV has it, at most `memoMs` old; null: none was ever had. */
  current(): Promise<Route | null>;
  /** Asks the authority, and KV where there is none; null: none was ever had. */
  ask(): Promise<Route | null>;
  /** The best route so far, without asking anyone. */
  known(): Route | null;
};

/** The lowest that KV allows; its default is 60. */
const cacheTtlS = 30;
/** Spreads the askers: all clients of a dead primary notice within the same milliseconds. */
const jitterMs = 100;
const readTimeoutMs = 1500;

export function readRoutes(kv: RouteStore, group: string, options: ReaderOptions): RouteReader {
  const { authority, memoMs, onSwitch } = options;
  let best: Route | null = null;
  let readAtMs = Number.NEGATIVE_INFINITY;

  /** True when a route was read, even an old one. */
  function learn(value: unknown): boolean {
    const route = parseRoute(value);
    if (route === null || route.group !== group) return false;
    if (!isNewer(route, best)) return true;
    const old = best;
    best = route;
    if (old?.primary && route.primary && old.primary.id !== route.primary.id)
      onSwitch?.(old, route);
    return true;
  }

  const readKv = async () => {
    const key = routeKey(group);
    return learn(
      await within(readTimeoutMs, () => kv.get(key, { type: "json", cacheTtl: cacheTtlS })),
    );
  };

  async function readAuthority(): Promise<boolean> {
    if (authority === undefined) return false;
    await pause(Math.random() * jitterMs);
    return learn(await within(readTimeoutMs, () => request(authority, group)));
  }

  const reads =
    (...sources: readonly (() => Promise<boolean>)[]) =>
    async () => {
      for (const source of sources) if (await source()) break;
      readAtMs = Date.now();
    };
  const refresh = shared(reads(readKv, readAuthority));
  const renew = shared(reads(readAuthority, readKv));

  return {
    async current() {
      const ageMs = Date.now() - readAtMs;
      // A clock that was set back must not keep a route for ever.
      if (best === null || ageMs >= memoMs || ageMs < 0) await refresh();
      return best;
    },
    async ask() {
      await renew();
      return best;
    },
    known: () => best,
  };
}

async function request(authority: Authority, group: string): Promise<unknown> {
  const path = `/v1/groups/${encodeURIComponent(group)}/route`;
  const init = { signal: AbortSignal.timeout(readTimeoutMs) };
  const response =
    "fetch" in authority
      ? await authority.fetch(new Request(`https://picket${path}`, init))
      : await fetch(authority.url.replace(/\/+$/, "") + path, {
          ...init,
          // A token goes to one address only.
          redirect: "manual",
          headers: { authorization: `Bearer ${authority.token}` },
        });
  if (response.ok) return response.json();
  await response.body?.cancel();
  return null;
}

/** One run at a time; who comes meanwhile waits for that one. */
function shared(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<unknown> | null = null;
  return async () => {
    // Bounded here too: on Workers, a run dies unsettled with the request that began it.
    const mine = running ?? within(2 * readTimeoutMs + jitterMs, work);
    running = mine;
    await within(2 * readTimeoutMs + 2 * jitterMs, () => mine);
    if (running === mine) running = null;
  };
}

/** The answer, or null when it fails or comes late. */
async function within(ms: number, ask: () => Promise<unknown>): Promise<unknown> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms);
  });
  try {
    return await Promise.race([ask(), late]);
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
