/** Builders in the domain's words: what a test does not name has a sound value. */
import type { Candidate } from "../../worker/core/elect.ts";
import type { GroupConfig, NodeConfig, NodeFacts, Observation } from "../../worker/core/types.ts";

export function nodeConfig(id: string, change: Partial<NodeConfig> = {}): NodeConfig {
  const host = change.host ?? `10.0.0.${id.charCodeAt(0) - 96}`;
  return {
    id,
    host,
    port: 6379,
    replicationHost: host,
    replicationPort: 6379,
    tls: false,
    priority: null,
    readWeight: 1,
    zone: null,
    weight: 1,
    restUrl: null,
    probe: null,
    ...change,
  };
}

/** A group of `ids` (a, b, c), one relay beside each, every relay a vantage, defaults as documented. */
export function groupConfig(
  change: Partial<GroupConfig> & { readonly ids?: readonly string[] } = {},
): GroupConfig {
  const { ids = ["a", "b", "c"], ...rest } = change;
  const vantages = rest.vantages ?? ids.map((id) => `relay:${id}`);
  return {
    name: "cache",
    mode: "replication",
    hostname: "cache.example.com",
    location: null,
    fencing: "none",
    relays: ids.map((id) => ({
      id,
      url: `https://relay-${id}.example.com`,
      local: [id],
      controlTokenSecret: `CONTROL_${id.toUpperCase()}`,
      dataTokenSecret: `DATA_${id.toUpperCase()}`,
    })),
    nodes: ids.map((id) => nodeConfig(id)),
    vantages,
    regions: vantages.filter((vantage) => !vantage.startsWith("relay:")),
    probes: 1,
    probeDelayMs: 500,
    probePolicy: "all",
    quorum: Math.floor(vantages.length / 2) + 1,
    checkIntervalMs: 1000,
    probeTimeoutMs: 1000,
    retryMs: 100,
    maxFailures: 3,
    downAfterMs: 3000,
    upAfter: 2,
    fenceWaitMs: 300,
    commandTimeoutMs: 1000,
    commandTtlMs: 2000,
    promoteTimeoutMs: 4000,
    failoverTimeoutMs: 180_000,
    failoverRetryMs: 20_000,
    primaryStartTimeoutMs: 30_000,
    parallelSyncs: 1,
    minReplicas: 0,
    loadingLimitMs: 30_000,
    busyLimitMs: 0,
    graceMs: 10_000,
    maxLagBytes: 1_048_576,
    maxLinkDownMs: 5000,
    adoptAfterMs: 10_000,
    cooldownMs: 60_000,
    maxFailoversPerHour: 5,
    wipeKeepRatio: 0.1,
    switchoverTimeoutMs: 10_000,
    leaseMs: 3000,
    initialHealthPolicy: "majority",
    failbackIntervalMs: 120_000,
    failbackGraceMs: 60_000,
    failoverAttempts: 10,
    failoverDelayMs: 12_000,
    elect: "priority",
    crossZone: "allow",
    observeOnly: false,
    quiet: true,
    dns: null,
    replicaHostname: null,
    drift: "repair",
    driftIntervalMs: 120_000,
    webhooks: [],
    ...rest,
  };
}

export function facts(change: Partial<NodeFacts> = {}): NodeFacts {
  return {
    runId: "run",
    role: "replica",
    replicaOf: { host: "10.0.0.1", port: 6379 },
    linkUp: true,
    linkDownMs: 0,
    syncing: false,
    loading: false,
    lastIoMs: 0,
    offset: 1000,
    priority: 100,
    replicationId: "r",
    replicationId2: null,
    secondOffset: null,
    switching: false,
    connectedReplicas: 0,
    replicas: [],
    keys: 1,
    minReplicasToWrite: 0,
    ...change,
  };
}

export function observation(
  vantage: string,
  node: string,
  change: Partial<Observation> = {},
): Observation {
  return {
    vantage,
    from: "group",
    epoch: 1,
    node,
    class: "up",
    detail: "",
    atMs: 1_000_000,
    tookMs: 0,
    facts: null,
    relay: { stamp: { boot: "1", ms: 1_000_000 }, epoch: 1 },
    ...change,
  };
}

export function candidate(id: string, change: Partial<Candidate> = {}): Candidate {
  return {
    id,
    runId: `run-${id}`,
    priority: 100,
    offset: 1000,
    keys: 1,
    sdown: false,
    reachable: true,
    okAgeMs: 0,
    factsAgeMs: 0,
    downtime: null,
    cleanForMs: null,
    successes: 10,
    linkDownMs: 0,
    followed: false,
    lagBytes: 0,
    stranger: null,
    syncing: false,
    loading: false,
    role: "replica",
    mayBePrimary: false,
    lost: false,
    named: false,
    sameZone: true,
    ...change,
  };
}
