/**
 * Apps that write the bench's numbers, each as a client library does it and with its settings as they are.
 *
 * Promises: a number counts only when Redis answered that it is in the set; a library may send it again, which is
 * as good as once.
 * Must never: tell a library what it has to find out by itself.
 */
import { createSentinel } from "@redis/client";
import { connect, type RouteStore } from "../../worker/client/index.ts";
import type { Route } from "../../worker/core/route.ts";
import type { Stack } from "../demo/stack.ts";
import { group, tokens } from "../demo/stack.ts";
import { routeNow } from "../demo/watch.ts";
import {
  type Ack,
  type Address,
  everyNumber,
  key,
  startWriter,
  type Writer,
  type Written,
} from "./writer.ts";

/** Numbers, one every 5 ms, each by `add`: how many were added. */
function numbers(by: string, add: (n: number) => Promise<unknown>, close: () => void): Written {
  const acks: Ack[] = [];
  const write = async (n: number) => {
    const added = await add(n).catch(() => null);
    if (added === 0 || added === 1) acks.push({ n, atMs: performance.now(), by });
  };
  const end = everyNumber(0, (n) => void write(n));
  const stop = () => {
    end();
    close();
  };
  return { acks, stop };
}

/** @redis/client's own, over all sentinels. */
export async function sentinelApp(name: string, sentinels: readonly Address[]): Promise<Written> {
  const client = createSentinel({ name, sentinelRootNodes: [...sentinels] });
  client.on("error", () => undefined);
  await client.connect();
  return numbers(
    "createSentinel",
    (n) => client.sAdd(key, String(n)),
    () => client.destroy(),
  );
}

/** An edge app: worker/client over the relays, KV, and the API as the authority. */
export async function edgeApp(stack: Stack): Promise<Written> {
  const { ROUTES } = (await stack.worker.getEnv()) as { ROUTES: RouteStore };
  const client = connect(ROUTES, group, {
    token: tokens.data,
    authority: { url: stack.url.origin, token: tokens.read },
  });
  return numbers(
    "worker/client",
    (n) => client.with({ idempotent: true }).sadd(key, n),
    () => undefined,
  );
}

/** How often a client asks for the route while its writes fail. */
const askEveryMs = 25;

/** A plain Redis client that asks the API for the route while its writes fail, waits there for the next one, and goes there. */
export function tcpApp(stack: Stack, first: Address): Written {
  const writer: Writer = startWriter(first);
  let known: Route | undefined;
  const ask = async () => {
    if (!writer.failing()) return;
    known = (await routeNow(stack, known).catch(() => null)) ?? known;
    const to = stack.redis[known?.primary?.id ?? ""];
    if (to !== undefined) writer.turn(to);
  };
  let asking = false;
  const timer = setInterval(() => {
    if (asking) return;
    asking = true;
    void ask().finally(() => {
      asking = false;
    });
  }, askEveryMs);
  const stop = () => {
    clearInterval(timer);
    writer.stop();
  };
  return { acks: writer.acks, stop };
}
