/**
 * The door: requests go to the API, cron wakes every group. Exports the Durable Objects.
 *
 * Promises: one group that fails to wake does not keep another asleep.
 */
import { app } from "./api/app.ts";
import { deployedConfig, fleetOf, groupOf, type RawEnv } from "./env.ts";

export { Fleet } from "./fleet.ts";
export { Group } from "./group.ts";

/** Those that are configured are woken all the same. */
const noNames = (): readonly string[] => [];

/** Keeps the deployed configuration if it is right, and wakes every group there ever was. */
async function wakeAll(env: RawEnv): Promise<void> {
  const deployed = deployedConfig(env);
  const fleet = fleetOf(env);
  const unheard = (error: unknown) => console.error("the Fleet did not answer", String(error));
  if (deployed.ok) await fleet.keep(deployed.groups).catch(unheard);
  else for (const complaint of deployed.complaints) console.error("configuration", complaint);
  const locations = new Map(
    (await fleet.names().catch(noNames)).map((name): [string, string | null] => [name, null]),
  );
  if (deployed.ok) for (const { name, location } of deployed.groups) locations.set(name, location);
  const woken = await Promise.allSettled(
    [...locations].map(([name, location]) => groupOf(env, name, location).wake(name)),
  );
  for (const each of woken)
    if (each.status === "rejected") console.error("a group did not wake", String(each.reason));
}

export default {
  fetch: app.fetch,
  scheduled: (_controller, env) => wakeAll(env),
} satisfies ExportedHandler<RawEnv>;
