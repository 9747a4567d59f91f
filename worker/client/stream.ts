/**
 * Subscriptions: a stream of events from the primary, and from the next one after a switch.
 *
 * Promises: the first stream opens or rejects as the SDK's would; a later one is sought until the subscriber
 * leaves; each begins with a `subscribe` event, so a listener knows of the gap. Nothing comes from a node that is
 * no longer the primary, once the client knows.
 * Must never: fill a gap. What was published meanwhile is lost, as with Redis itself.
 */
import { failureOf } from "./failure.ts";
import type { Node } from "./nodes.ts";
import type { UpstashRequest } from "./sdk.ts";
import { pause, within } from "./wait.ts";

export type StreamOptions = {
  /** The primary now. */
  readonly primary: () => Promise<Node>;
  /** Learns the route anew, after a failure. */
  readonly learn: () => Promise<unknown>;
  readonly timeoutMs: number;
};

/** How often an open stream looks whether its node is still the primary. */
const lookMs = 5000;
const longestPauseMs = 5000;
const longestLine = 1 << 20;

export function streams({ primary, learn, timeoutMs }: StreamOptions) {
  /** Resolves when the stream has begun. */
  async function open(asked: UpstashRequest): Promise<{ result: number }> {
    const signal = asked.signal ?? new AbortController().signal;
    let node = await primary();
    let body: ReadableStream<Uint8Array>;
    try {
      body = await begin(node, asked, signal);
    } catch (error) {
      if (failureOf(error).kind === "answer" || signal.aborted) throw error;
      // As with a command: the route may have been old. Listening twice is as good as once.
      await learn();
      node = await primary();
      body = await begin(node, asked, signal);
    }
    void follow(node, body, asked, signal);
    return { result: 1 };
  }

  async function follow(
    first: Node,
    firstBody: ReadableStream<Uint8Array>,
    asked: UpstashRequest,
    signal: AbortSignal,
  ): Promise<void> {
    let node = first;
    let body: ReadableStream<Uint8Array> | null = firstBody;
    for (let failures = 0; !signal.aborted; ) {
      if (body !== null) await pump(body, asked, () => stays(node, signal)).catch(() => undefined);
      if (signal.aborted) return;
      try {
        if (failures > 0 || body !== null) await learn();
        node = await primary();
        body = await begin(node, asked, signal);
        failures = 0;
      } catch {
        body = null;
        failures += 1;
        await pause(Math.min(longestPauseMs, 100 * 2 ** failures) * (0.5 + Math.random() / 2));
      }
    }
  }

  const stays = async (node: Node, signal: AbortSignal) =>
    !signal.aborted && (await primary().catch(() => node)) === node;

  async function begin(
    node: Node,
    { path = [], headers, body }: UpstashRequest,
    signal: AbortSignal,
  ) {
    // Aborted by the subscriber at any time, and by the clock until it has begun.
    const end = new AbortController();
    const stop = () => end.abort(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    const response = await within(timeoutMs, () =>
      fetch([node.url.replace(/\/$/, ""), ...path].join("/"), {
        method: "POST",
        headers: { ...headers, authorization: `Bearer ${node.token}` },
        body: JSON.stringify(body),
        signal: end.signal,
      }),
    ).catch((error) => {
      end.abort();
      throw error;
    });
    if (response.ok && response.body !== null) return response.body;
    const text = await within(timeoutMs, () => response.text());
    const told = /"error":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1];
    const error = new Error(told ?? `status ${response.status}`);
    error.name = "UpstashError";
    throw error;
  }

  return open;
}

/** Reads until the end, or until `stays` says no. */
async function pump(
  body: ReadableStream<Uint8Array>,
  { onMessage }: UpstashRequest,
  stays: () => Promise<boolean>,
): Promise<void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    let next = reader.read();
    for (;;) {
      const chunk = await within(lookMs, () => next).catch((error) => {
        if (error instanceof Error && error.name === "TimeoutError") return null;
        throw error;
      });
      if (chunk === null) {
        if (await stays()) continue;
        return;
      }
      if (chunk.done) return;
      // Before its words are told: a node that is no longer the primary says nothing more.
      if (!(await stays())) return;
      text += decoder.decode(chunk.value, { stream: true });
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      if (text.length > longestLine) return;
      for (const line of lines) if (line.startsWith("data: ")) onMessage?.(line.slice(6));
      next = reader.read();
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
