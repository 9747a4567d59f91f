/**
 * The relay's configuration: one JSON file, snake_case, taken whole or refused whole.
 *
 * Promises: every complaint names its path, what was given and what is allowed. Settings: docs/relay.md.
 * Must never: show a token, a password or a piece of the file's text in a complaint.
 */
import * as v from "valibot";
import type { Endpoint } from "../redis/connection.ts";
import { fileSchema } from "./config-schema.ts";
import type { LeaseSettings } from "./lease/settings.ts";
import type { DataToken, Limits } from "./rest/policy.ts";
import { ofThisProcess, type Sources } from "./secrets.ts";

export type RelayNodeConfig = Endpoint & { readonly id: string };

/** Dedicated connections for each node: blocking commands, transactions that must be alone, subscriptions. */
export type PoolLimits = { readonly connections: number; readonly waiting: number };

export type RelaySettings = {
  readonly id: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly stateFile: string;
  /** One or two, both valid; the first is the one that this relay itself presents. */
  readonly controlTokens: readonly string[];
  readonly dataTokens: readonly DataToken[];
  /** Opens /metrics and nothing else; null: only a control token does. */
  readonly metricsToken: string | null;
  readonly limits: Limits;
  readonly pool: PoolLimits;
  /** At the end: for so long /readyz says no while everything is still answered. */
  readonly drainMs: number;
  readonly commandTtlMs: number;
  readonly nodeTimeoutMs: number;
  readonly nodes: readonly RelayNodeConfig[];
  /** Where the Worker is, for each group that this relay speaks up for. No slash at the end. */
  readonly groups: readonly { readonly name: string; readonly url: string }[];
  /** Nodes whose lease this relay keeps. */
  readonly lease: readonly LeaseSettings[];
};

export type ParsedSettings =
  | { readonly kind: "settings"; readonly settings: RelaySettings }
  | { readonly kind: "wrong"; readonly complaints: readonly string[] };

type File = v.InferOutput<ReturnType<typeof fileSchema>>;

/** For the documentation's test: the schema as it is. */
export const settingsSchema = fileSchema(ofThisProcess);

export function parseSettings(json: string, sources: Sources = ofThisProcess): ParsedSettings {
  let given: unknown;
  try {
    given = JSON.parse(json);
  } catch (error) {
    // Only the position: the rest of the message quotes the file.
    const at = /\(line \d+ column \d+\)/.exec(error instanceof Error ? error.message : "");
    return { kind: "wrong", complaints: [`the file is not JSON${at === null ? "" : ` ${at[0]}`}`] };
  }
  const schema = sources === ofThisProcess ? settingsSchema : fileSchema(sources);
  const parsed = v.safeParse(schema, given, { abortPipeEarly: true });
  if (!parsed.success) return { kind: "wrong", complaints: parsed.issues.map(complaint) };
  return { kind: "settings", settings: settingsOf(parsed.output) };
}

function settingsOf(all: File): RelaySettings {
  const { limits: most } = all;
  return {
    id: all.id,
    listen: all.listen,
    stateFile: all.state_file,
    controlTokens: all.control_tokens,
    dataTokens: all.data_tokens.map((each) => ({
      token: each.token,
      readOnly: each.read_only,
      keyPrefix: each.key_prefix,
      expiresAtMs: each.expires,
    })),
    metricsToken: all.metrics_token,
    limits: {
      maxBodyBytes: most.max_body_bytes,
      maxPipeline: most.max_pipeline,
      maxReplyBytes: most.max_reply_bytes,
      maxRequests: most.max_requests,
      maxBlockMs: most.max_block_ms,
      holdMs: most.hold_ms,
    },
    pool: all.pool,
    drainMs: all.drain_ms,
    commandTtlMs: all.command_ttl_ms,
    nodeTimeoutMs: all.node_timeout_ms,
    nodes: all.nodes.map(nodeOf),
    groups: all.groups,
    lease: all.lease,
  };
}

function nodeOf(node: File["nodes"][number]): RelayNodeConfig {
  const { id, username, password, tls } = node;
  if (node.socket !== undefined) return { id, username, password, socket: node.socket };
  return {
    ...{ id, username, password, host: node.host ?? "", port: node.port ?? 0 },
    tls: tls && {
      ...{ ca: tls.ca_file, cert: tls.cert_file, key: tls.key_file },
      serverName: tls.server_name,
    },
  };
}

function complaint(issue: v.InferIssue<typeof settingsSchema>): string {
  const path = v.getDotPath(issue) ?? "the file";
  if (issue.type === "strict_object" && issue.expected === "never") {
    return `${path}: unknown setting, allowed: only those of docs/relay.md`;
  }
  const given = issue.path === undefined ? issue.input : issue.path.at(-1)?.value;
  if (issue.kind === "schema" && issue.expected === "Object") {
    return `${path}: given ${kindOf(given)}, allowed: an object`;
  }
  if (issue.type === "strict_object") return `${path}: given nothing, allowed: a value`;
  if (isSecret(path)) {
    // A secret that was found elsewhere is the input of the rule that it broke.
    const found = issue.type === "regex" ? issue.input : given;
    return `${path}: given ${hidden(found)}, allowed: ${issue.message}`;
  }
  return `${path}: given ${shown(given)}, allowed: ${issue.message}`;
}

const isSecret = (path: string): boolean =>
  /^(control|data)_tokens(\.\d+)?$|(^|\.)(token|metrics_token|password|key_file)$/.test(path);

function hidden(value: unknown): string {
  return typeof value === "string" ? `a secret of ${value.length} characters` : kindOf(value);
}

function shown(value: unknown): string {
  if (typeof value === "object" && value !== null) return kindOf(value);
  const text = JSON.stringify(value) ?? "nothing";
  // An address may carry credentials in the wrong place.
  return text
    .replace(/\/\/[^/]*@/, "//…@")
    .replace(/[?#].*(?=")/, "?…")
    .slice(0, 80);
}

function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (typeof value === "object") return Array.isArray(value) ? "a list" : "an object";
  return `a ${typeof value}`;
}
