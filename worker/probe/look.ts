/**
 * One complete look: every relay at every node, all in parallel, under one deadline.
 *
 * Promises: never rejects; one observation for each pair, so silence is an observation too.
 */
import type { GroupConfig, Observation } from "../core/types.ts";
import { upstashProbe } from "./upstash.ts";

const probe = upstashProbe();

/** @param token gives the control token of a relay by the name of its secret. */
export function lookAtAll(
  config: GroupConfig,
  token: (secret: string) => string,
): Promise<readonly Observation[]> {
  const looks = config.relays.flatMap((relay) =>
    config.nodes.map((node) =>
      probe(
        {
          vantage: `relay:${relay.id}`,
          group: config.name,
          node: node.id,
          url: `${relay.url}/nodes/${encodeURIComponent(node.id)}`,
          token: token(relay.controlTokenSecret),
        },
        { timeoutMs: config.probeTimeoutMs, now: Date.now },
      ),
    ),
  );
  return Promise.all(looks);
}
