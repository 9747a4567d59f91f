/**
 * Cloudflare: the records of a name by its API, in one batch, marked in their comments.
 *
 * Promises: never proxied, for Cloudflare's proxy does not carry Redis; believes a result only when
 * status and `success` agree; a problem says what an operator does about it, with Cloudflare's own
 * codes and words.
 * Must never: say its token, or leave behind what was made under another name than it asked for.
 */
import * as v from "valibot";
import type { DnsConfig } from "../../core/configured.ts";
import { type Answer, brief, type Fetch, request } from "../../relay/request.ts";
import {
  canonical,
  type DnsProvider,
  type Failed,
  failed,
  type Means,
  retryAfterMs,
  type Seen,
  type Target,
  unanswered,
  type Wanted,
  type Wrote,
} from "./provider.ts";

type Config = Extract<DnsConfig, { provider: "cloudflare" }>;
type Problem = Failed & { readonly codes: readonly number[] };
type Called = { readonly ok: true; readonly result: unknown } | Problem;
type Call = (method: "GET" | "POST" | "PATCH", path: string, body?: unknown) => Promise<Called>;

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

const codeSchema = v.object({ code: v.number(), message: v.optional(v.string(), "") });
const errorSchema = v.object({
  ...codeSchema.entries,
  error_chain: v.optional(v.array(codeSchema), []),
});
const envelopeSchema = v.object({
  success: v.boolean(),
  errors: v.optional(v.array(errorSchema), []),
  result: v.optional(v.unknown()),
});

/** The record went away, or another appeared, since the name was looked at. */
const STALE = [81044, 81053, 81054];
/** "Already exists": the records decide whether it is ours. */
const EXISTS = [81057, 81058];
const MALFORMED_TOKEN = [6003, 6111, 9106];
const DENIED = [9109, 10000];
const NO_ZONE = [7000, 7003];
const INVALID = 1004;
const THROTTLED = 971;
/** Cloudflare counts over five minutes, and says how long to wait. */
const WAIT_MS = 60_000;

export function cloudflare(config: Config, { secret, fetch }: Means): DnsProvider {
  const token = secret(config.tokenSecret);
  return {
    name: "Cloudflare",
    look: async (name, deadlineMs) => {
      const call = callerOf(config, token, deadlineMs, fetch);
      const listed = await call("GET", `?name.exact=${encodeURIComponent(name)}&per_page=100`);
      if (!listed.ok) return listed;
      const parsed = v.safeParse(v.array(recordSchema), listed.result);
      if (!parsed.success) {
        return failed("failed", "Cloudflare's list of records is not understood: see dns.api_url");
      }
      const records = parsed.output.filter(
        (each) => canonical(each.name) === name && /^(A|AAAA|CNAME)$/.test(each.type),
      );
      return {
        ok: true,
        records: records.map(seenOf),
        write: (wanted, spare) => {
          const isSpared = (each: CfRecord) => spare.some((other) => same(each, other));
          return write(
            call,
            records.filter((each) => !isSpared(each)),
            wanted,
          );
        },
      };
    },
  };
}

const seenOf = ({ type, content, ttl, proxied, comment }: CfRecord): Seen => ({
  type,
  content: canonical(content),
  ttlS: ttl,
  mark: comment ?? null,
  odd: proxied ? "proxied" : null,
});

/** What is right is kept, what is left over takes the place of what is missing, in one transaction. */
async function write(call: Call, records: readonly CfRecord[], wanted: Wanted): Promise<Wrote> {
  const { name, ttlS: ttl, mark: comment } = wanted;
  const bodyOf = (target: Target) => ({ ...target, name, ttl, proxied: false, comment });
  const missing = wanted.records.filter((target) => !records.some((each) => same(each, target)));
  const turned = records.map((each) => ({
    id: each.id,
    target:
      wanted.records.find((target) => same(each, target)) ??
      takeFirst(missing, ({ type }) => type === each.type),
  }));
  const deletes = turned.flatMap(({ id, target }) => (target === undefined ? [{ id }] : []));
  const patches = turned.flatMap(({ id, target }) =>
    target === undefined ? [] : [{ id, ...bodyOf(target) }],
  );
  const posts = missing.map(bodyOf);
  const wrote = await send(call, { deletes, patches, posts });
  if (wrote.ok) return astray(call, wrote.result, name);
  if (wrote.codes.some((code) => EXISTS.includes(code)) && records.length === 0) {
    const hint = `is ${name} outside the zone? Then look for that name followed by the zone's own`;
    return { ...wrote, result: { ...wrote.result, detail: `${wrote.result.detail}: ${hint}` } };
  }
  return { ...wrote, stale: wrote.codes.some((code) => STALE.includes(code)) };
}

type Batch = {
  readonly deletes: readonly { readonly id: string }[];
  readonly patches: readonly { readonly id: string }[];
  readonly posts: readonly unknown[];
};

/** One change alone needs no batch. */
function send(call: Call, batch: Batch): Promise<Called> {
  const { deletes, patches, posts } = batch;
  const [patch] = patches;
  if (deletes.length + patches.length + posts.length > 1) return call("POST", "/batch", batch);
  if (patch !== undefined) return call("PATCH", `/${patch.id}`, patch);
  return posts.length === 0 ? call("POST", "/batch", batch) : call("POST", "", posts[0]);
}

const same = (record: CfRecord, { type, content }: Pick<Seen, "type" | "content">) =>
  record.type === type && canonical(record.content) === content;

function takeFirst<T>(from: T[], fits: (each: T) => boolean): T | undefined {
  const at = from.findIndex(fits);
  return at < 0 ? undefined : from.splice(at, 1)[0];
}

const postedSchema = v.union([
  v.pipe(
    v.object({ posts: v.array(recordSchema) }),
    v.transform(({ posts }) => posts),
  ),
  v.pipe(
    recordSchema,
    v.transform((record) => [record]),
  ),
]);

/** A name outside the zone is no error there: the zone's name is put after it. Such records are taken away again. */
async function astray(call: Call, result: unknown, name: string): Promise<Wrote> {
  const posted = v.safeParse(postedSchema, result);
  const strays = posted.success
    ? posted.output.filter((each) => canonical(each.name) !== name)
    : [];
  const [stray] = strays;
  if (stray === undefined) return { ok: true };
  const removed = await call("POST", "/batch", { deletes: strays.map(({ id }) => ({ id })) });
  const fate = removed.ok ? "was taken away again" : "is still there, remove it";
  return failed(
    "failed",
    `${name} is outside this zone: set dns.zone_id to the zone of that name, or the name to one of this zone (Cloudflare made ${stray.name} of it, which ${fate})`,
  );
}

function callerOf(config: Config, token: string, deadlineMs: number, fetch?: Fetch): Call {
  const base = `${config.apiUrl}/zones/${config.zoneId}/dns_records`;
  return async (method, path, body) => {
    const answer = await request(
      { method, url: base + path, headers: { authorization: `Bearer ${token}` }, body },
      { timeoutMs: deadlineMs - Date.now(), ...(fetch === undefined ? {} : { fetch }) },
    );
    return calledOf(answer, { config, token, read: method === "GET" });
  };
}

type Asked = { readonly config: Config; readonly token: string; readonly read: boolean };

/** Some errors come bare, without the envelope. */
function calledOf(answer: Answer, { config, token, read }: Asked): Called {
  if (answer.kind === "none") return { ...unanswered("Cloudflare's API", answer, read), codes: [] };
  const { status } = answer;
  const json = answer.kind === "json" ? answer.body : null;
  const parsed = v.safeParse(envelopeSchema, json);
  if (parsed.success && parsed.output.success && status >= 200 && status < 300) {
    return { ok: true, result: parsed.output.result };
  }
  const bare = v.safeParse(errorSchema, json);
  const errors = (
    parsed.success ? parsed.output.errors : bare.success ? [bare.output] : []
  ).flatMap((each) => [each, ...each.error_chain]);
  const codes = errors.map((each) => each.code);
  const said = brief(
    errors.map(({ code, message }) => `${code} ${message}`).join("; ") || "no details",
    token,
  );
  const answered = `Cloudflare's API: HTTP ${status}: ${said}`;
  const known = (list: readonly number[]) => codes.some((code) => list.includes(code));
  const problem = (advice: string, waitMs?: number): Called => ({
    ...failed("failed", `${advice} (${answered})`, waitMs),
    codes,
  });
  const renew = `set it anew: wrangler secret put ${config.tokenSecret}`;
  const permission = "the permission Zone > DNS > Edit for this zone";
  if (status === 429 || known([THROTTLED])) {
    const waitMs = retryAfterMs(answer.headers, WAIT_MS);
    return problem("asked too often: who else uses this user's or account's tokens?", waitMs);
  }
  if (known(MALFORMED_TOKEN)) {
    return problem(`the API token is malformed: ${renew}; it needs ${permission}`);
  }
  if (known(DENIED) || status === 401 || status === 403) {
    const ip = "and see its client IP filter and end date";
    return problem(`give the API token ${permission}, check dns.zone_id, ${ip}; or ${renew}`);
  }
  if (known(NO_ZONE) || (status === 404 && codes.length === 0)) {
    return problem(
      "there is no such zone: set dns.zone_id to the id that the zone's overview shows",
    );
  }
  if (known(STALE)) {
    return problem("the records changed meanwhile: looked at anew with the next try");
  }
  if (known([INVALID])) {
    return problem("Cloudflare refuses the record: check the node's host, the name, dns.ttl_s");
  }
  if (status >= 500) {
    const kind = read ? "failed" : "unknown";
    return { ...failed(kind, `${answered}: see www.cloudflarestatus.com`), codes };
  }
  return { ...failed("failed", answered), codes };
}
