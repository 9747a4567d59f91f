/**
 * Configuration: what stands in wrangler.toml, checked as a whole.
 *
 * Promises: either all of it is right, or every complaint is returned with its path, what was given and
 * what is allowed; nothing is half applied. A value of a key that ends in `_secret` is never repeated.
 * Must never: read a secret; it only asks whether one is set.
 */
import * as v from "valibot";
import { BrakeSchema, GroupSchema, type RawGroup, some } from "./config-schema.ts";
import type { BrakeConfig, GroupConfig, NodeConfig, RelayConfig } from "./types.ts";

export type Complaint = {
  /** Where: `GROUPS[0].nodes[1].port`. */
  readonly path: string;
  readonly given: string;
  readonly allowed: string;
};

export type ParsedConfig =
  | { readonly ok: true; readonly groups: readonly GroupConfig[]; readonly brake: BrakeConfig }
  | { readonly ok: false; readonly complaints: readonly Complaint[] };

/** A Worker variable holds at most 5 KB (Workers limits). */
const VARIABLE_BYTES = 5120;
const BRAKE = "BRAKE";

/** True for a name of a variable that holds groups: GROUPS, GROUPS_2, … */
export const isGroupsVariable = (name: string): boolean => /^GROUPS(?:_\d+)?$/.test(name);

/**
 * Checks all variables that hold groups.
 * @param variables every Worker variable by name; those that hold no groups are ignored.
 * @param isSecretSet tells whether a Worker secret of that name is set and not empty.
 */
export function parseConfig(
  variables: Readonly<Record<string, unknown>>,
  isSecretSet: (name: string) => boolean,
): ParsedConfig {
  const complaints: Complaint[] = [];
  const groups: GroupConfig[] = [];
  const names = Object.keys(variables).filter(isGroupsVariable).sort(byNumber);
  if (names.length === 0)
    complaints.push({ path: "GROUPS", given: "nothing", allowed: "a list of groups" });
  for (const name of names) {
    const value = variables[name];
    const bytes = new TextEncoder().encode(JSON.stringify(value) ?? "").length;
    if (bytes > VARIABLE_BYTES) {
      complaints.push({
        path: name,
        given: `${bytes} bytes`,
        allowed: `at most ${VARIABLE_BYTES} bytes; further groups go to the next variable: GROUPS_2, GROUPS_3, …`,
      });
    }
    const parsed = v.safeParse(some(GroupSchema, "group"), value);
    if (!parsed.success) {
      complaints.push(...parsed.issues.map((issue) => complaintOf(name, issue)));
      continue;
    }
    parsed.output.forEach((raw, index) => {
      const path = `${name}[${index}]`;
      complaints.push(...relations(path, raw, isSecretSet));
      groups.push(groupOf(raw));
    });
  }
  complaints.push(
    ...duplicates(
      "group",
      names.join(", "),
      groups.map((group) => group.name),
    ),
  );
  const hostnames = groups.flatMap((group) => (group.hostname === null ? [] : [group.hostname]));
  complaints.push(...duplicates("hostname", names.join(", "), hostnames));
  const brake = v.safeParse(BrakeSchema, variables[BRAKE] ?? {});
  if (!brake.success) complaints.push(...brake.issues.map((issue) => complaintOf(BRAKE, issue)));
  if (complaints.length > 0 || !brake.success) return { ok: false, complaints };
  const { max_failovers: maxFailovers, window_ms: windowMs } = brake.output;
  return { ok: true, groups, brake: { maxFailovers, windowMs } };
}

/** What a schema cannot see: how the parts of a group fit together. */
function relations(
  path: string,
  raw: RawGroup,
  isSecretSet: (name: string) => boolean,
): Complaint[] {
  const complaints: Complaint[] = [];
  const complain = (at: string, given: string, allowed: string) =>
    complaints.push({ path: `${path}.${at}`, given: clip(given), allowed });
  const nodes = raw.nodes.map((node) => node.id);
  const relays = raw.relays.map((relay) => relay.id);
  complaints.push(...duplicates("id", `${path}.nodes`, nodes));
  complaints.push(...duplicates("id", `${path}.relays`, relays));
  const addresses = raw.nodes.map((node) => `${node.host}:${node.port}`);
  complaints.push(...duplicates("address", `${path}.nodes`, addresses));

  const known = relays.map((relay) => `relay:${relay}`);
  const vantages = raw.vantages ?? known;
  complaints.push(...duplicates("vantage", `${path}.vantages`, vantages));
  vantages.forEach((vantage, index) => {
    if (!known.includes(vantage)) complain(`vantages[${index}]`, vantage, known.join(", "));
  });
  if (raw.quorum > vantages.length)
    complain("quorum", String(raw.quorum), `at most the ${vantages.length} vantages`);
  raw.relays.forEach((relay, index) => {
    relay.local.forEach((node, at) => {
      if (!nodes.includes(node)) complain(`relays[${index}].local[${at}]`, node, nodes.join(", "));
    });
    for (const key of ["control_token_secret", "data_token_secret"] as const)
      if (!isSecretSet(relay[key]))
        complain(`relays[${index}].${key}`, "a secret that is not set", setIt(relay[key]));
  });
  if (raw.fencing === "lease")
    for (const node of nodes) {
      const keepers = raw.relays.filter(({ local }) => local.includes(node)).map(({ id }) => id);
      if (keepers.length !== 1)
        complain(
          "relays",
          `${keepers.join(", ") || "no relay"} local to ${node}`,
          'with fencing "lease" exactly one relay local to each node: it keeps the lease',
        );
    }
  if (raw.dns !== undefined) {
    if (raw.hostname === undefined)
      complain("hostname", "nothing", "a host name, since dns is set");
    if (!isSecretSet(raw.dns.token_secret))
      complain("dns.token_secret", "a secret that is not set", setIt(raw.dns.token_secret));
  }
  const least = raw.command_ttl_ms + raw.command_timeout_ms;
  if (raw.promote_timeout_ms < least)
    complain(
      "promote_timeout_ms",
      String(raw.promote_timeout_ms),
      `at least command_ttl_ms + command_timeout_ms = ${least}`,
    );
  return complaints;
}

const setIt = (name: string) => `set it first: wrangler secret put ${name}`;

function groupOf(raw: RawGroup): GroupConfig {
  const vantages = raw.vantages ?? raw.relays.map((relay) => `relay:${relay.id}`);
  return {
    name: raw.name,
    mode: raw.mode,
    hostname: raw.hostname ?? null,
    location: raw.location ?? null,
    fencing: raw.fencing,
    relays: raw.relays.map(relayOf),
    nodes: raw.nodes.map(nodeOf),
    vantages,
    quorum: raw.quorum === 0 ? Math.floor(vantages.length / 2) + 1 : raw.quorum,
    checkIntervalMs: raw.check_interval_ms,
    probeTimeoutMs: raw.probe_timeout_ms,
    retryMs: raw.retry_ms,
    maxFailures: raw.max_failures,
    downAfterMs: raw.down_after_ms,
    upAfter: raw.up_after,
    fenceWaitMs: raw.fence_wait_ms,
    commandTimeoutMs: raw.command_timeout_ms,
    commandTtlMs: raw.command_ttl_ms,
    promoteTimeoutMs: raw.promote_timeout_ms,
    failoverTimeoutMs: raw.failover_timeout_ms,
    failoverRetryMs: raw.failover_retry_ms,
    primaryStartTimeoutMs: raw.primary_start_timeout_ms,
    parallelSyncs: raw.parallel_syncs,
    minReplicas: raw.min_replicas,
    loadingLimitMs: raw.loading_limit_ms,
    busyLimitMs: raw.busy_limit_ms,
    graceMs: raw.grace_ms,
    maxLagBytes: raw.max_lag_bytes,
    maxLinkDownMs: raw.max_link_down_ms,
    adoptAfterMs: raw.adopt_after_ms,
    cooldownMs: raw.cooldown_ms,
    maxFailoversPerHour: raw.max_failovers_per_hour,
    wipeKeepRatio: raw.wipe_keep_ratio,
    switchoverTimeoutMs: raw.switchover_timeout_ms,
    leaseMs: raw.lease_ms,
    elect: raw.elect,
    crossZone: raw.cross_zone,
    observeOnly: raw.observe_only,
    quiet: raw.quiet,
    dns:
      raw.dns === undefined
        ? null
        : {
            provider: raw.dns.provider,
            zoneId: raw.dns.zone_id,
            tokenSecret: raw.dns.token_secret,
            ttlS: raw.dns.ttl_s,
            apiUrl: withoutSlash(raw.dns.api_url),
          },
  };
}

const relayOf = (raw: RawGroup["relays"][number]): RelayConfig => ({
  id: raw.id,
  url: withoutSlash(raw.url),
  local: raw.local,
  controlTokenSecret: raw.control_token_secret,
  dataTokenSecret: raw.data_token_secret,
});

const nodeOf = (raw: RawGroup["nodes"][number]): NodeConfig => ({
  id: raw.id,
  host: raw.host,
  port: raw.port,
  replicationHost: raw.replication_host ?? raw.host,
  replicationPort: raw.replication_port === 0 ? raw.port : raw.replication_port,
  tls: raw.tls,
  priority: raw.priority ?? null,
  readWeight: raw.read_weight,
  zone: raw.zone ?? null,
});

function complaintOf(variable: string, issue: v.BaseIssue<unknown>): Complaint {
  let path = variable;
  for (const item of issue.path ?? [])
    path += typeof item.key === "number" ? `[${item.key}]` : `.${String(item.key)}`;
  const key = String(issue.path?.at(-1)?.key ?? "");
  if (issue.type === "strict_object" && issue.expected === "never")
    return { path, given: "an unknown key", allowed: "a key that docs/settings.md lists" };
  const hidden = key.endsWith("_secret") && issue.input !== undefined;
  const given = hidden ? "(not shown)" : show(issue.input);
  const missing = issue.input === undefined;
  return { path, given: missing ? "nothing" : given, allowed: allowedBy(issue) };
}

/** Schemas without words of their own (a missing key, a table instead of a list) get plain ones. */
const allowedBy = (issue: v.BaseIssue<unknown>) =>
  issue.message.startsWith("Invalid ") ? `${issue.expected ?? "another value"}` : issue.message;

function duplicates(what: string, path: string, values: readonly string[]): Complaint[] {
  const twice = values.filter((value, index) => values.indexOf(value) !== index);
  return [...new Set(twice)].map((value) => ({
    path,
    given: clip(`${what} ${value} more than once`),
    allowed: `each ${what} once`,
  }));
}

const withoutSlash = (url: string) => url.replace(/\/+$/, "");
const byNumber = (a: string, b: string) => Number(a.slice(7) || 1) - Number(b.slice(7) || 1);
const clip = (text: string) => (text.length > 80 ? `${text.slice(0, 79)}…` : text);
const show = (value: unknown) => clip(JSON.stringify(value) ?? typeof value);
