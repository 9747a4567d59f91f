/**
 * Leases, the Group's end: answers the relays that ask, from what is stored.
 *
 * Promises: whoever was superseded grants nothing: every answer touches storage in its own event, after the last
 * wait, and an instance that is no longer the one in force gets an exception there; a grant saves nothing.
 * Must never: decide who gets one; the core does.
 */
import { type Grant, grantLease, type Keeping, noteKeeper } from "../core/lease.ts";
import { effectiveConfig } from "../core/membership.ts";
import type { Answer, AskedLease } from "../env.ts";
import { told } from "./answers.ts";
import { unavailable } from "./inbox.ts";
import type { Memory } from "./memory.ts";
import type { Store } from "./store.ts";

export type LeaseDesk = ReturnType<typeof createLeaseDesk>;

/** @param wake a decision is to be made soon: something is new, or the primary takes no writes. */
export function createLeaseDesk(
  storage: DurableObjectStorage,
  store: Store,
  memory: Memory,
  wake: () => void,
) {
  let news: readonly Keeping[] = [];

  return {
    async ask(name: string, asked: AskedLease): Promise<Answer<Grant>> {
      const ready = await memory.ready(name);
      if (ready.kind !== "ready") return ready;
      try {
        await storage.sync();
      } catch {
        return unavailable("this instance of the group is no longer the one in force");
      }
      const { state, version } = memory.state(name);
      if ((store.read()?.version ?? 0) !== version)
        return unavailable("another instance of the group decided meanwhile");
      const { saved } = state;
      const config = effectiveConfig(saved, ready.config);
      if (noteKeeper(saved, config, asked) !== saved.leases) {
        news = [...news.filter(({ node }) => node !== asked.node), asked];
        wake();
      } else if (asked.sealed && saved.primary === asked.node) wake();
      return told(grantLease(saved, config, asked, Date.now()));
    },

    /** What relays said that no decision has heard yet. */
    news: (): readonly Keeping[] => news,

    decided(heard: readonly Keeping[]): void {
      news = news.filter((each) => !heard.includes(each));
    },
  };
}
