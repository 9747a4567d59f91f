/**
 * A circuit breaker: whether what went to one node lately failed too often to go on with it.
 *
 * It opens when, within one window, at least `minNumFailures` calls failed and at least `failureRateThreshold`
 * of all. After `gracePeriodMs` it is half open: the next outcome closes it, or opens it anew.
 * Promises: pure but for its own few numbers; a clock that was set back never keeps it open.
 * Must never: look at a clock or set a timer.
 */
export type BreakerOptions = {
  /** Fewer failures never open it; 1000. */
  readonly minNumFailures?: number;
  /** Share of failures among all calls, 0 to 1; 0.1. */
  readonly failureRateThreshold?: number;
  /** Counts begin anew after it; 2000. */
  readonly failuresDetectionWindowMs?: number;
  /** How long it stays open; 60000. */
  readonly gracePeriodMs?: number;
};

export type Breaker = {
  /** What became of a call; true when this opened it. What was under way when it opened no longer counts. */
  record(ok: boolean, nowMs: number): boolean;
  isOpen(nowMs: number): boolean;
  /** Closed, and nothing counted. */
  reset(): void;
};

export function breaker(options: BreakerOptions = {}): Breaker {
  const { minNumFailures = 1000, failureRateThreshold = 0.1 } = options;
  const { failuresDetectionWindowMs = 2000, gracePeriodMs = 60_000 } = options;
  let calls = 0;
  let failures = 0;
  let windowAtMs = Number.NEGATIVE_INFINITY;
  let openedAtMs: number | null = null;

  const within = (sinceMs: number, lengthMs: number, nowMs: number) =>
    nowMs >= sinceMs && nowMs - sinceMs < lengthMs;
  const isOpen = (nowMs: number) => openedAtMs !== null && within(openedAtMs, gracePeriodMs, nowMs);
  function reset(): void {
    calls = 0;
    failures = 0;
    windowAtMs = Number.NEGATIVE_INFINITY;
    openedAtMs = null;
  }

  return {
    record(ok, nowMs) {
      if (isOpen(nowMs)) return false;
      const halfOpen = openedAtMs !== null;
      if (halfOpen || !within(windowAtMs, failuresDetectionWindowMs, nowMs)) {
        reset();
        windowAtMs = nowMs;
      }
      calls += 1;
      if (ok) return false;
      failures += 1;
      // A quotient is exact where 0.07 * 100 is not.
      const tooMany = failures >= minNumFailures && failures / calls >= failureRateThreshold;
      if (!halfOpen && !tooMany) return false;
      reset();
      openedAtMs = nowMs;
      return true;
    },
    isOpen,
    reset,
  };
}
