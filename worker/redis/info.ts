/**
 * INFO in Redis's own words, to NodeFacts.
 *
 * Promises: pure; null for any text that is no INFO of a Redis (a Sentinel's is none); never reads more
 * than 256 KiB; whatever a server says of itself, the facts are such as a relay may send and a Group reads.
 * Must never: guess at a role or a run id that Redis did not state.
 */
import type { Address, NodeFacts } from "../core/types.ts";

const MAX_CHARS = 256 * 1024;
/** Redis's own ids have 40; the longest name that DNS knows. */
const MOST_ID_CHARS = 64;
const MOST_HOST_CHARS = 253;
/** Redis's own default; a primary does not state its priority. */
const DEFAULT_PRIORITY = 100;

/** `minReplicas` is what CONFIG GET min-replicas-to-write said, null when it was not to be had. */
export function parseInfo(text: string, minReplicas: string | number | null): NodeFacts | null {
  const fields = fieldsOf(text);
  const runId = fields.get("run_id");
  const role = fields.get("role");
  if (runId === undefined || runId === "" || runId.length > MOST_ID_CHARS) return null;
  if (role !== "master" && role !== "slave") return null;

  const replica = role === "slave";
  const linkUp = replica && fields.get("master_link_status") === "up";
  return {
    runId,
    role: replica ? "replica" : "primary",
    replicaOf: replica ? followed(fields) : null,
    linkUp,
    linkDownMs: linkUp ? 0 : milliseconds(fields.get("master_link_down_since_seconds")),
    syncing: fields.get("master_sync_in_progress") === "1",
    loading: fields.get("loading") === "1" || fields.get("async_loading") === "1",
    lastIoMs: milliseconds(fields.get("master_last_io_seconds_ago")),
    offset: count(fields.get(replica ? "slave_repl_offset" : "master_repl_offset")) ?? 0,
    priority:
      count(fields.get("slave_priority") ?? fields.get("replica_priority")) ?? DEFAULT_PRIORITY,
    replicationId: (fields.get("master_replid") ?? "").slice(0, MOST_ID_CHARS),
    replicationId2: earlierHistory(fields.get("master_replid2")),
    secondOffset: count(fields.get("second_repl_offset")),
    switching: (fields.get("master_failover_state") ?? "no-failover") !== "no-failover",
    connectedReplicas: count(fields.get("connected_slaves")) ?? 0,
    replicas: replica ? [] : addressesOf(fields),
    keys: keysOf(fields),
    minReplicasToWrite: minReplicas === null ? null : count(String(minReplicas)),
  };
}

/** It answers PING as a Redis does. */
export const isSentinel = (text: string): boolean =>
  fieldsOf(text).get("redis_mode") === "sentinel";

function fieldsOf(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  // Each look of each group passes here: no expressions where a comparison does.
  for (const line of text.slice(0, MAX_CHARS).split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0 && line[0] !== "#") {
      fields.set(line.slice(0, colon), line.slice(colon + 1).trimEnd());
    }
  }
  return fields;
}

function followed(fields: ReadonlyMap<string, string>): Address | null {
  const host = fields.get("master_host");
  const port = count(fields.get("master_port"));
  return host === undefined || !isHost(host) || port === null ? null : { host, port };
}

/** Redis before 7 counts what never happened from the year 1970. */
const NEVER_S = 1_000_000_000;

/** -1 is Redis's word for what has not happened since it started. */
function milliseconds(seconds: string | undefined): number | null {
  const whole = count(seconds);
  return whole === null || whole >= NEVER_S ? null : whole * 1000;
}

/** All zeros: it was never promoted over another's history. */
function earlierHistory(id: string | undefined): string | null {
  return id === undefined || /^0*$/.test(id) ? null : id.slice(0, MOST_ID_CHARS);
}

const isHost = (text: string) => text !== "" && text.length <= MOST_HOST_CHARS;

function keysOf(fields: ReadonlyMap<string, string>): number {
  let keys = 0;
  for (const [name, value] of fields) {
    if (name.startsWith("db") && /^db\d+$/.test(name))
      keys += count(/(?:^|,)keys=(\d+)/.exec(value)?.[1]) ?? 0;
  }
  return keys;
}

function count(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : null;
}

const MAX_SHOWN = 64;

function addressesOf(fields: ReadonlyMap<string, string>): readonly Address[] {
  return listed(fields, MAX_SHOWN).map(({ host, port }) => ({ host, port }));
}

/** A replica as its primary names it: what FAILOVER TO wants to hear. */
export type ConnectedReplica = Address & { readonly state: string };

const MAX_REPLICAS = 1000;

/** The `slaveN:` lines of INFO replication. */
export const replicasOf = (text: string): readonly ConnectedReplica[] =>
  listed(fieldsOf(text), MAX_REPLICAS);

function listed(fields: ReadonlyMap<string, string>, most: number): readonly ConnectedReplica[] {
  const replicas: ConnectedReplica[] = [];
  for (const [name, value] of fields) {
    if (!name.startsWith("slave") || !/^slave\d+$/.test(name)) continue;
    if (replicas.length === most) break;
    const parts = new Map(value.split(",").map((part) => divided(part)));
    const host = parts.get("ip") ?? "";
    const port = count(parts.get("port"));
    if (isHost(host) && port !== null)
      replicas.push({ host, port, state: parts.get("state") ?? "" });
  }
  return replicas;
}

function divided(part: string): readonly [string, string] {
  const equals = part.indexOf("=");
  return [part.slice(0, Math.max(0, equals)), part.slice(equals + 1)];
}
