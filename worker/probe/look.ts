/**
 * One complete look: every relay at every node, all in parallel, under one deadline.
 *
 * Promises: nothing rejects; one observation for each pair, so silence is an observation too.
 */
import { vantageOf } from "../core/sight.ts";
import type { GroupConfig, Observation } from "../core/types.ts";
import { upstashProbe } from "./upstash.ts";

export type Pair = { readonly vantage: string; readonly node: string };
/** A look under way. */
export type Looking = Pair & { readonly seen: Promise<Observation> };

const probe = upstashProbe();

/**
 * The Group's own look, through its relays: one for each pair.
 * @param token gives the control token of a relay by the name of its secret.
 * @param epoch the epoch in force now: what is seen later belongs to it.
 */
export const lookAtAll = (
  config: GroupConfig,
  token: (secret: string) => string,
  epoch: number,
  wanted: (pair: Pair) => boolean,
): readonly Looking[] =>
  config.relays.flatMap((relay) =>
    config.nodes.flatMap(({ id: node }) => {
      const vantage = vantageOf(relay.id);
      if (!wanted({ vantage, node })) return [];
      const target = {
        vantage,
        from: "group",
        epoch,
        group: config.name,
        node,
        url: `${relay.url}/nodes/${encodeURIComponent(node)}`,
        token: token(relay.controlTokenSecret),
      };
      const seen = probe(target, { timeoutMs: config.probeTimeoutMs, now: Date.now });
      return [{ vantage, node, seen }];
    }),
  );
