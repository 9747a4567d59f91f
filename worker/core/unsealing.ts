/**
 * Giving seals back: the primary in force takes writes, and so does whoever was sealed for nothing.
 *
 * Rules: only a node that was seen sealed, and never a primary that was restarted and not judged: that is the
 * wipe guard's to end. A pause or a downtime does not hold it up: a seal of ours is no reason to be without
 * writes.
 */
import { type Draft, factsOf, save, tell } from "./draft.ts";
import { isSealed } from "./facts.ts";
import { countFailure, repairBy } from "./plan.ts";
import type { Pending } from "./state.ts";

export function giveSealsBack(draft: Draft): void {
  const { saved, config } = draft;
  const { primary, toUnseal } = saved;
  // While only observing, what an attempt of ours left behind is all that is touched.
  const ids =
    primary === null || config.observeOnly ? toUnseal : [...new Set([primary, ...toUnseal])];
  for (const id of ids) giveBack(draft, id);
}

function giveBack(draft: Draft, id: string): void {
  const { primary, pending, toUnseal } = draft.saved;
  const facts = factsOf(draft, id);
  // Orders that nobody heard of again were obeyed, then: they are no row of failures.
  if (facts !== null && !isSealed(facts)) countFailure(draft, "unseal", id, true);
  const done = facts !== null && !isSealed(facts) && !pending.some((each) => isSealOf(each, id));
  // Another one is in force: a seal on this one is right.
  if (toUnseal.includes(id) && (done || (primary !== null && primary !== id)))
    save(draft, { toUnseal: toUnseal.filter((each) => each !== id) });
  if (primary !== null && primary !== id) return;
  if (!isSealed(facts) || !mayTakeWrites(draft, id)) return;
  if (repairBy(draft, "unseal", id) && primary !== null)
    tell(draft, "+unseal", id, `${id} is the primary in force and was sealed`);
}

const isSealOf = ({ kind, about }: Pending, id: string) => kind === "seal" && about === id;

/** It was seen as a primary, and is not one that was restarted and not judged. */
export function mayTakeWrites(draft: Draft, id: string): boolean {
  const facts = factsOf(draft, id);
  const { primary, primaryRunId } = draft.saved;
  return facts?.role === "primary" && (primary === null || facts.runId === primaryRunId);
}
