/**
 * A relay's look at its nodes, as both ends know it: POST /look, and what is said of a node there and in a push.
 *
 * Promises: what comes from outside is parsed here before anyone believes it; a relay says how long ago it saw
 * something, never when, so that no clock is compared with another.
 * Must never: import Node, Workers or Redis; both ends load it.
 */
import * as v from "valibot";
import type { NodeFacts, ObservationClass } from "../core/types.ts";

export const LOOK_PATH = "/look";

export const text = (max: number) => v.pipe(v.string(), v.maxLength(max));
export const name = v.pipe(v.string(), v.minLength(1), v.maxLength(253));
export const count = v.pipe(v.number(), v.integer(), v.minValue(0));
export const ms = v.pipe(v.number(), v.minValue(0), v.maxValue(1e12));

/** What a relay may find. */
export const classes = [
  ...["up", "refused", "timeout", "closed", "loading", "busy", "misconf", "switching"],
  ...["policy", "auth", "tls", "dns", "malformed"],
] as const satisfies readonly ObservationClass[];

/** A relay of a later version may say more of a node. */
export const facts = v.object({
  runId: text(64),
  role: v.picklist(["primary", "replica"]),
  replicaOf: v.nullable(v.strictObject({ host: name, port: count })),
  linkUp: v.boolean(),
  linkDownMs: v.nullable(ms),
  syncing: v.boolean(),
  loading: v.boolean(),
  lastIoMs: v.nullable(ms),
  offset: count,
  priority: count,
  replicationId: text(64),
  replicationId2: v.nullable(text(64)),
  secondOffset: v.nullable(count),
  switching: v.boolean(),
  connectedReplicas: count,
  /** Relays before this version tell none. */
  replicas: v.optional(
    v.pipe(v.array(v.strictObject({ host: name, port: count })), v.maxLength(64), v.readonly()),
    [],
  ),
  keys: count,
  minReplicasToWrite: v.nullable(count),
}) satisfies v.GenericSchema<unknown, NodeFacts>;

/** Body of POST /look. A Group of a later version may ask for more: what is not known is not looked at. */
export const lookBody = v.object({
  nodes: v.pipe(
    v.array(name, "a list of node ids"),
    v.minLength(1, "at least one node id"),
    v.maxLength(1000, "at most 1000 node ids"),
  ),
});

/** One node in the answer. */
export const nodeLook = v.object({
  node: name,
  class: v.picklist(classes),
  detail: text(200),
  facts: v.nullable(facts),
  /** Since the answer, or its absence, was known. */
  agoMs: ms,
});
export type NodeLook = v.InferOutput<typeof nodeLook>;

/** The answer; each look is judged by itself, so that one that cannot be read takes no other along. */
export const lookAnswer = v.object({ looks: v.pipe(v.array(v.unknown()), v.maxLength(1000)) });
