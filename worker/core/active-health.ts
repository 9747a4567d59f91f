/**
 * Active-active: which nodes may be used, as the vantages see them together.
 *
 * Rules: objectively down is not healthy; healthy is who most vantages see up, for `up_after` looks each once it
 * was not; in between nothing changes, so that one vantage that lies or is silent decides nothing. A look at a node
 * failed when as many vantages as the quorum found it bad at their newest, and fewer saw it up: that alone starts its
 * grace again. One in downtime is drained; one that tells a quorum that it is a replica takes no writes; one that loads
 * does not yet.
 * Must never: write anything where nothing changed: that would be a row for every look.
 */
import type { Belief } from "./believed.ts";
import { type Draft, save, tellEdge } from "./draft.ts";
import { evidenceOf } from "./evidence.ts";
import { bad } from "./sight.ts";
import type { Steering } from "./state.ts";
import { type Member, newMember, newState } from "./steering.ts";
import type { NodeConfig } from "./types.ts";

/** Why a node cannot be used now, in words; null: it can. Undefined: not known yet. */
export function whyUnusable(draft: Draft, { id }: NodeConfig): string | null | undefined {
  const { saved, config, known, sight } = draft;
  const downtime = saved.downtimes[id];
  if (downtime !== undefined) return `in downtime: ${downtime.reason}`;
  const verdict = known[id]?.verdict;
  if (verdict === undefined) return undefined;
  if (verdict.odown && verdict.authorised)
    return `down for ${verdict.down} of ${config.vantages.length} vantages`;
  const beliefs = config.vantages.flatMap((vantage) => {
    const belief = sight.nodes[id]?.[vantage];
    return belief === undefined ? [] : [{ ...belief, vote: verdict.votes[vantage] }];
  });
  const replica = beliefs.filter(isReplica).length;
  if (replica >= config.quorum) return "says that it is a replica: it takes no writes";
  const before = memberIn(saved.steering, id)?.healthy ?? null;
  const isUp = ({ vote, successes }: (typeof beliefs)[number]) =>
    vote === "up" && (before !== false || successes >= config.upAfter);
  const up = beliefs.filter((each) => each.class === "up" && !isReplica(each) && isUp(each)).length;
  if (up * 2 > config.vantages.length && up > verdict.down) return null;
  if (before === null) return undefined;
  return before ? null : "not seen up by most vantages since it was down";
}

const isReplica = ({ class: kind, facts }: Belief) => kind === "up" && facts?.role === "replica";

/**
 * When the last look at it failed, if the newest one did, for as many vantages as the quorum, and for more than saw
 * it up; else null.
 */
function failedLookAtMs({ sight, config }: Draft, id: string): number | null {
  const beliefs = sight.nodes[id] ?? {};
  const failed = config.vantages.flatMap((vantage) => {
    const belief = beliefs[vantage];
    const isFailed =
      belief !== undefined && (bad.includes(belief.class) || belief.class === "loading");
    return isFailed ? [belief.atMs] : [];
  });
  const up = config.vantages.filter((vantage) => beliefs[vantage]?.class === "up").length;
  return failed.length >= config.quorum && failed.length > up ? Math.max(...failed) : null;
}

export const memberIn = (steering: Steering | null, id: string): Member | undefined =>
  steering?.members.find((member) => member.id === id);

/** The members as configured now, each as it is seen now; told where that changed. */
export function seeMembers(draft: Draft, nodes: readonly NodeConfig[]): void {
  const { nowMs, saved } = draft;
  const before: Steering = {
    ...(saved.steering ?? { ...newState([], nowMs), unavailable: null }),
    // Whoever was primary when this mode began, and by the name that it has now.
    active: saved.primary,
  };
  const members = nodes.map((node) => {
    const { id, weight } = node;
    const was = memberIn(before, id) ?? newMember(id, weight);
    const why = whyUnusable(draft, node);
    const healthy = why === undefined ? null : why === null;
    // While it is not healthy the moment says nothing: the grace begins when it is again.
    const turned = healthy !== null && was.healthy === !healthy;
    const failedAtMs = turned ? nowMs : healthy === true ? failedLookAtMs(draft, id) : null;
    tellHealth(draft, id, healthy, why ?? null);
    return {
      ...was,
      weight,
      healthy,
      failedAtMs: failedAtMs ?? was.failedAtMs,
    };
  });
  const next = { ...before, members };
  if (JSON.stringify(next) !== JSON.stringify(draft.saved.steering))
    save(draft, { steering: next });
}

function tellHealth(draft: Draft, id: string, healthy: boolean | null, why: string | null): void {
  if (healthy === null) return;
  const { known, config } = draft;
  const { down = 0 } = known[id]?.verdict ?? {};
  tellEdge(draft, `odown:${id}`, !healthy, () => ({
    names: ["+odown", "-odown"],
    node: id,
    text: healthy
      ? `${id} can be used again`
      : `${id} cannot be used: ${why} #quorum ${down}/${config.quorum}`,
    data: { votes: evidenceOf(draft, id), quorum: config.quorum, why },
  }));
}
