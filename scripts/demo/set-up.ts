/**
 * The world of the demo: the stack with an address for each node, the edge app in the same workerd, cron.
 *
 * Promises: returns when the group is watched, published everywhere, and written to; what had been started is
 * stopped when anything fails or the signal comes.
 * Must never: tell Picket anything: cron wakes it, and it finds the primary itself.
 */
import { setTimeout as pause } from "node:timers/promises";
import { findRedisServer } from "../redis-binary.ts";
import { hostOf } from "./round.ts";
import type { Screen } from "./screen.ts";
import { group, hostname, KV_ID, type Stack, startStack, tokens } from "./stack.ts";
import { dnsNow, type Kv, routeInKv, routeNow, until } from "./watch.ts";
import { startWriter, type Writer } from "./writer.ts";

export type Demo = { readonly stack: Stack; readonly kv: Kv; readonly writer: Writer };

/** The name that the edge app listens to; curl gives it in the Host header. */
export const edgeHost = "edge.example.test";
const ids = ["a", "b", "c"];
/** Whoever tries it by hand kills more than one primary a minute; all else is as by default. */
const settings = { cooldown_ms: 3000 };

export async function setUp(screen: Screen, signal: AbortSignal): Promise<Demo> {
  const wait = (text: string) => screen.progress(screen.paint("dim", `setting up: ${text}`));
  await findRedisServer((line) => screen.line(line), signal);
  const workers = [edgeApp()];
  const stack = await startStack({ ids, hostOf, workers, settings, say: wait, signal });
  try {
    wait("the first cron");
    await stack.cron();
    void cronEveryMinute(stack, signal);
    const { ROUTES } = (await stack.worker.getEnv()) as { readonly ROUTES: Kv };
    const kv: Kv = { get: (key, type) => ROUTES.get(key, type) };
    await settled(stack, kv, signal);
    wait("the first writes");
    const writer = await startWriter(stack.harness.getWorker("edge"), signal);
    const written = async () => (writer.rate() > 100 ? true : null);
    await until("writes at more than 100 a second", written, { everyMs: 50, signal });
    return { stack, kv, writer };
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

/** The primary is found, both replicas take reads, and it is told everywhere. */
async function settled(stack: Stack, kv: Kv, signal: AbortSignal): Promise<void> {
  const options = { everyMs: 50, signal };
  const complete = async () => {
    const route = await routeNow(stack);
    return route?.state === "up" && route.replicas.length === ids.length - 1 ? route : null;
  };
  await until("a route with every node", complete, options);
  await until("the route in KV", () => routeInKv(kv), options);
  await until("the DNS record", () => dnsNow(stack), options);
}

const edgeApp = () => ({
  config: {
    name: "edge",
    main: new URL("edge.ts", import.meta.url).pathname,
    compatibility_date: "2026-10-01",
    routes: [`${edgeHost}/*`],
    kv_namespaces: [{ binding: "ROUTES", id: KV_ID }],
    services: [{ binding: "PICKET", service: "picket" }],
    vars: {
      GROUP: group,
      READ_TOKEN: tokens.read,
      DATA_TOKENS: Object.fromEntries(ids.map((id) => [id, tokens.data(id)])),
    },
  },
});

/** As Cloudflare drives it: at every full minute, whatever became of the last one. */
async function cronEveryMinute({ cron }: Stack, signal: AbortSignal): Promise<void> {
  const minuteMs = 60_000;
  while (!signal.aborted) {
    await pause(minuteMs - (Date.now() % minuteMs), undefined, { signal }).catch(() => undefined);
    if (!signal.aborted) await cron().catch(() => undefined);
  }
}

export function showSetUp({ stack }: Demo, screen: Screen): void {
  const { bold, dim } = { bold: "bold", dim: "dim" } as const;
  const { line, paint } = screen;
  const row = (name: string, ...cells: readonly string[]) =>
    line(`  ${paint(bold, name.padEnd(8))} ${cells.join("  ")}`);
  line();
  for (const id of ids) {
    const redis = stack.redis[id];
    const relay = stack.relays[id];
    if (redis === undefined || relay === undefined) continue;
    row(
      `node ${id}`,
      `redis ${`${hostOf(id)}:${redis.port}`.padEnd(15)}`,
      `pid ${String(redis.pid).padEnd(7)}`,
      `relay ${relay.url}`,
      paint(dim, id === ids[0] ? "primary" : "replica"),
    );
  }
  row(
    "picket",
    `${stack.url.origin}`,
    paint(dim, "the built Worker on workerd, with KV and Durable Objects"),
  );
  row(
    "dns",
    `127.0.0.1:${stack.cloudflare.dnsPort}`,
    paint(dim, `${hostname}, kept through a stand-in of the Cloudflare API`),
  );
  row(
    "edge",
    edgeHost,
    paint(
      dim,
      "a second Worker: its route comes from KV, 30 to 60 s old; it writes 200 numbers a second",
    ),
  );
  line();
}
