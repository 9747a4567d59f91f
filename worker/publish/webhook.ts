/**
 * One try at telling one webhook of one event, signed by the Standard Webhooks specification.
 *
 * Promises: never rejects; one POST, which ends within its time whatever the receiver does; the status alone
 * decides, the body is not read; the id is the message's, so a receiver knows a repetition; a redirect is never
 * followed, so what is told goes to the configured address only.
 * Must never: retry, or put the secret, or the url, which may hold one, into a detail.
 */
import { Webhook } from "standardwebhooks";
import type { GroupEvent } from "../core/events.ts";
import { brief, type Fetch, neverConnected, reasonOf, within } from "../relay/request.ts";
import type { PublishResult } from "./publisher.ts";

export type WebhookMessage = {
  /** The same over all tries. */
  readonly id: string;
  /** When the event was told. */
  readonly atMs: number;
  readonly event: GroupEvent;
  readonly group: string;
};

export type WebhookOptions = {
  readonly url: string;
  /** `whsec_` and base64, or base64 alone, of 24 to 64 bytes. */
  readonly secret: string;
  readonly timeoutMs: number;
  readonly fetch?: Fetch;
};

/** Who asks for more is asked again by then: a mistake there must not silence it for a year. */
const MAX_RETRY_AFTER_MS = 3_600_000;
const SECRET_BYTES = { min: 24, max: 64 };
const GONE = 410;

/**
 * `done`: a 2xx. `refused`: 410, the receiver is gone for good. Everything else is worth another try: `unreachable`
 * surely did not arrive, `unknown` may have, `failed` was answered with no, or not sent for a setting that is wrong.
 */
export async function sendWebhook(
  message: WebhookMessage,
  options: WebhookOptions,
): Promise<PublishResult> {
  const { url, secret, timeoutMs } = options;
  const problem = secretProblem(secret) ?? urlProblem(url);
  // Kept, and tried again: a setting can be mended.
  if (problem !== null) return { kind: "failed", detail: problem };
  if (!(timeoutMs > 0)) return { kind: "unreachable", detail: "no time left" };
  return within<PublishResult>(
    timeoutMs,
    (signal) => post(bodyOf(message), message.id, options, signal),
    () => ({ kind: "unknown", detail: `no answer within ${timeoutMs} ms` }),
  );
}

/** What is sent. The evidence stands beside what every event has, which no evidence may cover. */
export const bodyOf = ({ atMs, event, group }: WebhookMessage): string =>
  JSON.stringify({
    type: event.name,
    timestamp: new Date(atMs).toISOString(),
    data: { ...event.data, group, epoch: event.epoch, node: event.node, text: event.text },
  });

async function post(
  body: string,
  id: string,
  { url, secret, fetch: given }: WebhookOptions,
  signal: AbortSignal,
): Promise<PublishResult> {
  const send: Fetch = given ?? fetch;
  const now = new Date();
  try {
    const response = await send(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "user-agent": "picket",
        "webhook-id": id,
        "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
        "webhook-signature": new Webhook(secret).sign(id, now, body),
      },
      body,
      redirect: "manual",
      signal,
    });
    // Not waited for: it may never end.
    void response.body?.cancel().catch(() => undefined);
    return resultOf(response, url, now.getTime());
  } catch (error) {
    const kind = neverConnected(error) ? "unreachable" : "unknown";
    return { kind, detail: brief(reasonOf(error).replaceAll(url, "the url")) };
  }
}

function resultOf({ ok, status, headers }: Response, url: string, nowMs: number): PublishResult {
  if (ok) return { kind: "done", detail: `taken: HTTP ${status}` };
  if (status === GONE)
    return { kind: "refused", detail: "HTTP 410: the receiver is gone for good; take it out" };
  if (status >= 300 && status < 400) {
    const to = hostIn(headers.get("location"), url);
    const where = to === null ? "" : ` to ${brief(to)}`;
    const detail = `HTTP ${status}: a redirect${where} is not followed; set \`url\` to where it ends`;
    return { kind: "failed", detail };
  }
  const retryAfterMs = status === 429 || status === 503 ? askedToWait(headers, nowMs) : null;
  const result = { kind: "failed", detail: `HTTP ${status}` } as const;
  return retryAfterMs === null ? result : { ...result, retryAfterMs };
}

/** The host alone: paths and queries may hold what is secret. */
function hostIn(location: string | null, base: string): string | null {
  if (location === null || !URL.canParse(location, base)) return null;
  return new URL(location, base).host || null;
}

/** Retry-After in seconds or as a date; null: it says nothing that can be read. */
function askedToWait(headers: Headers, nowMs: number): number | null {
  const text = headers.get("retry-after")?.trim() ?? "";
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
}

/** Never with the value, nor a part of it. */
function secretProblem(secret: string): string | null {
  const { min, max } = SECRET_BYTES;
  const bytes = base64Bytes(secret.replace(/^whsec_/, ""));
  if (secret === "") return "its signing secret is not set";
  if (bytes !== null && bytes >= min && bytes <= max) return null;
  const given = bytes === null ? "is not base64" : `is ${bytes} bytes`;
  return `its signing secret ${given}; allowed is base64 of ${min} to ${max} bytes, with or without whsec_ before it`;
}

/** How many bytes it stands for; null when it is no padded base64. */
function base64Bytes(text: string): number | null {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return null;
  return (text.length / 4) * 3 - (text.length - text.replace(/=+$/, "").length);
}

function urlProblem(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) return "its url is not an http(s) url";
  const named = url.username !== "" || url.password !== "";
  return named ? "its url holds a user or a password: an http client refuses those" : null;
}
