/**
 * Active-active: which nodes may be used, as the vantages see them together.
 *
 * Rules: objectively down is not healthy; healthy is who most vantages see up now, for `up_after` looks each once it
 * was not; a relay that is confirmed silent is none of them. In between each stays what it was, so that one vantage that
 * lies or is silent decides nothing; but nobody is gone to whom most do not see up at that moment. A look at a node failed
 * when as many vantages as the quorum did not find it up at their newest, and fewer did: that alone starts its grace
 * again. One in downtime is drained; one that tells a quorum, and more than see it otherwise, that it is a replica or
 * sealed takes no writes; one that loads does not yet.
 * Must never: write anything where nothing changed: that would be a row for every look.
 */
import type { Belief } from "./believed.ts";
import { type Draft, nodeOf, save, tell, wakeBy } from "./draft.ts";
import { evidenceOf } from "./evidence.ts";
import { isSealed } from "./facts.ts";
import { overlaid } from "./overlay.ts";
import { blind } from "./sight.ts";
import type { Steering } from "./state.ts";
import { type Member, newMember, newState } from "./steering.ts";
import type { GroupConfig, NodeConfig, ObservationClass } from "./types.ts";

type Usable =
  | { readonly kind: "up" }
  /** Most see it up, and not often enough since it was down. */
  | { readonly kind: "soon"; readonly why: string }
  | { readonly kind: "down"; readonly why: string }
  /** Neither is known now. */
  | { readonly kind: "unknown"; readonly why: string };

export function usabilityOf(draft: Draft, { id }: NodeConfig): Usable {
  const { saved, config, known, sight } = draft;
  const down = (why: string): Usable => ({ kind: "down", why });
  const downtime = saved.downtimes[id];
  if (downtime !== undefined) return down(`in downtime: ${downtime.reason}`);
  const verdict = known[id]?.verdict;
  if (verdict === undefined) return { kind: "unknown", why: "not seen yet" };
  const all = config.vantages.length;
  const beliefs = config.vantages.flatMap((vantage) => {
    const belief = sight.nodes[id]?.[vantage];
    return belief === undefined ? [] : [{ ...belief, vantage, vote: verdict.votes[vantage] }];
  });
  // Whose machine is silent, of whatever node, sees nothing of anybody.
  const silent = new Set(Object.values(known).flatMap((each) => each.verdict.silent));
  const eyes = all - silent.size;
  const sighted = beliefs.filter(
    (each) => !silent.has(each.vantage) && !blind.includes(each.class),
  );
  const authorised = (sighted.length + silent.size) * 2 > all;
  if (verdict.odown && authorised) return down(`down for ${verdict.down} of ${all} vantages`);
  const seen = beliefs.filter(
    (each) => each.class === "up" && each.vote === "up" && !isReplica(each) && !isShut(each),
  );
  const told = (what: (belief: Belief) => boolean) => {
    const count = beliefs.filter(what).length;
    return count >= config.quorum && count > seen.length;
  };
  if (told(isReplica)) return down("says that it is a replica: it takes no writes");
  if (told(isShut)) return down("is sealed: it takes no writes");
  const often = seen.filter(({ successes }) => successes >= config.upAfter);
  const most = (count: number) => authorised && count * 2 > eyes && count > verdict.down;
  if (memberIn(saved.steering, id)?.healthy !== false)
    return most(seen.length)
      ? { kind: "up" }
      : { kind: "unknown", why: `seen up by ${seen.length} of ${eyes} vantages` };
  if (most(often.length)) return { kind: "up" };
  const why = `seen up by ${often.length} of ${eyes} vantages for ${config.upAfter} looks since it was down`;
  return most(seen.length) ? { kind: "soon", why } : down(why);
}

/** What it said of itself at this very look. */
const saidNow = ({ facts, factsAtMs, atMs }: Belief) => (factsAtMs === atMs ? facts : null);
const isReplica = (belief: Belief) => belief.class === "up" && saidNow(belief)?.role === "replica";
const isShut = (belief: Belief) => belief.class === "up" && isSealed(saidNow(belief));

/**
 * When the last look at it failed, if the newest one did, for as many vantages as the quorum, and for more than saw
 * it up; else null.
 */
function failedLookAtMs({ sight, config }: Draft, id: string): number | null {
  const beliefs = sight.nodes[id] ?? {};
  const failed = config.vantages.flatMap((vantage) => {
    const belief = beliefs[vantage];
    const kind = belief?.class ?? "relay-unreachable";
    return blind.includes(kind) || fine.includes(kind) ? [] : [belief?.atMs ?? 0];
  });
  const up = config.vantages.filter((vantage) => beliefs[vantage]?.class === "up").length;
  return failed.length >= config.quorum && failed.length > up ? Math.max(...failed) : null;
}

const fine: readonly ObservationClass[] = ["up", "switching"];

/** For choosing: of those that are not in use only who is seen up by most now counts as healthy. */
export function asSeenNow(draft: Draft, steering: Steering): Steering {
  const isUp = (id: string) => {
    const node = nodeOf(draft.config, id);
    return node !== null && usabilityOf(draft, node).kind === "up";
  };
  const members = steering.members.map((each) =>
    each.id === steering.active || each.healthy !== true || isUp(each.id)
      ? each
      : { ...each, healthy: null },
  );
  return { ...steering, members };
}

/** The one in use is only not wanted, and nobody else can be used: it goes on. */
export const isDrained = (draft: Draft, id: string): boolean =>
  draft.saved.downtimes[id] !== undefined &&
  Object.values(draft.sight.nodes[id] ?? {}).some((belief) => belief.class === "up");

/** At least somebody sees it up now, and nothing speaks against it: an operator may choose it where nobody else is left. */
export const isSeenUp = ({ sight, saved, config }: Draft, id: string): boolean =>
  saved.downtimes[id] === undefined &&
  config.vantages.some((vantage) => {
    const belief = sight.nodes[id]?.[vantage];
    return belief?.class === "up" && !isReplica(belief) && !isShut(belief);
  });

export const memberIn = (steering: Steering | null, id: string): Member | undefined =>
  steering?.members.find((member) => member.id === id);

/**
 * The members as configured now, each as it is seen now; told where that changed. One that is in use and that a deploy no
 * longer has is one of them until another one can be used.
 * @returns whether that is so.
 */
export function seeMembers(draft: Draft, deployed: GroupConfig): { readonly leaving: boolean } {
  const { nowMs, saved } = draft;
  const { nodes } = overlaid(saved, deployed);
  const leaving = saved.primary !== null && !nodes.some(({ id }) => id === saved.primary);
  const kept = leaving ? nodeOf(draft.config, saved.primary) : null;
  const before: Steering = {
    ...(saved.steering ?? { ...newState([], nowMs), unavailable: null }),
    // Whoever was primary when this mode began, and by the name that it has now.
    active: saved.primary,
  };
  // Before everyone was asked nothing is known anew.
  const looked = draft.sight.lookAskedAtMs !== null;
  const members = [...nodes, ...(kept === null ? [] : [kept])].map((node) => {
    const { id, weight } = node;
    const was = memberIn(before, id) ?? newMember(id, weight);
    return looked ? seen(draft, { ...was, weight }, node) : { ...was, weight };
  });
  const next = { ...before, members };
  if (JSON.stringify(next) !== JSON.stringify(draft.saved.steering))
    save(draft, { steering: next });
  return { leaving };
}

function seen(draft: Draft, was: Member, node: NodeConfig): Member {
  const { nowMs, config } = draft;
  const usable = usabilityOf(draft, node);
  // Nobody waits for the next interval to see whether it stays up.
  if (usable.kind === "soon") wakeBy(draft, nowMs + config.retryMs);
  const healthy = usable.kind === "unknown" ? was.healthy : usable.kind === "up";
  if (healthy === was.healthy) {
    const failedAtMs = healthy === true ? failedLookAtMs(draft, node.id) : null;
    return failedAtMs === null ? was : { ...was, failedAtMs };
  }
  if (was.healthy !== null || healthy === false) tellHealth(draft, node.id, usable);
  // While it is not healthy the moment says nothing: the grace begins when it is again.
  return { ...was, healthy, failedAtMs: was.healthy === null && healthy ? null : nowMs };
}

function tellHealth(draft: Draft, id: string, usable: Usable): void {
  if (usable.kind === "unknown") return;
  const { known, config } = draft;
  const { down = 0 } = known[id]?.verdict ?? {};
  const data = { votes: evidenceOf(draft, id), quorum: config.quorum };
  if (usable.kind === "up") return tell(draft, "-odown", id, `${id} can be used again`, data);
  const { why } = usable;
  const text = `${id} cannot be used: ${why} #quorum ${down}/${config.quorum}`;
  tell(draft, "+odown", id, text, { ...data, why });
}
