/**
 * Tells a TCP client on Node who the primary is: at the start, and whenever it became another one.
 *
 * Promises: the newest (epoch, rev) of all sources wins and nobody leads it back; the last good route is kept
 * when every source is silent; whatever is no route of the group is told, and changes nothing; one source that
 * fails, hangs or lies holds up no other; after `close` nothing is called.
 * Must never: talk to Redis, throw out of the background, or tell a token.
 */
import { isNewer, parseRoute, type Route } from "../core/route.ts";
import { type FollowSource, nameOf, readSource, type Trouble } from "./follow-sources.ts";

export type { FollowSource };

/** A route whose primary is known. */
export type Followed = Route & { readonly primary: NonNullable<Route["primary"]> };

export type FollowProblem = {
  /** "relay https://relay-a.example.com": whose fault it is. */
  readonly source: string;
  /**
   * unreachable, silent: no answer, or none any more. refused: it answered with another status than 200.
   * malformed: no route. version: a route of a newer version of Picket. group: another group's.
   * callback: the callback threw.
   */
  readonly kind: Trouble | "version" | "group" | "callback";
  readonly detail: string;
};

export type FollowOptions = {
  readonly group: string;
  /** Told once as long as it lasts; by default nobody is told. Must not throw. */
  readonly onProblem?: (problem: FollowProblem) => void;
  /** Longest wait for an answer, and for the beginning of a stream; 5000. */
  readonly timeoutMs?: number;
  /** A stream that is silent for so long is opened anew; a relay's heart beats every 15 s; 40000. */
  readonly silenceMs?: number;
  /** Longest pause before a source that failed is asked again; 10000. */
  readonly maxBackoffMs?: number;
};

export type Follower = {
  /** The newest so far; null: none yet. */
  route(): Route | null;
  /** Ends every request and every wait. */
  close(): void;
};

/**
 * Follows the route of `options.group` as any of `sources` tells it.
 *
 * `callback(route, old)` is called as soon as a primary is known (`old` is null), and each time it became another
 * node, or the same one at another address. It is not waited for; what it throws or rejects with goes to `onProblem`.
 * @throws TypeError when an option is wrong; the message names it, its value and what is allowed.
 */
export function follow(
  sources: FollowSource | readonly FollowSource[],
  callback: (route: Followed, old: Followed | null) => void | Promise<void>,
  options: FollowOptions,
): Follower {
  const all = [sources].flat();
  check(all, options);
  const { group, timeoutMs = 5000, silenceMs = 40_000, maxBackoffMs = 10_000 } = options;
  const ending = new AbortController();
  const { signal } = ending;
  let newest: Route | null = null;
  let told: Followed | null = null;
  const troubles = new Map<FollowSource, string>();

  function complain(source: FollowSource, kind: FollowProblem["kind"], detail: string): void {
    if (signal.aborted || troubles.get(source) === `${kind} ${detail}`) return;
    troubles.set(source, `${kind} ${detail}`);
    try {
      options.onProblem?.({ source: nameOf(source), kind, detail });
    } catch {
      // Nothing throws out of the background.
    }
  }

  function learn(source: FollowSource, value: unknown): boolean {
    const route = parseRoute(value);
    if (route === null) {
      const { v } = (value ?? {}) as { readonly v?: unknown };
      if (typeof v === "number" && v > 1) complain(source, "version", `a route of version ${v}`);
      else complain(source, "malformed", "JSON, but no route");
      return false;
    }
    if (route.group !== group) {
      complain(source, "group", `a route of group ${route.group.slice(0, 64)}`);
      return false;
    }
    troubles.delete(source);
    if (!isNewer(route, newest)) return true;
    newest = route;
    if (!isFollowed(route) || (told !== null && isSame(told.primary, route.primary))) return true;
    const old = told;
    told = route;
    const failed = (error: unknown) =>
      complain(source, "callback", error instanceof Error ? error.name : "threw");
    try {
      Promise.resolve(callback(route, old)).catch(failed);
    } catch (error) {
      failed(error);
    }
    return true;
  }

  for (const source of all) {
    void readSource(source, {
      ...{ group, signal, timeoutMs, silenceMs, maxBackoffMs },
      onValue: (value) => learn(source, value),
      onTrouble: (kind, detail) => complain(source, kind, detail),
    });
  }
  return { route: () => newest, close: () => ending.abort() };
}

const isFollowed = (route: Route): route is Followed => route.primary !== null;

type Primary = Followed["primary"];
const isSame = (a: Primary, b: Primary) =>
  a.id === b.id && a.host === b.host && a.port === b.port && a.tls === b.tls;

function check(sources: readonly FollowSource[], options: FollowOptions): void {
  const wrong = (name: string, value: unknown, allowed: string) => {
    throw new TypeError(`follow: ${name} is ${JSON.stringify(value)}, but must be ${allowed}`);
  };
  if (sources.length === 0) wrong("sources", [], "one source or more");
  for (const [index, source] of sources.entries()) {
    const at = `sources[${index}]`;
    if (!["relay", "api", "kv"].includes(source.kind))
      wrong(`${at}.kind`, source.kind, '"relay", "api" or "kv"');
    if (typeof source.token !== "string" || source.token === "")
      throw new TypeError(`follow: ${at}.token must be a string that is not empty`);
    const url = source.kind === "kv" ? (source.apiUrl ?? "https://none") : source.url;
    if (!/^https?:\/\/[^\s/]/.test(url)) wrong(`${at}.url`, url, "an http or https address");
    if (source.kind === "relay") continue;
    if (source.kind === "kv")
      for (const id of ["accountId", "namespaceId"] as const)
        if (!/^\w+$/.test(source[id] ?? ""))
          wrong(`${at}.${id}`, source[id], "an id of Cloudflare's");
    if (source.pollMs !== undefined && !(source.pollMs >= 100 && source.pollMs < 2 ** 31))
      wrong(`${at}.pollMs`, source.pollMs, "from 100 to 2147483647");
  }
  if (typeof options?.group !== "string" || options.group === "")
    wrong("group", options?.group, "the name of a group");
  for (const name of ["timeoutMs", "silenceMs", "maxBackoffMs"] as const) {
    const value = options[name];
    if (value !== undefined && !(value > 0 && value < 2 ** 31))
      wrong(name, value, "above 0 and below 2147483648");
  }
}
