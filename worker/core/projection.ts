/**
 * The route that a saved state stands for: KV, DNS, the API and the relays tell nothing else.
 *
 * Rules: in active-active `primary` is the node in use, and `replicas` is empty: the others hold the same data by the
 * databases' own means, but a read there may miss what the reader has just written.
 * Promises: pure. Must never: put a secret into a route.
 */
import { effectiveConfig } from "./membership.ts";
import type { Route } from "./route.ts";
import type { Saved } from "./state.ts";
import type { GroupConfig, NodeConfig } from "./types.ts";

export function routeOf(saved: Saved, deployed: GroupConfig): Route {
  const config = effectiveConfig(saved, deployed);
  const primary = config.nodes.find((node) => node.id === saved.primary);
  const readable = config.mode === "replication" ? saved.readable : [];
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
      .filter((node) => readable.includes(node.id))
      .map((node) => ({ ...endpointOf(node, config), readWeight: node.readWeight })),
    updatedAt: new Date(saved.routeAtMs).toISOString(),
  };
}

const endpointOf = (node: NodeConfig, config: GroupConfig) => ({
  ...{ id: node.id, host: node.host, port: node.port, tls: node.tls },
  rest: restOf(node, config),
});

/** Where an app speaks REST to it: as configured, else at its relay, else where it is looked at by REST. */
function restOf({ id, restUrl, probe }: NodeConfig, config: GroupConfig): string | null {
  if (restUrl !== null) return restUrl;
  // A relay that names no machine of its own serves every node.
  const relay =
    config.relays.find((each) => each.local.includes(id)) ??
    config.relays.find((each) => each.local.length === 0);
  if (relay !== undefined) return `${relay.url}/nodes/${encodeURIComponent(id)}`;
  return probe?.transport === "upstash" ? probe.url : null;
}
