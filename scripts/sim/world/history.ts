/**
 * What the nodes hold, as a tree of branches: each node is a place in it, so copying a node's data costs nothing.
 *
 * Promises: a branch only grows; two nodes hold the same up to `commonLength`, and not a write further.
 */
export type Branch = {
  readonly parent: Branch | null;
  /** How many writes it has from its parent; those of a branch without one were there at the start. */
  readonly from: number;
  readonly writes: number[];
};

export type Place = { branch: Branch; length: number };

export const newBranch = (parent: Branch | null, from: number): Branch => ({
  parent,
  from,
  writes: [],
});

const tipOf = (branch: Branch): number => branch.from + branch.writes.length;

/** Adds a write; whoever is not at the end of its branch begins one of its own. */
export function append(place: Place, write: number): void {
  if (tipOf(place.branch) !== place.length) place.branch = newBranch(place.branch, place.length);
  place.branch.writes.push(write);
  place.length += 1;
}

/** How many writes both hold in common, counted from the start. */
export function commonLength(a: Place, b: Place): number {
  const limits = new Map<Branch, number>();
  let limit = a.length;
  for (let branch: Branch | null = a.branch; branch !== null; branch = branch.parent) {
    limits.set(branch, limit);
    limit = Math.min(limit, branch.from);
  }
  limit = b.length;
  for (let branch: Branch | null = b.branch; branch !== null; branch = branch.parent) {
    const other = limits.get(branch);
    if (other !== undefined) return Math.min(limit, other);
    limit = Math.min(limit, branch.from);
  }
  return 0;
}

/** Everything written since the start that a node holds. */
export function writesOf(place: Place): ReadonlySet<number> {
  const all = new Set<number>();
  let limit = place.length;
  for (let branch: Branch | null = place.branch; branch !== null; branch = branch.parent) {
    const count = Math.min(branch.writes.length, limit - branch.from);
    for (let at = 0; at < count; at += 1) all.add(branch.writes[at] as number);
    limit = Math.min(limit, branch.from);
  }
  return all;
}
