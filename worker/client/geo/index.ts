/**
 * `connectGeo`: the databases are named, or come from the route of an active-active group.
 *
 * Promises: what it gives is an @upstash/redis with the whole command surface, and the controls beside it.
 * Must never: wait for anything: the first command does.
 */
import type { Redis } from "@upstash/redis/cloudflare";
import type { Route } from "../../core/route.ts";
import { NoRouteError, OptionError } from "../failure.ts";
import { type Token, tokenOf } from "../options.ts";
import { type Authority, type RouteStore, readRoutes } from "../reader.ts";
import { WrongModeError } from "./errors.ts";
import { type GeoControls, geoOver, type Members, type Membership } from "./geo.ts";
import { checkDatabases, checkWeight, type Database, type GeoOptions } from "./options.ts";

export type { Reason as GeoSwitchReason } from "../../core/steering.ts";
export { pings } from "./checking.ts";
export * from "./errors.ts";
export { type LagAwareOptions, lagAware } from "./lag-aware.ts";
export type { Database, GeoOptions, HealthCheck, Look } from "./options.ts";
export type { DatabaseStatus, GeoStatus } from "./status.ts";

export type GeoRedis = Redis &
  GeoControls & {
    /** The same client, of which everything (or nothing) may be sent again: `redis.with({ idempotent: true })`. */
    with(call: { readonly idempotent?: boolean | undefined }): GeoRedis;
  };

export type GeoDatabases = GeoOptions & { readonly databases: readonly Database[] };

export type GeoRoute = GeoOptions & {
  /** The KV namespace with Picket's routing table. */
  readonly kv: RouteStore;
  /** A group of mode "active-active". */
  readonly group: string;
  /** Data token of its nodes: one for all, by node id, or a function of it. */
  readonly token: Token;
  /** Who is asked when KV has no route. */
  readonly authority?: Authority;
  /** By node id; 1. */
  readonly weights?: Readonly<Record<string, number>>;
};

/**
 * One client over several databases that all take writes, and that keep each other in step themselves.
 * @throws OptionError at once when an option is wrong.
 * Its commands throw what the SDK throws, and OutcomeUnknownError, TemporaryUnavailableError,
 * NoValidDatabaseError; the first ones also InitialHealthCheckFailedError, NoRouteError and WrongModeError.
 */
export function connectGeo(options: GeoDatabases | GeoRoute): GeoRedis {
  const isRouted = "kv" in options;
  if (!isRouted) checkDatabases(options.databases);
  const { surface, controls } = isRouted
    ? geoOver([], membersOf(options), options)
    : geoOver(options.databases, null, options);
  /** A surface is large, so those that differ in a word only are kept. */
  const views = new Map<boolean | undefined, GeoRedis>();
  function view(idempotent: boolean | undefined): GeoRedis {
    const known = views.get(idempotent);
    if (known !== undefined) return known;
    const more = {
      with: (call: { readonly idempotent?: boolean }) =>
        view("idempotent" in call ? call.idempotent : idempotent),
    };
    const redis = Object.defineProperties(surface(idempotent), {
      ...Object.getOwnPropertyDescriptors(controls),
      ...Object.getOwnPropertyDescriptors(more),
    }) as unknown as GeoRedis;
    views.set(idempotent, redis);
    return redis;
  }
  return view(options.idempotent);
}

function membersOf(options: GeoRoute): Members {
  const { kv, group, authority, weights = {}, logger } = options;
  if (typeof kv?.get !== "function")
    throw new OptionError("kv", typeof kv, "a KV namespace: is ROUTES bound in wrangler.toml?");
  if (typeof group !== "string" || group === "")
    throw new OptionError("group", JSON.stringify(group), "the name of a group");
  for (const [id, weight] of Object.entries(weights)) checkWeight(`weights.${id}`, weight);
  const secretOf = tokenOf(options.token, "token");
  const routes = readRoutes(kv, group, { authority, memoMs: 0, logger });

  function databasesIn(route: Route): Membership {
    const { primary, replicas } = route;
    const databases = [primary, ...replicas].flatMap((node) =>
      node === null || node.rest === null
        ? []
        : {
            ...{ id: node.id, url: node.rest, host: node.host },
            ...{ token: secretOf(node.id), weight: weights[node.id] ?? 1 },
          },
    );
    return { databases, preferred: primary?.id ?? null };
  }

  return async () => {
    const route = (await routes.current()) ?? (await routes.ask());
    if (route === null) throw new NoRouteError(group, routes.problems());
    if (route.mode !== "active-active") throw new WrongModeError(group);
    const found = databasesIn(route);
    if (found.databases.length === 0) throw new NoRouteError(group, routes.problems());
    return found;
  };
}
