/**
 * Drift from stored truth, and its repair: whoever is not the primary must not take writes, and follows it.
 *
 * Rules: a node that says it is a primary and is not the one in force is sealed at first sight, and demoted
 * once the one in force is seen as primary; replicas of somebody else are repointed, `parallel_syncs` at a
 * time; the primary in force is never left sealed; one that came back from a restart as a replica is promoted
 * again; one that was made a replica without a restart is somebody's deed: reported, never fought.
 * Must never: act for a node that was not seen in the latest look.
 */
import { type Draft, isPending, nodeOf, tell, tellOnce, untell } from "./draft.ts";
import { factsOf, judge } from "./health.ts";
import { follows, isSealed, sendVerb, sentWithin, wasSent } from "./plan.ts";
import type { NodeConfig, NodeFacts } from "./types.ts";

/** A repair that showed no effect is sent again after this. */
const AGAIN_MS = 1000;
/** A replica whose link stays down for this long no longer holds up the next one (Sentinel). */
const RECONF_MS = 10_000;

/** What the primary in force is, for repairs. */
type Standing = "primary" | "restarted-as-replica" | "made-replica" | "unseen";

export function standing(draft: Draft): Standing {
  const primary = nodeOf(draft.config, draft.saved.primary);
  const facts = primary === null ? null : factsOf(draft.sight, primary, draft.config);
  if (facts === null) return "unseen";
  if (facts.role === "primary") return "primary";
  return facts.runId === draft.saved.primaryRunId ? "made-replica" : "restarted-as-replica";
}

/** Somebody else switched the primary, as last seen: until it is seen as primary again nothing is fought. */
export function isForeign(draft: Draft): boolean {
  const stands = standing(draft);
  return (
    stands === "made-replica" || (stands === "unseen" && draft.sight.told.includes("role-change"))
  );
}

/** First sight of a second primary: it is sealed, whatever else goes on. */
export function sealStrangers(draft: Draft): void {
  const { config, saved } = draft;
  const { phase } = saved;
  const candidate = phase.kind === "promoting" ? phase.candidate : null;
  const wanted = phase.kind === "watching" ? null : phase.attempt.target;
  if (saved.epoch === 0 || isForeign(draft)) return;
  for (const node of config.nodes) {
    const facts = factsOf(draft.sight, node, config);
    const stranger =
      facts?.role === "primary" &&
      node.id !== saved.primary &&
      node.id !== candidate &&
      node.id !== wanted;
    const mark = `stranger:${node.id}`;
    // A seal that was sent before, while it was away, says nothing of what it is now.
    const firstSight = !draft.sight.told.includes(mark);
    tellOnce(draft, mark, stranger && !isSealed(facts), () => ({
      name: "+convert-to-slave",
      node: node.id,
      text: `${node.id} says that it is a primary and is not the one in force: sealed, then demoted`,
    }));
    if (!stranger || isSealed(facts)) continue;
    if (firstSight || !sentWithin(draft, "seal", node.id, AGAIN_MS))
      sendVerb(draft, "seal", node.id);
  }
}

/** The primary in force: never sealed, never left a replica after a restart. */
export function repairPrimary(draft: Draft): void {
  const primary = nodeOf(draft.config, draft.saved.primary);
  if (primary === null) return;
  const facts = factsOf(draft.sight, primary, draft.config);
  const stands = standing(draft);
  if (stands === "unseen" && isForeign(draft)) return;
  tellOnce(draft, "role-change", stands === "made-replica", () => ({
    name: "+role-change",
    node: primary.id,
    text: `${primary.id} was made a replica by somebody else: nothing is changed, an operator decides`,
  }));
  if (stands === "restarted-as-replica" && !sentWithin(draft, "promote", primary.id, AGAIN_MS)) {
    if (sendVerb(draft, "promote", primary.id))
      tell(
        draft,
        "+restore-primary",
        primary.id,
        `${primary.id} came back as a replica: promoted again`,
      );
  }
  const sealed = stands === "primary" && isSealed(facts);
  if (sealed && !sentWithin(draft, "unseal", primary.id, AGAIN_MS)) {
    if (sendVerb(draft, "unseal", primary.id))
      tell(draft, "+unseal", primary.id, `${primary.id} is the primary in force and was sealed`);
  }
}

/** Brings every other node that answers under the primary. Returns those that are not there yet. */
export function repointFollowers(draft: Draft): readonly string[] {
  const { config, saved } = draft;
  const primary = nodeOf(config, saved.primary);
  if (primary === null || standing(draft) !== "primary") return [];
  const others = config.nodes
    .filter((node) => node.id !== primary.id)
    .map((node) => ({ node, facts: factsOf(draft.sight, node, config) }))
    .filter((each): each is { node: NodeConfig; facts: NodeFacts } => each.facts !== null);
  const right = others.filter(({ facts }) => follows(facts, primary));
  for (const { node, facts } of right)
    tellOnce(draft, `reconf:${node.id}`, facts.linkUp && wasSent(draft, "demote", node.id), () => ({
      name: "+slave-reconf-done",
      node: node.id,
      text: `${node.id} follows ${primary.id}`,
    }));
  const syncing = right.filter(
    ({ node, facts }) => !facts.linkUp && sentWithin(draft, "demote", node.id, RECONF_MS),
  );
  // A replica that was fenced for an attempt gives its seal back, with the same verb at the same primary.
  // One that says it is a primary is sealed first: a seal that came after the demotion would stay on.
  const wrong = others
    .filter(({ facts }) => !follows(facts, primary) || isSealed(facts))
    .filter(({ node }) => !isPending(draft, "seal", node.id));
  const sent = wrong.filter(({ node }) => sentWithin(draft, "demote", node.id, AGAIN_MS));
  const free = config.parallelSyncs - syncing.length - sent.length;
  const next = wrong.filter((each) => !sent.includes(each)).slice(0, Math.max(0, free));
  for (const { node, facts } of next) repoint(draft, node, facts, primary);
  return [...syncing, ...wrong].map(({ node }) => node.id);
}

function repoint(draft: Draft, node: NodeConfig, facts: NodeFacts, primary: NodeConfig): void {
  if (!sendVerb(draft, "demote", node.id)) return;
  untell(draft, `reconf:${node.id}`);
  const failing = draft.saved.phase.kind === "repointing";
  const was =
    facts.role === "primary"
      ? "a primary"
      : `a ${isSealed(facts) ? "sealed " : ""}replica of ${facts.replicaOf?.host}:${facts.replicaOf?.port}`;
  const text = `${node.id} was ${was}: told to follow ${primary.id}`;
  if (failing) tell(draft, "+slave-reconf-sent", node.id, text);
  else if (facts.role === "replica") tell(draft, "+fix-slave-config", node.id, text);
}

/** Replicas that take reads: seen following the primary with the link up, often enough in a row. */
export function readableNow(draft: Draft): readonly string[] {
  const { config, saved, sight, nowMs } = draft;
  const primary = nodeOf(config, saved.primary);
  if (primary === null) return [];
  const head = factsOf(sight, primary, config);
  const primaryUp = head !== null && head.role === "primary" && !head.loading;
  return config.nodes
    .filter((node) => node.id !== primary.id)
    .filter((node) => {
      const was = saved.readable.includes(node.id);
      if (judge(sight, node, config, nowMs).odown) return false;
      const facts = factsOf(sight, node, config);
      if (facts === null) return was;
      if (!follows(facts, primary) || facts.syncing || facts.loading) return false;
      // Without a primary every link is down, and what the replica holds is still the best there is.
      if (!facts.linkUp) return was && !primaryUp;
      const looks = Object.values(sight.nodes[node.id] ?? {}).map((belief) => belief.successes);
      return was || Math.max(0, ...looks) >= config.upAfter;
    })
    .map((node) => node.id);
}
