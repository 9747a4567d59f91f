/**
 * The KV routing table: one key a group, read by apps at the edge.
 *
 * Promises: a put that resolved is `done`: KV is eventually consistent, so it is read only on a slow look, and
 * what is found then is told as drift. A higher (epoch, rev) than the group's own, found on a slow look, is told and
 * left: readers would refuse to go back.
 * Must never: delete a key: a missing one is cached as missing.
 */
import { isNewer, parseRoute, type Route, routeKey } from "../core/route.ts";
import { brief, within } from "../relay/request.ts";
import type { Publisher, PublishResult } from "./publisher.ts";

/** What is asked of the binding. */
export type RouteStore = {
  get(key: string, options: { readonly type: "text"; readonly cacheTtl: number }): Promise<unknown>;
  put(key: string, value: string): Promise<void>;
};

const NOTHING = "nothing";
/** The least that KV allows: what an app reads at the edge may be as old. */
const CACHE_TTL_S = 30;
/** KV takes one write a second per key. */
const ONE_A_SECOND_MS = 1000;
/** The day of a plan ends at 00:00 UTC; a larger plan may come sooner. */
const DAY_IS_FULL_MS = 600_000;

export function kvPublisher(store: RouteStore): Publisher {
  return {
    name: "kv",
    publish: (route, { timeoutMs, beat }) => {
      if (!(timeoutMs > 0))
        return Promise.resolve({
          kind: "unreachable",
          detail: "no time left: nothing was written",
        });
      let writing = false;
      const put = async (): Promise<PublishResult> => {
        writing = true;
        try {
          await store.put(routeKey(route.group), JSON.stringify(route));
          return { kind: "done", detail: `written: ${nameOf(route)}` };
        } catch (error) {
          return failure("put", error);
        }
      };
      return within<PublishResult>(
        timeoutMs,
        beat === undefined ? put : () => look(store, route, put, beat === "repair"),
        // A put cannot be aborted: it may still land.
        () =>
          writing
            ? { kind: "unknown", detail: `put did not end within ${timeoutMs} ms` }
            : { kind: "failed", detail: `get did not end within ${timeoutMs} ms` },
      );
    },
  };
}

/** Reads what apps read; `mend`: sets right what is wrong. */
async function look(
  store: RouteStore,
  route: Route,
  put: () => Promise<PublishResult>,
  mend: boolean,
): Promise<PublishResult> {
  let text: unknown;
  try {
    text = await store.get(routeKey(route.group), { type: "text", cacheTtl: CACHE_TTL_S });
  } catch (error) {
    return failure("get", error);
  }
  const found = compare(text, route);
  if (found === null) return { kind: "done", detail: `as published: ${nameOf(route)}` };
  const { drift, newer } = found;
  // A missing key is cached as missing, for every reader: it is never left so.
  if (!mend && drift !== NOTHING) return { kind: "done", detail: "left as it is", drift };
  if (!newer) return { ...(await put()), drift };
  const detail = `${drift}: not written over, for readers would refuse to go back; another Picket writes this key, or this group lost its state`;
  return { kind: "failed", detail, drift };
}

/** What stands there instead of the route; null: the route. */
function compare(text: unknown, route: Route): { drift: string; newer: boolean } | null {
  const other = (drift: string, newer = false) => ({ drift, newer });
  if (text === null || text === undefined) return other(NOTHING);
  const held = parseRoute(json(text));
  if (held === null) return other("no route that this version reads");
  if (held.group !== route.group) return other(brief(`the route of the group ${held.group}`));
  if (isNewer(held, route)) return other(`${nameOf(held)}, higher than the group's own`, true);
  if (isNewer(route, held)) return other(nameOf(held));
  // Both in the order of the schema. When it began is for people, and moves with a clock that is set back.
  const textOf = (each: Route | null) => JSON.stringify({ ...each, updatedAt: "" });
  const same = textOf(held) === textOf(parseRoute(route));
  return same ? null : other(`${nameOf(held)}, but with another content`);
}

function json(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch {
    return null;
  }
}

const nameOf = ({ epoch, rev }: Route) => `epoch ${epoch}, rev ${rev}`;

/** KV says what is wrong in words: `KV PUT failed: 429 Too Many Requests`. */
function failure(what: "get" | "put", error: unknown): PublishResult {
  const message = error instanceof Error ? error.message : `${what} failed`;
  const status = /\bfailed: (\d{3})\b/.exec(message)?.[1];
  if (/limit exceeded for the day/i.test(message)) {
    const detail = `${brief(message)}: a larger plan, or 00:00 UTC, lets it go on`;
    return { kind: "failed", detail, retryAfterMs: DAY_IS_FULL_MS };
  }
  if (status === "429")
    return { kind: "failed", detail: brief(message), retryAfterMs: ONE_A_SECOND_MS };
  if (status === "404" || status === "403" || status === "401") {
    const detail = `${brief(message)}: is the namespace of the binding ROUTES still there?`;
    return { kind: "failed", detail };
  }
  // No status: words of the network. A put may have landed all the same.
  const mayHaveLanded = what === "put" && status === undefined;
  return { kind: mayHaveLanded ? "unknown" : "failed", detail: brief(message) };
}
