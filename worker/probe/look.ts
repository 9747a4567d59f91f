/**
 * One complete look: every relay at every node, all in parallel, under one deadline.
 *
 * Promises: never rejects; one observation for each pair, so silence is an observation too.
 */
import type { GroupConfig, Observation } from "../core/types.ts";
import { upstashProbe } from "./upstash.ts";

const probe = upstashProbe();

/**
 * The Group's own look, through its relays.
 * @param token gives the control token of a relay by the name of its secret.
 * @param epoch the epoch in force now: what is seen later belongs to it.
 */
export function lookAtAll(
  config: GroupConfig,
  token: (secret: string) => string,
  epoch: number,
): Promise<readonly Observation[]> {
  const looks = config.relays.flatMap((relay) =>
    config.nodes.map((node) =>
      probe(
        {
          vantage: `relay:${relay.id}`,
          from: "group",
          epoch,
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
