/**
 * One after another: work for the same node never overlaps.
 *
 * Promises: work starts in the order it was asked for; whoever waited longer than allowed gets null, and
 * its work never starts.
 * Must never: interrupt work that has begun.
 */
export type Turns = <T>(waitMs: number, work: () => Promise<T>) => Promise<T | null>;

export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  return async (waitMs, work) => {
    let gaveUp = false;
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<null>((resolve) => {
      timer = setTimeout(() => {
        gaveUp = true;
        resolve(null);
      }, waitMs);
    });
    const turn = last.then(() => {
      clearTimeout(timer);
      return gaveUp ? null : work();
    });
    last = turn.catch(() => {});
    try {
      return await Promise.race([turn, patience]);
    } finally {
      clearTimeout(timer);
    }
  };
}
