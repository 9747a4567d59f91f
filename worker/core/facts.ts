/**
 * What one node's own words come to.
 *
 * Must never: look at more than one node's facts.
 */
import type { GroupConfig, NodeConfig, NodeFacts } from "./types.ts";

/** min-replicas-to-write of a sealed node. */
export const SEALED = 1_000_000;

export const isSealed = (facts: NodeFacts | null): boolean =>
  (facts?.minReplicasToWrite ?? 0) >= SEALED;

/** Nodes that boot sealed: their files stay so, and a sealed replica is as it should be. */
export const bootsSealed = (config: GroupConfig): boolean => config.fencing !== "none";

/** True when `facts` is a replica of `primary`, by the address that the other nodes use. */
export function followsNode(facts: NodeFacts, primary: NodeConfig): boolean {
  const at = facts.replicaOf;
  if (facts.role !== "replica" || at === null) return false;
  return (
    (at.host === primary.replicationHost && at.port === primary.replicationPort) ||
    (at.host === primary.host && at.port === primary.port)
  );
}
