/**
 * How the demo sees what happens: from outside, by asking again and again.
 *
 * Promises: every wait ends: with the sight and the time of it, or with an error that names what was not seen.
 * Must never: believe what Picket says of Redis where Redis can be asked itself.
 */
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "@redis/client";
import { parseRoute, type Route } from "../../worker/core/route.ts";
import type { LoggedEvent } from "../../worker/env.ts";
import { query } from "./dns-query.ts";
import { group, hostname, type Stack } from "./stack.ts";

export const limitMs = 60_000;

export type Seen<T> = { readonly value: T; readonly atMs: number };

/** Asks until there is an answer. A question that fails is asked again. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | null>,
  { everyMs, signal }: { readonly everyMs: number; readonly signal: AbortSignal },
): Promise<Seen<T>> {
  const endsAtMs = Date.now() + limitMs;
  for (;;) {
    signal.throwIfAborted();
    const value = await ask().catch(() => null);
    const atMs = Date.now();
    if (value !== null) return { value, atMs };
    if (atMs > endsAtMs) throw new Error(`${what}: not seen within ${limitMs / 1000} s`);
    await pause(everyMs, undefined, { signal });
  }
}

/** The authoritative route, as the API tells it. */
/** With `after`: as soon as there is a newer one. */
export async function routeNow({ api }: Stack, after?: Route): Promise<Route | null> {
  const query = after === undefined ? "" : `?after=${after.epoch}.${after.rev}`;
  return parseRoute((await api(`/v1/groups/${group}/route${query}`)).body);
}

export type Kv = { get(key: string, type: "json"): Promise<unknown> };

export async function routeInKv(kv: Kv): Promise<Route | null> {
  return parseRoute(await kv.get(`route:${group}`, "json"));
}

/** What the name points at, asked over UDP. */
export async function dnsNow({ cloudflare }: Stack): Promise<string | null> {
  const { answers } = await query(cloudflare.dnsPort, hostname, "A", 500);
  const [answer] = answers;
  return answer?.type === "A" ? String(answer.data) : null;
}

/** Events after number `after`, oldest first. */
export async function eventsAfter({ api }: Stack, after: number): Promise<readonly LoggedEvent[]> {
  const { body } = await api(`/v1/groups/${group}/events?after=${after}&limit=500`);
  return (body as { readonly events: readonly LoggedEvent[] }).events;
}

/** Tells every new event as it comes, until the signal. */
export async function followEvents(
  stack: Stack,
  from: number,
  tell: (event: LoggedEvent, atMs: number) => void,
  { everyMs, signal }: { readonly everyMs: number; readonly signal: AbortSignal },
): Promise<void> {
  let after = from;
  while (!signal.aborted) {
    const events = await eventsAfter(stack, after).catch(() => []);
    const atMs = Date.now();
    for (const event of events) {
      after = Math.max(after, event.seq);
      if (!signal.aborted) tell(event, atMs);
    }
    await pause(everyMs, undefined, { signal }).catch(() => undefined);
  }
}

export type Role =
  | { readonly kind: "primary"; readonly offset: number }
  | { readonly kind: "replica"; readonly of: number; readonly linkUp: boolean };

export type Direct = Awaited<ReturnType<typeof direct>>;

/** A connection of the demo's own to a redis-server: past relay, Worker and client. */
export async function direct(port: number) {
  // A promotion drops every client, this one too: it comes back at once, and what was asked meanwhile fails.
  const client = createClient({
    socket: { host: "127.0.0.1", port, reconnectStrategy: () => 5 },
    disableOfflineQueue: true,
  });
  client.on("error", () => undefined);
  await client.connect();
  return {
    role: async (): Promise<Role> => {
      const [kind, ...rest] = (await client.sendCommand(["ROLE"])) as unknown as unknown[];
      if (kind === "master") return { kind: "primary", offset: Number(rest[0]) };
      return { kind: "replica", of: Number(rest[1]), linkUp: rest[2] === "connected" };
    },
    minReplicas: async (): Promise<number> =>
      Number((await client.configGet("min-replicas-to-write"))["min-replicas-to-write"]),
    /** Where the history of the last primary ended for this one. */
    secondOffset: async (): Promise<number> =>
      Number(/^second_repl_offset:(-?\d+)/m.exec(await client.info("replication"))?.[1] ?? -1),
    members: async (key: string): Promise<ReadonlySet<number>> => {
      const all = new Set<number>();
      for await (const some of client.sScanIterator(key, { COUNT: 5000 }))
        for (const member of some) all.add(Number(member));
      return all;
    },
    close: () => client.destroy(),
  };
}
