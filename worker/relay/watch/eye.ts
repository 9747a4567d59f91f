/**
 * One relay's eye on one node: it looks again and again, at once when its connection drops.
 *
 * Promises: at most one look at a time; `close` leaves no timer and no connection behind.
 * Must never: decide what a look means (gaze.ts), or whom it is told to.
 */
import type { Endpoint } from "../../redis/connection.ts";
import {
  beatMs,
  blank,
  type Gaze,
  isFirstSight,
  lookMs,
  type Plan,
  type Seen,
  take,
} from "./gaze.ts";
import { openLooker } from "./look.ts";

export type Eye = {
  readonly node: string;
  readonly gaze: () => Gaze;
  /** Looks now, if it is not looking already. */
  readonly look: () => void;
  readonly close: () => void;
};

export type EyeDeps = {
  readonly plan: () => Plan;
  /** The relay's monotonic clock. */
  readonly now: () => number;
  /** After every look. `news`: worth telling; `firstSight`: it was away, or was another one. */
  readonly saw: (what: { readonly news: boolean; readonly firstSight: boolean }) => void;
};

export function openEye(node: string, endpoint: Endpoint, deps: EyeDeps): Eye {
  const looker = openLooker(endpoint);
  let gaze = blank;
  let closed = false;
  let wake = () => {};

  async function watch(): Promise<void> {
    while (!closed) {
      const plan = deps.plan();
      const { ageMs, ...found } = await looker.look(lookMs(plan), plan.probeTimeoutMs);
      if (closed) return;
      const atMs = deps.now();
      const seen: Seen = { ...found, askedAtMs: atMs - ageMs, atMs };
      const firstSight = isFirstSight(gaze, seen);
      const step = take(gaze, seen, plan);
      gaze = step.gaze;
      deps.saw({ news: step.news, firstSight });
      await rest(Math.min(step.nextMs, beatMs(plan)));
    }
  }

  /** Until the next look, or until the connection drops. */
  function rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        wake = () => {};
        resolve();
      };
      const timer = setTimeout(done, ms);
      wake = done;
      void looker.ended()?.then(() => wake === done && done());
    });
  }

  void watch();
  return {
    node,
    gaze: () => gaze,
    look: () => wake(),
    close: () => {
      closed = true;
      looker.close();
      wake();
    },
  };
}
