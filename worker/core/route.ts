/**
 * The routing table: one shape for KV, the API, the relay and the client.
 *
 * Promises: a route never holds a secret; `isNewer` orders routes by (epoch, rev) and nothing else.
 * Must never: look at a clock, or at anything but its arguments; import a library, since apps carry this along.
 */
import type { InferOutput } from "valibot";
import type { RouteSchema } from "./route-schema.ts";

export type Route = InferOutput<typeof RouteSchema>;
type Endpoint = NonNullable<Route["primary"]>;

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

/** Reads a route from outside, without the keys that it does not know; null when it is not one. */
export function parseRoute(value: unknown): Route | null {
  const { v, group, mode, epoch, rev, state, hostname, primary, replicas, updatedAt } =
    fieldsOf<Route>(value);
  if (v !== 1 || !isText(group) || !isText(updatedAt) || !isCount(epoch) || !isCount(rev))
    return null;
  if (mode !== "replication" && mode !== "active-active") return null;
  if (state !== "up" && state !== "failing-over" && state !== "down") return null;
  if ((hostname !== null && !isText(hostname)) || !Array.isArray(replicas)) return null;
  const first = primary === null ? null : endpointOf(primary);
  if (first === undefined) return null;
  const others: Route["replicas"] = [];
  for (const each of replicas as unknown[]) {
    const endpoint = endpointOf(each);
    const { readWeight } = fieldsOf<Route["replicas"][number]>(each);
    if (endpoint === undefined || typeof readWeight !== "number" || Number.isNaN(readWeight))
      return null;
    others.push({ ...endpoint, readWeight });
  }
  return {
    v,
    group,
    mode,
    epoch,
    rev,
    state,
    hostname,
    primary: first,
    replicas: others,
    updatedAt,
  };
}

function endpointOf(value: unknown): Endpoint | undefined {
  const { id, host, port, tls, rest } = fieldsOf<Endpoint>(value);
  if (!isText(id) || !isText(host) || !isCount(port) || port < 1 || port > 65535) return undefined;
  if (typeof tls !== "boolean" || (rest !== null && !isText(rest))) return undefined;
  return { id, host, port, tls, rest };
}

const fieldsOf = <T>(value: unknown): { readonly [key in keyof T]?: unknown } =>
  typeof value === "object" && value !== null ? value : {};
const isText = (value: unknown): value is string => typeof value === "string";
const isCount = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 0;
