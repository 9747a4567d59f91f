/**
 * What one round of the demo is made of: its figures, the rows of its timeline, and the world it runs in.
 *
 * Promises: the figures are those of the last line of `--json`; all times are milliseconds.
 */
import type { Stack } from "./stack.ts";
import type { Kv } from "./watch.ts";
import type { Writer } from "./writer.ts";

/** Times run from the kill to the moment when this process saw it, outside the Worker. */
export type Figures = {
  killed: string;
  promoted: string;
  epoch: number;
  /** `+odown` in the event log. */
  detectMs: number;
  /** Another redis-server calls itself primary. */
  promoteMs: number;
  /** The route of the API, the value in KV, the answer of DNS: it names the new primary. */
  routeMs: number;
  kvMs: number;
  dnsMs: number;
  /** The first acknowledgement to the edge app after it turned to the new primary. */
  unavailableMs: number;
  /** Numbers acknowledged to the edge app, and those among them that the new primary does not hold. */
  acked: number;
  lost: number;
};

export type Row = {
  /** Since the kill, or since the comeback. */
  readonly ms: number;
  readonly what: string;
  readonly text: string;
  readonly tone: "bad" | "good" | "plain";
};

export type World = {
  readonly stack: Stack;
  readonly kv: Kv;
  readonly writer: Writer;
  readonly row: (row: Row) => void;
  readonly signal: AbortSignal;
};

/**
 * Each node has an address of its own, so that DNS has something to say. All of 127.0.0.0/8 is this machine
 * on Linux; elsewhere only 127.0.0.1 is.
 */
export const ownAddresses = process.platform === "linux";
export const hostOf = (node: string): string =>
  ownAddresses ? `127.0.1.${node.charCodeAt(0) - "a".charCodeAt(0) + 1}` : "127.0.0.1";
