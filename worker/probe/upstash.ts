/**
 * The probe over the Upstash REST protocol: an Upstash database, another REST proxy and our relay.
 *
 * Promises: one look is one HTTP request of PING, INFO and CONFIG GET. Behind a relay an INFO that parses is part of
 * being up, and what goes wrong on the way is the relay's; an address of the node's own is the node: PING is what
 * counts there, and its silence is the node's.
 * Must never: reject, retry, or judge a role: the core knows who should be primary.
 */
import { Redis } from "@upstash/redis";
import type { Found } from "../core/looking.ts";
import type { ObservationClass } from "../core/types.ts";
import { judge, LOOK, type Said } from "../redis/verdict.ts";
import { firstWord } from "../redis/words.ts";
import { nodeErrors } from "../relay/protocol.ts";
import { brief, type Fetch } from "../relay/request.ts";
import { boundedRequester, type RestTarget } from "./bounded.ts";
import type { ProbeOf, Transport } from "./probe.ts";

const [, INFO, CONFIG] = LOOK;

/** One look at a node by its Upstash REST address. */
export async function lookOverRest(
  target: RestTarget,
  options: { readonly timeoutMs: number; readonly fetch?: Fetch },
): Promise<Found> {
  const { requester, wire } = boundedRequester(target, options);
  const redis = new Redis(requester);
  const [ping, info, config] = await Promise.all([
    settled(redis.ping()),
    settled(redis.exec([...INFO])),
    settled(redis.exec([...CONFIG])),
  ]);
  const seen = wire();
  const relay = seen.kind === "unasked" || target.group === null ? null : seen.relay;
  if (seen.kind === "failed")
    return { class: seen.class, detail: brief(seen.detail, target.token), facts: null, relay };
  const status = seen.kind === "answered" ? seen.status : 0;
  const behindRelay = target.group !== null;
  const verdict = judge(
    { ping, info, config },
    { factsNeeded: behindRelay, classOf: (error) => classOf(error, status, behindRelay) },
  );
  // What the relay says of the execution, behind a semicolon, means nothing for a look.
  const [detail = ""] = verdict.detail.split(";", 1);
  return { ...verdict, detail: brief(detail, target.token) || `HTTP ${status}`, relay };
}

/** A node that has such an address of its own. */
export const upstash: Transport<ProbeOf<"upstash">> = ({ url, tokenSecret }, limits) =>
  lookOverRest({ url, token: limits.secret(tokenSecret), group: null }, limits);

const settled = (reply: Promise<unknown>): Promise<Said> =>
  reply.then(
    (value) => ({ value }),
    (error: unknown) => ({ error: error instanceof Error ? error.message : "" }),
  );

const classes: Readonly<Record<string, ObservationClass>> = {
  [nodeErrors.refused]: "refused",
  [nodeErrors.timeout]: "timeout",
  [nodeErrors.closed]: "closed",
  [nodeErrors.auth]: "auth",
  [nodeErrors.tls]: "tls",
  [nodeErrors.dns]: "dns",
  [nodeErrors.unknown]: "policy",
  // It answers, and could not look: that says nothing of the node, and is no silence of the relay.
  RELAY_BUSY: "closed",
};

/**
 * An error without a name of its own (maxclients, DENIED, an unknown command) is policy: a server answered, so it
 * counts towards nothing. With a 5xx it is the failure of whoever answered.
 */
function classOf(error: string, status: number, behindRelay: boolean): ObservationClass {
  const known = classes[firstWord(error)];
  if (known !== undefined) return known;
  if (status < 500) return "policy";
  return behindRelay ? "relay-unreachable" : "unavailable";
}
