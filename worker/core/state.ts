/**
 * What a group believes and has decided, as data: its state, what comes in, what a decision gives out.
 *
 * Promises: only types, all readonly. `Saved` is the document on disk; a change of its shape raises `v`.
 */
import type { GroupEvent } from "./events.ts";
import type { Route } from "./route.ts";
import type {
  Action,
  NodeFacts,
  Observation,
  ObservationClass,
  Outcome,
  RelayFacts,
} from "./types.ts";

// ------------------------------------------------------------------ believed

/** One vantage's belief about one node. Lives in memory: after an eviction a fresh look restarts it. */
export type Belief = {
  readonly class: ObservationClass;
  readonly detail: string;
  /** When the last look was asked for: only a look asked for after an action can show its effect. */
  readonly askedAtMs: number;
  readonly atMs: number;
  /** Looks in a row that count towards down, and of those the refused ones at the end. */
  readonly failures: number;
  readonly refusals: number;
  /** Looks in a row that were good. */
  readonly successes: number;
  readonly firstBadAtMs: number | null;
  readonly lastOkAtMs: number | null;
  readonly facts: NodeFacts | null;
  readonly factsAtMs: number | null;
};

/** A relay as the Group last knew it. */
export type RelayBelief = {
  readonly facts: RelayFacts | null;
  readonly atMs: number;
  readonly failures: number;
  readonly firstBadAtMs: number | null;
};

/** What is remembered in memory only. */
export type Sight = {
  readonly nodes: Readonly<Record<string, Readonly<Record<string, Belief>>>>;
  readonly relays: Readonly<Record<string, RelayBelief>>;
  /** When the last complete look was asked for. */
  readonly lookAskedAtMs: number | null;
  readonly lastDecisionAtMs: number | null;
  /** Passive until then: the clock went back. */
  readonly tiltUntilMs: number | null;
  /** What was told as an event and still holds, so that it is told once: `sdown:<vantage>:<node>`. */
  readonly told: readonly string[];
  /** When each node was last sent a verb, by `<kind>:<node>`: a repair is not repeated at once. */
  readonly sentAtMs: Readonly<Record<string, number>>;
  /** Observations, outcomes and requests that did not belong, dropped and counted. */
  readonly dropped: number;
};

// ------------------------------------------------------------------- decided

export type FailoverCause = "odown" | "operator" | "bootstrap" | "promotion-lost";

/** One try to give the group a primary; its epoch names at most one candidate, for ever. */
export type Attempt = {
  readonly epoch: number;
  readonly cause: FailoverCause;
  /** The candidate that the operator named. */
  readonly target: string | null;
  /** The primary that is replaced. */
  readonly from: string | null;
  /** Nodes to seal before another is promoted: the old primary, and any that may have been promoted. */
  readonly fence: readonly string[];
  readonly startedAtMs: number;
};

export type Phase =
  | { readonly kind: "watching" }
  | { readonly kind: "fencing"; readonly attempt: Attempt; readonly deadlineMs: number }
  | {
      readonly kind: "electing";
      readonly attempt: Attempt;
      /** Only a look asked for after this counts. */
      readonly sinceMs: number;
      readonly deadlineMs: number;
    }
  | {
      readonly kind: "promoting";
      readonly attempt: Attempt;
      readonly candidate: string;
      /** Only a look asked for after this can show the promotion. */
      readonly sinceMs: number;
      /** No command is sent after this, so that none can still take effect past the deadline. */
      readonly sendUntilMs: number;
      readonly deadlineMs: number;
    }
  | {
      readonly kind: "publishing";
      readonly attempt: Attempt;
      readonly deadlineMs: number;
    }
  | {
      readonly kind: "repointing";
      readonly attempt: Attempt;
      readonly deadlineMs: number;
    };

export type PhaseKind = Phase["kind"];

/** An action that was saved, and whose outcome is not known yet. */
export type Pending = {
  readonly id: string;
  readonly kind: Action["kind"];
  /** The node, the relay, or the publisher that it is about. */
  readonly about: string;
  /** For a publisher: which state it was to write. */
  readonly key: string | null;
  readonly epoch: number;
  readonly deadlineMs: number;
};

/** How far one publisher is. `key` says what it last wrote and read back. */
export type Published = {
  readonly key: string | null;
  readonly atMs: number;
  readonly failures: number;
  readonly nextAtMs: number;
  readonly problem: string | null;
};

/** What survives an eviction: saved as one document, before anything is done about it. */
export type Saved = {
  readonly v: 1;
  readonly group: string;
  /** The epoch of the primary in force; 0 before the first one. */
  readonly epoch: number;
  /** The highest epoch ever begun: the next attempt is one more. */
  readonly highestEpoch: number;
  readonly primary: string | null;
  /** Run id under which the primary was last seen as primary. */
  readonly primaryRunId: string | null;
  readonly rev: number;
  readonly routeState: Route["state"];
  /** Replicas that take reads. */
  readonly readable: readonly string[];
  readonly routeAtMs: number;
  readonly phase: Phase;
  readonly pending: readonly Pending[];
  readonly nextAction: number;
  readonly lastAttemptAtMs: number | null;
  /** Nodes that were sent a promotion which was never seen: fenced before another is promoted. */
  readonly maybePromoted: readonly string[];
  /** No node at all was up since; null when one is, or was never seen down. */
  readonly outage: { readonly sinceMs: number; readonly endedMs: number | null } | null;
  readonly published: Readonly<Record<string, Published>>;
};

export type State = { readonly saved: Saved; readonly sight: Sight };

// --------------------------------------------------------------------- asked

export type OperatorRequest =
  | { readonly kind: "failover"; readonly id: string; readonly to: string | null }
  | { readonly kind: "bootstrap"; readonly id: string; readonly primary: string };

export type Refusal = { readonly node: string; readonly reason: string };

export type RefusalCode = "INPROG" | "NOGOODSLAVE" | "NOTREADY" | "ISPRIMARY" | "BOOTSTRAPPED";

export type Reply =
  | { readonly id: string; readonly kind: "accepted"; readonly epoch: number }
  | {
      readonly id: string;
      readonly kind: "refused";
      readonly code: RefusalCode;
      readonly detail: string;
      readonly reasons: readonly Refusal[];
    };

// ------------------------------------------------------------------ decision

export type Input = {
  readonly observations: readonly Observation[];
  readonly outcomes: readonly Outcome[];
  readonly requests: readonly OperatorRequest[];
};

export type Decision = {
  readonly state: State;
  /** To be performed only after `state.saved` is on disk. */
  readonly actions: readonly Action[];
  readonly events: readonly GroupEvent[];
  readonly replies: readonly Reply[];
  /** One sentence, also when nothing happens. */
  readonly because: string;
  /** When to look again. */
  readonly wakeAtMs: number;
};
