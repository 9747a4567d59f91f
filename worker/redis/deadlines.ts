/**
 * One timer for many deadlines that are all equally far away: a list in order of time, and nothing is created
 * or cleared for each.
 *
 * Promises: `expire` is called once for whoever is still in at the deadline, never early, and never for one
 * that was taken out.
 * Must never: keep hold of one that was taken out.
 */
type Dated<T> = { atMs: number; before: T | null; after: T | null; dated: boolean };

type Deadlines<T> = {
  readonly add: (one: T) => void;
  readonly remove: (one: T) => void;
  readonly close: () => void;
};

export function createDeadlines<T extends Dated<T>>(
  afterMs: number,
  expire: (one: T) => void,
): Deadlines<T> {
  let first: T | null = null;
  let last: T | null = null;
  let timer: NodeJS.Timeout | null = null;

  function add(one: T): void {
    one.atMs = performance.now() + afterMs;
    one.dated = true;
    one.before = last;
    if (last === null) first = one;
    else last.after = one;
    last = one;
    // It may stay while nobody is in: the next one finds it, or it goes off once for nothing.
    timer ??= setTimeout(round, afterMs);
  }

  /** Its own links are cut as well, or it would keep those after it alive for as long as itself. */
  function remove(one: T): void {
    if (!one.dated) return;
    one.dated = false;
    const { before, after } = one;
    if (before === null) first = after;
    else before.after = after;
    if (after === null) last = before;
    else after.before = before;
    one.before = null;
    one.after = null;
  }

  function round(): void {
    timer = null;
    const now = performance.now();
    for (let one = first; one !== null && one.atMs <= now; one = first) {
      remove(one);
      expire(one);
    }
    // Timers count whole milliseconds, and may be one early.
    if (first !== null) timer ??= setTimeout(round, Math.ceil(first.atMs - now) + 1);
  }

  return {
    add,
    remove,
    close: () => {
      if (timer !== null) clearTimeout(timer);
      timer = null;
    },
  };
}
