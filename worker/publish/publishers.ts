/**
 * The list of destinations: a new one is one file beside this and one line here.
 *
 * Promises: the names are those of the core's rules.
 */
import type { GroupConfig } from "../core/types.ts";
import { cloudflareDns } from "./cloudflare.ts";
import { kvPublisher, type RouteStore } from "./kv.ts";
import type { Publisher } from "./publisher.ts";

type Means = {
  readonly routes: RouteStore;
  readonly secret: (name: string) => string;
};

/** The publishers of a group. */
export function publishersFor(
  { dns }: GroupConfig,
  { routes, secret }: Means,
): readonly Publisher[] {
  const kv = kvPublisher(routes);
  if (dns === null) return [kv];
  const { zoneId, apiUrl, ttlS, tokenSecret } = dns;
  return [kv, cloudflareDns({ zoneId, apiUrl, ttlS, token: secret(tokenSecret) })];
}
