/**
 * One stream of server-sent events, read until it ends: each `data:` line is told.
 *
 * Promises: never rejects; the wait for its beginning and every silence have an end; what is read of one line is
 * bounded; a token goes to the one address that was named. Must never: begin again by itself.
 */

export type StreamEnd =
  | { readonly kind: "stopped" }
  | { readonly kind: "ended" }
  | { readonly kind: "silent" }
  | { readonly kind: "unreachable"; readonly detail: string }
  | { readonly kind: "refused"; readonly status: number };

export type Stream = {
  readonly url: string;
  readonly token: string;
  /** Aborting it ends the stream. */
  readonly signal: AbortSignal;
  /** Longest wait for its beginning. */
  readonly timeoutMs: number;
  /** Longest wait for anything, a heartbeat too, once it began. */
  readonly silenceMs: number;
  /** It was accepted; from now on lines come. */
  readonly onOpen?: () => void;
  readonly onData: (data: string) => void;
};

const longestLine = 1024 * 1024;

export async function readStream(stream: Stream): Promise<StreamEnd> {
  const { url, token, signal, onData } = stream;
  const end = new AbortController();
  let isLate = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const expect = (ms: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      isLate = true;
      end.abort();
    }, ms);
  };
  const stop = () => end.abort();
  signal.addEventListener("abort", stop);
  let opened = false;
  try {
    if (signal.aborted) return { kind: "stopped" };
    expect(stream.timeoutMs);
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${token}`, accept: "text/event-stream" },
      redirect: "manual",
      signal: end.signal,
    });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      return { kind: "refused", status: response.status };
    }
    opened = true;
    expect(stream.silenceMs);
    stream.onOpen?.();
    const text = new TextDecoder();
    let rest = "";
    for await (const chunk of response.body) {
      expect(stream.silenceMs);
      const lines = (rest + text.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > longestLine)
        return { kind: "unreachable", detail: "a line that does not end" };
      for (const line of lines) {
        if (signal.aborted) return { kind: "stopped" };
        if (line.startsWith("data:")) onData(line.slice(5).replace(/^ |\r$/g, ""));
      }
    }
    return { kind: signal.aborted ? "stopped" : "ended" };
  } catch (error) {
    if (signal.aborted) return { kind: "stopped" };
    if (isLate) return opened ? { kind: "silent" } : { kind: "unreachable", detail: "no answer" };
    return { kind: "unreachable", detail: wordOf(error) };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    end.abort();
  }
}

/** What went wrong with a request, in a word or two. */
export function wordOf(error: unknown): string {
  if (!(error instanceof Error)) return "failed";
  const { code } = (error.cause ?? {}) as { readonly code?: unknown };
  return typeof code === "string" ? code : error.name;
}

/** Ends early, without a word, when the signal is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (signal.aborted) done();
    else signal.addEventListener("abort", done);
  });
}

/** Doubled with each failure in a row up to `mostMs`; half of it is chance, so that not everyone comes at once. */
export function backoffMs(failures: number, leastMs: number, mostMs: number): number {
  const ms = Math.min(mostMs, leastMs * 2 ** Math.min(failures, 30));
  return ms * (0.5 + Math.random() / 2);
}
