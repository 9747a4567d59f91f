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
import { brief, type Fetch, within } from "../relay/request.ts";
import { boundedRequester, type RestTarget } from "./bounded.ts";
import { whyLost } from "./http.ts";
import { failed, type ProbeOf, type Transport } from "./probe.ts";

const [, INFO, CONFIG] = LOOK;

type Options = { readonly timeoutMs: number; readonly fetch?: Fetch };

/** One look at a node by its Upstash REST address. */
export const lookOverRest = async (target: RestTarget, options: Options): Promise<Found> =>
  (await ask(target, options)).found;

/** A node that has such an address of its own. */
export const upstash: Transport<ProbeOf<"upstash">> = async (
  { url, tokenSecret },
  { timeoutMs, secret },
) => {
  let late = failed("timeout", `no answer within ${Math.round(timeoutMs)} ms`);
  const look = async (signal: AbortSignal) => {
    const { found, lost } = await ask(
      { url, token: secret(tokenSecret), group: null },
      { timeoutMs },
    );
    if (!lost || !URL.canParse(url)) return found;
    late = found;
    const why = whyLost(new URL(url), { timeoutMs, signal }, (sofar) => {
      late = sofar;
    });
    // Another runtime than Cloudflare's has said all that it knows.
    return why.catch(() => found);
  };
  return within(Math.max(1, timeoutMs), look, () => late);
};

/** `lost`: the connection was, and the runtime does not say why. */
async function ask(
  target: RestTarget,
  options: Options,
): Promise<{ readonly found: Found; readonly lost: boolean }> {
  const { requester, wire } = boundedRequester(target, options);
  const redis = new Redis(requester);
  const [ping, info, config] = await Promise.all([
    settled(redis.ping()),
    settled(redis.exec([...INFO])),
    settled(redis.exec([...CONFIG])),
  ]);
  const seen = wire();
  const behindRelay = target.group !== null;
  const relay = seen.kind === "unasked" || !behindRelay ? null : seen.relay;
  if (seen.kind === "failed") {
    const { class: kind, detail, lost = false } = seen;
    return { found: { ...failed(kind, brief(detail, target.token)), relay }, lost };
  }
  const status = seen.kind === "answered" ? seen.status : 0;
  const verdict = judge(
    { ping, info, config },
    { factsNeeded: behindRelay, classOf: (error) => classOf(error, status, behindRelay) },
  );
  // What the relay says of the execution, behind a semicolon, means nothing for a look.
  const [text = ""] = verdict.detail.split(";", 1);
  const detail = brief(text, target.token) || `HTTP ${status}`;
  return { found: { ...verdict, detail, relay }, lost: false };
}

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
