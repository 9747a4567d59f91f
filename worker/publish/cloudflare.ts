/**
 * The DNS name of a group, kept as one record by the Cloudflare API. Never proxied: Cloudflare's
 * proxy does not carry Redis.
 *
 * Promises: `done` means that the record was read back right; writes only what differs; never lowers
 * the epoch in the record's comment, and never takes a name that another group holds.
 * Must never: touch records of other names or types.
 *
 * No record id is kept between runs: finding the record by its name costs the same one request as
 * reading it by id, and it also shows duplicates.
 */
import * as v from "valibot";
import type { Route } from "../core/route.ts";
import { type Call, type CloudflareApi, callerOf } from "./cloudflare-api.ts";
import type { Publisher, PublishResult } from "./publisher.ts";

export type CloudflareDnsOptions = CloudflareApi & {
  /** 60 to 86400. */
  readonly ttlS: number;
};

/** https://developers.cloudflare.com/api/resources/dns/subresources/records/ */
const recordSchema = v.object({
  id: v.string(),
  name: v.string(),
  type: v.string(),
  content: v.optional(v.string(), ""),
  ttl: v.number(),
  proxied: v.optional(v.boolean(), false),
  comment: v.nullish(v.string()),
});
type CfRecord = v.InferOutput<typeof recordSchema>;

type Wanted = {
  readonly type: "A" | "AAAA" | "CNAME";
  readonly name: string;
  readonly content: string;
  readonly ttl: number;
  readonly proxied: false;
  readonly comment: string;
};

type Write = { readonly method: "POST" | "PATCH"; readonly path: string; readonly body: unknown };

type Plan =
  | { readonly kind: "right" }
  | { readonly kind: "write"; readonly write: Write }
  | { readonly kind: "stop"; readonly result: PublishResult };

/** The record went away, or another appeared, since it was listed. */
const MOVED_ON: readonly number[] = [81044, 81053, 81054];

export function cloudflareDns(options: CloudflareDnsOptions): Publisher {
  return {
    name: "dns",
    publish: async (route, { timeoutMs }) => {
      const wanted = wantedRecord(route, options.ttlS);
      if (wanted === null) return { kind: "done", detail: "nothing to point at, or no hostname" };
      return reconcile(callerOf(options, Date.now() + timeoutMs), wanted, route);
    },
  };
}

/** List, write what differs, list again. Once more from the start when the zone changed meanwhile. */
async function reconcile(
  call: Call,
  wanted: Wanted,
  route: Route,
  again = true,
): Promise<PublishResult> {
  const before = await look(call, wanted, route);
  if (before.kind === "right") return done(wanted);
  if (before.kind === "stop") return before.result;
  const { method, path, body } = before.write;
  const wrote = await call(method, path, body);
  if (!wrote.ok && again && wrote.codes.some((code) => MOVED_ON.includes(code))) {
    return reconcile(call, wanted, route, false);
  }
  // An error that asks us to wait is obeyed; whatever else the write said, the record decides.
  if (!wrote.ok && wrote.result.retryAfterMs !== undefined) return wrote.result;
  const after = await look(call, wanted, route);
  if (after.kind === "right") return done(wanted);
  if (!wrote.ok) return wrote.result;
  if (after.kind === "stop") return { ...after.result, kind: "unknown" };
  return { kind: "unknown", detail: "written, but the record does not read back right" };
}

const done = (wanted: Wanted): PublishResult => ({
  kind: "done",
  detail: `${wanted.name} ${wanted.type} ${wanted.content}, ttl ${wanted.ttl}`,
});

async function look(call: Call, wanted: Wanted, route: Route): Promise<Plan> {
  const path = `?name=${encodeURIComponent(wanted.name)}&per_page=100`;
  const listed = await call("GET", path);
  if (!listed.ok) return { kind: "stop", result: listed.result };
  const parsed = v.safeParse(v.array(recordSchema), listed.result);
  if (!parsed.success) return stop("failed", "Cloudflare's list of records is not understood");
  const records = parsed.output.filter(
    (each) => sameHost(each.name, wanted.name) && /^(A|AAAA|CNAME)$/.test(each.type),
  );
  return plan(records, wanted, route);
}

const stop = (kind: "refused" | "failed", detail: string): Plan => ({
  kind: "stop",
  result: { kind, detail },
});

function plan(records: readonly CfRecord[], wanted: Wanted, route: Route): Plan {
  const prefix = commentPrefix(route.group);
  const ours = records.filter((each) => each.comment?.startsWith(prefix));
  const other = records.find((each) => each.comment?.startsWith("picket:") && !ours.includes(each));
  if (other !== undefined) {
    return stop("refused", `${wanted.name} belongs to another group: "${other.comment}"`);
  }
  for (const each of ours) {
    const epoch = Number(each.comment?.slice(prefix.length));
    if (epoch > route.epoch) {
      return stop("refused", `the record names epoch ${epoch}, this route has ${route.epoch}`);
    }
  }
  // Several of ours are leftovers of two writes at once. Somebody else's are not ours to remove, and
  // left alone they would split the writes between two servers.
  if (records.length > 1 && ours.length < records.length) {
    return stop(
      "failed",
      `${wanted.name} has ${records.length} A, AAAA or CNAME records, ${ours.length} of them Picket's: remove the others`,
    );
  }
  const [first] = records;
  if (first === undefined) return write("POST", "", wanted);
  if (records.length === 1 && isRight(first, wanted)) return { kind: "right" };
  if (records.length === 1 && first.type === wanted.type) {
    return write("PATCH", `/${first.id}`, wanted);
  }
  // One transaction, so that the name is never without a record.
  return write("POST", "/batch", { deletes: records.map(({ id }) => ({ id })), posts: [wanted] });
}

const write = (method: Write["method"], path: string, body: unknown): Plan => ({
  kind: "write",
  write: { method, path, body },
});

const isRight = (record: CfRecord, wanted: Wanted) =>
  record.type === wanted.type &&
  sameHost(record.content, wanted.content) &&
  record.ttl === wanted.ttl &&
  record.proxied === wanted.proxied &&
  record.comment === wanted.comment;

/** Null when there is no name to keep, or no primary yet. */
function wantedRecord(route: Route, ttlS: number): Wanted | null {
  if (route.hostname === null || route.primary === null) return null;
  const { host } = route.primary;
  const type = /^\d+\.\d+\.\d+\.\d+$/.test(host) ? "A" : host.includes(":") ? "AAAA" : "CNAME";
  return {
    type,
    name: route.hostname,
    content: host,
    ttl: ttlS,
    proxied: false,
    comment: `${commentPrefix(route.group)}${route.epoch}`,
  };
}

/** A comment holds 100 characters on the Free plan; 16 are the longest epoch. */
const commentPrefix = (group: string) => `picket:${group.slice(0, 70)} epoch=`;

const sameHost = (a: string, b: string) => canonical(a) === canonical(b);

function canonical(host: string): string {
  const address = `http://[${host}]/`;
  // The API answers with the canonical form of an IPv6 address.
  if (host.includes(":") && URL.canParse(address)) return new URL(address).hostname;
  return host.toLowerCase().replace(/\.$/, "");
}
