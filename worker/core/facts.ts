/**
 * What the words of a node come to, of itself and of the one that it follows.
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

/**
 * Its primary is ahead, and it has heard nothing for longer than silence takes: for a moment after every idle spell,
 * and for good where its link is cut in silence. Redis itself believes in such a link for a minute.
 */
export const hearsNothing = (
  { linkUp, lastIoMs, offset, replicationId }: NodeFacts,
  head: NodeFacts | null,
  { downAfterMs }: GroupConfig,
): boolean =>
  linkUp &&
  head?.role === "primary" &&
  head.replicationId === replicationId &&
  head.offset > offset &&
  (lastIoMs ?? 0) >= downAfterMs;
