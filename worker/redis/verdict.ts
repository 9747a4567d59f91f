/**
 * What one look at a Redis comes to: from the answers to PING, INFO and CONFIG GET, whichever way they came.
 *
 * Promises: pure; `up` needs the exact PONG, or MASTERDOWN, one of the replies that Sentinel accepts: the replica
 * itself is alive; a detail is one line without anything that was sent.
 * Must never: load the Redis client, which half of its callers do without, or judge a role: the core knows who should be primary.
 */
import type { NodeFacts, ObservationClass } from "../core/types.ts";
import type { Closed, Command, Reply } from "./connection.ts";
import { parseInfo } from "./info.ts";
import { classOfWord, firstWord } from "./words.ts";

export type Verdict = {
  readonly class: Exclude<ObservationClass, "relay-unreachable" | "wrong-role" | "unavailable">;
  readonly detail: string;
  readonly facts: NodeFacts | null;
};

/** One command's reply, as every transport can say it. */
export type Said = { readonly value: unknown } | { readonly error: string };
export type Answers = { readonly ping: Said; readonly info: Said; readonly config: Said };

const SETTING = "min-replicas-to-write";
export const LOOK = [
  ["PING"],
  ["INFO"],
  ["CONFIG", "GET", SETTING],
] as const satisfies readonly Command[];

type Rules<Class> = {
  /** False: managed Redis may forbid INFO; what answers PING is up all the same, and nothing is known of it. */
  readonly factsNeeded: boolean;
  /** What an error means that does not say how a Redis is. */
  readonly classOf: (error: string) => Class;
};

/** A server answered: maxclients, DENIED, an unknown command count towards nothing. */
const byItsWords = { factsNeeded: true, classOf: () => "policy" as const };

export function judge<Class = never>(
  { ping, info, config }: Answers,
  rules: Rules<Class>,
): Omit<Verdict, "class"> & { readonly class: Verdict["class"] | Class } {
  const facts = factsOf(info, config);
  const verdict = (kind: Verdict["class"] | Class, detail: string) => ({
    ...{ class: kind, detail, facts },
  });
  const bad = (error: string) => verdict(classOfWord(error) ?? rules.classOf(error), error);
  const wait = "error" in ping && firstWord(ping.error) === "MASTERDOWN" ? "MASTERDOWN" : null;
  if ("error" in ping && wait === null) return bad(ping.error);
  if ("value" in ping && ping.value !== "PONG")
    return verdict("malformed", "PING was not answered with PONG");
  if (facts?.loading) return verdict("loading", "INFO says loading:1");
  if (facts?.switching) return verdict("switching", "a FAILOVER is in progress");
  if (facts === null && rules.factsNeeded)
    return "error" in info
      ? bad(info.error)
      : verdict("malformed", "PONG, but INFO is not Redis's");
  return verdict("up", wait ?? "PONG");
}

/** The same of a connection's own replies to LOOK. */
export function judgeReplies(replies: readonly Reply[], factsNeeded: boolean): Verdict {
  const [ping = null, info = null, config = null] = replies;
  const answers = { ping: said(ping), info: said(info), config: said(config) };
  return judge<Verdict["class"]>(answers, { ...byItsWords, factsNeeded });
}

/** Of a connection on which nothing could be asked. */
export function notOpened(closed: Closed): Verdict {
  if (closed.kind === "said") return { class: "policy", detail: closed.error.message, facts: null };
  const kind = closed.class === "busy" ? "closed" : closed.class;
  return { class: kind, detail: closed.detail, facts: null };
}

const said = (reply: Reply): Said =>
  reply instanceof Error ? { error: reply.message } : { value: plain(reply) };

function plain(reply: Reply): unknown {
  if (reply instanceof Uint8Array) return reply.toString();
  return Array.isArray(reply) ? reply.map(plain) : reply;
}

function factsOf(info: Said, config: Said): NodeFacts | null {
  if ("error" in info || typeof info.value !== "string") return null;
  return parseInfo(info.value, minReplicas(config));
}

/** Null when it was refused: managed Redis forbids CONFIG. */
function minReplicas(config: Said): number | null {
  if ("error" in config || !Array.isArray(config.value) || config.value[0] !== SETTING) return null;
  const value = Number(config.value[1] ?? Number.NaN);
  return Number.isInteger(value) && value >= 0 ? value : null;
}
