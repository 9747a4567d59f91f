/** A Worker as a user of connectGeo would write it: one client of each set for all requests of the isolate. */
import { connectGeo, type Database, type GeoRedis } from "../../worker/client/geo/index.ts";

type Env = { readonly SETS: Readonly<Record<string, readonly Database[]>> };

const clients = new Map<string, GeoRedis>();
const switches: string[] = [];

export default {
  /** GET /<set>: adds one. */
  async fetch(request: Request, { SETS }: Env): Promise<Response> {
    const set = new URL(request.url).pathname.slice(1);
    const redis =
      clients.get(set) ??
      connectGeo({
        databases: SETS[set] ?? [],
        healthCheckIntervalMs: 20,
        healthCheckProbes: 1,
        autoFallbackIntervalMs: 1,
        gracePeriodMs: 0,
        onSwitch: (from, to, reason) => void switches.push(`${from} > ${to} ${reason}`),
      });
    clients.set(set, redis);
    try {
      const value = await redis.incr("n");
      return Response.json({ value, active: redis.active, switches });
    } catch (error) {
      return Response.json({ error: (error as Error).name, switches });
    }
  },
};
