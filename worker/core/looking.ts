/**
 * What one place is asked to look at, and what it saw: the words between a Group, its vantages and the transports.
 *
 * Promises: only types, all readonly, plain data that RPC carries. A place says how long ago it saw something, never
 * when, so that no clock is compared with another.
 */
import type { ProbeConfig, ProbePolicy } from "./configured.ts";
import type { NodeFacts, ObservationClass, RelayFacts } from "./types.ts";

/** How often one look asks, and how many of the answers have to be good. */
export type Repeat = {
  readonly probes: number;
  readonly delayMs: number;
  readonly policy: ProbePolicy;
};

/** One look of one place: at nodes through relays, and at nodes by a path of its own. */
export type LookOrder = {
  readonly group: string;
  /** By then everything is answered, or counts as silent. */
  readonly timeoutMs: number;
  readonly repeat: Repeat;
  /** One request each. */
  readonly relays: readonly {
    readonly id: string;
    readonly url: string;
    /** Name of the Worker secret, never the secret. */
    readonly tokenSecret: string;
    readonly nodes: readonly string[];
  }[];
  readonly nodes: readonly { readonly id: string; readonly probe: ProbeConfig }[];
};

/** What one look at one node came to, whatever the transport. */
export type Found = {
  readonly class: ObservationClass;
  /** A few words for people. Never a secret, never longer than 200 characters. */
  readonly detail: string;
  readonly facts: NodeFacts | null;
  readonly relay: RelayFacts | null;
};

/** The same, and whose vote it is. */
export type Seen = Found & {
  /** `relay:<id>`, or the region that looked by a path of its own. */
  readonly vantage: string;
  readonly node: string;
  /** Since the answer, or its absence, was known. */
  readonly agoMs: number;
};

/** Where a vantage really runs: Cloudflare's data centre, and the region that it lies in; null: not known. */
export type Whereabouts = { readonly colo: string | null; readonly region: string | null };

/** What a vantage answers. */
export type Looked = {
  readonly seen: readonly Seen[];
  readonly whereabouts: Whereabouts;
  /** How long the look took there: what is more was the way. */
  readonly tookMs: number;
};

/** How a vantage itself did in one look: for the Group, not for its nodes. By the Group's clock. */
export type VantageReport = {
  /** The region that was asked for. */
  readonly vantage: string;
  /** Null: it did not answer. */
  readonly whereabouts: Whereabouts | null;
  readonly detail: string;
  readonly atMs: number;
};
