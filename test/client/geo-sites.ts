/** Several databases that all take writes: real redis-servers behind a real relay, and a client over them. */
import { onTestFinished } from "vitest";
import type { RedisProcess } from "../../scripts/redis-server.ts";
import { connectGeo, type Database, type GeoDatabases } from "../../worker/client/geo/index.ts";
import { ask, DATA, nodeAt, redis, relayOver, settingsFor } from "../relay/support.ts";

/** Only what a test asks for happens: no interval, one probe, no going back. */
export const quick = {
  backgroundHealthChecks: false,
  healthCheckIntervalMs: 3_600_000,
  healthCheckProbes: 1,
  autoFallbackIntervalMs: 0,
  gracePeriodMs: 0,
  retryDelayMs: 1,
  maxRetryDelayMs: 20,
  // A busy machine answers late.
  healthCheckTimeoutMs: 10_000,
  timeoutMs: 10_000,
  deadlineMs: 20_000,
};

export type Sites = Awaited<ReturnType<typeof sites>>;

/** Databases by weight, in that order. */
export async function sites(weights: Readonly<Record<string, number>>) {
  const ids = Object.keys(weights);
  const servers: Record<string, RedisProcess> = Object.fromEntries(
    await Promise.all(ids.map(async (id) => [id, await redis()])),
  );
  const server = (id: string): RedisProcess => {
    const found = servers[id];
    if (found === undefined) throw new Error(`no site ${id}`);
    return found;
  };
  const settings = await settingsFor(ids.map((id) => nodeAt(id, server(id))));
  const relay = await relayOver(settings);
  const databases: Database[] = ids.map((id) => ({
    ...{ id, url: `${relay.url}/nodes/${id}`, token: DATA, weight: weights[id] ?? 1 },
  }));
  /** One command past the relay; its reply as text. */
  const say = async (id: string, ...command: readonly string[]) =>
    (await ask(server(id), command))[0];
  return { relay, settings, databases, server, say };
}

/** A client until the test ends, and the switches that it told of. */
export function geo(databases: readonly Database[], options: Partial<GeoDatabases> = {}) {
  const switches: string[] = [];
  const onSwitch = (from: string, to: string, reason: string) =>
    void switches.push(`${from} > ${to} ${reason}`);
  const client = connectGeo({ databases, ...quick, onSwitch, ...options });
  onTestFinished(() => client.close());
  return { client, switches };
}
