/**
 * The port of seeing: one look at one node, whatever the transport.
 *
 * Promises: a probe never rejects and never takes longer than its deadline plus a few milliseconds;
 * whatever cannot be understood is an observation of its own class, and never `up`.
 */
import type { Observation } from "../core/types.ts";

export type Target = {
  /** Whose vote it is, where the question is asked from, and the epoch in force: all as in Observation. */
  readonly vantage: string;
  readonly from: string;
  readonly epoch: number;
  readonly group: string;
  readonly node: string;
  /** Upstash REST base address of the node. */
  readonly url: string;
  readonly token: string;
};

export type LookOptions = {
  readonly timeoutMs: number;
  readonly now: () => number;
};

export type Probe = (target: Target, options: LookOptions) => Promise<Observation>;
