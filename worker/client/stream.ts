/**
 * Subscriptions: a stream of events from the primary, and from the next one after a switch.
 *
 * Promises: the first stream stands or is refused within `deadlineMs`; a later one is sought until the subscriber
 * leaves; each begins with a `subscribe` event, so a listener knows of the gap. Nothing comes from a node that is
 * no longer the primary, once the client knows.
 * Must never: fill a gap. What was published meanwhile is lost, as with Redis itself.
 */
import { backoffMs, pause, readStream, type StreamEnd } from "./follow-stream.ts";
import type { Node } from "./nodes.ts";
import type { UpstashRequest } from "./sdk.ts";

export type StreamOptions = {
  /** @throws NoRouteError */
  readonly primary: () => Promise<Node>;
  /** Whether it is, as far as known, without asking anyone. */
  readonly isPrimary: (node: Node) => boolean;
  /** Learns the route anew, after a failure. */
  readonly learn: () => Promise<unknown>;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
};

/** How often an open stream looks whether its node is still the primary: a host that is gone says no goodbye. */
const lookMs = 5000;
/** A quiet channel is as good as any: the looks end a stream that hangs. */
const silenceMs = 2 ** 31 - 1;

export function streams(options: StreamOptions) {
  const { primary, isPrimary, learn, timeoutMs, deadlineMs } = options;

  /** One stream at one node, until it ends or the node is no longer the primary. */
  async function hear(asked: UpstashRequest, signal: AbortSignal, onOpen: () => void) {
    const node = await primary();
    const left = new AbortController();
    const look = () => {
      if (!isPrimary(node)) left.abort();
    };
    const timer = setInterval(() => void primary().then(look, () => undefined), lookMs);
    try {
      return await readStream({
        url: [node.url.replace(/\/+$/, ""), ...(asked.path ?? []).map(encodeURIComponent)].join(
          "/",
        ),
        token: node.token,
        signal: AbortSignal.any([signal, left.signal]),
        timeoutMs,
        silenceMs,
        onOpen,
        onData(data) {
          look();
          if (!left.signal.aborted) asked.onMessage?.(data);
        },
      });
    } finally {
      clearInterval(timer);
    }
  }

  async function run(asked: UpstashRequest, signal: AbortSignal, begun: (refused?: Error) => void) {
    const endsAtMs = Date.now() + deadlineMs;
    let failures = 0;
    let stood = false;
    while (!signal.aborted) {
      const open = () => {
        failures = 0;
        stood = true;
        begun();
      };
      const end = await hear(asked, signal, open).catch((error: Error) => error);
      if (signal.aborted) break;
      const late = Date.now() >= endsAtMs;
      if (!stood && (late || isRefused(end))) return begun(errorOf(end));
      await learn();
      await pause(backoffMs(failures, 50, lookMs), signal);
      failures += 1;
    }
    begun();
  }

  /** As the SDK asks for a stream; resolves once it stands. */
  return (asked: UpstashRequest): Promise<{ result: number }> =>
    new Promise((resolve, reject) => {
      const signal = asked.signal ?? new AbortController().signal;
      void run(asked, signal, (refused) =>
        refused === undefined ? resolve({ result: 1 }) : reject(refused),
      );
    });
}

/** The app's own mistake, such as a token that may not: another try would tell the same. */
const isRefused = (end: StreamEnd | Error) =>
  !(end instanceof Error) && end.kind === "refused" && end.status < 500;

function errorOf(end: StreamEnd | Error): Error {
  if (end instanceof Error) return end;
  const why = end.kind === "refused" ? `status ${end.status}` : end.kind;
  return new Error(`Picket: the subscription did not begin: ${why}`);
}
