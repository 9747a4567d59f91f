/**
 * Replicas that the primary names and that nobody configured: shown with the lines that would configure them.
 *
 * Rules: they are never routed to or promoted, for behind NAT the address that a primary sees is nobody's. Where as
 * many configured replicas may follow under another address as there are unknown ones, these are those.
 * Must never: change who belongs to the group.
 */
import { type Draft, factsOf, tellLasting } from "./draft.ts";
import { followsNode } from "./facts.ts";
import type { Address, NodeConfig } from "./types.ts";

/** @property lines what would configure it, for wrangler.toml. */
export type Discovered = Address & { readonly lines: string };

export function discoveredOf(draft: Draft): readonly Discovered[] {
  const { config, saved } = draft;
  const facts = factsOf(draft, saved.primary);
  const primary = config.nodes.find(({ id }) => id === saved.primary);
  if (config.mode !== "replication" || primary === undefined || facts?.role !== "primary")
    return [];
  const isAt = (node: NodeConfig, { host, port }: Address) =>
    (node.host === host && node.port === port) ||
    (node.replicationHost === host && node.replicationPort === port);
  const unknown = facts.replicas.filter((each) => !config.nodes.some((node) => isAt(node, each)));
  const elsewhere = config.nodes.filter((node) => {
    if (node === primary || facts.replicas.some((each) => isAt(node, each))) return false;
    // Of one that is not seen nobody knows that it does not follow.
    const own = factsOf(draft, node.id);
    return own === null || followsNode(own, primary);
  });
  if (unknown.length <= elsewhere.length) return [];
  return unknown.map((each) => ({ ...each, lines: linesFor(each, primary) }));
}

const linesFor = ({ host, port }: Address, { probe }: NodeConfig) =>
  [
    "[[vars.GROUPS.nodes]]",
    `id = "${`${host}-${port}`
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .slice(0, 63)
      .replace(/^-+|-+$/g, "")}"`,
    `host = ${JSON.stringify(host)}`,
    `port = ${port}`,
    ...(probe === null
      ? []
      : [`# and a probe, as the other nodes have: transport = "${probe.transport}"`]),
  ].join("\n");

export function seeDiscovered(draft: Draft): void {
  // While the primary is not seen nothing of that has changed.
  if (factsOf(draft, draft.saved.primary)?.role !== "primary") return;
  const found = discoveredOf(draft);
  const names = found.map(({ host, port }) => `${host}:${port}`).join(", ");
  tellLasting(draft, "discovered", found.length > 0, () => ({
    names: ["+discovered", "-discovered"],
    node: draft.saved.primary,
    text:
      found.length > 0
        ? `${draft.saved.primary} has replicas that are not configured: ${names}; they are not routed to, and not promoted`
        : `${draft.saved.primary} has no replica that is not configured`,
    data: { discovered: found },
  }));
}
