/**
 * The last route that was pushed, for apps beside Redis: also when the edge is away.
 *
 * Promises: a stream begins with the route as it is and tells each newer one; a reader that does not read is
 * dropped, and gets the newest when it comes again; a stream ends with its token, at the next route or beat.
 * Must never: serve a route that the Group did not push to this relay since it started.
 */
import type { Context, Hono } from "hono";
import { streamSSE } from "hono/streaming";
import type { Route } from "../../core/route.ts";
import type { Env } from "../tokens.ts";

/** Proxies close what is silent for a minute. */
const BEAT_MS = 15_000;
const MAX_STREAMS = 1000;

type Reader = (route: Route) => void;

export function createRouteBoard(ending: AbortSignal) {
  const routes = new Map<string, Route>();
  const readers = new Map<string, Set<Reader>>();
  let streams = 0;

  const none = (c: Context<Env>) =>
    c.json({ error: "NOROUTE no route of this group was pushed to this relay yet" }, 503);

  function answer(c: Context<Env>): Response {
    const group = c.req.param("group") ?? "";
    const route = routes.get(group);
    c.header("cache-control", "no-store");
    if (!/\btext\/event-stream\b/.test(c.req.header("accept") ?? ""))
      return route === undefined ? none(c) : c.json(route);
    if (streams >= MAX_STREAMS)
      return c.json({ error: `RELAY_BUSY ${MAX_STREAMS} streams of routes are open` }, 503);
    return follow(c, group);
  }

  function follow(c: Context<Env>, group: string): Response {
    const callerNow = c.get("callerNow");
    return streamSSE(c, async (stream) => {
      const isOver = () => stream.aborted || ending.aborted || callerNow().face === "none";
      streams += 1;
      let newest = routes.get(group) ?? null;
      let wake = () => {};
      const hear: Reader = (route) => {
        newest = route;
        wake();
      };
      const leave = () => wake();
      const all = readers.get(group) ?? new Set();
      readers.set(group, all.add(hear));
      stream.onAbort(leave);
      ending.addEventListener("abort", leave);
      try {
        while (!isOver()) {
          const route = newest;
          newest = null;
          // A reader that does not read holds up no more than its own stream.
          if (route === null) await stream.write(": \n\n");
          else await stream.writeSSE({ event: "route", data: JSON.stringify(route) });
          if (newest === null && !isOver()) await rest();
        }
      } finally {
        streams -= 1;
        all.delete(hear);
        ending.removeEventListener("abort", leave);
      }

      function rest(): Promise<void> {
        return new Promise((resolve) => {
          const done = () => {
            clearTimeout(timer);
            wake = () => {};
            resolve();
          };
          const timer = setTimeout(done, BEAT_MS);
          wake = done;
        });
      }
    });
  }

  return {
    put(route: Route): void {
      routes.set(route.group, route);
      for (const hear of readers.get(route.group) ?? []) hear(route);
    },
    addTo(app: Hono<Env>): void {
      app.get("/v1/groups/:group/route", answer);
    },
  };
}
