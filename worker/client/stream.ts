/**
 * Subscriptions: a stream of events from the primary, and from the next one after a switch.
 *
 * Promises: the first stream stands or is refused within `deadlineMs`; a later one is sought until the subscriber
 * leaves; each begins with a `subscribe` event, so a listener knows of the gap. Nothing comes from a node that is
 * no longer the primary, once the client knows.
 * Must never: fill a gap. What was published meanwhile is lost, as with Redis itself.
 */
import { readStream, type StreamEnd } from "./follow-stream.ts";
import type { Node } from "./nodes.ts";
import type { UpstashRequest } from "./sdk.ts";
import { pause } from "./wait.ts";

export type StreamOptions = {
  /** @throws NoRouteError */
  readonly primary: () => Promise<Node>;
  /** As far as known, without asking anyone. */
  readonly known: () => Node | null;
  /** Learns the route anew, after a failure. */
  readonly learn: () => Promise<unknown>;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
};

/** How often an open stream looks whether its node is still the primary: a host that is gone says no goodbye. */
const lookMs = 1000;
/** A quiet channel is as good as any: the looks end a stream that hangs. */
const silenceMs = 2 ** 31 - 1;

export function streams({ primary, known, learn, timeoutMs, deadlineMs }: StreamOptions) {
  /** One stream at one node, until it ends or the node is no longer the primary. */
  async function hear(asked: UpstashRequest, signal: AbortSignal, onOpen: () => void) {
    const node = await primary();
    const left = new AbortController();
    const look = () => known() === node || left.abort();
    const timer = setInterval(() => primary().then(look, () => left.abort()), lookMs);
    const end = await readStream({
      url: [node.url.replace(/\/+$/, ""), ...(asked.path ?? []).map(encodeURIComponent)].join("/"),
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
    clearInterval(timer);
    return end;
  }

  /** Ends with the subscriber; rejects when it does not begin. */
  async function run(asked: UpstashRequest, begun: () => void): Promise<void> {
    const { signal = new AbortController().signal } = asked;
    const endsAtMs = Date.now() + deadlineMs;
    let failures = 0;
    let stood = false;
    while (!signal.aborted) {
      const end = await hear(asked, signal, () => {
        failures = 0;
        stood = true;
        begun();
      }).catch((error: Error) => error);
      if (!stood && (Date.now() >= endsAtMs || isRefused(end))) throw errorOf(end);
      await learn();
      await pause(Math.min(lookMs, 50 * 2 ** failures) * (0.5 + Math.random() / 2));
      failures += 1;
    }
  }

  /** As the SDK asks for a stream; resolves once it stands. */
  return (asked: UpstashRequest): Promise<{ result: number }> =>
    new Promise((resolve, reject) => {
      const begun = () => resolve({ result: 1 });
      run(asked, begun).then(begun, reject);
    });
}

/** The app's own mistake, such as a token that may not: another try would tell the same. */
const isRefused = (end: StreamEnd | Error) => "status" in end && end.status < 500;

const errorOf = (end: StreamEnd | Error) =>
  end instanceof Error ? end : new Error(`Picket: no subscription: ${JSON.stringify(end)}`);
