/**
 * One HTTP request for JSON, bounded in time and in size: under every look, verb and DNS call.
 *
 * Promises: never rejects; ends by the deadline even if fetch or the body hangs; holds at most
 * `maxBytes` of an answer; sends once and follows no redirect, so a token goes to one address only.
 * Must never: log, retry, or leave a timer behind.
 */

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export type JsonRequest = {
  readonly method: "GET" | "POST" | "PATCH";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Sent as it is, instead of a body as JSON. */
  readonly text?: string;
};

export type Limits = {
  readonly timeoutMs: number;
  readonly maxBytes?: number;
  readonly fetch?: Fetch;
  /** How an answer is read, JSON by default; throws a SyntaxError at what is none. */
  readonly parse?: (text: string) => unknown;
};

export type Answer =
  | {
      readonly kind: "json";
      readonly status: number;
      readonly headers: Headers;
      readonly body: unknown;
    }
  /** Empty, HTML, cut off, too large: whatever came with the headers was no JSON. */
  | {
      readonly kind: "no-json";
      readonly status: number;
      readonly headers: Headers;
      readonly detail: string;
    }
  /** `unsent`: surely nothing of it arrived; false whenever that is not certain. */
  | { readonly kind: "none"; readonly unsent: boolean; readonly detail: string };

export async function request(asked: JsonRequest, limits: Limits): Promise<Answer> {
  if (!(limits.timeoutMs > 0)) return { kind: "none", unsent: true, detail: "no time left" };
  return within<Answer>(
    limits.timeoutMs,
    (signal) => exchange(asked, limits, signal),
    () => ({ kind: "none", unsent: false, detail: `no answer within ${limits.timeoutMs} ms` }),
  );
}

/**
 * Ends with the work or at the deadline, whichever is first. Whoever lost is aborted and not waited
 * for. The work must not reject with anything that matters after the deadline.
 */
export async function within<T>(
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<T>,
  late: () => T,
): Promise<T> {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  // The race, and not the signal alone: a fetch or a body that ignores its signal is late as well.
  const deadline = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(late()), timeoutMs);
  });
  try {
    return await Promise.race([work(controller.signal), deadline]);
  } finally {
    clearTimeout(timer);
    controller.abort();
  }
}

async function exchange(asked: JsonRequest, limits: Limits, signal: AbortSignal): Promise<Answer> {
  const send: Fetch = limits.fetch ?? fetch;
  const sent = headersOf(asked);
  // Not left to fetch: its complaint would quote the value, and the value is a secret.
  if (sent === null) return { kind: "none", unsent: true, detail: "a header HTTP does not allow" };
  let response: Response;
  try {
    response = await send(asked.url, {
      method: asked.method,
      headers: sent,
      ...bodyOf(asked),
      redirect: "manual",
      signal,
    });
  } catch (error) {
    return { kind: "none", unsent: neverConnected(error), detail: reasonOf(error) };
  }
  const { status, headers } = response;
  try {
    const text = await boundedText(response, limits.maxBytes ?? 1 << 20);
    if (text === null) return { kind: "no-json", status, headers, detail: "answer too large" };
    return { kind: "json", status, headers, body: (limits.parse ?? JSON.parse)(text) };
  } catch (error) {
    const cut = error instanceof SyntaxError ? "not JSON" : `cut off: ${reasonOf(error)}`;
    return { kind: "no-json", status, headers, detail: `HTTP ${status}, ${cut}` };
  }
}

function bodyOf({ body, text }: JsonRequest): RequestInit {
  if (text !== undefined) return { body: text };
  return body === undefined ? {} : { body: JSON.stringify(body) };
}

function headersOf({ headers, body }: JsonRequest): Headers | null {
  try {
    const sent = new Headers(headers);
    if (body !== undefined) sent.set("content-type", "application/json");
    return sent;
  } catch {
    return null;
  }
}

/** Null when there is more than `maxBytes`; the rest is never read, `within` aborts it. */
async function boundedText(response: Response, maxBytes: number): Promise<string | null> {
  if (Number(response.headers.get("content-length") ?? 0) > maxBytes) return null;
  if (response.body === null) return "";
  const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
  const decoder = new TextDecoder();
  let bytes = 0;
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.byteLength;
    if (bytes > maxBytes) return null;
    text += decoder.decode(value, { stream: true });
  }
}

/**
 * True only when the connection itself failed. Node names the system call. workerd does not: a
 * refused connection and one reset after the request was read are both "Network connection lost."
 * there, so on Workers this is never true.
 */
export function neverConnected(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { syscall, code, errors } = error as { syscall?: string; code?: string; errors?: unknown };
  if (syscall === "connect" || syscall === "getaddrinfo") return true;
  if (code === "UND_ERR_CONNECT_TIMEOUT") return true;
  if (Array.isArray(errors) && errors.length > 0) return errors.every(neverConnected);
  return neverConnected(error.cause);
}

/** Node hides the reason in `cause`, and behind several addresses in `errors`. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown error";
  if (error.cause instanceof Error) return reasonOf(error.cause);
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : brief(error.message);
}

/** For people: one line of at most 200 characters, without the secrets that were sent along. */
export function brief(text: string, ...secrets: readonly string[]): string {
  return secrets
    .reduce(masked, text)
    .replace(/[\s\p{Cc}]+/gu, " ")
    .trim()
    .slice(0, 200);
}

/** Who quotes what was sent may cut it off: so much of its beginning is as secret as the whole. */
const PART_CHARS = 8;

function masked(text: string, secret: string): string {
  if (secret === "") return text;
  const start = secret.slice(0, PART_CHARS);
  let clean = "";
  let rest = text;
  for (let at = rest.indexOf(start); at >= 0; at = rest.indexOf(start)) {
    let end = start.length;
    while (end < secret.length && rest[at + end] === secret[end]) end += 1;
    clean += `${rest.slice(0, at)}***`;
    rest = rest.slice(at + end);
  }
  return clean + rest;
}
