/**
 * The route that a saved state stands for: KV, DNS, the API and the relays tell nothing else.
 *
 * Promises: pure. Must never: put a secret into a route.
 */
import { effectiveConfig } from "./membership.ts";
import type { Route } from "./route.ts";
import type { Saved } from "./state.ts";
import type { GroupConfig, NodeConfig } from "./types.ts";

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
