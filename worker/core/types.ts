/**
 * The words of the domain, as data: what is configured, what is seen, what is done.
 *
 * Promises: only types, all readonly. Units stand last in a name (`atMs`, `lagBytes`).
 * Must never: hold behaviour, or anything that only one outer folder needs.
 */
import type { Route } from "./route.ts";

// ---------------------------------------------------------------- configured

/** A Redis server, as clients and its own replicas reach it. */
export type NodeConfig = {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** Where the other nodes replicate from; the same as host and port unless NAT stands between. */
  readonly replicationHost: string;
  readonly replicationPort: number;
  readonly tls: boolean;
  /** Promotion order, lower first, 0 never; null: Redis's own replica-priority. */
  readonly priority: number | null;
  /** Share of reads. */
  readonly readWeight: number;
  /** Where it stands, for `cross_zone`; null: nowhere in particular. */
  readonly zone: string | null;
};

/** A Picket relay: an HTTP server beside Redis, one vantage and one pair of hands. */
export type RelayConfig = {
  readonly id: string;
  readonly url: string;
  /** Nodes on the same machine. */
  readonly local: readonly string[];
  /** Names of Worker secrets, never the secrets. */
  readonly controlTokenSecret: string;
  readonly dataTokenSecret: string;
};

/** One Redis group. Every setting, its default, range and source: docs/settings.md. */
export type GroupConfig = {
  readonly name: string;
  readonly mode: "replication";
  readonly hostname: string | null;
  readonly location: string | null;
  readonly fencing: "none" | "sealed" | "lease";
  readonly relays: readonly RelayConfig[];
  readonly nodes: readonly NodeConfig[];
  /** Who has a vote: `relay:<id>`, or a region that reaches the nodes by a path of its own. */
  readonly vantages: readonly string[];
  readonly quorum: number;
  readonly checkIntervalMs: number;
  readonly probeTimeoutMs: number;
  readonly retryMs: number;
  readonly maxFailures: number;
  readonly downAfterMs: number;
  readonly upAfter: number;
  readonly fenceWaitMs: number;
  readonly commandTimeoutMs: number;
  readonly commandTtlMs: number;
  readonly promoteTimeoutMs: number;
  readonly failoverTimeoutMs: number;
  readonly failoverRetryMs: number;
  readonly primaryStartTimeoutMs: number;
  readonly parallelSyncs: number;
  /** What unsealing sets min-replicas-to-write to. */
  readonly minReplicas: number;
  readonly loadingLimitMs: number;
  readonly busyLimitMs: number;
  readonly graceMs: number;
  readonly maxLagBytes: number;
  readonly maxLinkDownMs: number;
  readonly adoptAfterMs: number;
  readonly cooldownMs: number;
  readonly maxFailoversPerHour: number;
  /** Part of the known keys, 0 to 1, below which a restarted primary counts as wiped. */
  readonly wipeKeepRatio: number;
  readonly switchoverTimeoutMs: number;
  readonly leaseMs: number;
  /** `priority`: Sentinel's order; `data`: offset before priority. */
  readonly elect: "priority" | "data";
  /** May another zone than the primary's take over: yes, only when its own has nobody, no. */
  readonly crossZone: "allow" | "avoid" | "refuse";
  /** Looks and says what it would do, and does nothing. */
  readonly observeOnly: boolean;
  /** No alarm while two relays or more are connected and each sees every node up. */
  readonly quiet: boolean;
  readonly dns: DnsConfig | null;
};

/** Over all groups of the Worker: automatic failovers that may begin within a window. */
export type BrakeConfig = { readonly maxFailovers: number; readonly windowMs: number };

/** Where `hostname` is kept. */
export type DnsConfig = {
  readonly provider: "cloudflare";
  readonly zoneId: string;
  readonly tokenSecret: string;
  readonly ttlS: number;
  readonly apiUrl: string;
};

// ---------------------------------------------------------------------- seen

/** What one look at one node was. design.md section 3; `malformed`: an answer that no relay gives. */
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
};

/** Asks the Fleet whether one more failover may begin now, anywhere. */
export type PermitAction = ActionHead & { readonly kind: "permit" };

export type Action = RelayAction | PublishAction | PermitAction;

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
};
