/**
 * What stands under a name against what is wanted there: right, different, or not ours to change.
 *
 * Promises: pure, and the same for every provider; records that nobody of Picket made are only taken
 * over when they already say what is wanted; a lower epoch never replaces a higher one.
 */
import type { Route } from "../../core/route.ts";
import { brief } from "../../relay/request.ts";
import type { Seen, Wanted } from "./provider.ts";

export type Verdict =
  | { readonly kind: "right" }
  /** `stood`: what is there instead, for people. */
  /** `spare`: of others, to be left alone. */
  | { readonly kind: "differs"; readonly stood: string; readonly spare: readonly Seen[] }
  | { readonly kind: "refused"; readonly stood: string; readonly detail: string };

const PREFIX = "picket:";

/** The least comment that a provider holds is 100 characters; 16 are the longest epoch. */
export const markOf = ({ group, epoch }: Pick<Route, "group" | "epoch">): string =>
  `${ownerOf(group)}${epoch}`;
const ownerOf = (group: string) => `${PREFIX}${group.slice(0, 70)} epoch=`;

export function judge(
  seen: readonly Seen[],
  wanted: Wanted,
  { group, epoch }: Pick<Route, "group" | "epoch">,
): Verdict {
  const stood = brief(standing(seen, wanted));
  const refused = (detail: string): Verdict => ({ kind: "refused", stood, detail });
  const ours = seen.filter((each) => each.mark?.startsWith(ownerOf(group)));
  const others = seen.filter((each) => !ours.includes(each));
  const another = others.find((each) => each.mark?.startsWith(PREFIX));
  if (another !== undefined) {
    return refused(
      `${wanted.name} belongs to another group ("${brief(another.mark ?? "")}"): give each group a name of its own. If that group is gone, or was renamed to this one, mark the record "${ownerOf(group)}0"`,
    );
  }
  const highest = Math.max(0, ...ours.map((each) => epochOf(each.mark, group)));
  if (highest > epoch) {
    return refused(
      `the records of ${wanted.name} are of epoch ${highest}, this route of ${epoch}: is there another Picket with this group? If not, remove the records`,
    );
  }
  const spare = others.filter((each) => !isWanted(each, wanted));
  const right = isRight(
    seen.filter((each) => !spare.includes(each)),
    wanted,
  );
  const [strange] = spare;
  if (strange === undefined) return right ? { kind: "right" } : { kind: "differs", stood, spare };
  // Beside ours they split the writes between two servers, and they are not ours to remove. But left where it is,
  // ours would lead to the old primary; so it is moved, where it may stand beside them.
  const mayStand = [...seen, ...wanted.records].every(({ type }) => type !== "CNAME");
  if (ours.length > 0 && mayStand && !right) return { kind: "differs", stood, spare };
  return refused(
    `${wanted.name} has a record that is not Picket's (${brief(textOf(strange))}): remove it, or mark it "${ownerOf(group)}0" to hand it over`,
  );
}

const isRight = (seen: readonly Seen[], wanted: Wanted): boolean =>
  seen.length === wanted.records.length &&
  seen.every((each) => complaintsOf(each, wanted).length === 0) &&
  wanted.records.every((record) => seen.some((each) => textOf(each) === textOf(record)));

export const textOf = ({ type, content }: Pick<Seen, "type" | "content">) => `${type} ${content}`;

const isWanted = (seen: Seen, { records }: Wanted) =>
  records.some((each) => textOf(each) === textOf(seen));

/** A mark edited beyond recognition is no reason to stop. */
function epochOf(mark: string | null, group: string): number {
  const epoch = Number(mark?.slice(ownerOf(group).length));
  return Number.isSafeInteger(epoch) ? epoch : 0;
}

/** What is wrong with a record beside its content. */
function complaintsOf({ ttlS, odd, mark }: Seen, wanted: Wanted): readonly string[] {
  return [
    ...(odd === null ? [] : [odd]),
    // Who proxies a name rules over its TTL as well.
    ...(odd !== null || ttlS === wanted.ttlS ? [] : [`ttl ${ttlS}`]),
    ...(mark === wanted.mark ? [] : [mark === null ? "unmarked" : `marked "${mark}"`]),
  ];
}

function standing(seen: readonly Seen[], wanted: Wanted): string {
  if (seen.length === 0) return "no record";
  return seen
    .map((each) => {
      const wrong = complaintsOf(each, wanted);
      return wrong.length === 0 ? textOf(each) : `${textOf(each)} (${wrong.join(", ")})`;
    })
    .join(", ");
}
