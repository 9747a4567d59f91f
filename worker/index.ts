/**
 * The door: requests go to the API, cron wakes every group. Exports the Durable Objects, and `Routes` for Workers
 * of the same account.
 *
 * Promises: one group that fails to wake does not keep another asleep.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import { app } from "./api/app.ts";
import { type After, routeOf, routeOnly } from "./api/route.ts";
import type { Route } from "./core/route.ts";
import { type Answer, deployedConfig, fleetOf, groupOf, inTime, type RawEnv } from "./env.ts";

export { Fleet } from "./fleet.ts";
export { Group } from "./group.ts";
export { Vantage } from "./vantage.ts";

/** Those that are configured are woken all the same. */
const noNames = (): readonly string[] => [];

/** The Fleet answers from its storage, at once. */
const FLEET_MS = 5000;
/** The next cron comes then. */
const WAKE_MS = 60_000;

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
  const woken = await Promise.allSettled(
    [...locations].map(([name, location]) =>
      inTime(groupOf(env, name, location).wake(name), WAKE_MS),
    ),
  );
  for (const each of woken)
    if (each.status === "rejected") console.error("a group did not wake", String(each.reason));
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
