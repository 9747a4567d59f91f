/**
 * Giving seals back: the primary in force takes writes, and so does whoever was sealed for nothing.
 *
 * Rules: only a node that was seen sealed, and never a primary that was restarted and not judged: that is the
 * wipe guard's to end. A pause or a downtime does not hold it up: a seal of ours is no reason to be without
 * writes.
 */
import { type Draft, factsOf, save, tell } from "./draft.ts";
import { isSealed } from "./facts.ts";
import { repairBy } from "./plan.ts";

export function giveSealsBack(draft: Draft): void {
  const { saved, config } = draft;
  if (config.observeOnly) return;
  const { primary } = saved;
  if (primary !== null && mayTakeWrites(draft, primary) && isSealed(factsOf(draft, primary))) {
    if (repairBy(draft, "unseal", primary))
      tell(
        draft,
        "+unseal",
        saved.primary,
        `${saved.primary} is the primary in force and was sealed`,
      );
  }
  if (saved.primary === null) for (const id of saved.toUnseal) giveBack(draft, id);
  else if (saved.toUnseal.length > 0) save(draft, { toUnseal: [] });
}

/** It was seen as a primary, and is not one that was restarted and not judged. */
export function mayTakeWrites(draft: Draft, id: string): boolean {
  const facts = factsOf(draft, id);
  const { primary, primaryRunId } = draft.saved;
  return facts?.role === "primary" && (primary === null || facts.runId === primaryRunId);
}

/** No primary is in force: who was sealed for a first one that was not made is opened, until it is seen open. */
function giveBack(draft: Draft, id: string): void {
  const facts = factsOf(draft, id);
  if (facts === null) return;
  if (isSealed(facts)) repairBy(draft, "unseal", id);
  else if (!draft.saved.pending.some(({ kind, about }) => kind === "seal" && about === id))
    save(draft, { toUnseal: draft.saved.toUnseal.filter((each) => each !== id) });
}
