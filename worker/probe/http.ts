/**
 * What the looks over plain HTTP share: requests under one deadline, and what it means that none was answered.
 *
 * Promises: as every transport (probe.ts); nothing is sent twice, no redirect is followed, so that a password goes to
 * one address only; of an answer only as much is held as `read` takes.
 * Must never: call anything up.
 */
import type { Found } from "../core/looking.ts";
import { brief, within } from "../relay/request.ts";
import { failed, type Limits, type ProbeOf } from "./probe.ts";
import { opens, type Place, whyUnopened } from "./socket.ts";

type Target = Pick<ProbeOf<"custom">, "timeoutMs" | "username" | "passwordSecret">;

export type Got<T> =
  | { readonly kind: "answer"; readonly status: number; readonly value: T }
  | { readonly kind: "none"; readonly found: Found };

export type Get = <T>(
  url: URL,
  accept: string,
  read: (response: Response) => Promise<T>,
) => Promise<Got<T>>;

/** One look of one request or several. */
export async function overHttp(
  target: Target,
  { timeoutMs, secret }: Limits,
  look: (get: Get) => Promise<Found>,
): Promise<Found> {
  if (!(timeoutMs > 0)) return failed("closed", "no time left");
  const { username, passwordSecret } = target;
  const password = passwordSecret === null ? "" : secret(passwordSecret);
  const login = username === null || passwordSecret === null ? "" : encoded(username, password);
  const sent: Record<string, string> = login === "" ? {} : { authorization: `Basic ${login}` };
  const oneMs = target.timeoutMs > 0 ? Math.min(target.timeoutMs, timeoutMs) : timeoutMs;
  const silence = failed("timeout", `no answer within ${Math.round(oneMs)} ms`);
  let late = silence;
  const found = await within(
    timeoutMs,
    (whole) => look((url, accept, read) => get(url, { ...sent, accept }, read, whole)),
    () => late,
  );
  return { ...found, detail: brief(found.detail, password, login) || "an answer without words" };

  async function get<T>(
    url: URL,
    headers: Record<string, string>,
    read: (response: Response) => Promise<T>,
    whole: AbortSignal,
  ): Promise<Got<T>> {
    const exchange = async (signal: AbortSignal): Promise<Got<T> | "lost"> => {
      let status = 0;
      try {
        const either = AbortSignal.any([signal, whole]);
        const init = { headers, redirect: "manual" as const, signal: either };
        const response = await fetch(url.href, init);
        status = response.status;
        return { kind: "answer", status, value: await read(response) };
      } catch {
        return status === 0 ? "lost" : none(failed("closed", `HTTP ${status}, cut off`));
      }
    };
    const got = await within<Got<T> | "lost">(oneMs, exchange, () => none(silence));
    if (got !== "lost") return got;
    const why = await whyLost(url, { timeoutMs, signal: whole }, (found) => {
      late = found;
    });
    return none(why);
  }
}

/** Why a request had no answer: the runtime has one word for all of it. `meanwhile` as in whyUnopened. */
export async function whyLost(
  url: URL,
  limits: { readonly timeoutMs: number; readonly signal: AbortSignal },
  meanwhile: (late: Found) => void,
): Promise<Found> {
  const tls = url.protocol === "https:";
  const lost = failed("closed", "the connection was lost before an answer");
  meanwhile(lost);
  if (await opens(placeOf(url), tls, limits.signal)) return lost;
  return whyUnopened(placeOf(url), { ...limits, tls }, meanwhile);
}

const none = (found: Found) => ({ kind: "none" as const, found });

function placeOf({ protocol, hostname, port }: URL): Place {
  const usual = protocol === "https:" ? 443 : 80;
  return { host: hostname.replace(/^\[|\]$/g, ""), port: port === "" ? usual : Number(port) };
}

function encoded(username: string, password: string): string {
  const bytes = new TextEncoder().encode(`${username}:${password}`);
  return btoa(String.fromCharCode(...bytes));
}

/** The body up to there, or until it is `enough`; what follows is never read. */
export async function firstBytes(
  response: Response,
  mostBytes: number,
  enough: (text: string) => boolean = () => false,
): Promise<{ readonly text: string; readonly whole: boolean }> {
  if (response.body === null) return { text: "", whole: true };
  const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
  const decoder = new TextDecoder();
  let bytes = 0;
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { text: text + decoder.decode(), whole: true };
    const taken = value.subarray(0, mostBytes - bytes);
    bytes += value.length;
    text += decoder.decode(taken, { stream: true });
    if (bytes <= mostBytes && !enough(text)) continue;
    await reader.cancel().catch(() => {});
    return { text, whole: false };
  }
}

/**
 * What a status says that is not what was hoped for; null: nothing of its own. From 520 it is Cloudflare speaking: it
 * answers a Worker's request in place of a server that it did not reach.
 */
export function faultOf(status: number): Found | null {
  const said = (kind: Found["class"], why: string) => failed(kind, `HTTP ${status}: ${why}`);
  if (status === 401 || status === 403) return said("auth", "not let in");
  if (status === 429) return said("policy", "asked too often");
  if (status >= 300 && status < 400) return said("malformed", "a redirect is not followed");
  if (status === 521) return said("refused", "nothing listens there");
  if (status >= 522 && status <= 524) return said("timeout", "no answer");
  if (status === 520) return said("closed", "no answer that is one");
  if (status === 525 || status === 526)
    return said("tls", "no TLS handshake, or a bad certificate");
  return status === 530 ? said("dns", "its host name does not resolve") : null;
}
