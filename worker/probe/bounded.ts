/**
 * The Requester under @upstash/redis for one look: all commands of one tick are one HTTP request.
 *
 * Why not the SDK's own client: it retries, puts the command's arguments into error messages, holds
 * any body in memory, and with an aborted signal it can resolve, so that a hanging node looked alive.
 * Promises: one POST to {url}/pipeline, one deadline, at most 1 MiB of answer.
 * Must never: log, or put the token or a command into a message.
 */
import type { Requester, UpstashRequest, UpstashResponse } from "@upstash/redis";
import type { ObservationClass, RelayFacts } from "../core/types.ts";
import { relayHeaders } from "../relay/caller.ts";
import { headers } from "../relay/protocol.ts";
import { type Answer, type Fetch, request } from "../relay/request.ts";
import { faultOf } from "./http.ts";

/** An Upstash REST address. */
export type RestTarget = {
  readonly url: string;
  readonly token: string;
  /** Whose epoch a relay is to tell; null: what stands there is the node itself. */
  readonly group: string | null;
};

/** What became of the request as a whole. Only `answered` gives the commands anything to say. */
export type Wire =
  | { readonly kind: "unasked" }
  | { readonly kind: "answered"; readonly status: number; readonly relay: RelayFacts | null }
  | (Fault & { readonly kind: "failed"; readonly relay: RelayFacts | null });

export type BoundedRequester = { readonly requester: Requester; readonly wire: () => Wire };

type Reply = UpstashResponse<unknown>;
type Waiting = {
  readonly command: unknown;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
};

export function boundedRequester(
  target: RestTarget,
  options: { readonly timeoutMs: number; readonly fetch?: Fetch },
): BoundedRequester {
  let wire: Wire = { kind: "unasked" };
  let waiting: Waiting[] = [];

  async function flush(): Promise<void> {
    const batch = waiting;
    waiting = [];
    const answer = await request(
      {
        method: "POST",
        url: `${target.url.replace(/\/+$/, "")}/pipeline`,
        headers: relayHeaders(target.token, target.group ?? "", options.timeoutMs),
        body: batch.map((each) => each.command),
      },
      options,
    );
    const replies = repliesOf(answer, batch.length);
    wire = wireOf(answer, replies, target.group !== null);
    batch.forEach((each, index) => {
      const reply = replies?.[index];
      if (wire.kind === "answered" && reply !== undefined) each.resolve(reply);
      else each.reject(new Error("no reply"));
    });
  }

  const ask = (asked: UpstashRequest) =>
    new Promise<Reply>((resolve, reject) => {
      if (waiting.length === 0) queueMicrotask(() => void flush().catch(reject));
      waiting.push({ command: asked.body, resolve, reject });
    });
  return {
    requester: { request: ask as Requester["request"] },
    wire: () => wire,
  };
}

function wireOf(answer: Answer, replies: readonly Reply[] | null, behindRelay: boolean): Wire {
  const relay = answer.kind === "none" ? null : relayFacts(answer.headers);
  if (replies !== null && answer.kind !== "none" && !isTurnedAway(answer.status))
    return { kind: "answered", status: answer.status, relay };
  return { kind: "failed", relay, ...(behindRelay ? relayFault(answer) : nodeFault(answer)) };
}

const isTurnedAway = (status: number): boolean => status === 401 || status === 403;

type Fault = {
  readonly class: ObservationClass;
  readonly detail: string;
  /** The connection was, and nobody said why. */
  readonly lost?: boolean;
};

/** What it is that a relay gave no answer of the kind that was asked for: nothing is known of its nodes. */
export function relayFault(answer: Answer): Fault {
  if (answer.kind === "none") return { class: "relay-unreachable", detail: answer.detail };
  const { status } = answer;
  if (isTurnedAway(status)) return { class: "auth", detail: `HTTP ${status}: token refused` };
  const detail = answer.kind === "no-json" ? answer.detail : `HTTP ${status}, unexpected JSON`;
  const away = status >= 500 && answer.kind === "no-json";
  return { class: away ? "relay-unreachable" : "malformed", detail };
}

/** The same, where the address is the node itself: its silence is the node's. */
function nodeFault(answer: Answer): Fault {
  if (answer.kind === "none") return { ...classOfNone(answer), detail: answer.detail };
  const { status } = answer;
  const fault = faultOf(status) ?? relayFault(answer);
  if (fault.class !== "relay-unreachable") return fault;
  return { class: "unavailable", detail: `HTTP ${status}: it cannot answer` };
}

/** A runtime that does not say why leaves it at a connection that was lost: that counts towards nothing. */
function classOfNone({ unsent, detail }: Extract<Answer, { kind: "none" }>) {
  const known = reasons.find(([reason]) => reason.test(detail));
  if (known !== undefined) return { class: known[1] };
  // Nothing was sent, for a reason of ours.
  return unsent
    ? { class: "relay-unreachable" as const }
    : { class: "closed" as const, lost: true };
}

const reasons: readonly (readonly [RegExp, ObservationClass])[] = [
  [/^no answer within /, "timeout"],
  [/^ECONNREFUSED$/, "refused"],
  [/^(ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/, "timeout"],
  [/^(ENOTFOUND|EAI_AGAIN)$/, "dns"],
  [/^ERR_(TLS|SSL)|CERT|^UNABLE_TO_|^EPROTO$/, "tls"],
  [/^HPE_|^UND_ERR_HEADERS_OVERFLOW$|does not match the HTTP/, "malformed"],
];

/** One reply per command; one error for the whole request counts for each. Null: neither. */
function repliesOf(answer: Answer, count: number): readonly Reply[] | null {
  if (answer.kind !== "json") return null;
  const { body } = answer;
  if (isError(body)) return Array.from({ length: count }, () => ({ error: body.error }));
  if (!Array.isArray(body) || body.length !== count) return null;
  const each: readonly unknown[] = body;
  return each.every((reply): reply is Reply => isError(reply) || isResult(reply)) ? each : null;
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
const isError = (value: unknown): value is { error: string } =>
  isObject(value) && "error" in value && typeof value.error === "string" && value.error !== "";
const isResult = (value: unknown): value is { result: unknown } =>
  isObject(value) && "result" in value && !("error" in value);

/** Null when the headers are absent or nonsense: any other REST proxy has none. */
export function relayFacts(from: Headers): RelayFacts | null {
  const boot = from.get(headers.boot) ?? "";
  const ms = from.get(headers.ms) ?? "";
  const epoch = from.get(headers.epoch) ?? "";
  const count = /^\d{1,15}$/;
  if (boot === "" || boot.length > 253 || !count.test(ms)) return null;
  if (epoch !== "none" && !count.test(epoch)) return null;
  return {
    stamp: { boot, ms: Number(ms) },
    epoch: epoch === "none" ? null : Number(epoch),
  };
}
