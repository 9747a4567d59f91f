/**
 * The end of a request that gets no answer: a signal that aborts when its time is over.
 *
 * Promises: whoever begins one ends it. On Node one timer watches all of a kind, since setting one for each command
 * costs a tenth of the command; it keeps no process alive, and is gone when nothing is under way. Elsewhere each
 * has its own: on Workers a timer may not touch what belongs to another request.
 * Must never: abort early.
 */
import { lateness } from "./wait.ts";

export type Limit = {
  readonly end: AbortController;
  readonly dueAtMs: number;
  readonly timer: ReturnType<typeof setTimeout> | undefined;
  /** Neighbours among those that one timer watches, in the order in which they are due. */
  before: Limit | null;
  after: Limit | null;
};

/** More does not fit a timer. */
const longestMs = 2 ** 31 - 1;

const { navigator } = globalThis as { navigator?: { userAgent?: string } };
const onNode = navigator?.userAgent?.startsWith("Node.js/") === true;

const tooLate = (end: AbortController) => end.abort(lateness());

export type Limits = {
  /** Infinity, and whatever fits no timer: no end. */
  begin(ms: number): Limit;
  end(limit: Limit): void;
};

export function limitsOf(usualMs: number): Limits {
  const due = limit(new AbortController(), 0, undefined);
  let last = due;
  let watching = false;

  function watch(ms: number): void {
    watching = true;
    const timer: { unref?(): void } = setTimeout(look, ms) as never;
    timer.unref?.();
  }

  function look(): void {
    watching = false;
    const nowMs = performance.now();
    for (let next = due.after; next !== null; next = due.after) {
      const leftMs = next.dueAtMs - nowMs;
      if (leftMs > 0) return watch(Math.ceil(leftMs));
      unlink(next);
      tooLate(next.end);
    }
  }

  /** A second time it does nothing. */
  function unlink(each: Limit): void {
    const { before, after } = each;
    if (before === null) return;
    before.after = after;
    if (after === null) last = before;
    else after.before = before;
    each.before = null;
  }

  return {
    begin(ms) {
      const end = new AbortController();
      if (onNode && ms === usualMs) {
        const each = limit(end, performance.now() + ms, undefined);
        each.before = last;
        last.after = each;
        last = each;
        if (!watching) watch(ms);
        return each;
      }
      return limit(end, 0, ms <= longestMs ? setTimeout(tooLate, ms, end) : undefined);
    },
    end(each) {
      if (each.timer === undefined) unlink(each);
      else clearTimeout(each.timer);
    },
  };
}

const limit = (end: AbortController, dueAtMs: number, timer: Limit["timer"]): Limit => ({
  end,
  dueAtMs,
  timer,
  before: null,
  after: null,
});
