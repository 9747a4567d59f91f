/**
 * INFO in Redis's own words, to NodeFacts.
 *
 * Promises: pure; null for any text that is no INFO of a Redis (a Sentinel's is none); never reads more
 * than 256 KiB.
 * Must never: guess at a role or a run id that Redis did not state.
 */
import type { Address, NodeFacts } from "../core/types.ts";

const MAX_CHARS = 256 * 1024;
/** Redis's own default; a primary does not state its priority. */
const DEFAULT_PRIORITY = 100;

/** `minReplicas` is what CONFIG GET min-replicas-to-write said, null when it was not to be had. */
export function parseInfo(text: string, minReplicas: string | number | null): NodeFacts | null {
  const fields = fieldsOf(text);
  const runId = fields.get("run_id");
  const role = fields.get("role");
  if (runId === undefined || runId === "") return null;
  if (role !== "master" && role !== "slave") return null;

  const replica = role === "slave";
  const linkUp = replica && fields.get("master_link_status") === "up";
  return {
    runId,
    role: replica ? "replica" : "primary",
    replicaOf: replica ? followed(fields) : null,
    linkUp,
    linkDownMs: linkUp ? 0 : linkDownMs(fields),
    syncing: fields.get("master_sync_in_progress") === "1",
    loading: fields.get("loading") === "1" || fields.get("async_loading") === "1",
    offset: count(fields.get(replica ? "slave_repl_offset" : "master_repl_offset")) ?? 0,
    priority:
      count(fields.get("slave_priority") ?? fields.get("replica_priority")) ?? DEFAULT_PRIORITY,
    replicationId: fields.get("master_replid") ?? "",
    switching: (fields.get("master_failover_state") ?? "no-failover") !== "no-failover",
    connectedReplicas: count(fields.get("connected_slaves")) ?? 0,
    keys: keysOf(fields),
    minReplicasToWrite: minReplicas === null ? null : count(String(minReplicas)),
  };
}

function fieldsOf(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.slice(0, MAX_CHARS).split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon > 0 && !line.startsWith("#")) {
      fields.set(line.slice(0, colon), line.slice(colon + 1).trimEnd());
    }
  }
  return fields;
}

function followed(fields: ReadonlyMap<string, string>): Address | null {
  const host = fields.get("master_host");
  const port = count(fields.get("master_port"));
  return host === undefined || host === "" || port === null ? null : { host, port };
}

/** -1 is Redis's word for a link that was never up since it started. */
function linkDownMs(fields: ReadonlyMap<string, string>): number | null {
  const seconds = count(fields.get("master_link_down_since_seconds"));
  return seconds === null ? null : seconds * 1000;
}

function keysOf(fields: ReadonlyMap<string, string>): number {
  let keys = 0;
  for (const [name, value] of fields) {
    if (/^db\d+$/.test(name)) keys += count(/(?:^|,)keys=(\d+)/.exec(value)?.[1]) ?? 0;
  }
  return keys;
}

function count(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : null;
}
