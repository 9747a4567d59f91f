/**
 * Deliberate defects, one a time: each is a piece of text that stands exactly once, and what stands there instead.
 *
 * Rules: a defect is what somebody could write by mistake; where two guards protect the same promise, both are
 * taken away, for one alone would change nothing.
 */
export type Change = { readonly file: string; readonly find: string; readonly replace: string };

export type Mutant = Change & {
  readonly name: string;
  readonly also?: readonly Change[];
  /** The scene in which it shows, where that is one of many. */
  readonly scene?: string;
  /** Of the groups in which it shows; left out: replication. */
  readonly mode?: "active-active";
};

export const core = (file: string) => `worker/core/${file}.ts`;
export const rules = (file: string) => `worker/relay/lease/${file}.ts`;
