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
};

export type PublishOptions = {
  /** Everything ends within this, counted from the call. */
  readonly timeoutMs: number;
};

export type Publisher = {
  readonly name: string;
  readonly publish: (route: Route, options: PublishOptions) => Promise<PublishResult>;
};
