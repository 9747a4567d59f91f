/**
 * The links of the replicas to the primary in force: who has none, and whose is cut in silence.
 *
 * Rules: a link is told to be down when the primary is up and the replica has none for a while. One that is cut in silence
 * looks up to Redis for a minute: there the primary was ahead for `down_after_ms`, and nothing was heard for as long.
 * Must never: take the moment after an idle spell for silence, or forget what was seen because the primary died.
 */
import { type Draft, factsOf, holdsSince, nodeOf, tellEdge } from "./draft.ts";
import { followsNode } from "./facts.ts";
import { sentWithin } from "./plan.ts";
import { standing } from "./topology.ts";
import type { GroupConfig, NodeConfig, NodeFacts } from "./types.ts";

const LINK_DOWN_MS = 1000;
const RECONF_MS = 10_000;
const DEAF = "deaf:";

/** Its link is up for Redis, and brings nothing. */
export const isDeaf = ({ sight, nowMs, config }: Draft, id: string): boolean =>
  nowMs - (sight.since[DEAF + id] ?? nowMs) >= config.downAfterMs;

export function seeLinks(draft: Draft, primary: NodeConfig, odown: boolean): void {
  const { config, nowMs } = draft;
  const head = factsOf(draft, primary.id);
  noteDeaf(draft, primary);
  const stands = !odown && standing(draft) === "primary" && head?.loading === false;
  for (const { id } of replicasOf(draft, primary)) {
    const replica = factsOf(draft, id);
    if (replica === null) continue;
    const { linkDownMs, lastIoMs, syncing } = replica;
    const deaf = isDeaf(draft, id);
    const linkUp = replica.linkUp && !deaf;
    const downLong = deaf || linkDownMs === null || linkDownMs >= LINK_DOWN_MS;
    const alone = stands && !linkUp && !syncing && downLong;
    const told = draft.sight.told.includes(`link-down:${id}`);
    if (!told && alone && sentWithin(draft, "demote", id, RECONF_MS)) continue;
    tellEdge(draft, `link-down:${id}`, told ? !linkUp : alone, () => ({
      names: ["+link-down", "-link-down"],
      node: id,
      text: linkUp
        ? `${id} has its link to ${primary.id} again`
        : deaf
          ? `${id} has heard nothing from ${primary.id}, which is ahead of it, for ${lastIoMs} ms: its link is cut in silence`
          : `${id} has no link to ${primary.id}, which is up: it falls behind, and is not promoted after ${config.maxLinkDownMs} ms of it`,
      data: { linkDownMs, lastIoMs, atMs: nowMs },
    }));
  }
}

/** Those that answer and follow it, and are not left alone. */
function replicasOf(draft: Draft, primary: NodeConfig): readonly NodeConfig[] {
  return draft.config.nodes.filter((node) => {
    const facts = factsOf(draft, node.id);
    if (node.id === primary.id || draft.saved.downtimes[node.id] !== undefined) return false;
    return facts !== null && followsNode(facts, primary);
  });
}

/** While one of the two does not answer, what was seen of them stays as it is. */
function noteDeaf(draft: Draft, primary: NodeConfig): void {
  const head = factsOf(draft, primary.id);
  const replicas = replicasOf(draft, primary);
  const ids = Object.keys(draft.sight.since).filter((mark) => mark.startsWith(DEAF));
  for (const mark of ids) {
    const id = mark.slice(DEAF.length);
    const unseen = nodeOf(draft.config, id) !== null && factsOf(draft, id) === null;
    if (!unseen && !replicas.some((node) => node.id === id)) holdsSince(draft, mark, false);
  }
  if (head === null) return;
  for (const { id } of replicas) {
    const facts = factsOf(draft, id);
    if (facts !== null) holdsSince(draft, DEAF + id, hearsNothing(facts, head, draft.config));
  }
}

/**
 * Its primary is ahead, and it has heard nothing for longer than silence takes: for a moment after every idle spell,
 * and for good where its link is cut in silence. Redis itself believes in such a link for a minute.
 */
const hearsNothing = (
  { linkUp, lastIoMs, offset, replicationId }: NodeFacts,
  head: NodeFacts,
  { downAfterMs }: GroupConfig,
): boolean =>
  linkUp &&
  head.role === "primary" &&
  head.replicationId === replicationId &&
  head.offset > offset &&
  (lastIoMs ?? 0) >= downAfterMs;
