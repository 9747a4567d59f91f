/**
 * Configuration: what stands in wrangler.toml, checked as a whole.
 *
 * Promises: either all of it is right, or every complaint is returned with its path, what was given and
 * what is allowed; nothing is half applied. A value of a key that ends in `_secret` is never repeated.
 * Must never: read a secret; it only asks whether one is set.
 */
import * as v from "valibot";
import {
  type Complaint,
  clip,
  duplicates,
  relations,
  relationsOfNode,
  votesOf,
} from "./config-relations.ts";
import {
  BrakeSchema,
  GroupSchema,
  NodeSchema,
  type RawGroup,
  type RawNode,
  some,
} from "./config-schema.ts";
import { toldNames } from "./events.ts";
import type {
  BrakeConfig,
  DnsConfig,
  GroupConfig,
  NodeConfig,
  ProbeConfig,
  RelayConfig,
} from "./types.ts";

export type { Complaint };

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
  const hostnames = groups.flatMap(({ hostname, replicaHostname }) =>
    [hostname, replicaHostname].flatMap((name) => name?.toLowerCase() ?? []),
  );
  complaints.push(...duplicates("hostname", names.join(", "), hostnames));
  const brake = v.safeParse(BrakeSchema, variables[BRAKE] ?? {});
  if (!brake.success) complaints.push(...brake.issues.map((issue) => complaintOf(BRAKE, issue)));
  if (complaints.length > 0 || !brake.success) return { ok: false, complaints };
  const { max_failovers: maxFailovers, window_ms: windowMs } = brake.output;
  return { ok: true, groups, brake: { maxFailovers, windowMs } };
}

export type ParsedNode =
  | { readonly ok: true; readonly node: NodeConfig }
  | { readonly ok: false; readonly complaints: readonly Complaint[] };

/** Checks a node that comes at run time as it would be in wrangler.toml, but for who else there is. */
export function parseNode(
  value: unknown,
  group: GroupConfig,
  isSecretSet: (name: string) => boolean,
): ParsedNode {
  const parsed = v.safeParse(NodeSchema, value);
  if (!parsed.success)
    return { ok: false, complaints: parsed.issues.map((issue) => complaintOf("", issue)) };
  const node = nodeOf(parsed.output);
  const deployed = group.nodes.find(({ id }) => id === node.id);
  const same = JSON.stringify(deployed?.probe) === JSON.stringify(node.probe);
  const complaints = relationsOfNode(parsed.output, group, isSecretSet, same);
  return complaints.length > 0 ? { ok: false, complaints } : { ok: true, node };
}

function groupOf(raw: RawGroup): GroupConfig {
  const { vantages, regions } = votesOf(raw);
  return {
    name: raw.name,
    mode: raw.mode,
    hostname: raw.hostname ?? null,
    location: raw.location ?? null,
    fencing: raw.fencing,
    relays: raw.relays.map(relayOf),
    nodes: raw.nodes.map(nodeOf),
    vantages,
    regions,
    probes: raw.probes,
    probeDelayMs: raw.probe_delay_ms,
    probePolicy: raw.probe_policy,
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
    initialHealthPolicy: raw.initial_health_policy,
    failbackIntervalMs: raw.failback_interval_ms,
    failbackGraceMs: raw.failback_grace_ms,
    failoverAttempts: raw.failover_attempts,
    failoverDelayMs: raw.failover_delay_ms,
    elect: raw.elect,
    crossZone: raw.cross_zone,
    observeOnly: raw.observe_only,
    quiet: raw.quiet,
    dns: raw.dns === undefined ? null : dnsOf(raw.dns),
    replicaHostname: raw.replica_hostname ?? null,
    drift: raw.drift,
    driftIntervalMs: raw.drift_interval_ms,
    webhooks: (raw.webhooks ?? []).map(({ name, url, signing_secret, events }) => ({
      name,
      url,
      signingSecret: signing_secret,
      events: events ?? toldNames,
    })),
  };
}

function dnsOf(raw: NonNullable<RawGroup["dns"]>): DnsConfig {
  const head = { ttlS: raw.ttl_s, apiUrl: withoutSlash(raw.api_url) };
  switch (raw.provider) {
    case "cloudflare":
      return {
        ...head,
        provider: raw.provider,
        zoneId: raw.zone_id,
        tokenSecret: raw.token_secret,
      };
    case "route53":
      return {
        ...head,
        provider: raw.provider,
        zoneId: raw.zone_id,
        accessKeyIdSecret: raw.access_key_id_secret,
        secretAccessKeySecret: raw.secret_access_key_secret,
      };
    case "powerdns":
      return {
        ...head,
        provider: raw.provider,
        zone: raw.zone,
        serverId: raw.server_id,
        tokenSecret: raw.token_secret,
      };
  }
}

const relayOf = (raw: RawGroup["relays"][number]): RelayConfig => ({
  id: raw.id,
  url: withoutSlash(raw.url),
  local: raw.local,
  controlTokenSecret: raw.control_token_secret,
  dataTokenSecret: raw.data_token_secret,
});

const nodeOf = (raw: RawNode): NodeConfig => ({
  id: raw.id,
  host: raw.host,
  port: raw.port,
  replicationHost: raw.replication_host ?? raw.host,
  replicationPort: raw.replication_port === 0 ? raw.port : raw.replication_port,
  tls: raw.tls,
  priority: raw.priority ?? null,
  readWeight: raw.read_weight,
  zone: raw.zone ?? null,
  weight: raw.weight,
  restUrl: raw.rest_url === undefined ? null : withoutSlash(raw.rest_url),
  probe: raw.probe === undefined ? null : probeOf(raw.probe, raw),
});

function probeOf(raw: NonNullable<RawNode["probe"]>, node: RawNode): ProbeConfig {
  const { transport } = raw;
  if (transport === "upstash")
    return { transport, url: withoutSlash(raw.url), tokenSecret: raw.token_secret };
  const user = { username: raw.username ?? null, passwordSecret: raw.password_secret ?? null };
  switch (transport) {
    case "tcp":
      return {
        transport,
        host: raw.host ?? node.host,
        port: raw.port === 0 ? node.port : raw.port,
        tls: raw.tls ?? node.tls,
        ...user,
      };
    case "custom":
      return {
        transport,
        url: raw.url,
        expectStatus: raw.expect_status,
        expectBody: raw.expect_body ?? null,
        timeoutMs: raw.timeout_ms,
        ...user,
      };
    case "lag-aware":
      return {
        transport,
        url: withoutSlash(raw.url),
        host: raw.host ?? node.host,
        lagToleranceMs: raw.lag_tolerance_ms,
        timeoutMs: raw.timeout_ms,
        ...user,
      };
  }
}

function complaintOf(variable: string, issue: v.BaseIssue<unknown>): Complaint {
  let path = variable;
  for (const item of issue.path ?? [])
    path += typeof item.key === "number" ? `[${item.key}]` : `.${String(item.key)}`;
  path = path.replace(/^\./, "");
  const key = String(issue.path?.at(-1)?.key ?? "");
  if (issue.type === "strict_object" && issue.expected === "never")
    return { path, given: "an unknown key", allowed: "a key that docs/settings.md lists" };
  // A webhook's url may be a secret by itself.
  const secret = key.endsWith("_secret") || /\.webhooks\[\d+\]\.url$/.test(path);
  const hidden = secret && issue.input !== undefined;
  const given = hidden ? "(not shown)" : show(issue.input);
  const missing = issue.input === undefined;
  return { path, given: missing ? "nothing" : given, allowed: allowedBy(issue) };
}

/** Schemas without words of their own (a missing key, a table instead of a list) get plain ones. */
const allowedBy = (issue: v.BaseIssue<unknown>) =>
  issue.message.startsWith("Invalid ") ? `${issue.expected ?? "another value"}` : issue.message;

const withoutSlash = (url: string) => url.replace(/\/+$/, "");
const byNumber = (a: string, b: string) => Number(a.slice(7) || 1) - Number(b.slice(7) || 1);
/** What stands in an address before the host, or in its query, may be a secret. */
const show = (value: unknown) =>
  clip(
    (JSON.stringify(value) ?? typeof value)
      .replace(/(:\/\/)[^\s/?#"]*@/g, "$1(not shown)@")
      .replace(/(:\/\/[^\s?"]*\?)[^\s"]+/g, "$1(not shown)"),
  );
