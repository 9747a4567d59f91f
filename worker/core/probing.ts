/**
 * What several looks at one node come to together, by `probe_policy`.
 *
 * Rules: `all`: none may fail; `majority`: at most (probes - 1) / 2 of them, rounded down, so that a tie is not
 * good; `any`: all but one. It ends as soon as no look to come could change it, and is `up` only where the policy
 * is met.
 * Must never: read a clock, or make more of failed looks than the mildest of them says.
 */
import type { ProbePolicy } from "./configured.ts";
import type { ObservationClass } from "./types.ts";

type Policy = { readonly probes: number; readonly policy: ProbePolicy };
type Look = { readonly class: ObservationClass };

/** How many of the looks may fail. */
export function mayFail({ probes, policy }: Policy): number {
  if (policy === "all") return 0;
  return policy === "any" ? probes - 1 : Math.floor((probes - 1) / 2);
}

/**
 * The look that stands for all of them; null: the next one counts. If they are good, the newest; if not, the
 * mildest failure, and of equals the first: two that were refused and one that met a wrong password are no silence.
 */
export function standing<T extends Look>(looks: readonly T[], policy: Policy): T | null {
  const failed = looks.filter((look) => look.class !== "up");
  const good = looks.filter((look) => look.class === "up");
  const most = mayFail(policy);
  if (failed.length > most)
    return failed.reduce((mildest, look) => (harm(look) < harm(mildest) ? look : mildest));
  return good.length + most >= policy.probes ? (good.at(-1) ?? null) : null;
}

/** From what says nothing against the node to what counts fastest. */
const harm = ({ class: kind }: Look): number => 1 + harmful.indexOf(kind);
const harmful: readonly ObservationClass[] = [
  ...(["loading", "busy", "closed", "misconf", "unavailable", "timeout", "refused"] as const),
];
