/**
 * Who belongs to the group, when a new configuration says otherwise.
 *
 * Rules: the primary in force, and whoever may have been promoted, cannot be removed: they are kept as last
 * configured until they are replaced. The same address under a new id is the same node, renamed: the primary
 * goes on under its new name at the next epoch, because relays hold the old name for this one.
 */
import { keepOverlay, overlaid } from "./overlay.ts";
import type { Member, Saved } from "./state.ts";
import type { GroupConfig, NodeConfig } from "./types.ts";

/** The configuration with every node that must not vanish. */
export function effectiveConfig(saved: Saved, deployed: GroupConfig): GroupConfig {
  const config = overlaid(saved, deployed);
  const kept = saved.keptNodes.filter((node) => !config.nodes.some(({ id }) => id === node.id));
  if (kept.length === 0) return config;
  // A node that is kept under its old id must not be seen as a second one under its new id.
  const others = config.nodes.filter((node) => !kept.some((each) => sameAddress(each, node)));
  return { ...config, nodes: [...others, ...kept] };
}

/** Takes over names and addresses of a new configuration as far as that can be done now. */
export function followConfig(before: Saved, deployed: GroupConfig): Saved {
  const saved = keepOverlay(before, deployed);
  const config = overlaid(saved, deployed);
  return keepNodes(forgetRemoved(renamePrimary(saved, config), config), config);
}

/** Whoever is configured no more is no member, and what it may have been promoted to is over: another is in force. */
export function forgetRemoved(saved: Saved, config: GroupConfig): Saved {
  if (saved.phase.kind !== "watching" || saved.primary === null) return saved;
  const stays = (id: string) => id === saved.primary || config.nodes.some((node) => node.id === id);
  const isLeft = (member: Member) =>
    member.id === saved.primary || config.nodes.some((node) => isSame(member, node));
  const runIds = Object.entries(saved.replicaRunIds);
  const gone =
    !saved.maybePromoted.every(stays) ||
    !saved.members.every(isLeft) ||
    !runIds.every(([id]) => stays(id));
  if (!gone) return saved;
  return {
    ...saved,
    maybePromoted: saved.maybePromoted.filter(stays),
    members: saved.members.filter(isLeft),
    replicaRunIds: Object.fromEntries(runIds.filter(([id]) => stays(id))),
  };
}

/** Notes, as configured, whoever must not vanish. */
export function keepNodes(saved: Saved, config: GroupConfig): Saved {
  const needed = [saved.primary, ...saved.maybePromoted];
  const known = [...config.nodes, ...saved.keptNodes];
  const keptNodes = [...new Set(needed)].flatMap(
    (id) => known.find((each) => each.id === id) ?? [],
  );
  const same =
    keptNodes.length === saved.keptNodes.length &&
    keptNodes.every((node, at) => sameNode(node, saved.keptNodes[at]));
  return same ? saved : { ...saved, keptNodes };
}

/** Only while nothing is under way: an attempt ends under the names that it began with. */
function renamePrimary(saved: Saved, config: GroupConfig): Saved {
  const { primary, phase } = saved;
  if (primary === null || phase.kind !== "watching") return saved;
  const kept = saved.keptNodes.find(({ id }) => id === primary);
  const now = kept && config.nodes.find((node) => sameAddress(kept, node));
  // Its address tells who it is, also when another machine got its old name.
  if (now === undefined || now.id === primary || saved.maybePromoted.includes(now.id)) return saved;
  const epoch = saved.highestEpoch + 1;
  const readable = saved.readable.filter((id) => id !== now.id);
  const members = [...saved.members, memberOf(now)];
  return { ...saved, epoch, highestEpoch: epoch, primary: now.id, rev: 0, readable, members };
}

export const memberOf = ({ id, host, port }: NodeConfig): Member => ({ id, host, port });

/** Whoever was one under its old name, or at its old address, is still one. */
export const isMember = ({ members }: Saved, node: NodeConfig): boolean =>
  members.some((member) => isSame(member, node));

const isSame = (member: Member, node: NodeConfig) =>
  member.id === node.id || (member.host === node.host && member.port === node.port);

const sameAddress = (a: NodeConfig, b: NodeConfig) => a.host === b.host && a.port === b.port;

function sameNode(a: NodeConfig, b: NodeConfig | undefined): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
