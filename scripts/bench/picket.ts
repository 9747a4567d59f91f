/**
 * Picket, real: redis-servers, a relay beside each, the built Worker on workerd.
 *
 * Promises: the settings of production but for those that Sentinel is given as well; stands when the route names
 * a and reads go to both others; nothing is left after `stop`.
 */
import { setTimeout as pause } from "node:timers/promises";
import { BOOT_SEALED } from "../../worker/relay/protocol.ts";
import { group, startStack } from "../demo/stack.ts";
import { eventsAfter, routeNow } from "../demo/watch.ts";
import { ids, type Side, type SideOptions, until } from "./side.ts";
import type { Writer } from "./writer.ts";

/** What Sentinel has too; everything else is as by default. */
export const picketSettings = {
  down_after_ms: 1000,
  failover_timeout_ms: 10_000,
  parallel_syncs: 1,
};

/** How often a client asks for the route while its writes fail. Sentinel tells its clients by itself. */
const askEveryMs = 25;

export type Fencing = "none" | "sealed";

export async function startPicketSide(options: SideOptions, fencing: Fencing): Promise<Side> {
  const sealed = BOOT_SEALED.flatMap(([setting, value]) => [`--${setting}`, String(value)]);
  const redisArgs = [...options.redisArgs, ...(fencing === "sealed" ? sealed : [])];
  const settings = { ...picketSettings, fencing };
  const stack = await startStack({ ids: [...ids], settings, redisArgs: () => redisArgs });
  const portOf = (id: string) => stack.redis[id]?.port ?? 0;
  const following = new AbortController();
  const stop = async () => {
    following.abort();
    await stack.stop();
  };
  try {
    void stack.cron();
    await until("a route with every node", async () => {
      const route = await routeNow(stack);
      const all = route?.primary?.id === "a" && route.replicas.length === ids.length - 1;
      return all && route.state === "up";
    });
    const ask = async ({ turn, failing }: Writer) => {
      for (; !following.signal.aborted; await pause(askEveryMs)) {
        const route = failing() ? await routeNow(stack).catch(() => null) : null;
        if (route?.primary != null) turn(portOf(route.primary.id));
      }
    };
    return {
      redis: stack.redis,
      follow: (writer) => void ask(writer),
      switchOver: async () => {
        const path = `/v1/groups/${group}/switchover`;
        const { status, body } = await stack.api(path, { body: {} });
        if (status !== 202) throw new Error(`switchover: ${status} ${JSON.stringify(body)}`);
      },
      said: async () => (await eventsAfter(stack, 0)).map(({ name, text }) => `${name} ${text}`),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
