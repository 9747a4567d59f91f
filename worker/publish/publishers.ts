/**
 * The list of destinations: a new one is one file beside this and one line here.
 *
 * Promises: the names are those of the core's rules.
 */
import type { GroupConfig } from "../core/types.ts";
import { dnsProvider } from "./dns/list.ts";
import { dnsPublishers } from "./dns.ts";
import { kvPublisher } from "./kv.ts";
import type { Publisher } from "./publisher.ts";

type Means = {
  readonly routes: Parameters<typeof kvPublisher>[0];
  readonly secret: (name: string) => string;
};

/** The publishers of a group. */
export function publishersFor(
  { dns, replicaHostname }: GroupConfig,
  { routes, secret }: Means,
): readonly Publisher[] {
  const kv = kvPublisher(routes);
  if (dns === null) return [kv];
  const { ttlS } = dns;
  return [kv, ...dnsPublishers(() => dnsProvider(dns, { secret }), { ttlS, replicaHostname })];
}
