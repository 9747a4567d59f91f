/**
 * A group to simulate, drawn from a seed: its size, its settings, who sees what.
 *
 * Rules: waiting times are drawn short, so that ten minutes hold several outages and their healing; what has to
 * fit together in a real configuration (worker/core/config.ts) fits here too.
 */
import { votesOf } from "../../worker/core/config-relations.ts";
import { eventNames } from "../../worker/core/events.ts";
import type { GroupConfig, NodeConfig, WebhookConfig } from "../../worker/core/types.ts";
import type { Random } from "./random.ts";

const REGIONS = ["weur", "enam", "apac"];

export type Drawn = {
  readonly config: GroupConfig;
  /** Places that ask relays without having a vote. */
  readonly places: readonly string[];
  /** Part of the relays that hold a connection to the Group. */
  readonly connected: number;
  readonly knowsFailover: boolean;
  /** How the group is found: mostly whole. */
  readonly found: "whole" | "several primaries" | "no primary" | "astray";
  /** Faults begin before it was whole once. */
  readonly roughStart: boolean;
  /** Regions are told that a node can be used, and not what it is. */
  readonly bare: boolean;
};

export function drawGroup(random: Random): Drawn {
  const size = random.pick([2, 2, 3, 3, 3, 3, 4, 5]);
  const ids = ["a", "b", "c", "d", "e"].slice(0, size);
  const fencing = random.pick(["none", "none", "sealed", "lease"] as const);
  const zoned = random.chance(0.2);
  const checkIntervalMs = random.pick([1000, 1000, 2000, 3000, 5000]);
  const probeTimeoutMs = random.pick([300, 500, 1000]);
  const retryMs = random.pick([100, 200, 200, 500]);
  const commandTimeoutMs = random.pick([500, 1000]);
  const commandTtlMs = random.pick([2000, 3000]);
  const relays = ids.map((id) => `relay:${id}`);
  const vantages = vantagesOf(random, relays);
  const own = vantages.some(isRegion);
  // From a stream of its own: what is drawn after it stays what it was.
  const places = own ? [] : placesOf(random.fork("places"));
  const downAfterMs = random.pick([1000, 2000, 3000, 5000]);
  const drawn: GroupConfig = {
    name: "cache",
    mode: "replication",
    hostname: "cache.example.com",
    location: null,
    fencing,
    relays: ids.map((id) => ({
      id,
      url: `https://relay-${id}.example.com`,
      local: [id],
      controlTokenSecret: `CONTROL_${id.toUpperCase()}`,
      dataTokenSecret: `DATA_${id.toUpperCase()}`,
    })),
    nodes: ids.map((id, at) => {
      const zone = zoned ? (at % 2 === 0 ? "east" : "west") : null;
      // Somebody who is never promoted, where enough others are left.
      const never = at >= 2 && random.chance(0.1);
      const node = nodeOf(id, zone, never ? 0 : random.chance(0.2) ? random.int(1, 3) * 10 : null);
      return own ? { ...node, probe: probe(node.host) } : node;
    }),
    vantages: [],
    regions: [],
    probes: 1,
    probeDelayMs: 500,
    probePolicy: "all",
    quorum: random.chance(0.15)
      ? random.int(1, vantages.length)
      : Math.floor(vantages.length / 2) + 1,
    checkIntervalMs,
    probeTimeoutMs,
    retryMs,
    maxFailures: random.int(1, 4),
    downAfterMs,
    upAfter: random.int(1, 3),
    fenceWaitMs: random.pick([0, 300, 300, 1000]),
    commandTimeoutMs,
    commandTtlMs,
    promoteTimeoutMs: commandTtlMs + commandTimeoutMs + random.pick([0, 500, 1500]),
    failoverTimeoutMs: random.pick([15_000, 30_000, 60_000]),
    failoverRetryMs: random.pick([0, 2000, 5000, 10_000]),
    primaryStartTimeoutMs: random.pick([0, 2000, 5000, 10_000]),
    parallelSyncs: random.int(1, 2),
    minReplicas: random.chance(0.1) ? 1 : 0,
    loadingLimitMs: random.pick([0, 5000, 10_000]),
    busyLimitMs: random.pick([0, 0, 6000]),
    graceMs: random.pick([0, 1000, 5000]),
    maxLagBytes: random.pick([0, 500, 1_048_576]),
    maxLinkDownMs: random.pick([0, 2000, 5000]),
    adoptAfterMs: random.pick([1000, 3000, 6000]),
    cooldownMs: random.pick([0, 5000, 15_000, 30_000]),
    maxFailoversPerHour: random.pick([0, 3, 5, 20]),
    wipeKeepRatio: random.pick([0.1, 0.1, 0.5]),
    switchoverTimeoutMs: random.pick([1000, 3000, 6000]),
    leaseMs: random.pick([2000, 3000, 5000]),
    initialHealthPolicy: "majority",
    failbackIntervalMs: 120_000,
    failbackGraceMs: 60_000,
    failoverAttempts: 10,
    failoverDelayMs: 12_000,
    elect: random.pick(["priority", "priority", "data"] as const),
    crossZone: zoned ? random.pick(["allow", "avoid"] as const) : "allow",
    observeOnly: false,
    quiet: random.chance(0.5),
    ...tellingOf(random.fork("telling")),
  };
  const config = { ...drawn, ...votesIn([...vantages, ...places], drawn) };
  return {
    config,
    places,
    connected: random.pick([0, 0, 0.6, 1]),
    knowsFailover: random.chance(0.85),
    found: random.chance(0.88)
      ? "whole"
      : random.pick(["several primaries", "no primary", "astray"] as const),
    roughStart: random.chance(0.15),
    bare: own && mayBeBare(config) && random.fork("bare").chance(0.5),
  };
}

/** Those who know who is a replica have to be enough to say so together. */
const mayBeBare = ({ vantages, quorum }: GroupConfig): boolean =>
  vantages.length - vantages.filter(isRegion).length >= quorum;

/** Who is told of the route, and of what happens. */
function tellingOf(random: Random) {
  const dns = random.chance(0.45);
  const webhooks = ["pager", "chat"].slice(0, random.pick([0, 1, 1, 2]));
  return {
    dns: dns
      ? {
          provider: "cloudflare" as const,
          zoneId: "0".repeat(32),
          tokenSecret: "DNS",
          ttlS: 60,
          apiUrl: "https://api.example.com",
        }
      : null,
    replicaHostname: dns && random.chance(0.6) ? "read.cache.example.com" : null,
    drift: random.pick(["repair", "repair", "report"] as const),
    driftIntervalMs: random.pick([5000, 15_000, 30_000, 60_000]),
    webhooks: webhooks.map((name) => webhookOf(random, name)),
  };
}

/** Told of all, of most, or of little; never of webhooks. */
function webhookOf(random: Random, name: string): WebhookConfig {
  const part = random.pick([1, 0.7, 0.2]);
  const events = eventNames.filter((each) => !each.startsWith("-webhook") && random.chance(part));
  return { name, url: `https://${name}.example.com/hook`, signingSecret: "SIGN", events };
}

const placesOf = (random: Random) => (random.chance(0.4) ? REGIONS.slice(0, random.int(1, 2)) : []);

/** Two to five votes: relays first, and regions with a path of their own. */
function vantagesOf(random: Random, relays: readonly string[]): string[] {
  const own = random.chance(0.5) ? REGIONS.slice(0, random.int(1, 2)) : [];
  const all = [...relays, ...own].slice(0, 5);
  return all.length < 2 ? [...relays, ...REGIONS].slice(0, 2) : all;
}

export const isRegion = (vantage: string): boolean => !vantage.startsWith("relay:");

/** Who votes, by the rule of the configuration: a region without a path of its own does not. */
export const votesIn = (
  named: readonly string[],
  { relays, nodes }: Pick<GroupConfig, "relays" | "nodes">,
) =>
  votesOf({
    vantages: named,
    relays,
    nodes: nodes.map(({ probe }) => (probe === null ? {} : { probe })),
  } as unknown as Parameters<typeof votesOf>[0]);

export const probe = (host: string): NodeConfig["probe"] => ({
  transport: "tcp",
  host,
  port: 6379,
  tls: false,
  username: null,
  passwordSecret: null,
});

function nodeOf(id: string, zone: string | null, priority: number | null): NodeConfig {
  const host = `10.0.0.${id.charCodeAt(0) - 96}`;
  return {
    id,
    host,
    port: 6379,
    replicationHost: host,
    replicationPort: 6379,
    tls: false,
    priority,
    readWeight: 1,
    zone,
    weight: 1,
    restUrl: null,
    probe: null,
  };
}
