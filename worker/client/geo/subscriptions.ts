/**
 * Subscriptions that move: each is a stream at the database that is active, and begins anew at the next one.
 *
 * Promises: after a move nothing of the old database is told any more; a stream that ends by itself is sought
 * again; each beginning tells `subscribe` to the app, which so knows of the gap.
 * Must never: outlive the app's own signal, or `close`.
 */
import { backoffMs, pause, readStream } from "../follow-stream.ts";
import type { UpstashRequest } from "../sdk.ts";

export type Target = { readonly url: string; readonly token: string };

export type Subscriptions = {
  /** As the SDK asks for a stream; resolves once it stands. */
  open(asked: UpstashRequest): Promise<{ result: number }>;
  /** The active database became another one. */
  move(): void;
  close(): void;
};

/** Health checks end a stream that hangs; it may be silent for as long as it likes. */
const FOR_EVER_MS = 2_147_483_647;
const LEAST_BACKOFF_MS = 100;
const MOST_BACKOFF_MS = 5000;

type Times = {
  /** Longest wait for the beginning of one stream. */
  readonly timeoutMs: number;
  /** Longest wait for the first one of a subscription. */
  readonly deadlineMs: number;
};

/** @param target where the stream is to be had by now; null: nowhere. */
export function subscriptions(
  target: () => Target | null,
  { timeoutMs, deadlineMs }: Times,
): Subscriptions {
  const open = new Set<AbortController>();
  let places = new AbortController();
  let isClosed = false;

  async function run(
    asked: UpstashRequest,
    ours: AbortController,
    begun: (failed?: Error) => void,
  ) {
    let failures = 0;
    while (!ours.signal.aborted) {
      const at = target();
      const place = places.signal;
      const signal = AbortSignal.any([ours.signal, place]);
      if (at !== null) {
        const end = await readStream({
          url: [at.url.replace(/\/+$/, ""), ...(asked.path ?? []).map(encodeURIComponent)].join(
            "/",
          ),
          token: at.token,
          ...{ signal, timeoutMs, silenceMs: FOR_EVER_MS },
          onOpen: () => {
            failures = 0;
            begun();
          },
          onData: (data) => asked.onMessage?.(data),
        });
        // The app's own mistake, such as a token that may not: only a new one would tell otherwise.
        if (end.kind === "refused" && end.status < 500)
          begun(new Error(`Picket: the subscription was refused: HTTP ${end.status}`));
      }
      if (!place.aborted)
        await pause(backoffMs(failures, LEAST_BACKOFF_MS, MOST_BACKOFF_MS), signal);
      failures = place.aborted ? 0 : failures + 1;
    }
    begun();
  }

  return {
    open(asked) {
      const ours = new AbortController();
      const stop = () => ours.abort();
      if (isClosed || asked.signal?.aborted) stop();
      asked.signal?.addEventListener("abort", stop);
      open.add(ours);
      return new Promise((resolve, reject) => {
        let isBegun = false;
        const begun = (failed?: Error) => {
          if (isBegun) return;
          isBegun = true;
          clearTimeout(timer);
          if (failed === undefined) return resolve({ result: 1 });
          reject(failed);
          stop();
        };
        const late = () => begun(new Error(`Picket: no subscription within ${deadlineMs} ms`));
        const timer = setTimeout(late, deadlineMs);
        void run(asked, ours, begun).finally(() => {
          open.delete(ours);
          asked.signal?.removeEventListener("abort", stop);
        });
      });
    },
    move() {
      places.abort();
      places = new AbortController();
    },
    close() {
      isClosed = true;
      for (const each of open) each.abort();
    },
  };
}
