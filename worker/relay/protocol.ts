/**
 * The protocol between Group and relay: paths, bodies, headers and error codes, for both ends.
 *
 * Promises: every body from outside is parsed by a schema here before anyone believes it.
 * Must never: import Node, Workers or Redis; both ends load it.
 */
import * as v from "valibot";

export const verbs = [
  "promote",
  "demote",
  "seal",
  "unseal",
  "switchover",
  "abort-switchover",
  "script-kill",
] as const;
export type Verb = (typeof verbs)[number];

/** With every answer to a control token: the relay's clock and the epoch it holds for `picket-group`. */
export const headers = {
  /** Request: which group the caller asks for. */
  group: "picket-group",
  /** Request with a control token: milliseconds, shortens the relay's own deadline towards Redis. */
  deadline: "picket-deadline-ms",
  /** Response: boot id of this relay process. */
  boot: "picket-relay-boot",
  /** Response: milliseconds on the relay's monotonic clock, integer. */
  ms: "picket-relay-ms",
  /** Response: the epoch held for the group, or "none". */
  epoch: "picket-relay-epoch",
} as const;

const name = v.pipe(v.string(), v.minLength(1), v.maxLength(253));
const epoch = v.pipe(v.number(), v.integer(), v.minValue(0));
const minReplicas = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(999_999));
const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));

const address = v.strictObject({ host: name, port });
const timeoutMs = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(600_000));
/** The config file stays sealed, so that the node boots sealed. */
const bootSealed = v.boolean();

const stamp = v.strictObject({
  boot: name,
  ms: v.pipe(v.number(), v.minValue(0)),
});

/** A node's first lease, counted from the verb's stamp; and the relays that have to promise (null: in vain). */
const lease = v.optional(
  v.strictObject({
    ms: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(600_000)),
    promisers: v.nullable(v.pipe(v.array(name), v.maxLength(64))),
  }),
);

const head = {
  group: name,
  epoch,
  /** Whom the epoch names; null while it names nobody yet. The first name given stays. */
  primary: v.nullable(name),
  action: name,
  stamp,
};

/** Bodies of POST /nodes/:id/<verb>. */
export const verbBodies = {
  promote: v.strictObject({ ...head, minReplicas, bootSealed, lease }),
  demote: v.strictObject({ ...head, follow: address, minReplicas, bootSealed }),
  /** `hard`: nobody expects it alive: one that does not confirm is ended by whoever keeps its lease, at once. */
  seal: v.strictObject({ ...head, hard: v.optional(v.boolean()) }),
  unseal: v.strictObject({ ...head, minReplicas, bootSealed, lease }),
  switchover: v.strictObject({ ...head, to: address, timeoutMs }),
  "abort-switchover": v.strictObject(head),
  "script-kill": v.strictObject(head),
} as const;
export type VerbBody<V extends Verb> = v.InferOutput<(typeof verbBodies)[V]>;

/** Body of POST /groups/:group/epoch: what the Group tells a relay that holds another epoch, or none. */
export const tellEpochBody = v.strictObject({ epoch, primary: v.nullable(name), stamp });
export type TellEpochBody = v.InferOutput<typeof tellEpochBody>;

/**
 * Answer to a verb. 200 done · 409 refused (nothing was executed) · 502 failed or unreachable
 * (Redis said no, or was surely never asked) · 504 unknown (it may or may not have happened).
 */
export const verbAnswer = v.object({
  outcome: v.picklist(["done", "refused", "failed", "unreachable", "unknown"]),
  /** A few words; for refused it starts with one of `refusals`. */
  detail: v.pipe(v.string(), v.maxLength(500)),
});
export type VerbAnswer = v.InferOutput<typeof verbAnswer>;

export const refusals = {
  epoch: "EPOCH",
  primary: "PRIMARY",
  stamp: "STAMP",
  untold: "UNTOLD",
  action: "ACTION",
  /** A verb that opens a node with a lease, and nobody here would end it. */
  lease: "LEASE",
  /** This relay has promised another one to open nobody for a while. */
  promised: "PROMISED",
} as const;

/**
 * First word of `error` when the relay itself could not get an answer from Redis.
 * Anything else is Redis's own error, unchanged.
 */
export const nodeErrors = {
  refused: "NODE_REFUSED",
  timeout: "NODE_TIMEOUT",
  closed: "NODE_CLOSED",
  auth: "NODE_AUTH",
  tls: "NODE_TLS",
  dns: "NODE_DNS",
  unknown: "NODE_UNKNOWN",
} as const;

/** min-replicas-to-write of a sealed node; min-replicas-max-lag must be above 0 for it to work. */
export const SEALED = 1_000_000;
export const SEALED_MAX_LAG_S = 10;

/**
 * What a config file holds so that its node boots sealed: it takes no write, and it begins no
 * synchronisation, so that replicas keep their data when it starts empty.
 */
export const BOOT_SEALED = [
  ["min-replicas-to-write", SEALED],
  ["min-replicas-max-lag", SEALED_MAX_LAG_S],
  ["repl-diskless-sync", "yes"],
  ["repl-diskless-sync-delay", 1_000_000],
] as const;

/** First word of a switchover's detail when the server knows no FAILOVER (before Redis 6.2). */
export const UNSUPPORTED = "UNSUPPORTED";
