/**
 * Every numeric setting of a group's parts: nodes, transports, DNS; and of the brake over all groups.
 *
 * Must never: hold anything that is not a plain number with a range.
 */
import { type Setting, setting } from "./setting.ts";

export const nodeSettings = {
  port: setting(6379, 1, 65_535, "Redis", "where clients and replicas connect"),
  replication_port: setting(
    0,
    0,
    65_535,
    "Sentinel's announce-port",
    "where replicas connect, if not at port; 0: at port",
  ),
  read_weight: setting(1, 0, 1000, "design.md section 7", "share of reads"),
  weight: {
    ...setting(
      1,
      0.001,
      1_000_000,
      "redis-py, Jedis, Lettuce",
      "active-active: the heaviest healthy node is used, the earlier one among equals",
    ),
    fraction: true,
  },
} as const satisfies Readonly<Record<string, Setting>>;

/** `[vars.GROUPS.nodes.probe]`, by transport. */
export const probeSettings = {
  tcp: {
    port: setting(0, 0, 65_535, "the node's", "where Redis listens for a look; 0: the node's port"),
  },
  custom: {
    expect_status: setting(
      200,
      100,
      599,
      "Cloudflare Load Balancing: 200",
      "the only status that is up",
    ),
    timeout_ms: setting(
      0,
      0,
      10_000,
      "probe_timeout_ms",
      "deadline of the request, within the look's; 0: the look's",
    ),
  },
  "lag-aware": {
    lag_tolerance_ms: setting(
      5000,
      0,
      600_000,
      "redis-py, Jedis, Lettuce (100 on the server's side)",
      "how far behind its peers a healthy database may be",
    ),
    timeout_ms: setting(
      0,
      0,
      10_000,
      "probe_timeout_ms",
      "deadline of one request, within the look's; 0: the look's",
    ),
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Setting>>>>;

/** `[vars.BRAKE]`: over all groups of the Worker. */
export const brakeSettings = {
  max_failovers: setting(
    32,
    1,
    10_000,
    "design.md section 3",
    "automatic failovers that may begin in all groups together within window_ms",
  ),
  window_ms: setting(
    60_000,
    1000,
    3_600_000,
    "design.md section 3",
    "the window that max_failovers counts in",
  ),
} as const satisfies Readonly<Record<string, Setting>>;

/** `[vars.GROUPS.dns]`, by provider. */
export const dnsSettings = {
  cloudflare: {
    ttl_s: setting(
      60,
      60,
      86_400,
      "60 is the least there for records that are not proxied",
      "TTL of the records",
    ),
  },
  route53: {
    ttl_s: setting(60, 0, 2_147_483_647, "ResourceRecordSet's TTL", "TTL of the records"),
  },
  powerdns: {
    ttl_s: setting(60, 1, 2_147_483_647, "RFC 2181 section 8", "TTL of the records"),
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Setting>>>>;
