/**
 * Picket, real: redis-servers, a relay beside each, the built Worker on workerd.
 *
 * Promises: the settings of production but for those that Sentinel is given as well; stands when the route names
 * a and reads go to both others; nothing is left after `stop`.
 */
import { BOOT_SEALED } from "../../worker/relay/protocol.ts";
import { group, startStack } from "../demo/stack.ts";
import { eventsAfter, routeNow } from "../demo/watch.ts";
import { EDGE, makeBoxes } from "../netns/boxes.ts";
import { startStays } from "../netns/stays.ts";
import { edgeApp, tcpApp } from "./apps.ts";
import { ids, type Side, type SideOptions, staysFrom, until } from "./side.ts";
import { startWriter } from "./writer.ts";

/** What Sentinel has too; everything else is as by default. */
export const picketSettings = {
  down_after_ms: 1000,
  failover_timeout_ms: 10_000,
  parallel_syncs: 1,
};

export type Fencing = "none" | "sealed" | "lease";
export type App = "tcp" | "edge";

export async function startPicketSide(
  options: SideOptions,
  fencing: Fencing,
  app: App,
): Promise<Side> {
  const sealed = BOOT_SEALED.flatMap(([setting, value]) => [`--${setting}`, String(value)]);
  const open = options.boxed ? ["--protected-mode", "no"] : [];
  const redisArgs = [...open, ...options.redisArgs, ...(fencing === "none" ? [] : sealed)];
  const settings = { ...picketSettings, fencing };
  const boxes = options.boxed ? makeBoxes(["a"]) : null;
  const placeOf = (id: string) => (id === "a" ? id : EDGE);
  const placed =
    boxes === null
      ? {}
      : {
          hostOf: (id: string) => boxes.hostOf(placeOf(id)),
          inside: (id: string) => boxes.inside(placeOf(id)),
          edgeHostOf: () => boxes.hostOf(EDGE),
        };
  const stack = await startStack({
    ...{ ids: [...ids], settings, redisArgs: () => redisArgs },
    ...placed,
  }).catch((error) => {
    boxes?.stop();
    throw error;
  });
  const stop = async () => {
    await stack.stop();
    boxes?.stop();
  };
  const first = stack.redis.a;
  try {
    if (first === undefined) throw new Error("there is no redis a");
    void stack.cron();
    await until("a route with every node", async () => {
      const route = await routeNow(stack);
      const all = route?.primary?.id === "a" && route.replicas.length === ids.length - 1;
      return all && route.state === "up";
    });
    return {
      redis: stack.redis,
      app: async () => (app === "edge" ? await edgeApp(stack) : tcpApp(stack, first)),
      stays: async () =>
        boxes === null
          ? startWriter(first, staysFrom)
          : startStays(boxes.inside("a"), first, staysFrom),
      switchOver: async () => {
        const path = `/v1/groups/${group}/switchover`;
        const { status, body } = await stack.api(path, { body: {} });
        if (status !== 202) throw new Error(`switchover: ${status} ${JSON.stringify(body)}`);
      },
      box:
        boxes === null
          ? null
          : { cut: () => boxes.cut("a", EDGE), heal: () => boxes.heal("a", EDGE) },
      said: async () => (await eventsAfter(stack, 0)).map(({ name, text }) => `${name} ${text}`),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
