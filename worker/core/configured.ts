/**
 * What is configured, as data: a group, its nodes, its relays, and whom it tells.
 *
 * Promises: only types, all readonly. Every setting, its default, range and source: docs/settings.md.
 */
import type { EventName } from "./events.ts";

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
  /** Choice in active-active: the heaviest healthy node is used. */
  readonly weight: number;
  /** Its Upstash REST address for apps; null: that of its relay, or of its probe, if any. */
  readonly restUrl: string | null;
  /** How regions look at it by a path of their own; null: only through relays. */
  readonly probe: ProbeConfig | null;
};

/** One transport, and what it needs. Secrets by their names. */
export type ProbeConfig =
  | { readonly transport: "upstash"; readonly url: string; readonly tokenSecret: string }
  | {
      readonly transport: "tcp";
      readonly host: string;
      readonly port: number;
      readonly tls: boolean;
      readonly username: string | null;
      readonly passwordSecret: string | null;
    }
  | ({
      readonly transport: "custom";
      readonly url: string;
      readonly expectStatus: number;
      /** What stands somewhere in the first 64 KiB of the body; null: whatever does. */
      readonly expectBody: string | null;
    } & HttpProbe)
  /** Redis Software's availability request, with its extended check of the lag. */
  | ({
      readonly transport: "lag-aware";
      /** The cluster's own REST interface. */
      readonly url: string;
      /** The endpoint by which the cluster knows the database. */
      readonly host: string;
      readonly lagToleranceMs: number;
    } & HttpProbe);

type HttpProbe = {
  /** Of one request, and never longer than the look; 0: as long as the look. */
  readonly timeoutMs: number;
  /** Basic authentication, where both are set. */
  readonly username: string | null;
  readonly passwordSecret: string | null;
};

export type ProbePolicy = "all" | "majority" | "any";

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
  /** `replication`: one primary, promoted by command. `active-active`: every node takes writes, one is routed to. */
  readonly mode: "replication" | "active-active";
  readonly hostname: string | null;
  readonly location: string | null;
  readonly fencing: "none" | "sealed" | "lease";
  readonly relays: readonly RelayConfig[];
  readonly nodes: readonly NodeConfig[];
  /** Who has a vote: `relay:<id>`, or a region that reaches the nodes by a path of its own. */
  readonly vantages: readonly string[];
  /** Places that look, beside the Group: each asks every relay, and the nodes that have a path of their own. */
  readonly regions: readonly string[];
  /** Looks at a node that make one, and how many of them have to be good. */
  readonly probes: number;
  readonly probeDelayMs: number;
  readonly probePolicy: ProbePolicy;
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
  /** Active-active: how many nodes must be healthy before the first one is chosen. */
  readonly initialHealthPolicy: "all" | "majority" | "one";
  /** Active-active: time from a switch until a heavier node is gone back to; 0: never. */
  readonly failbackIntervalMs: number;
  /** Active-active: how long no look at a node may have failed before it is gone back to. */
  readonly failbackGraceMs: number;
  /** Active-active: how often it is counted that nobody is healthy before that is called permanent. */
  readonly failoverAttempts: number;
  readonly failoverDelayMs: number;
  /** Looks and says what it would do, and does nothing. */
  readonly observeOnly: boolean;
  /** No alarm while two relays or more are connected and each sees every node up. */
  readonly quiet: boolean;
  readonly dns: DnsConfig | null;
  /** The name of the replicas that take reads, beside `hostname`. */
  readonly replicaHostname: string | null;
  /** What is done about a destination that holds something else than was published. */
  readonly drift: "repair" | "report";
  readonly driftIntervalMs: number;
  readonly webhooks: readonly WebhookConfig[];
};

/** Over all groups of the Worker: automatic failovers that may begin within a window. */
export type BrakeConfig = { readonly maxFailovers: number; readonly windowMs: number };

/** Where `hostname` is kept, and with which rights; secrets by their names. */
export type DnsConfig = { readonly ttlS: number; readonly apiUrl: string } & (
  | { readonly provider: "cloudflare"; readonly zoneId: string; readonly tokenSecret: string }
  | {
      readonly provider: "route53";
      readonly zoneId: string;
      readonly accessKeyIdSecret: string;
      readonly secretAccessKeySecret: string;
    }
  | {
      readonly provider: "powerdns";
      /** The zone's name, without a dot at its end. */
      readonly zone: string;
      readonly serverId: string;
      readonly tokenSecret: string;
    }
);

/** Who is told of events, by HTTP. */
export type WebhookConfig = {
  readonly name: string;
  readonly url: string;
  /** Name of the Worker secret that signs. */
  readonly signingSecret: string;
  readonly events: readonly EventName[];
};
