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
import { openSession, type Session } from "./session.ts";

export type NodeLinks = {
  /** One connection that all apps share. */
  readonly data: Session;
  /** One connection for looks and verbs. */
  readonly control: Session;
  /** Connections for one caller at a time, and subscriptions. */
  readonly pool: Pool;
  readonly close: () => void;
};

export function openLinks(endpoint: Endpoint, nodeTimeoutMs: number, pool: PoolLimits): NodeLinks {
  const gate = createGate();
  const { dial, forget } = createDialler(endpoint, nodeTimeoutMs);
  // What is done to the node changes how it answers.
  gate.onHold(forget);
  const links = {
    data: openSession(endpoint, nodeTimeoutMs, { gate, dial }),
    control: openSession(endpoint, nodeTimeoutMs),
    pool: openPool(dial, pool, gate),
  };
  return {
    ...links,
    close: () => {
      links.data.close();
      links.control.close();
      links.pool.close();
    },
  };
}
