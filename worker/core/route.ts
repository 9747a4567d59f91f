/**
 * The routing table: one schema for KV, the API, the relay and the client.
 *
 * Promises: a route never holds a secret; `isNewer` orders routes by (epoch, rev) and nothing else.
 * Must never: look at a clock, or at anything but its arguments.
 */
import * as v from "valibot";

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const endpoint = {
  id: v.string(),
  host: v.string(),
  port: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535)),
  tls: v.boolean(),
  /** Upstash REST address of the node; null where no relay serves it. */
  rest: v.nullable(v.string()),
};

export const RouteSchema = v.object({
  v: v.literal(1),
  group: v.string(),
  mode: v.picklist(["replication", "active-active"]),
  epoch: count,
  rev: count,
  state: v.picklist(["up", "failing-over", "down"]),
  hostname: v.nullable(v.string()),
  /** The last known primary; null only before the first one was settled. */
  primary: v.nullable(v.object(endpoint)),
  replicas: v.array(v.object({ ...endpoint, readWeight: v.number() })),
  updatedAt: v.string(),
});

export type Route = v.InferOutput<typeof RouteSchema>;

/** KV key of a group's route. */
export const routeKey = (group: string): string => `route:${group}`;

/** True when `a` supersedes `b`. A client never accepts a lower (epoch, rev). */
export function isNewer(
  a: Pick<Route, "epoch" | "rev">,
  b: Pick<Route, "epoch" | "rev"> | null,
): boolean {
  if (b === null) return true;
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.rev > b.rev);
}

/** Reads a route from outside; null when it is not one. */
export function parseRoute(value: unknown): Route | null {
  const parsed = v.safeParse(RouteSchema, value);
  return parsed.success ? parsed.output : null;
}
