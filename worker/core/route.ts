/**
 * The routing table: one schema for KV, the API, the relay and the client.
 *
 * Promises: a route never holds a secret; `isNewer` orders routes by (epoch, rev) and nothing else.
 * Must never: look at a clock, or at anything but its arguments.
 */
import * as v from "valibot";
import { effectiveConfig } from "./membership.ts";
import type { Saved } from "./state.ts";
import type { GroupConfig, NodeConfig } from "./types.ts";

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

/** The route that the saved state stands for. */
export function routeOf(saved: Saved, deployed: GroupConfig): Route {
  const config = effectiveConfig(saved, deployed);
  const primary = config.nodes.find((node) => node.id === saved.primary);
  return {
    v: 1,
    group: saved.group,
    mode: config.mode,
    epoch: saved.epoch,
    rev: saved.rev,
    state: saved.routeState,
    hostname: config.hostname,
    primary: primary === undefined ? null : endpointOf(primary, config),
    replicas: config.nodes
      .filter((node) => saved.readable.includes(node.id))
      .map((node) => ({ ...endpointOf(node, config), readWeight: node.readWeight })),
    updatedAt: new Date(saved.routeAtMs).toISOString(),
  };
}

function endpointOf(node: NodeConfig, config: GroupConfig) {
  // A relay that names no machine of its own serves every node.
  const relay =
    config.relays.find((each) => each.local.includes(node.id)) ??
    config.relays.find((each) => each.local.length === 0);
  const rest = relay === undefined ? null : `${relay.url}/nodes/${encodeURIComponent(node.id)}`;
  return { id: node.id, host: node.host, port: node.port, tls: node.tls, rest };
}
