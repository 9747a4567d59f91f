/**
 * The probe over the Upstash REST protocol: an Upstash database, another REST proxy and our relay.
 *
 * Promises: one look is one HTTP request of PING, INFO and CONFIG GET; `up` needs the exact PONG and
 * an INFO that parses, as Sentinel needs one of its acceptable replies; the rest is named.
 * Must never: reject, retry, or judge a role: the core knows who should be primary.
 */
import { Redis } from "@upstash/redis";
import type { Found } from "../core/looking.ts";
import type { NodeFacts, ObservationClass } from "../core/types.ts";
import { parseInfo } from "../redis/info.ts";
import { classOfWord, firstWord } from "../redis/words.ts";
import { nodeErrors } from "../relay/protocol.ts";
import { brief, type Fetch } from "../relay/request.ts";
import { boundedRequester, type RestTarget, type Wire } from "./bounded.ts";
import type { ProbeOf, Transport } from "./probe.ts";

type Verdict = {
  readonly class: ObservationClass;
  readonly detail: string;
  readonly facts: NodeFacts | null;
};

/** One command's reply, as the SDK hands it out. */
type Reply = { readonly value: unknown } | { readonly error: string };

const SETTING = "min-replicas-to-write";

/** One look at a node by its Upstash REST address. */
export async function lookOverRest(
  target: RestTarget,
  options: { readonly timeoutMs: number; readonly fetch?: Fetch },
): Promise<Found> {
  const { verdict, wire } = await look(target, options);
  return {
    class: verdict.class,
    detail: brief(verdict.detail, target.token),
    facts: verdict.facts,
    relay: wire.kind === "unasked" ? null : wire.relay,
  };
}

/** A node that has such an address of its own. */
export const upstash: Transport<ProbeOf<"upstash">> = ({ url, tokenSecret }, limits) =>
  lookOverRest({ url, token: limits.secret(tokenSecret), group: null }, limits);

async function look(
  target: RestTarget,
  { timeoutMs, fetch }: { readonly timeoutMs: number; readonly fetch?: Fetch },
): Promise<{ readonly verdict: Verdict; readonly wire: Wire }> {
  const { requester, wire } = boundedRequester(target, {
    timeoutMs,
    ...(fetch === undefined ? {} : { fetch }),
  });
  const redis = new Redis(requester);
  const [ping, info, config] = await Promise.all([
    settled(redis.ping()),
    settled(redis.exec(["INFO"])),
    settled(redis.exec(["CONFIG", "GET", SETTING])),
  ]);
  const seen = wire();
  if (seen.kind === "failed") return { verdict: { ...seen, facts: null }, wire: seen };
  const status = seen.kind === "answered" ? seen.status : 0;
  return { verdict: judge(ping, factsOf(info, config), info, status), wire: seen };
}

const settled = (reply: Promise<unknown>): Promise<Reply> =>
  reply.then(
    (value) => ({ value }),
    (error: unknown) => ({ error: error instanceof Error ? error.message : "" }),
  );

function judge(ping: Reply, facts: NodeFacts | null, info: Reply, status: number): Verdict {
  const verdict = (kind: ObservationClass, detail: string): Verdict => ({
    class: kind,
    detail,
    facts,
  });
  // MASTERDOWN is one of the replies that Sentinel accepts: the replica itself is alive.
  const alive = "error" in ping ? firstWord(ping.error) === "MASTERDOWN" : ping.value === "PONG";
  // What the relay says of the execution, behind a semicolon, means nothing for a look.
  if (!alive && "error" in ping)
    return verdict(classOf(ping.error, status), ping.error.split(";", 1)[0] ?? "");
  if (!alive) return verdict("malformed", "PING was not answered with PONG");
  if ("error" in info) return verdict(classOf(info.error, status), info.error);
  if (facts === null) return verdict("malformed", "PONG, but INFO is not Redis's");
  if (facts.loading) return verdict("loading", "INFO says loading:1");
  if (facts.switching) return verdict("switching", "a FAILOVER is in progress");
  return verdict("up", "error" in ping ? "MASTERDOWN" : "PONG");
}

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
 * An error without a name of its own (maxclients, DENIED, an unknown command) is policy: a server
 * answered, so it counts towards nothing. With a 5xx it is the proxy's own failure.
 */
function classOf(error: string, status: number): ObservationClass {
  const known = classes[firstWord(error)] ?? classOfWord(error);
  return known ?? (status >= 500 ? "relay-unreachable" : "policy");
}

function factsOf(info: Reply, config: Reply): NodeFacts | null {
  if ("error" in info || typeof info.value !== "string") return null;
  return parseInfo(info.value, minReplicas(config));
}

/** Null when it was refused: managed Redis forbids CONFIG. */
function minReplicas(config: Reply): number | null {
  if ("error" in config || !Array.isArray(config.value) || config.value[0] !== SETTING) return null;
  const value = Number(config.value[1] ?? Number.NaN);
  return Number.isInteger(value) && value >= 0 ? value : null;
}
