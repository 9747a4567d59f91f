/**
 * What a group has decided, as data: its state, what comes in, what a decision gives out.
 *
 * Promises: only types, all readonly. `Saved` is the document on disk; a change of its shape raises `v`.
 */
import type { OperatorRequest, Reply } from "./asked.ts";
import type { Baseline, Sight } from "./believed.ts";
import type { GroupEvent } from "./events.ts";
import type { Keeping } from "./lease.ts";
import type { VantageReport } from "./looking.ts";
import type { Route } from "./route.ts";
import type { GeoState } from "./steering.ts";
import type { Action, NodeConfig, Observation, Outcome } from "./types.ts";

export type * from "./asked.ts";

// ------------------------------------------------------------------- decided

export type FailoverCause =
  | "odown"
  | "operator"
  | "switchover"
  | "bootstrap"
  | "promotion-lost"
  | "wiped"
  | "no-primary"
  | "sealed";

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
  /** Until when a planned switch may take; null: it is none. */
  readonly untilMs: number | null;
  /** A planned switch that runs out of time goes on as a failover. */
  readonly force: boolean;
  /** When each phase began. */
  readonly phases: readonly { readonly kind: PhaseKind; readonly atMs: number }[];
};

export type Phase =
  | { readonly kind: "watching" }
  | {
      /** Sealed, and the Fleet asked; nobody is promoted before both are answered or `deadlineMs`. */
      readonly kind: "fencing";
      readonly attempt: Attempt;
      readonly sealed: readonly string[];
      readonly deadlineMs: number;
    }
  | {
      readonly kind: "electing";
      readonly attempt: Attempt;
      /** Only a look asked for after this counts. */
      readonly sinceMs: number;
      readonly deadlineMs: number;
    }
  | {
      /** The primary hands over by itself. */
      readonly kind: "switching";
      readonly attempt: Attempt;
      readonly candidate: string;
      readonly sinceMs: number;
      /** Past this the hand-over is called off. */
      readonly deadlineMs: number;
      /** Past this it is no longer waited for. */
      readonly giveUpAtMs: number;
      /** When the primary took the order; null: not heard yet. */
      readonly acceptedAtMs: number | null;
      /** Why it was called off; null: it was not. */
      readonly calledOff: string | null;
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
      readonly cost: Cost;
      /** When it was last heard that the order was executed, or may have been; null: it was not. */
      readonly answeredAtMs: number | null;
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
  /** The node, the relay, the publisher or the webhook that it is about. */
  readonly about: string;
  /** For a publisher: which state it was to write; for a webhook: the notice. */
  readonly key: string | null;
  readonly epoch: number;
  readonly deadlineMs: number;
  /** A slow look, which has nothing to write. */
  readonly beat?: true;
};

/** How far one publisher is. `key` says what it last wrote and read back; null: nothing, or another write was begun. */
export type Published = {
  readonly key: string | null;
  readonly atMs: number;
  /** What was tried since and is not done: how often in a row, when again; another key waits for none of that. */
  readonly tried: string | null;
  readonly failures: number;
  readonly nextAtMs: number;
  /** No write at all before then: its own pace, or what it asked for. */
  readonly pausedUntilMs: number;
  readonly problem: string | null;
  /** The last slow look at what it holds, the next one, and what stood there instead; null: nothing else did. */
  readonly checkedAtMs: number;
  readonly lookAtMs: number;
  readonly drift: string | null;
  /** It took `key` and is not done with it: asked again with this. */
  readonly receipt: { readonly key: string; readonly text: string } | null;
};

/** An event that one webhook is still to be told. */
export type Notice = {
  /** The same at every try, and for every webhook that is told of the event. */
  readonly id: string;
  readonly to: string;
  readonly event: GroupEvent;
  readonly tries: number;
  readonly nextAtMs: number;
  readonly problem: string | null;
};

/** A node by either name: its id, or where it is. */
export type Member = Pick<NodeConfig, "id" | "host" | "port">;

export type Pause = {
  readonly reason: string;
  readonly sinceMs: number;
  readonly untilMs: number | null;
};

export type Downtime = { readonly reason: string; readonly untilMs: number };

export type DrillPoint = "after-election" | "after-promotion";

/** What is known at a failover of what it loses. */
export type Cost = {
  /** What the old primary had, when last seen, that the new one has not; null: nothing was known of it. */
  readonly lostBytesAtLeast: number | null;
  /** How long the old primary was not seen before: what it acknowledged then, nobody knows. */
  readonly unseenMs: number | null;
};

/** The last change of primary, and what it cost. */
export type Switch = Cost & {
  readonly epoch: number;
  /** In active-active: the reason. */
  readonly cause: FailoverCause | "foreign" | "automatic" | "manual" | "failback";
  readonly from: string | null;
  readonly to: string;
  readonly atMs: number;
  readonly tookMs: number;
  /** Told by the old primary when it returned; null: it has not yet. */
  readonly lostBytes: number | "unknown" | null;
};

/** What survives an eviction: saved as one document, before anything is done about it. */
export type Saved = {
  readonly v: 2;
  readonly group: string;
  /** The epoch of the primary in force; 0 before the first one. */
  readonly epoch: number;
  /** The highest epoch ever begun: the next attempt is one more. */
  readonly highestEpoch: number;
  readonly primary: string | null;
  /** The primary, and whoever may have been promoted, as last configured: they cannot be removed. */
  readonly keptNodes: readonly NodeConfig[];
  /** Run id under which the primary was last judged, and found to be the primary. */
  readonly primaryRunId: string | null;
  readonly rev: number;
  readonly routeState: Route["state"];
  /** What the route says beside its version: a change of an address is a new rev. */
  readonly routeDigest: string;
  /** Replicas that take reads. */
  readonly readable: readonly string[];
  /** Replicas that followed, with the link up, when the primary was last seen: kept while it is not. */
  readonly followed: readonly string[];
  /** Run ids under which a node was seen as a replica: one that is a primary under such an id was promoted. */
  readonly replicaRunIds: Readonly<Record<string, string>>;
  readonly routeAtMs: number;
  readonly phase: Phase;
  readonly pending: readonly Pending[];
  readonly nextAction: number;
  readonly lastAttemptAtMs: number | null;
  /** Attempts in a row that promoted nobody. */
  readonly aborted: number;
  /** Nodes that were sent a promotion which was never seen: fenced before another is promoted. */
  readonly maybePromoted: readonly string[];
  /** Nodes that were sealed for an attempt that was given up, until they are seen open. */
  readonly toUnseal: readonly string[];
  /** Nodes whose files do not say yet what they are, after a hand-over. */
  readonly toSettle: readonly string[];
  /** Nodes that were ever primary or replica of this group: who is none, and holds data, is left alone. */
  readonly members: readonly Member[];
  /** No node at all was up since; null when one is, or was never seen down. */
  readonly outage: { readonly sinceMs: number; readonly endedMs: number | null } | null;
  readonly published: Readonly<Record<string, Published>>;
  /** Oldest first. */
  readonly notices: readonly Notice[];
  /** Webhooks that failed at their last try. */
  readonly failing: Readonly<Record<string, { readonly pausedUntilMs: number }>>;
  /** The primary's data, noted at most once a minute. */
  readonly baseline: Baseline | null;
  readonly paused: Pause | null;
  readonly downtimes: Readonly<Record<string, Downtime>>;
  /** Automatic failovers since the last acknowledgement, within the last hour. */
  readonly failoversAtMs: readonly number[];
  readonly lastSwitch: Switch | null;
  /** The longest lease that may run, and until when, if no longer one is granted now. */
  readonly leases: {
    readonly longestMs: number;
    readonly untilMs: number | null;
    /** Nodes whose relay asked for a lease since there are any: who has to promise, as that relay knows it. */
    readonly keepers?: Readonly<Record<string, readonly string[] | null>>;
  };
  /** With fencing "lease": nothing was granted since; null while leases are granted. */
  readonly revokedAtMs: number | null;
  readonly drill: DrillPoint | null;
  /** What was told and still holds, of what lasts longer than memory: `misplaced:weur`, `discovered`. */
  readonly lasting: readonly string[];
  /** Active-active: which node is used, and what that was decided on; null: not chosen yet, or another mode. */
  readonly steering: Steering | null;
  /** Active-active: what people changed at run time. */
  readonly overlay: Overlay;
};

export type Steering = GeoState & {
  /** Since when nobody is healthy, and whether that is called permanent; null: somebody is. */
  readonly unavailable: { readonly sinceMs: number; readonly permanent: boolean } | null;
};

/** What people changed at run time, on top of what is deployed: a deploy that names the same thing anew wins. */
export type Overlay = {
  /** By node; `over`: the deployed weight that it stands for. */
  readonly weights: Readonly<Record<string, { readonly weight: number; readonly over: number }>>;
  readonly added: readonly NodeConfig[];
  readonly removed: readonly string[];
};

export type State = { readonly saved: Saved; readonly sight: Sight };

// ------------------------------------------------------------------ decision

export type Input = {
  readonly observations: readonly Observation[];
  readonly outcomes: readonly Outcome[];
  readonly requests: readonly OperatorRequest[];
  /** Relays that hold a connection over which they tell at once what they see. */
  readonly connected?: readonly string[];
  /** How the vantages themselves did since the last decision. */
  readonly vantages?: readonly VantageReport[];
  /** Relays that asked for a lease, with something that is not known of them yet. */
  readonly keepers?: readonly Keeping[];
};

export type Decision = {
  readonly state: State;
  /** To be performed only after `state.saved` is on disk. */
  readonly actions: readonly Action[];
  readonly events: readonly GroupEvent[];
  /** A request without a reply waits for the next look. */
  readonly replies: readonly Reply[];
  /** One sentence, also when nothing happens. */
  readonly because: string;
  /** When to look again. */
  readonly wakeAtMs: number;
  /** A drill: the host dies after saving, before acting. */
  readonly crash: boolean;
};
