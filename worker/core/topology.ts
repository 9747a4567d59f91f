/**
 * Who follows whom, as the nodes say it: pure readings that several decisions share.
 *
 * Must never: decide, send or tell anything.
 */
import { attemptOf, type Draft, factsOf, nodeOf } from "./draft.ts";
import { followsNode } from "./facts.ts";
import type { NodeConfig } from "./types.ts";

/** What the primary in force is. */
export type Standing = "primary" | "restarted-as-replica" | "made-replica" | "unseen";

export function standing(draft: Draft): Standing {
  const facts = factsOf(draft, draft.saved.primary);
  // In the last phase of a FAILOVER a primary says that it is a replica, and may be one again at once.
  if (facts === null || (facts.switching && facts.role === "replica")) return "unseen";
  if (facts.role === "primary") return "primary";
  return facts.runId === draft.saved.primaryRunId ? "made-replica" : "restarted-as-replica";
}

/** Ids of the nodes that say they are a primary. */
export function primariesSeen(draft: Draft): readonly string[] {
  return draft.config.nodes
    .filter((node) => factsOf(draft, node.id)?.role === "primary")
    .map((node) => node.id);
}

/** It was seen as a replica under the run id that it has as a primary: somebody promoted it. */
export function promotedAtRunTime(draft: Draft, id: string): boolean {
  const facts = factsOf(draft, id);
  return facts?.role === "primary" && draft.saved.replicaRunIds[id] === facts.runId;
}

/** The mark that somebody else's change of the primary was told, and still holds. */
export const ROLE_CHANGE = "role-change";

/**
 * The node that somebody else made primary in place of the one in force, cleanly: it alone is a primary, and
 * the old one follows it, or did when it was last seen; or the old one is dead, and all the others follow it. One that came back as its replica counts only if the
 * other was promoted at run time: what files say after a restart of all is not somebody's will.
 */
export function foreignPrimary(draft: Draft): NodeConfig | null {
  const { saved, config } = draft;
  if (attemptOf(saved) !== null || saved.primary === null) return null;
  const facts = factsOf(draft, saved.primary);
  const seen = primariesSeen(draft);
  const other = nodeOf(config, seen[0] ?? null);
  if (other === null || seen.length !== 1 || other.id === saved.primary) return null;
  if (saved.maybePromoted.includes(other.id)) return null;
  const promoted = promotedAtRunTime(draft, other.id);
  if (facts === null) {
    const before = draft.sight.told.includes(ROLE_CHANGE);
    return promoted && (before || replaced(draft, other)) ? other : null;
  }
  const clean = standing(draft) === "made-replica" || promoted;
  return clean && followsNode(facts, other) ? other : null;
}

/** The primary in force is objectively down, and every replica that answers follows the other. */
function replaced({ saved, config, known }: Draft, other: NodeConfig): boolean {
  if (known[saved.primary ?? ""]?.verdict.odown !== true) return false;
  return config.nodes.every(({ id }) => {
    const facts = known[id]?.best?.facts ?? null;
    return id === other.id || facts === null || followsNode(facts, other);
  });
}

/** Nodes that follow each other in a ring, in its order; empty: there is none. */
export function cycleSeen(draft: Draft): readonly string[] {
  const { nodes } = draft.config;
  const next = (id: string): string | null => {
    const facts = factsOf(draft, id);
    if (facts === null || facts.role === "primary") return null;
    return nodes.find((node) => node.id !== id && followsNode(facts, node))?.id ?? null;
  };
  for (const { id: first } of nodes) {
    const path: string[] = [];
    for (let at: string | null = first; at !== null; at = next(at)) {
      if (path.includes(at)) return path.slice(path.indexOf(at));
      path.push(at);
    }
  }
  return [];
}
