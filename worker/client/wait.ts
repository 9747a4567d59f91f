/**
 * Waiting, with an end: bounded, and shared by whoever comes meanwhile.
 *
 * Promises: every timer is cleared in the function that set it. On Workers a promise dies unsettled with the
 * request that began it: nobody waits for one longer than it may take.
 * Must never: know what is waited for.
 */

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export const lateness = () => new DOMException("too late", "TimeoutError");

/** The answer; rejects as `work` does, and with a TimeoutError when it comes late. */
export async function within<T>(ms: number, work: () => Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(lateness()), ms);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** One run of `work` at a time, which takes `ms` at most; who comes meanwhile waits for that one. Never rejects. */
export function shared(ms: number, work: () => Promise<void>): () => Promise<void> {
  let running: { readonly atMs: number; readonly done: Promise<void> } | null = null;
  return async () => {
    const nowMs = Date.now();
    if (running === null || nowMs - running.atMs > ms || nowMs < running.atMs)
      running = { atMs: nowMs, done: within(ms, work).catch(() => undefined) };
    const mine = running;
    // From when it began, not from when each came: what died with its request is waited for once.
    await within(mine.atMs + ms - nowMs, () => mine.done).catch(() => undefined);
    if (running === mine) running = null;
  };
}
