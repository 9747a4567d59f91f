/**
 * What wakes a Group: its alarm, and within an invocation a nap that anybody may end; and who waits for what it
 * decides.
 *
 * Promises: setting an alarm never rejects, for what cannot be set is what cron is for; an alarm that stands
 * is not set again; a nap leaves no timer behind.
 */

export function createAlarm(storage: DurableObjectStorage) {
  /** Null: surely none stands; undefined: not known. */
  let armedAtMs: number | null | undefined;
  return {
    armedAtMs: () => armedAtMs ?? null,

    /** The same, asked of the storage by an instance that has slept. Never rejects. */
    async stands(): Promise<number | null> {
      if (armedAtMs === undefined)
        armedAtMs = await storage.getAlarm().catch((): undefined => undefined);
      return armedAtMs ?? null;
    },

    /** It went off. */
    spent(): void {
      armedAtMs = undefined;
    },

    async arm(atMs: number | null): Promise<void> {
      if (atMs === armedAtMs) return;
      try {
        if (atMs === null) await storage.deleteAlarm();
        else await storage.setAlarm(atMs);
        armedAtMs = atMs;
      } catch (error) {
        console.error("no alarm", error instanceof Error ? error.message : "unknown");
      }
    },
  };
}

export function createNap() {
  let end: (() => void) | null = null;
  return {
    until: (atMs: number): Promise<void> =>
      new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer);
          end = null;
          resolve();
        };
        const timer = setTimeout(done, Math.max(0, atMs - Date.now()));
        end = done;
      }),
    end: () => end?.(),
  };
}

/** Who waits at once; whoever comes then does not. */
const MOST_WAITING = 1000;

/** Those who wait for another route. */
export function createChanges() {
  const waiting = new Set<() => void>();
  return {
    /** Ends with the next change, or after `ms`. */
    next: (ms: number): Promise<void> =>
      new Promise((resolve) => {
        if (waiting.size >= MOST_WAITING) return resolve();
        const done = () => {
          clearTimeout(timer);
          waiting.delete(done);
          resolve();
        };
        const timer = setTimeout(done, ms);
        waiting.add(done);
      }),
    tell: (): void => {
      for (const each of waiting) each();
    },
  };
}
