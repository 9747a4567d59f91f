/**
 * What operators ask of a group, and what they are answered, as data.
 *
 * Promises: only types, all readonly.
 */
import type { DrillPoint } from "./state.ts";
import type { NodeConfig } from "./types.ts";

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
  /** Active-active, from here to `remove-node`. A pin: nothing else moves it for so long. */
  /** Null: the heaviest healthy one beside the one that is used. */
  | { readonly kind: "select"; readonly node: string | null; readonly pinMs: number | null }
  | { readonly kind: "unpin" }
  | { readonly kind: "weight"; readonly node: string; readonly weight: number }
  | { readonly kind: "add-node"; readonly node: NodeConfig }
  | { readonly kind: "remove-node"; readonly node: string }
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
  | "NOTHING"
  /** Not in this mode. */
  | "MODE"
  | "UNHEALTHY"
  | "LASTNODE"
  | "EXISTS";

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
