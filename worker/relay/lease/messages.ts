/**
 * What relay and Group, and relay and relay, say to each other about leases.
 *
 * Promises: every body from outside is parsed by a schema here before anyone believes it.
 * Must never: import Node, Workers or Redis; both ends load it.
 */
import * as v from "valibot";

const id = v.pipe(v.string("a name"), v.minLength(1, "a name"), v.maxLength(253, "a name"));
const count = v.pipe(
  v.number("a whole number from 0"),
  v.integer("a whole number from 0"),
  v.minValue(0, "a whole number from 0"),
);
const leaseMs = v.pipe(count, v.minValue(1, "1 to 600000"), v.maxValue(600_000, "1 to 600000"));
const ids = v.nullable(v.pipe(v.array(id, "a list of relays"), v.maxLength(64)));

/** POST /v1/groups/:group/lease, with the relay's control token. */
export const leaseBody = v.strictObject(
  {
    relay: id,
    node: id,
    /** Empty: its Redis did not say. */
    runId: v.pipe(v.string("a run id"), v.maxLength(64, "a run id")),
    /** It takes no writes. */
    sealed: v.boolean("true or false"),
    /** How long it would stay open if nothing more were heard. */
    leftMs: v.pipe(v.number("0 or more"), v.minValue(0, "0 or more")),
    /** Who has to promise, as this relay knows it; null: nobody, it ends with its lease. */
    promisers: ids,
  },
  "relay, node, runId, sealed, leftMs and promisers, all of them",
);
export type LeaseBody = v.InferOutput<typeof leaseBody>;

export const leaseAnswer = v.object({
  granted: v.boolean(),
  enforced: v.boolean(),
  epoch: count,
  why: v.string(),
  leaseMs,
  promisers: ids,
});
export type LeaseAnswer = v.InferOutput<typeof leaseAnswer>;

/** POST /promise at another relay, with the token that the two share. */
export const promiseBody = v.strictObject(
  { group: id, node: id, epoch: count, leaseMs },
  "group, node, epoch and leaseMs, all of them and nothing else",
);
export type PromiseBody = v.InferOutput<typeof promiseBody>;

/** 200: given. 409: not given, and why. */
export const promiseAnswer = v.object({ promised: v.boolean(), why: v.string() });
export type PromiseAnswer = v.InferOutput<typeof promiseAnswer>;
