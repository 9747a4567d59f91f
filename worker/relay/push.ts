/**
 * The protocol of push: what a relay tells of its own accord over a WebSocket, and what it is told.
 *
 * Promises: every message from outside is parsed by a schema here before anyone believes it; a relay says how
 * long ago it saw something, never when, so that no clock is compared with another.
 * Must never: import Node, Workers or Redis; both ends load it.
 */
import * as v from "valibot";
import { RouteSchema } from "../core/route-schema.ts";
import { classes, count, facts, ms, name, text } from "./look-protocol.ts";

/** A message of either side has at most so many characters. */
export const MAX_MESSAGE_CHARS = 256 * 1024;
/** A relay says no more than this in a second, on average; more is a fault, and its connection ends. */
export const MAX_MESSAGES_PER_S = 50;
/** Answered by the runtime of the Group, which sleeps on meanwhile. */
export const PING = "ping";
export const PONG = "pong";

/** Why a connection was ended; in the private range of RFC 6455. */
export const closeCodes = {
  /** The same relay has connected again. */
  replaced: 4001,
  /** The group, or the relay in it, is no longer configured. */
  gone: 4004,
  badMessage: 4400,
  tooMany: 4429,
} as const;

/** One node as the relay sees it now. */
const look = v.strictObject({
  node: name,
  class: v.picklist(classes),
  detail: text(200),
  /** Since the answer, or its absence, was known. */
  agoMs: ms,
  tookMs: ms,
  facts: v.nullable(facts),
  /** What it said of itself when it last did, and how long ago that was asked; null: it does now, or never did. */
  before: v.optional(v.nullable(v.strictObject({ facts, agoMs: ms })), null),
  /** Bad looks in a row, those of them at the end that were refused, and since the first of them was asked for. */
  looks: count,
  refusals: v.optional(count),
  badForMs: ms,
});

/** From the relay. `news`: something changed; else it is the slow beat, with every node. */
const looksMessage = v.strictObject({
  v: v.literal(1),
  kind: v.literal("looks"),
  news: v.boolean(),
  boot: name,
  ms,
  epoch: v.nullable(count),
  looks: v.pipe(v.array(look), v.minLength(1), v.maxLength(64)),
});
export type LooksMessage = v.InferOutput<typeof looksMessage>;

/** From the Group: what to watch and how, who is primary, and the route to serve. */
const watchMessage = v.strictObject({
  v: v.literal(1),
  kind: v.literal("watch"),
  group: name,
  nodes: v.pipe(v.array(name), v.maxLength(1000)),
  checkIntervalMs: ms,
  probeTimeoutMs: ms,
  retryMs: ms,
  maxFailures: v.pipe(count, v.minValue(1)),
  downAfterMs: ms,
  epoch: count,
  /** Nodes that must not be primary at this epoch: sealed at first sight when they come back as one. */
  strangers: v.pipe(v.array(name), v.maxLength(1000)),
  route: RouteSchema,
});
export type WatchMessage = v.InferOutput<typeof watchMessage>;

export const parseLooks = (data: unknown): LooksMessage | null => parse(looksMessage, data);
export const parseWatch = (data: unknown): WatchMessage | null => parse(watchMessage, data);

function parse<T extends v.GenericSchema>(schema: T, data: unknown): v.InferOutput<T> | null {
  if (typeof data !== "string" || data.length > MAX_MESSAGE_CHARS) return null;
  try {
    const parsed = v.safeParse(schema, JSON.parse(data));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}
