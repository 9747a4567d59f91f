/**
 * Where a route can be had from outside of Workers: a relay's stream, the API, KV's REST interface.
 *
 * Promises: each is read again and again until it is stopped, with a growing pause after failures; whatever comes
 * is handed on as it is, and what went wrong is told in words without a token.
 * Must never: judge a route, or reject.
 */
import { routeKey } from "../core/route.ts";
import { backoffMs, pause, readStream, wordOf } from "./follow-stream.ts";

export type FollowSource =
  /** The stream of a relay: at once, also when the edge is away. `token`: a data token. */
  | { readonly kind: "relay"; readonly url: string; readonly token: string }
  /** Picket's API, asked every `pollMs` (1000). `token`: a read token. */
  | {
      readonly kind: "api";
      readonly url: string;
      readonly token: string;
      readonly pollMs?: number;
    }
  /** KV by Cloudflare's API, asked every `pollMs` (5000); up to a minute late. `token`: Workers KV read. */
  | {
      readonly kind: "kv";
      readonly accountId: string;
      readonly namespaceId: string;
      readonly token: string;
      readonly pollMs?: number;
      /** "https://api.cloudflare.com/client/v4". */
      readonly apiUrl?: string;
    };

export type Trouble = "unreachable" | "refused" | "silent" | "malformed";

export type Reading = {
  readonly group: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly silenceMs: number;
  readonly maxBackoffMs: number;
  /** True when it was a route of the group: the source is well. */
  readonly onValue: (value: unknown) => boolean;
  readonly onTrouble: (kind: Trouble, detail: string) => void;
};

const LEAST_BACKOFF_MS = 250;
const CLOUDFLARE = "https://api.cloudflare.com/client/v4";

/** Reads until `signal` is aborted. */
export const readSource = (source: FollowSource, reading: Reading): Promise<void> =>
  source.kind === "relay" ? listen(source, reading) : poll(source, reading);

/** What a source is called in problems. */
export const nameOf = (source: FollowSource): string =>
  source.kind === "kv" ? `kv ${source.namespaceId}` : `${source.kind} ${source.url}`;

async function listen(source: FollowSource & { kind: "relay" }, reading: Reading): Promise<void> {
  const { group, signal, timeoutMs, silenceMs, onTrouble } = reading;
  let failures = 0;
  while (!signal.aborted) {
    const end = await readStream({
      url: routeUrl(source.url, group),
      token: source.token,
      ...{ signal, timeoutMs, silenceMs },
      onData: (data) => {
        if (told(data, reading)) failures = 0;
      },
    });
    if (end.kind === "stopped") return;
    if (end.kind === "refused") onTrouble("refused", `HTTP ${end.status}`);
    else if (end.kind === "silent") onTrouble("silent", `nothing for ${silenceMs} ms`);
    else onTrouble("unreachable", end.kind === "ended" ? "the stream ended" : end.detail);
    await pause(backoffMs(failures, LEAST_BACKOFF_MS, reading.maxBackoffMs), signal);
    failures += 1;
  }
}

async function poll(
  source: FollowSource & { kind: "api" | "kv" },
  reading: Reading,
): Promise<void> {
  const { signal, maxBackoffMs } = reading;
  const { pollMs = source.kind === "api" ? 1000 : 5000 } = source;
  let failures = 0;
  while (!signal.aborted) {
    const well = await once(source, reading);
    failures = well ? 0 : failures + 1;
    // Ninths to elevenths: those that were started together part.
    const usualMs = pollMs * (0.9 + Math.random() / 5);
    const lateMs = well ? 0 : backoffMs(failures, LEAST_BACKOFF_MS, maxBackoffMs);
    await pause(Math.max(usualMs, lateMs), signal);
  }
}

async function once(source: FollowSource & { kind: "api" | "kv" }, reading: Reading) {
  const { group, signal, timeoutMs, onTrouble } = reading;
  const end = new AbortController();
  const stop = () => end.abort();
  const timer = setTimeout(stop, timeoutMs);
  signal.addEventListener("abort", stop);
  try {
    const response = await fetch(addressOf(source, group), {
      headers: { authorization: `Bearer ${source.token}`, accept: "application/json" },
      redirect: "manual",
      signal: end.signal,
    });
    if (response.ok) return told(await response.text(), reading);
    await response.body?.cancel();
    onTrouble("refused", `HTTP ${response.status}`);
  } catch (error) {
    if (!signal.aborted) onTrouble("unreachable", end.signal.aborted ? "no answer" : wordOf(error));
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
  return false;
}

function told(text: string, { signal, onValue, onTrouble }: Reading): boolean {
  if (signal.aborted) return false;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    onTrouble("malformed", "no JSON");
    return false;
  }
  return onValue(value);
}

function addressOf(source: FollowSource & { kind: "api" | "kv" }, group: string): string {
  if (source.kind === "api") return routeUrl(source.url, group);
  const { accountId, namespaceId, apiUrl = CLOUDFLARE } = source;
  const key = encodeURIComponent(routeKey(group));
  return `${bare(apiUrl)}/accounts/${accountId}/storage/kv/namespaces/${namespaceId}/values/${key}`;
}

const routeUrl = (url: string, group: string) =>
  `${bare(url)}/v1/groups/${encodeURIComponent(group)}/route`;

const bare = (url: string) => url.replace(/\/+$/, "");
