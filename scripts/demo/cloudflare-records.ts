/**
 * The records of one zone and the rules that Cloudflare holds them to.
 *
 * Promises: pure: a change gives new records, or an error in Cloudflare's own codes and words, and
 * then nothing changed. Kept to the types that Picket writes, and TXT and MX beside them.
 * Must never: be more lenient than the original.
 */
import { isIPv4, isIPv6 } from "node:net";

export type CfRecord = {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly content: string;
  readonly ttl: number;
  readonly proxied: boolean;
  readonly proxiable: boolean;
  readonly comment: string | null;
  readonly tags: readonly string[];
  readonly created_on: string;
  readonly modified_on: string;
};

export type CfProblem = {
  readonly status: number;
  readonly code: number;
  readonly message: string;
  readonly error_chain?: readonly { readonly code: number; readonly message: string }[];
  readonly source?: { readonly pointer: string };
};

export type Records = readonly CfRecord[];
export type Changed =
  | { readonly ok: true; readonly records: Records; readonly record: CfRecord }
  | { readonly ok: false; readonly problem: CfProblem };

/** What a change needs beside the records. */
export type Zone = { readonly name: string; readonly nowIso: string; readonly newId: () => string };

type Fields = Readonly<Record<string, unknown>>;

const types = ["A", "AAAA", "CNAME", "TXT", "MX"];
const addresses = ["A", "AAAA", "CNAME"];

export function create(zone: Zone, records: Records, body: unknown): Changed {
  return put(zone, records, null, fieldsOf(body));
}

/** Only the given fields change. */
export function patch(zone: Zone, records: Records, id: string, body: unknown): Changed {
  const old = records.find((each) => each.id === id);
  return old === undefined ? missing() : put(zone, records, old, { ...old, ...fieldsOf(body) });
}

/** Fields that are not given go back to their defaults. */
export function overwrite(zone: Zone, records: Records, id: string, body: unknown): Changed {
  const old = records.find((each) => each.id === id);
  return old === undefined ? missing() : put(zone, records, old, fieldsOf(body));
}

export function remove(records: Records, id: string): Changed {
  const record = records.find((each) => each.id === id);
  if (record === undefined) return missing();
  return { ok: true, records: records.filter((each) => each !== record), record };
}

export type Batched =
  | {
      readonly ok: true;
      readonly records: Records;
      readonly result: Readonly<Record<"deletes" | "patches" | "puts" | "posts", Records>>;
    }
  | { readonly ok: false; readonly problem: CfProblem };

/** Deletes, patches, puts, posts, in this order, all or nothing. */
export function batch(zone: Zone, records: Records, body: unknown): Batched {
  const fields = fieldsOf(body);
  const result: Record<"deletes" | "patches" | "puts" | "posts", CfRecord[]> = {
    deletes: [],
    patches: [],
    puts: [],
    posts: [],
  };
  let current = records;
  for (const kind of ["deletes", "patches", "puts", "posts"] as const) {
    const items = fields[kind];
    for (const [index, item] of (Array.isArray(items) ? items : []).entries()) {
      const id = String(fieldsOf(item).id);
      const changed =
        kind === "deletes"
          ? remove(current, id)
          : kind === "patches"
            ? patch(zone, current, id, item)
            : kind === "puts"
              ? overwrite(zone, current, id, item)
              : create(zone, current, item);
      if (!changed.ok) {
        const source = { pointer: `/${kind}/${index}` };
        return { ok: false, problem: { ...changed.problem, source } };
      }
      current = changed.records;
      result[kind].push(changed.record);
    }
  }
  return { ok: true, records: current, result };
}

function put(zone: Zone, records: Records, old: CfRecord | null, fields: Fields): Changed {
  const type = String(fields.type ?? "").toUpperCase();
  const name = fullName(zone.name, fields.name);
  const { content, ttl = 1, proxied = false, comment = null, tags = [] } = fields;
  const complaint = complain(type, name, fields);
  if (complaint !== null) return invalid(...complaint);
  const record: CfRecord = {
    id: old?.id ?? zone.newId(),
    name: name ?? zone.name,
    type,
    content: normal(type, String(content)),
    ttl: proxied === true ? 1 : Number(ttl),
    proxied: proxied === true,
    proxiable: addresses.includes(type) && !isPrivate(String(content)),
    comment: comment === null || comment === "" ? null : String(comment),
    tags: Array.isArray(tags) ? tags.map(String) : [],
    created_on: old?.created_on ?? zone.nowIso,
    modified_on: zone.nowIso,
  };
  const others = records.filter((each) => each !== old);
  const clash = conflict(others, record);
  if (clash !== null) return { ok: false, problem: clash };
  return { ok: true, records: [...others, record], record };
}

function complain(type: string, name: string | null, fields: Fields): [number, string] | null {
  const { content, ttl = 1, proxied = false, comment = null } = fields;
  if (!types.includes(type)) return [9000, "DNS record type is invalid."];
  if (name === null) return [9000, "DNS name is invalid."];
  if (typeof content !== "string" || content === "") return [9002, `Invalid content for ${type}.`];
  if (type === "A" && !isIPv4(content)) {
    return [9005, "Content for A record is invalid. Must be a valid IPv4 address"];
  }
  if (type === "AAAA" && !isIPv6(content)) {
    return [9006, "Content for AAAA record is invalid. Must be a valid IPv6 address"];
  }
  if (type === "CNAME" && (!isName(content) || isIPv4(content))) {
    return [9007, "Content for CNAME record is invalid."];
  }
  if (type === "CNAME" && content.toLowerCase() === name) {
    return [9039, "CNAME content cannot reference itself."];
  }
  if (
    typeof ttl !== "number" ||
    !Number.isInteger(ttl) ||
    (ttl !== 1 && (ttl < 60 || ttl > 86_400))
  ) {
    return [9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic."];
  }
  if (typeof proxied !== "boolean") return [9003, "Invalid 'proxied' value, must be a boolean."];
  if (proxied && (!addresses.includes(type) || isPrivate(content))) {
    return [9041, "This DNS record cannot be proxied."];
  }
  if (comment !== null && (typeof comment !== "string" || [...comment].length > 100)) {
    return [9313, "Comment exceeds the limit of 100 characters."];
  }
  return null;
}

/** A CNAME stands beside no A, AAAA or CNAME, but TXT and MX it may; several A or AAAA are fine unless identical. */
function conflict(others: Records, record: CfRecord): CfProblem | null {
  const beside = others.filter((each) => each.name === record.name);
  if (beside.some((each) => each.type === record.type && each.content === record.content)) {
    return { status: 400, code: 81058, message: "An identical record already exists." };
  }
  if (record.type === "CNAME" && beside.some((each) => addresses.includes(each.type))) {
    const message = "An A, AAAA, or CNAME record with that host already exists.";
    return { status: 400, code: 81053, message };
  }
  if (addresses.includes(record.type) && beside.some((each) => each.type === "CNAME")) {
    return { status: 400, code: 81054, message: "A CNAME record with that host already exists." };
  }
  return null;
}

const missing = (): Changed => ({
  ok: false,
  problem: { status: 404, code: 81044, message: "Record does not exist." },
});

const invalid = (code: number, message: string): Changed => ({
  ok: false,
  problem: {
    status: 400,
    code: 1004,
    message: "DNS Validation Error",
    error_chain: [{ code, message }],
  },
});

const fieldsOf = (body: unknown): Fields =>
  typeof body === "object" && body !== null ? { ...body } : {};

/** A name outside the zone is taken as relative to it, as the original does. */
function fullName(zone: string, name: unknown): string | null {
  if (typeof name !== "string" || name === "") return null;
  const lower = name.toLowerCase().replace(/\.$/, "");
  if (lower === "@" || lower === zone) return zone;
  const full = lower.endsWith(`.${zone}`) ? lower : `${lower}.${zone}`;
  return isName(full) ? full : null;
}

const isName = (name: string) =>
  name.length <= 253 &&
  /^([a-z0-9_*]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_-]{1,63}\.?$/i.test(name);

const isPrivate = (host: string) =>
  /^(10\.|127\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|f[cd]|fe80|::1$)/i.test(host);

function normal(type: string, content: string): string {
  if (type === "AAAA") return new URL(`http://[${content}]/`).hostname.slice(1, -1);
  return type === "CNAME" ? content.toLowerCase().replace(/\.$/, "") : content;
}
