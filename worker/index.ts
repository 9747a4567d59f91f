/**
 * The door: requests go to the API, cron wakes every group. Exports the Durable Objects, and `Routes` for Workers
 * of the same account.
 *
 * Promises: one group that fails to wake does not keep another asleep; every group is woken by each cron, however
 * many there are, and more than once only where who was to wake it died.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import { app } from "./api/app.ts";
import { type After, routeOf, routeOnly } from "./api/route.ts";
import type { Route } from "./core/route.ts";
import {
  type Answer,
  deployedConfig,
  fleetOf,
  inTime,
  type RawEnv,
  type Sleeper,
  wakeEach,
  wakerOf,
} from "./env.ts";

export { Fleet } from "./fleet.ts";
export { Group } from "./group.ts";
export { Vantage } from "./vantage.ts";

/** Those that are configured are woken all the same. */
const noNames = (): readonly string[] => [];

/** The Fleet answers from its storage, at once. */
const FLEET_MS = 5000;
/** The next cron comes then. */
const WAKE_MS = 60_000;
/** More groups than this are woken by several objects: one invocation may call only so many. */
const CHUNK = 200;

/** Keeps the deployed configuration if it is right, and wakes every group there ever was. */
async function wakeAll(env: RawEnv): Promise<void> {
  const deployed = deployedConfig(env);
  const fleet = fleetOf(env);
  const unheard = (error: unknown) => console.error("the Fleet did not answer", String(error));
  if (deployed.ok)
    await inTime(fleet.keep(deployed.groups, deployed.brake), FLEET_MS).catch(unheard);
  else for (const complaint of deployed.complaints) console.error("configuration", complaint);
  const known = await inTime(fleet.names(), FLEET_MS).catch(noNames);
  const locations = new Map(known.map((name): [string, string | null] => [name, null]));
  if (deployed.ok) for (const { name, location } of deployed.groups) locations.set(name, location);
  const sleepers = [...locations].map(([name, location]) => ({ name, location }));
  if (sleepers.length <= CHUNK) return await wakeEach(env, sleepers, WAKE_MS);
  const count = Math.ceil(sleepers.length / CHUNK);
  const untilMs = Date.now() + WAKE_MS;
  const wake = async (n: number, chunk: readonly Sleeper[]) => {
    // One that died may have woken nobody yet: another has the part once more. What is late is left to the next cron.
    for (const waker of [n, count + n]) {
      const leftMs = untilMs - Date.now();
      if (leftMs <= 0) return;
      try {
        return await inTime(wakerOf(env, waker).wakeMany(chunk), leftMs);
      } catch (error) {
        console.error("groups may not have been woken", chunk.length, String(error));
      }
    }
  };
  await Promise.all(
    Array.from({ length: count }, (_, n) =>
      wake(n + 1, sleepers.slice(n * CHUNK, (n + 1) * CHUNK)),
    ),
  );
}

/**
 * `[[services]] binding = "PICKET", service = "picket", entrypoint = "Routes"`: whoever deploys into this account
 * may read, so no token is asked for; and there is nothing else to be had.
 */
export class Routes extends WorkerEntrypoint<RawEnv> {
  /** GET /v1/groups/:group/route, at any host. */
  override async fetch(request: Request): Promise<Response> {
    return await routeOnly.fetch(request, this.env, this.ctx);
  }

  /** @param after the route that the caller knows: answered with a newer one, after a second with what there is. */
  route(group: string, after?: After): Promise<Answer<Route>> {
    return routeOf(this.env, group, this.ctx, after);
  }
}

export default {
  fetch: app.fetch,
  scheduled: (_controller, env) => wakeAll(env),
} satisfies ExportedHandler<RawEnv>;
