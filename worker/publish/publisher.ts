/**
 * The port of telling: one destination, one route in, one outcome out.
 *
 * Promises: a publisher never rejects; `done` means that the destination read back right (KV: that the
 * put resolved); it may be run twice with the same route.
 */

import type { Route } from "../core/route.ts";
import type { OutcomeKind } from "../core/types.ts";

export type PublishResult = {
  readonly kind: OutcomeKind;
  /** For people; never a token. */
  readonly detail: string;
  /** The destination asked not to be called for so long. */
  readonly retryAfterMs?: number;
  /** What stood there instead of what was published, in a few words; also when it was then set right. */
  readonly drift?: string;
  /** Taken, but not everywhere yet: called again with it, the publisher asks how far it is. */
  readonly receipt?: string;
};

export type PublishOptions = {
  /** Everything ends within this, counted from the call. */
  readonly timeoutMs: number;
  /** A slow look at what was published before: `report` writes nothing, `repair` sets right. Absent: the route changed. */
  readonly beat?: "report" | "repair";
  readonly receipt?: string;
};

export type Publisher = {
  readonly name: string;
  readonly publish: (route: Route, options: PublishOptions) => Promise<PublishResult>;
};
