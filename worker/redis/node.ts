/**
 * Every way to one Redis, as a relay needs them: for apps, for looks and verbs, and for those who wait.
 *
 * Promises: a hold or an excuse given on `data` counts for the pool as well; `control` knows neither, and
 * dials anew for every look, whatever became of the last one.
 * Must never: let what apps do stand in the way of a look.
 */
import type { Endpoint } from "./connection.ts";
import { createDialler } from "./dial.ts";
import { createGate } from "./gate.ts";
import { openPool, type Pool, type PoolLimits } from "./pool.ts";
import { type Count, openSession, type Session } from "./session.ts";

export type NodeLinks = {
  /** One connection that all apps share. */
  readonly data: Session;
  /** One connection for looks and verbs. */
  readonly control: Session;
  /** Connections for one caller at a time, and subscriptions. */
  readonly pool: Pool;
  readonly usage: () => { readonly connections: number; readonly waiting: number };
  /** Ends subscriptions at once, and the rest when nobody waits for an answer any more, or after so long. */
  readonly retire: (withinMs: number) => Promise<void>;
  /** Nobody new may wait inside Redis; settles when nobody does any more, or after so long. The rest is served. */
  readonly drain: (withinMs: number) => Promise<void>;
  readonly close: () => void;
};

const POLL_MS = 20;

/** `count` hears of what apps sent. */
export function openLinks(
  endpoint: Endpoint,
  nodeTimeoutMs: number,
  limits: PoolLimits,
  count: Count = () => {},
): NodeLinks {
  const gate = createGate();
  const { dial, forget } = createDialler(endpoint, nodeTimeoutMs);
  // What is done to the node changes how it answers.
  gate.onHold(forget);
  const data = openSession(endpoint, nodeTimeoutMs, { gate, dial, count });
  const control = openSession(endpoint, nodeTimeoutMs);
  const pool = openPool(dial, limits, gate, count);

  const close = () => {
    for (const each of [data, control, pool]) each.close();
  };
  const alone = () => {
    const { running, waiting } = pool.usage();
    return running + waiting;
  };

  async function retire(withinMs: number): Promise<void> {
    pool.hush();
    await until(() => data.inFlight() + control.inFlight() + alone() === 0, withinMs);
    close();
  }

  async function drain(withinMs: number): Promise<void> {
    pool.hush();
    pool.refuse();
    await until(() => alone() === 0, withinMs);
  }

  return {
    ...{ data, control, pool, retire, drain, close },
    usage: () => {
      const { connections, waiting } = pool.usage();
      const shared = [data, control].filter((each) => each.isOpen()).length;
      return { connections: connections + shared, waiting };
    },
  };
}

async function until(isTrue: () => boolean, withinMs: number): Promise<void> {
  const deadlineAt = performance.now() + withinMs;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      if (!isTrue() && performance.now() < deadlineAt) return;
      clearInterval(timer);
      resolve();
    }, POLL_MS);
  });
}
