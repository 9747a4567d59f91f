/**
 * Small answers from memory: what a node last said of itself, and whom a request names.
 *
 * Promises: pure.
 */
import type { OperatorRequest, State } from "../core/state.ts";
import type { GroupConfig } from "../core/types.ts";
import type { Answer, LastInfo } from "../env.ts";
import type { WhyNot } from "./inbox.ts";

export const told = <T>(value: T): Answer<T> => ({ kind: "told", value });

export const noNode = (node: string): WhyNot => ({
  kind: "not-found",
  detail: `no node ${node} in this group`,
});

/** The facts that any vantage got last, however old: as Sentinel's INFO-CACHE. */
export function lastInfoOf(
  { sight }: State,
  config: GroupConfig,
  node: string,
  nowMs: number,
): Answer<LastInfo> {
  if (!config.nodes.some(({ id }) => id === node)) return noNode(node);
  const [newest] = Object.entries(sight.nodes[node] ?? {})
    .flatMap(([vantage, { facts, factsAtMs }]) =>
      facts === null || factsAtMs === null ? [] : [{ vantage, facts, atMs: factsAtMs }],
    )
    .sort((a, b) => b.atMs - a.atMs);
  if (newest === undefined) return told({ node, vantage: null, agoMs: null, facts: null });
  const { vantage, facts, atMs } = newest;
  return told({ node, vantage, agoMs: Math.max(0, nowMs - atMs), facts });
}

/** The node that a request is about, or names; null: none. */
export function nodeIn(request: OperatorRequest): string | null {
  switch (request.kind) {
    case "failover":
    case "switchover":
      return request.to;
    case "bootstrap":
      return request.primary;
    case "downtime":
    case "end-downtime":
    case "select":
    case "weight":
    case "remove-node":
      return request.node;
    default:
      return null;
  }
}
