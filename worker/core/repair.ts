/**
 * Drift from stored truth, and its repair: whoever is not the primary must not take writes, and follows it.
 *
 * Rules: a node that says it is a primary and is not the one in force is sealed at first sight, and demoted
 * once the one in force is seen as primary; one that somebody promoted at run time is demoted only when it
 * lasts, for that may be a person's first step; replicas of somebody else are repointed, `parallel_syncs` at
 * a time; the primary in force, when it came back from a
 * restart as a replica is promoted again; what somebody else did to it on purpose is never fought.
 * Must never: act for a node that was not seen in the latest look; or, but for the seal of a second primary, for
 * one that an operator wants left alone.
 */
import {
  type Draft,
  factsOf,
  holdsSince,
  isPending,
  nodeOf,
  save,
  tell,
  tellEdge,
  untell,
} from "./draft.ts";
import { bootsSealed, followsNode, isSealed } from "./facts.ts";
import { isDeaf } from "./links.ts";
import { isMember, memberOf } from "./membership.ts";
import { repairBy, sendVerb, sentWithin, wasSent } from "./plan.ts";
import type { Saved } from "./state.ts";
import { foreignPrimary, promotedAtRunTime, ROLE_CHANGE, standing } from "./topology.ts";
import type { GroupConfig, NodeConfig, NodeFacts } from "./types.ts";
import { wipeOf } from "./wipe.ts";

/** A replica whose link stays down for this long no longer holds up the next one (Sentinel). */
const RECONF_MS = 10_000;

/** Somebody else switched the primary, as last seen: until it is seen as primary again nothing is fought. */
export function isForeign(draft: Draft): boolean {
  const stands = standing(draft);
  return (
    stands === "made-replica" ||
    foreignPrimary(draft) !== null ||
    (stands === "unseen" && draft.sight.told.includes(ROLE_CHANGE))
  );
}

/** It holds data, and nobody ever saw it as a part of this group: a slip of the pen in a deploy empties nobody. */
export function isUnknown(draft: Draft, id: string): boolean {
  const node = nodeOf(draft.config, id);
  return node !== null && !isMember(draft.saved, node) && (factsOf(draft, id)?.keys ?? 0) > 0;
}

/** May it be a primary, as things stand: it is the one in force, or named to be, or wanted by an operator. */
function mayLead({ primary, phase }: Saved, id: string): boolean {
  if (phase.kind === "watching") return id === primary;
  const named = phase.kind === "promoting" || phase.kind === "switching" ? phase.candidate : null;
  // Once another one was told to be primary the old one is a stranger too.
  const replaced = phase.kind === "promoting" && phase.attempt.from === id;
  return (id === primary && !replaced) || id === named || id === phase.attempt.target;
}

/** Nothing is sealed of a group that has no primary yet, is paused, or only observed, or has no primary but a choice. */
const sealsAtSight = (
  { epoch, phase, paused }: Saved,
  { observeOnly, mode }: GroupConfig,
): boolean =>
  mode === "replication" &&
  epoch > 0 &&
  !observeOnly &&
  (phase.kind !== "watching" || paused === null);

/** Whom a relay seals by itself when it comes back as a primary: nobody who may be one, and no unknown. */
export const strangersOf = (saved: Saved, config: GroupConfig): readonly string[] =>
  sealsAtSight(saved, config)
    ? config.nodes
        .filter((node) => !mayLead(saved, node.id) && isMember(saved, node))
        .map(({ id }) => id)
    : [];

/** First sight of a second primary: it is sealed, whatever else goes on. */
export function sealStrangers(draft: Draft): void {
  const { config, saved } = draft;
  if (!sealsAtSight(saved, config) || isForeign(draft)) return;
  for (const { id } of config.nodes) {
    const facts = factsOf(draft, id);
    // Until another one was made primary it was right to be one.
    const askedAtMs = draft.known[id]?.best?.askedAtMs ?? 0;
    const outdated = askedAtMs < (saved.lastSwitch?.atMs ?? 0);
    const stranger = facts?.role === "primary" && !mayLead(saved, id) && !outdated;
    const mark = `stranger:${id}`;
    // A seal that was sent before, while it was away, says nothing of what it is now.
    const firstSight = !draft.sight.told.includes(mark);
    const strangeMs = holdsSince(draft, mark, stranger) ?? 0;
    // A person who switches makes one a primary and the other one a replica: told by one relay each.
    const isNews = stranger && strangeMs >= (draft.sight.newsAtMs ?? Number.POSITIVE_INFINITY);
    const wasAway = draft.sight.since[`away:${id}`] !== undefined;
    // By its file, or by its relay, before anybody here had seen it.
    const cameSealed = stranger && isSealed(facts) && wasAway;
    if (cameSealed)
      tell(draft, "+sealed", id, `${id} came back as a primary, and was sealed before it was seen`);
    if (!isNews || cameSealed) holdsSince(draft, `away:${id}`, facts === null);
    if (isNews) continue;
    const unknown = stranger && isUnknown(draft, id);
    tellEdge(draft, `unknown:${id}`, unknown, () => ({
      names: ["+node-unknown", "-node-unknown"],
      node: id,
      text: unknown
        ? `${id} says that it is a primary, holds ${facts?.keys} keys, and is not known as one of this group: left alone until an operator acknowledges that it is emptied`
        : `${id} is no longer a primary that nobody knows`,
      data: { keys: facts?.keys },
    }));
    tellEdge(draft, mark, stranger && !isSealed(facts) && !unknown, () => ({
      names: ["+convert-to-slave", null],
      node: id,
      text: `${id} says that it is a primary and is not the one in force: sealed, then demoted`,
    }));
    if (!stranger || isSealed(facts) || isUnknown(draft, id)) continue;
    if (firstSight) sendVerb(draft, "seal", id);
    else repairBy(draft, "seal", id);
  }
}

/** The primary in force is never left a replica after a restart. */
export function repairPrimary(draft: Draft): void {
  const primary = nodeOf(draft.config, draft.saved.primary);
  if (primary === null || draft.saved.downtimes[primary.id] !== undefined) return;
  const stands = standing(draft);
  if (stands === "unseen" && isForeign(draft)) return;
  if (foreignPrimary(draft) !== null) return;
  if (stands === "restarted-as-replica" && wipeOf(draft).kind === "kept") {
    if (repairBy(draft, "promote", primary.id)) {
      const text = `${primary.id} came back as a replica: promoted again`;
      tell(draft, "+restore-primary", primary.id, text);
    }
  }
}

/** After a hand-over: the files of both say what they are now, and clients leave the old one. */
function settleFiles(draft: Draft, primary: NodeConfig): void {
  for (const id of draft.saved.toSettle) {
    const facts = factsOf(draft, id);
    if (nodeOf(draft.config, id) === null)
      save(draft, { toSettle: draft.saved.toSettle.filter((each) => each !== id) });
    else if (id === primary.id) repairBy(draft, "unseal", id);
    else if (facts !== null && followsNode(facts, primary)) repairBy(draft, "demote", id);
  }
}

/** Brings every other node that answers under the primary. Returns those that are not there yet. */
export function repointFollowers(draft: Draft): readonly string[] {
  const { config, saved } = draft;
  const primary = nodeOf(config, saved.primary);
  const head = factsOf(draft, saved.primary);
  // A primary whose data is in doubt is nobody's source.
  if (primary === null || head?.role !== "primary" || head.runId !== saved.primaryRunId) return [];
  const others = config.nodes
    .filter((node) => node.id !== primary.id && saved.downtimes[node.id] === undefined)
    .map((node) => ({ node, facts: factsOf(draft, node.id) }))
    .filter((each): each is { node: NodeConfig; facts: NodeFacts } => each.facts !== null)
    // While it loads Redis lets nobody change its role.
    .filter(({ facts }) => !facts.loading);
  settleFiles(draft, primary);
  const right = others.filter(({ facts }) => followsNode(facts, primary));
  for (const { node, facts } of right)
    tellEdge(draft, `reconf:${node.id}`, facts.linkUp && wasSent(draft, "demote", node.id), () => ({
      names: ["+slave-reconf-done", null],
      node: node.id,
      text: `${node.id} follows ${primary.id}`,
    }));
  const syncing = right.filter(
    ({ node, facts }) => !facts.linkUp && sentWithin(draft, "demote", node.id, RECONF_MS),
  );
  // A replica that was fenced for an attempt gives its seal back, with the same verb at the same primary.
  // One that says it is a primary is sealed first: a seal that came after the demotion would stay on.
  const keepsSeal = bootsSealed(config);
  const wrong = others
    .filter(({ facts }) => !followsNode(facts, primary) || (isSealed(facts) && !keepsSeal))
    .filter(({ node }) => !isPending(draft, "seal", node.id) && isDue(draft, node.id))
    .filter(({ node, facts }) => facts.role === "replica" || isStill(draft, node.id, facts));
  const busy = wrong.filter(({ node }) => isPending(draft, "demote", node.id));
  let free = config.parallelSyncs - syncing.length - busy.length;
  // Those that only have to turn round come before those that throw something away.
  const cost = ({ facts }: { facts: NodeFacts }) => Number(facts.role === "primary");
  for (const { node, facts } of [...wrong].sort((a, b) => cost(a) - cost(b)))
    if (free > 0 && repoint(draft, node, facts, primary)) free -= 1;
  return [...syncing, ...wrong].map(({ node }) => node.id);
}

/** Seen sealed, so that what it holds is all that it will ever hold; or it cannot be sealed. */
const isStill = (draft: Draft, id: string, facts: NodeFacts) =>
  isSealed(facts) || (draft.sight.failed[`seal:${id}`] ?? 0) > 0;

/** What somebody promoted at run time is let be for a while: it may be a switch that is not finished. */
function isDue(draft: Draft, id: string): boolean {
  const { saved, config, nowMs } = draft;
  if (factsOf(draft, id)?.role === "primary" && isUnknown(draft, id)) return false;
  if (!promotedAtRunTime(draft, id) || saved.maybePromoted.includes(id)) return true;
  const sinceMs = draft.sight.since[`stranger:${id}`] ?? nowMs;
  return nowMs - sinceMs >= config.adoptAfterMs;
}

function repoint(draft: Draft, node: NodeConfig, facts: NodeFacts, primary: NodeConfig): boolean {
  if (!repairBy(draft, "demote", node.id)) return false;
  untell(draft, `reconf:${node.id}`);
  noteLostBytes(draft, node.id, facts);
  const was =
    facts.role === "primary"
      ? "a primary"
      : `a ${isSealed(facts) ? "sealed " : ""}replica of ${facts.replicaOf === null ? "nobody" : `${facts.replicaOf.host}:${facts.replicaOf.port}`}`;
  const text = `${node.id} was ${was}: told to follow ${primary.id}`;
  if (draft.saved.phase.kind === "repointing") tell(draft, "+slave-reconf-sent", node.id, text);
  else if (facts.role === "replica") tell(draft, "+fix-slave-config", node.id, text);
  return true;
}

/**
 * The old primary is about to throw away what only it has: how much that is can be told exactly while it
 * still knows the history that the new primary went on from.
 */
function noteLostBytes(draft: Draft, id: string, old: NodeFacts): void {
  const { lastSwitch } = draft.saved;
  const now = factsOf(draft, draft.saved.primary);
  if (lastSwitch === null || lastSwitch.from !== id || lastSwitch.lostBytes !== null) return;
  if (old.role !== "primary" || now === null) return;
  const one = isSealed(old) && old.replicationId !== "" && old.replicationId === now.replicationId2;
  const lostBytes =
    one && now.secondOffset !== null ? Math.max(0, old.offset - (now.secondOffset - 1)) : "unknown";
  save(draft, { lastSwitch: { ...lastSwitch, lostBytes } });
  if (lostBytes === 0) return;
  const text =
    lostBytes === "unknown"
      ? `what ${id} holds and the group does not is not known: it was restarted, or tells another history`
      : `${id} holds ${lostBytes} bytes that the group does not: they are lost when it follows`;
  tell(draft, "+lost-writes", id, text, {
    lostBytes,
    offset: old.offset,
    keptTo: now.secondOffset,
  });
}

/** Notes who follows the primary, while it is seen: what is lost with it says nothing against a replica. */
export function noteFollowers(draft: Draft): void {
  const { config, saved, known } = draft;
  const primary = nodeOf(config, saved.primary);
  const head = factsOf(draft, saved.primary);
  // While it loads, or is not judged after a restart, nobody can follow it.
  if (primary === null || head?.role !== "primary" || head.loading) return;
  if (head.runId !== saved.primaryRunId) return;
  const followed = config.nodes
    .filter(({ id }) => id !== primary.id)
    .filter(({ id }) => {
      const facts = factsOf(draft, id);
      if (facts !== null) return followsNode(facts, primary) && facts.linkUp && !isDeaf(draft, id);
      return saved.followed.includes(id) && known[id]?.verdict.odown !== true;
    })
    .map(({ id }) => id);
  const same = followed.length === saved.followed.length;
  if (!same || followed.some((id) => !saved.followed.includes(id))) save(draft, { followed });
  const joined = config.nodes.filter(
    (node) => (node === primary || followed.includes(node.id)) && !isMember(saved, node),
  );
  if (joined.length > 0) save(draft, { members: [...saved.members, ...joined.map(memberOf)] });
}

/** Replicas that take reads: seen following the primary with the link up, often enough in a row. */
export function readableNow(draft: Draft): readonly string[] {
  const { config, saved, sight, known } = draft;
  const primary = nodeOf(config, saved.primary);
  if (primary === null) return [];
  const head = factsOf(draft, primary.id);
  const primaryUp = head !== null && head.role === "primary" && !head.loading;
  return config.nodes
    .filter((node) => node.id !== primary.id && saved.downtimes[node.id] === undefined)
    .filter((node) => {
      const was = saved.readable.includes(node.id);
      if (known[node.id]?.verdict.odown === true) return false;
      const facts = factsOf(draft, node.id);
      if (facts === null) return was;
      if (!followsNode(facts, primary) || facts.syncing || facts.loading) return false;
      // Without a primary every link is down, and what the replica holds is still the best there is.
      if (!facts.linkUp || isDeaf(draft, node.id)) return was && !primaryUp;
      const looks = Object.values(sight.nodes[node.id] ?? {}).map((belief) => belief.successes);
      return was || Math.max(0, ...looks) >= config.upAfter;
    })
    .map((node) => node.id);
}
