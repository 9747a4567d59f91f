/**
 * Every numeric setting of a group: default, range, source and reason, in one table.
 *
 * Promises: the schema, the checks and docs/settings.md are made from this table, so they agree.
 * Must never: hold anything that is not a plain number with a range.
 */
export type Setting = {
  /** A fraction is allowed. */
  readonly fraction?: true;
  readonly fallback: number;
  readonly min: number;
  readonly max: number;
  readonly source: string;
  readonly why: string;
};

const setting = (
  fallback: number,
  min: number,
  max: number,
  source: string,
  why: string,
): Setting => ({ fallback, min, max, source, why });

export const groupSettings = {
  check_interval_ms: setting(
    1000,
    100,
    60_000,
    "Sentinel's PING period",
    "time between looks while all is well; 60000 sets no alarm: cron alone looks, once a minute",
  ),
  probe_timeout_ms: setting(
    1000,
    50,
    10_000,
    "Jedis, Lettuce: 1 s a probe",
    "a look that takes longer is a timeout",
  ),
  retry_ms: setting(
    50,
    10,
    10_000,
    "docs/decisions/0024",
    "time between looks once something is wrong",
  ),
  probes: setting(
    1,
    1,
    10,
    "redis-py, Jedis, Lettuce: 3",
    "looks at a node that make one: 1, since max_failures looks in a row are asked for anyway",
  ),
  probe_delay_ms: setting(
    500,
    0,
    10_000,
    "redis-py, Jedis, Lettuce",
    "time between the looks that make one",
  ),
  max_failures: setting(
    3,
    1,
    100,
    "redis_failover",
    "bad looks in a row before a vantage calls a node down",
  ),
  down_after_ms: setting(
    3000,
    100,
    3_600_000,
    "Sentinel's down-after-milliseconds (30000 there)",
    "how long silence must last as well; a refused connection needs only max_failures",
  ),
  up_after: setting(
    2,
    1,
    100,
    "HAProxy's rise",
    "good looks in a row before a replica takes reads again",
  ),
  fence_wait_ms: setting(
    300,
    0,
    10_000,
    "design.md section 5",
    "how long a failover waits for the old primary's seal, and then for its replica to catch up",
  ),
  command_timeout_ms: setting(
    1000,
    50,
    10_000,
    "design.md section 2",
    "deadline of one verb at a relay",
  ),
  command_ttl_ms: setting(
    2000,
    500,
    60_000,
    "design.md section 4",
    "age at which a relay refuses a verb; the same value stands in each relay's configuration",
  ),
  promote_timeout_ms: setting(
    4000,
    1000,
    600_000,
    "Sentinel's failover-timeout, for this step",
    "how long a promotion may stay unseen before another attempt begins",
  ),
  failover_timeout_ms: setting(
    180_000,
    1000,
    3_600_000,
    "Sentinel's failover-timeout",
    "how long repointing the other replicas may take before the failover is called ended",
  ),
  failover_retry_ms: setting(
    20_000,
    0,
    3_600_000,
    "Sentinel: twice failover-timeout",
    "least time from the start of an attempt that was aborted to the next one",
  ),
  primary_start_timeout_ms: setting(
    30_000,
    0,
    3_600_000,
    "Patroni's primary_start_timeout",
    "after all nodes were down: how long the stored primary may take to return before a replica is promoted",
  ),
  parallel_syncs: setting(
    1,
    1,
    100,
    "Sentinel's parallel-syncs",
    "replicas repointed at the same time",
  ),
  min_replicas: setting(
    0,
    0,
    100,
    "Redis's min-replicas-to-write",
    "what unsealing sets min-replicas-to-write to",
  ),
  failback_interval_ms: setting(
    120_000,
    0,
    86_400_000,
    "redis-py, Jedis, Lettuce",
    "active-active: time from a switch until a heavier healthy node is gone back to; 0: never by itself",
  ),
  failback_grace_ms: setting(
    60_000,
    0,
    86_400_000,
    "redis-py, Jedis, Lettuce; Respire: any failed look starts it again",
    "active-active: how long no look at a node may have failed before it is gone back to",
  ),
  failover_attempts: setting(
    10,
    1,
    1000,
    "redis-py, Jedis",
    "active-active: how often it is counted that no node is healthy before that is called permanent",
  ),
  failover_delay_ms: setting(
    12_000,
    100,
    3_600_000,
    "redis-py, Jedis, Lettuce",
    "active-active: time between two such attempts",
  ),
  loading_limit_ms: setting(
    30_000,
    0,
    3_600_000,
    "Sentinel's master-reboot-down-after-period (off there), Patroni's primary_start_timeout",
    "how long a restarted node may load its data before that counts as down; 0: for ever",
  ),
  busy_limit_ms: setting(
    0,
    0,
    3_600_000,
    "redis#8607: a long script is no death",
    "how long a script may block a node before that counts as down; 0: for ever. After down_after_ms it is killed once, if it has not written",
  ),
  grace_ms: setting(
    10_000,
    0,
    3_600_000,
    "redis-py, Jedis, Lettuce: grace period (60 s there)",
    "how long a node that was bad must be good without a break before it can be promoted",
  ),
  max_lag_bytes: setting(
    1_048_576,
    0,
    1_000_000_000_000,
    "Patroni's maximum_lag_on_failover",
    "a replica further behind the primary as last seen is not promoted unless an operator names it; 0: no limit",
  ),
  max_link_down_ms: setting(
    5000,
    0,
    3_600_000,
    "measured: Sentinel promotes a replica whose link was silently down and loses what came since",
    "a replica whose link was down for longer while the primary was up is not promoted unless an operator names it; 0: Sentinel's rule alone",
  ),
  adopt_after_ms: setting(
    10_000,
    0,
    3_600_000,
    "design.md section 6",
    "how long somebody else's switch must last before it is adopted as the next epoch",
  ),
  cooldown_ms: setting(
    60_000,
    0,
    86_400_000,
    "orchestrator's RecoveryPeriodBlockSeconds (3600 s there)",
    "after an automatic failover: how long the next one is held; an acknowledgement lifts it",
  ),
  max_failovers_per_hour: setting(
    5,
    0,
    1000,
    "design.md section 3",
    "automatic failovers of the group in an hour; an acknowledgement begins the count anew; 0: no limit",
  ),
  wipe_keep_ratio: {
    ...setting(
      0.1,
      0,
      1,
      "design.md section 3",
      "part of its known keys below which a restarted primary counts as wiped, if a replica still holds more",
    ),
    fraction: true,
  },
  switchover_timeout_ms: setting(
    10_000,
    100,
    600_000,
    "Redis's FAILOVER TIMEOUT",
    "how long a planned switch may take before it is taken back; writes wait at most so long",
  ),
  lease_ms: setting(
    3000,
    500,
    60_000,
    "design.md section 4",
    'with fencing "lease": how long a primary may take writes after its last renewal was sent',
  ),
  drift_interval_ms: setting(
    120_000,
    1000,
    86_400_000,
    "KV: a change may be seen a minute later, or more",
    "time between slow looks at what KV and DNS hold; KV is never looked at sooner than 120000 after it was written",
  ),
  quorum: setting(
    0,
    0,
    100,
    "design.md section 3",
    "votes for down that make the primary objectively down; 0: half the vantages, rounded down, plus one",
  ),
} as const satisfies Readonly<Record<string, Setting>>;

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
