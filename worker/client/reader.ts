/**
 * Follows the route of one group: KV as a rule, the authority on demand, the last good one else.
 *
 * Promises: never goes back to a lower (epoch, rev); never rejects; every wait has a deadline;
 * concurrent callers share one request; whatever a source says, a good route is never lost.
 * Must never: talk to Redis.
 */
import { isNewer, parseRoute, type Route, routeKey } from "../core/route.ts";
import type { Logger } from "./options.ts";
import { pause, shared, within } from "./wait.ts";

/** A KV namespace, as far as it is needed. */
export type RouteStore = {
  get(key: string, options: { type: "json"; cacheTtl: number }): Promise<unknown>;
};

/** Who knows the route at once: Picket's API or a relay, by HTTPS or by service binding. */
export type Authority =
  /** `url`: without path, `https://picket.example.com`; `token`: a read token. */
  { readonly url: string; readonly token: string } | { fetch(request: Request): Promise<Response> };

/** Why a source gave no route. `detail`: a status, or an error's name. */
export type RouteProblem = {
  readonly source: "kv" | "authority";
  readonly kind:
    | "missing"
    | "malformed"
    | "newer-version"
    | "other-group"
    | "unknown-group"
    | "denied"
    | "failed"
    | "silent";
  readonly detail: string;
};
type Told = Omit<RouteProblem, "source"> | { readonly kind: "told"; readonly value: unknown };

/** How a new route was learned: as a rule, or because a command failed. */
export type SwitchReason = "route" | "failure";
export type OnSwitch = (from: Route, to: Route, reason: SwitchReason) => void;

export type ReaderOptions = {
  readonly authority?: Authority | undefined;
  /** How long a route is believed without asking KV again. */
  readonly memoMs: number;
  readonly onSwitch?: OnSwitch | undefined;
  readonly logger?: Logger | undefined;
  /** Keeps what is read behind a caller's back alive when the caller is done. */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
};

export type RouteReader = {
  /** The route of the memo, null when it is older than `memoMs`. */
  fresh(nowMs: number): Route | null;
  /** The route as KV has it; null: none was ever had. Renewed behind the caller's back while it is not too old. */
  current(): Promise<Route | null>;
  /**
   * Asks the authority, and KV where there is none; null: none was ever had. `wait`: for a newer route, for as long as
   * the authority waits for one (Picket's own: a second at most; a relay not at all).
   */
  ask(wait?: boolean): Promise<Route | null>;
  /** The best route so far, without asking anyone. */
  known(): Route | null;
  /** What each source's last answer lacked. */
  problems(): readonly RouteProblem[];
};

/** The lowest that KV allows; its default is 60. */
const cacheTtlS = 30;
/** Spreads the askers: all clients of a dead primary notice within the same milliseconds. */
const jitterMs = 100;
const readTimeoutMs = 1500;
/** While anyone waits for a primary: the authority is asked this often, once for all calls of the isolate. */
export const askAgainMs = 150;

export function readRoutes(kv: RouteStore, group: string, options: ReaderOptions): RouteReader {
  const { authority, memoMs, onSwitch, logger, waitUntil } = options;
  let best: Route | null = null;
  let readAtMs = Number.NEGATIVE_INFINITY;
  /** When somebody waited, and heard nothing new. */
  let idleAtMs = readAtMs;
  const problems = new Map<RouteProblem["source"], RouteProblem>();

  function learn(route: Route, reason: SwitchReason): void {
    if (!isNewer(route, best)) return;
    const old = best;
    best = route;
    const node = route.primary?.id;
    if (!old?.primary || node === undefined || old.primary.id === node) return;
    // It may be asynchronous.
    (async () => onSwitch?.(old, route, reason))().catch((error) =>
      logger?.warn?.("onSwitch threw", { error: nameOf(error) }),
    );
  }

  /** True when a route was read, even an old one. */
  async function read(
    source: RouteProblem["source"],
    reason: SwitchReason,
    work: () => Promise<Told>,
  ): Promise<boolean> {
    const told = await within(readTimeoutMs, work).catch(problemOf);
    const found = told.kind === "told" ? routeIn(told.value, group) : told;
    if (!("detail" in found)) {
      learn(found, reason);
      return problems.delete(source) || true;
    }
    const problem = { source, ...found };
    if (problems.get(source)?.kind !== found.kind) logger?.warn?.("no route there", problem);
    problems.set(source, problem);
    return false;
  }

  const readKv = (reason: SwitchReason) => () =>
    read("kv", reason, async () => ({
      kind: "told",
      value: await kv.get(routeKey(group), { type: "json", cacheTtl: cacheTtlS }),
    }));
  const readAuthority = (reason: SwitchReason, wait?: boolean) => async () => {
    if (authority === undefined) return false;
    // Who asked a moment ago is one of the crowd no more.
    if (!wait) await pause(Math.random() * jitterMs);
    return read("authority", reason, () => request(authority, group, wait ? best : null));
  };

  /** `news`: who knows nothing newer may be behind, and is not the last one asked. */
  const inTurn = (news: boolean, ...sources: readonly (() => Promise<boolean>)[]) => {
    const run = shared(2 * readTimeoutMs + jitterMs, async () => {
      const before = best;
      for (const source of sources) if ((await source()) && !(news && best === before)) break;
      readAtMs = Date.now();
    });
    return () => {
      const running = run();
      // On Workers a question would die with the request that asked first.
      waitUntil?.(running);
      return running;
    };
  };
  const refresh = inTurn(false, readKv("route"), readAuthority("route"));
  // Apart: nobody who waits for the other one waits for this.
  const behind = inTurn(false, readKv("route"), readAuthority("route"));
  const renew = inTurn(true, readAuthority("failure"), readKv("failure"));
  const next = inTurn(true, readAuthority("failure", true), readKv("failure"));

  /** A clock that was set back must not keep a route for ever. */
  const isWithin = (ms: number, nowMs: number, sinceMs = readAtMs) =>
    nowMs - sinceMs < ms && nowMs >= sinceMs;

  return {
    fresh: (nowMs) => (isWithin(memoMs, nowMs) ? best : null),
    async current() {
      const nowMs = Date.now();
      if (best !== null && isWithin(memoMs, nowMs)) return best;
      if (best === null || memoMs === 0 || !isWithin(cacheTtlS * 1000, nowMs)) await refresh();
      // KV's own copy may be as old: nobody waits for the next one, so a silent KV holds up nobody.
      else void behind();
      return best;
    },
    async ask(wait) {
      const before = best;
      if (wait && isWithin(askAgainMs, Date.now(), idleAtMs)) return best;
      await (wait ? next : renew)();
      if (wait && best === before) idleAtMs = Date.now();
      return best;
    },
    known: () => best,
    problems: () => [...problems.values()],
  };
}

function routeIn(value: unknown, group: string): Route | Omit<RouteProblem, "source"> {
  const detail = "";
  const route = parseRoute(value);
  if (route !== null) return route.group === group ? route : { kind: "other-group", detail };
  const { v } = (value ?? {}) as { v?: unknown };
  const kind = value === null ? "missing" : Number(v) > 1 ? "newer-version" : "malformed";
  return { kind, detail };
}

function problemOf(error: unknown): Omit<RouteProblem, "source"> {
  const detail = nameOf(error);
  // Truncated JSON is a SyntaxError.
  const kind =
    detail === "SyntaxError" ? "malformed" : detail === "TimeoutError" ? "silent" : "failed";
  return { kind, detail };
}

/** Messages are not told: they may hold an address with a token. */
const nameOf = (error: unknown): string => (error instanceof Error ? error.name : "unknown");

async function request(authority: Authority, group: string, after: Route | null): Promise<Told> {
  const query = after ? `?after=${after.epoch}.${after.rev}` : "";
  const path = `/v1/groups/${encodeURIComponent(group)}/route${query}`;
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
  if (response.ok) return { kind: "told", value: await response.json() };
  await response.body?.cancel();
  const { status } = response;
  const kind =
    status === 404 ? "unknown-group" : status === 401 || status === 403 ? "denied" : "failed";
  return { kind, detail: String(status) };
}
