/**
 * What operators ask of a group, and what they are answered, as data.
 *
 * Promises: only types, all readonly.
 */
import type { DrillPoint } from "./state.ts";

/**
 * What operators ask for. `id` is the caller's, and comes back with the reply. What needs the nodes is decided on
 * a look that began at `askedAtMs` or later; without one, on what is known.
 */
export type OperatorRequest = { readonly id: string; readonly askedAtMs?: number } & (
  | { readonly kind: "failover"; readonly to: string | null }
  | {
      readonly kind: "switchover";
      readonly to: string | null;
      readonly timeoutMs: number | null;
      readonly force: boolean;
    }
  | { readonly kind: "abort-switchover" }
  | { readonly kind: "bootstrap"; readonly primary: string }
  | { readonly kind: "pause"; readonly reason: string; readonly forMs: number | null }
  | { readonly kind: "resume" }
  | {
      readonly kind: "downtime";
      readonly node: string;
      readonly reason: string;
      readonly forMs: number;
    }
  | { readonly kind: "end-downtime"; readonly node: string }
  | { readonly kind: "acknowledge" }
  | { readonly kind: "reset" }
  | { readonly kind: "drill"; readonly at: DrillPoint }
);

export type Refusal = { readonly node: string; readonly reason: string };

export type RefusalCode =
  | "INPROG"
  | "NOGOODSLAVE"
  | "NOTREADY"
  | "ISPRIMARY"
  | "BOOTSTRAPPED"
  | "OBSERVING"
  | "NOTHING";

export type Reply =
  | {
      readonly id: string;
      readonly kind: "accepted";
      readonly epoch: number;
      readonly detail: string;
    }
  | {
      readonly id: string;
      readonly kind: "refused";
      readonly code: RefusalCode;
      /** Why it cannot be done, and what would make it possible. */
      readonly detail: string;
      readonly reasons: readonly Refusal[];
    };
