/**
 * The words of the domain, as data: what is seen, what is done, and (next to it) what is configured.
 *
 * Promises: only types, all readonly. Units stand last in a name (`atMs`, `lagBytes`).
 * Must never: hold behaviour, or anything that only one outer folder needs.
 */
import type { GroupEvent } from "./events.ts";
import type { Route } from "./route.ts";

export type * from "./configured.ts";

// ---------------------------------------------------------------------- seen

/**
 * What one look at one node was. design.md section 3; `malformed`: an answer that nobody gives who speaks this
 * protocol; `unavailable`: a check of somebody's own says that it is not to be used.
 */
export type ObservationClass =
  | "up"
  | "refused"
  | "timeout"
  | "closed"
  | "loading"
  | "busy"
  | "misconf"
  | "wrong-role"
  | "switching"
  | "policy"
  | "auth"
  | "tls"
  | "dns"
  | "relay-unreachable"
  | "unavailable"
  | "malformed";

export type Address = { readonly host: string; readonly port: number };

/** What Redis said of itself, from INFO. */
export type NodeFacts = {
  readonly runId: string;
  readonly role: "primary" | "replica";
  /** Whom it follows, as it names it; null for a primary. */
  readonly replicaOf: Address | null;
  readonly linkUp: boolean;
  /** How long the link to its primary has been down; 0 while up, null when Redis does not know. */
  readonly linkDownMs: number | null;
  readonly syncing: boolean;
  readonly loading: boolean;
  /** How long ago a replica last heard from its primary, in whole seconds rounded down; null: not known. */
  readonly lastIoMs: number | null;
  /** master_repl_offset of a primary, slave_repl_offset of a replica. */
  readonly offset: number;
  readonly priority: number;
  readonly replicationId: string;
  /** The history that it went on from when it was promoted, and the first byte that is its own; null: none. */
  readonly replicationId2: string | null;
  readonly secondOffset: number | null;
  /** `master_failover_state` is something other than `no-failover`. */
  readonly switching: boolean;
  readonly connectedReplicas: number;
  /** Who follows it, as a primary names them; at most 64. */
  readonly replicas: readonly Address[];
  /** Keys of all databases. */
  readonly keys: number;
  /** min-replicas-to-write, null when it was not to be had. */
  readonly minReplicasToWrite: number | null;
};

/** A relay's own clock at its last answer; commands older than `commandTtlMs` by it are refused. */
export type Stamp = { readonly boot: string; readonly ms: number };

/** What a relay says of itself with every answer. */
export type RelayFacts = {
  readonly stamp: Stamp;
  /** The epoch that it holds for this group; null: none, it refuses every verb until told. */
  readonly epoch: number | null;
};

/** One vantage's look at one node. */
export type Observation = {
  /** Whose vote it is: `relay:<id>` for everyone who sees the node through that relay. */
  readonly vantage: string;
  /** Where the question was asked from: a region, or `group` for the Group itself. */
  readonly from: string;
  /** The epoch in force when it was asked for; a look of an older epoch is dropped. */
  readonly epoch: number;
  readonly node: string;
  readonly class: ObservationClass;
  /** A few words for people. Never a secret, never longer than 200 characters. */
  readonly detail: string;
  /** When the answer (or its absence) was known, by the Group's clock. */
  readonly atMs: number;
  readonly tookMs: number;
  readonly facts: NodeFacts | null;
  readonly relay: RelayFacts | null;
  /** Told by a relay of its own accord, not asked for. */
  readonly pushed?: {
    /** Something changed: worth a look of everyone at once. */
    readonly news: boolean;
    /** Bad looks in a row that this one stands for, those of them at the end that were refused, and when they began. */
    readonly looks: number;
    readonly refusals: number;
    readonly sinceMs: number;
    /** What the node last said of itself, when it says nothing now; null: it does, or never did. */
    readonly before: { readonly facts: NodeFacts; readonly atMs: number } | null;
  };
};

// ---------------------------------------------------------------------- done

type ActionHead = {
  readonly id: string;
  readonly epoch: number;
  /** By then there is an outcome, or it counts as unknown. */
  readonly deadlineMs: number;
};

/** The lease that comes with the verb that opens a node, counted from the verb's stamp. */
export type FirstLease = { readonly ms: number; readonly promisers: readonly string[] | null };

/** What a relay is asked to do to Redis. Each is one transaction there. */
export type RelayAction = ActionHead & {
  readonly relay: string;
  readonly stamp: Stamp;
  /** Whom the epoch names; null while it names nobody yet. */
  readonly primary: string | null;
} & (
    | {
        readonly kind: "promote";
        readonly node: string;
        readonly minReplicas: number;
        /** Its file stays sealed, so that it boots sealed. */
        readonly bootSealed: boolean;
        /** Absent: the group has none. */
        readonly lease?: FirstLease;
      }
    | {
        readonly kind: "demote";
        readonly node: string;
        readonly follow: Address;
        readonly minReplicas: number;
        readonly bootSealed: boolean;
      }
    /** `hard`: it is objectively down: under a lease one that does not confirm may be ended at once. */
    | { readonly kind: "seal"; readonly node: string; readonly hard?: true }
    | {
        readonly kind: "unseal";
        readonly node: string;
        readonly minReplicas: number;
        /** It is the primary: synchronisations begin as usual again. */
        readonly bootSealed: boolean;
        /** Absent: the group has none. */
        readonly lease?: FirstLease;
      }
    /** The primary hands over to the node that the epoch names, without loss, or stays what it is. */
    | {
        readonly kind: "switchover";
        readonly node: string;
        readonly to: Address;
        readonly timeoutMs: number;
      }
    /** Ends a hand-over that is under way; harmless where none is. */
    | { readonly kind: "abort-switchover"; readonly node: string }
    /** Ends a script that blocks the node and has not written. */
    | { readonly kind: "script-kill"; readonly node: string }
    | { readonly kind: "tell-epoch" }
  );

export type PublishAction = ActionHead & {
  readonly kind: "publish";
  readonly to: string;
  readonly key: string;
  readonly route: Route;
  /** A slow look at what was published before, not a write of something new. */
  readonly beat: "report" | "repair" | null;
  /** What the publisher said when it took this route, and was not done with it. */
  readonly receipt: string | null;
};

/** Tells one webhook of one event. `notice` is the same at every try. */
export type NotifyAction = ActionHead & {
  readonly kind: "notify";
  readonly to: string;
  readonly notice: string;
  readonly event: GroupEvent;
};

/** Asks the Fleet whether one more failover may begin now, anywhere. */
export type PermitAction = ActionHead & { readonly kind: "permit" };

export type Action = RelayAction | PublishAction | NotifyAction | PermitAction;

/**
 * What became of an action.
 * done: it happened (for Redis: only a later look proves it) · refused: the relay's rules forbade it ·
 * failed: the other side said no · unreachable: surely never arrived · unknown: may or may not have happened.
 */
export type OutcomeKind = "done" | "refused" | "failed" | "unreachable" | "unknown";

export type Outcome = {
  readonly action: string;
  readonly kind: OutcomeKind;
  readonly detail: string;
  readonly atMs: number;
  /** The other side asked not to be called before then. */
  readonly retryAtMs?: number;
  /** Of a publisher: what stood there instead. */
  readonly drift?: string;
  /** Of a publisher: taken, and not done yet. */
  readonly receipt?: string;
};
