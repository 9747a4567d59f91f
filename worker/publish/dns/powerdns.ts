/**
 * PowerDNS: the record sets of a name by the HTTP API of its authoritative server, marked in comments.
 *
 * Promises: one PATCH for all of a name's types, which the server performs whole or not at all; asks for
 * this name alone, not for the zone; a problem says what an operator does about it.
 * Must never: say its key.
 *
 * https://doc.powerdns.com/authoritative/http-api/zone.html
 */
import * as v from "valibot";
import type { DnsConfig } from "../../core/configured.ts";
import { type Answer, brief, request } from "../../relay/request.ts";
import {
  canonical,
  type DnsProvider,
  type Failed,
  failed,
  type Means,
  retryAfterMs,
  type Seen,
  unanswered,
  type Wanted,
  type Wrote,
} from "./provider.ts";

type Config = Extract<DnsConfig, { provider: "powerdns" }>;

const rrsetSchema = v.object({
  name: v.string(),
  type: v.string(),
  ttl: v.number(),
  records: v.array(v.object({ content: v.string(), disabled: v.optional(v.boolean(), false) })),
  comments: v.optional(v.array(v.looseObject({ content: v.string() })), []),
});
type RrSet = v.InferOutput<typeof rrsetSchema>;
const zoneSchema = v.object({ rrsets: v.array(rrsetSchema) });
const errorSchema = v.object({ error: v.string(), errors: v.optional(v.array(v.string()), []) });

/** All that answers a question for an address. ALIAS and LUA are PowerDNS's own. */
const ANSWERS = /^(A|AAAA|CNAME|ALIAS|LUA)$/;
/** PowerDNS limits nobody; who stands before it might. */
const WAIT_MS = 5000;

type Call = (
  method: "GET" | "PATCH",
  query: string,
  body?: unknown,
) => Promise<{ readonly ok: true; readonly body: unknown } | Failed>;

export function powerdns(config: Config, { secret, fetch }: Means): DnsProvider {
  const key = secret(config.tokenSecret);
  const zone = canonical(config.zone);
  const server = encodeURIComponent(config.serverId);
  const url = `${config.apiUrl}/api/v1/servers/${server}/zones/${encodeURIComponent(zone)}.`;
  const callBy =
    (deadlineMs: number): Call =>
    async (method, query, body) => {
      const answer = await request(
        { method, url: url + query, headers: { "x-api-key": key }, body },
        { timeoutMs: deadlineMs - Date.now(), ...(fetch === undefined ? {} : { fetch }) },
      );
      return calledOf(answer, { config, key, read: method === "GET" });
    };
  return {
    name: "PowerDNS",
    look: async (name, deadlineMs) => {
      const call = callBy(deadlineMs);
      const got = await call("GET", `?rrset_name=${encodeURIComponent(name)}.`);
      if (!got.ok) return got;
      const parsed = v.safeParse(zoneSchema, got.body);
      if (!parsed.success) {
        return failed("failed", "PowerDNS's zone is not understood: see dns.api_url");
      }
      // A server that does not know `rrset_name` answers with the whole zone.
      const here = parsed.output.rrsets.filter((each) => canonical(each.name) === name);
      const answering = here.filter((each) => ANSWERS.test(each.type));
      return {
        ok: true,
        records: answering.flatMap(seenOf),
        write: (wanted) => write(call, answering, wanted),
      };
    },
  };
}

/** A comment of people, to be kept. */
const isNote = ({ content }: { readonly content: string }) => !content.startsWith("picket:");

const seenOf = ({ type, ttl, records, comments }: RrSet): readonly Seen[] =>
  records.map(({ content, disabled }) => ({
    type,
    content: type === "LUA" ? content : canonical(content),
    ttlS: ttl,
    mark: comments.find((each) => !isNote(each))?.content ?? null,
    odd: disabled ? "disabled" : null,
  }));

/** Types that are no longer wanted go first: the server refuses a CNAME beside anything else. */
async function write(call: Call, here: readonly RrSet[], wanted: Wanted): Promise<Wrote> {
  const name = `${wanted.name}.`;
  const types = [...new Set(wanted.records.map((each) => each.type))];
  const gone = here.filter(({ type }) => !types.some((each) => each === type));
  const rrsets = [
    ...gone.map(({ type }) => ({ name, type, changetype: "DELETE" })),
    ...types.map((type) => ({
      name,
      type,
      ttl: wanted.ttlS,
      changetype: "REPLACE",
      records: wanted.records
        .filter((each) => each.type === type)
        .map(({ content }) => ({
          content: type === "CNAME" ? `${content}.` : content,
          disabled: false,
        })),
      comments: [
        ...(here.find((each) => each.type === type)?.comments.filter(isNote) ?? []),
        { content: wanted.mark, account: "picket" },
      ],
    })),
  ];
  const patched = await call("PATCH", "", { rrsets });
  return patched.ok ? { ok: true } : patched;
}

type Asked = { readonly config: Config; readonly key: string; readonly read: boolean };

function calledOf(
  answer: Answer,
  { config, key, read }: Asked,
): Failed | { readonly ok: true; readonly body: unknown } {
  if (answer.kind === "none") return unanswered("PowerDNS's API", answer, read);
  const { status } = answer;
  const json = answer.kind === "json" ? answer.body : null;
  if (status === 204 || (status === 200 && json !== null)) return { ok: true, body: json };
  const parsed = v.safeParse(errorSchema, json);
  const words = parsed.success
    ? [parsed.output.error, ...parsed.output.errors].join("; ")
    : answer.kind === "no-json"
      ? answer.detail
      : "no details";
  const said = brief(words, key);
  const answered = `PowerDNS's API: HTTP ${status}: ${said}`;
  const problem = (advice: string, waitMs?: number) =>
    failed("failed", `${advice} (${answered})`, waitMs);
  if (status === 429 || status === 503) {
    return problem(
      "asked to wait by PowerDNS or a proxy before it",
      retryAfterMs(answer.headers, WAIT_MS),
    );
  }
  if (status === 401 || status === 403) {
    return problem(
      `the key is not the server's api-key, or webserver-allow-from does not let the Worker in: set it anew: wrangler secret put ${config.tokenSecret}`,
    );
  }
  if (status === 404) {
    return problem(
      `there is no zone ${config.zone} on the server ${config.serverId}, or its API is off (api=yes): set dns.zone, dns.server_id, dns.api_url`,
    );
  }
  if (status === 422 && /[Cc]onflicts with/.test(said)) {
    return problem(
      "other records of this name stand in the way: a CNAME stands alone; remove them",
    );
  }
  if (status === 422 && /out of zone/.test(said)) {
    return problem("the name is outside the zone: set dns.zone, or the name to one of this zone");
  }
  if (status >= 300 && status < 400) {
    return problem("a redirect is not followed: set dns.api_url to where the API really is");
  }
  if (status >= 500)
    return failed(read ? "failed" : "unknown", `${answered}: see the server's log`);
  return failed("failed", answered);
}
