/**
 * Where a vantage really runs, as Cloudflare's own trace page tells it.
 *
 * Promises: asked for beside everything else, at the start and once an hour, bounded in time and size; whoever does
 * not get an answer does not know, and asks again some minutes later. Nothing rejects.
 */
import type { Whereabouts } from "../core/looking.ts";
import { type Fetch, request } from "../relay/request.ts";
import { regionOf } from "./colos.ts";

const HOUR_MS = 3_600_000;
const RETRY_MS = 300_000;
const LIMITS = { timeoutMs: 2000, maxBytes: 4096 };

const nowhere: Whereabouts = { colo: null, region: null };

export type Place = ReturnType<typeof createWhereabouts>;

/** @param url of the trace page; empty: it is not asked. */
export function createWhereabouts(url: string, send?: Fetch) {
  let known = nowhere;
  let askAtMs = 0;

  async function ask(): Promise<void> {
    const answer = await request(
      { method: "GET", url, headers: {} },
      { ...LIMITS, parse: coloIn, ...(send === undefined ? {} : { fetch: send }) },
    );
    const colo = answer.kind === "json" && answer.status === 200 ? answer.body : null;
    if (typeof colo !== "string") return;
    known = { colo, region: regionOf(colo) };
    askAtMs = Date.now() + HOUR_MS;
  }

  return {
    known: (): Whereabouts => known,

    /** Asks, if it is time. Nobody waits for it. */
    refresh(): void {
      const nowMs = Date.now();
      if (url === "" || nowMs < askAtMs) return;
      askAtMs = nowMs + RETRY_MS;
      void ask();
    },
  };
}

/** `colo=FRA`, on a line of its own. */
const coloIn = (text: string): string | null => /^colo=([A-Z]{3})$/m.exec(text)?.[1] ?? null;
