/**
 * Route 53: the record sets of a name by its API, in one change batch, marked by a TXT record beside them.
 *
 * Promises: Route 53 has no comments, so the TXT record `_picket.<name>` says whose records these are and
 * of which epoch; each batch replaces exactly the TXT record that was seen, so of two writers who saw the
 * same only one is heard. Tells of a change by a receipt until it is on all of Route 53's servers.
 * Must never: say its keys, or let the SDK retry.
 *
 * https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
 */
import { AwsV4Signer } from "aws4fetch";
import * as v from "valibot";
import type { DnsConfig } from "../../core/configured.ts";
import { type Fetch, request } from "../../relay/request.ts";
import {
  canonical,
  type DnsProvider,
  type Failed,
  failed,
  type Means,
  type Seen,
  type Wanted,
  type Wrote,
} from "./provider.ts";
import { calledOf, type Problem, renewOf } from "./route53-errors.ts";
import { changeXml, parseXml, type RecordSet, recordSetsOf } from "./route53-xml.ts";

type Config = Extract<DnsConfig, { provider: "route53" }>;
type Called = { readonly ok: true; readonly body: unknown } | Problem;
type Asked = { readonly path: string; readonly iamAction: string; readonly text?: string };
type Call = (asked: Asked) => Promise<Called>;

const API = "/2013-04-01";
/** The record sets of a name come first, then its children's: the TXT record is among the first few. */
const MOST = 100;

const changeSchema = v.object({
  ChangeInfo: v.object({
    Id: v.pipe(v.string(), v.regex(/^(?:\/change\/)?[A-Za-z0-9]{1,40}$/)),
    Status: v.picklist(["PENDING", "INSYNC"]),
  }),
});

export function route53(config: Config, { secret, fetch }: Means): DnsProvider {
  const keys = {
    accessKeyId: secret(config.accessKeyIdSecret),
    secretAccessKey: secret(config.secretAccessKeySecret),
  };
  const callBy = (deadlineMs: number) => callerOf(config, keys, deadlineMs, fetch);
  return {
    name: "Route 53",
    look: async (name, deadlineMs) => {
      const call = callBy(deadlineMs);
      const listed = await list(call, config, name);
      if (!listed.ok) return listed;
      const { sets, mark } = listed;
      return {
        ok: true,
        records: sets.flatMap((each) => seenOf(each, mark)),
        write: (wanted) => write(call, config, { sets, mark }, wanted),
      };
    },
    settled: async (receipt, deadlineMs) => {
      const path = `${API}/change/${encodeURIComponent(receipt)}`;
      const asked = await callBy(deadlineMs)({ path, iamAction: "route53:GetChange" });
      // Forgotten there, so it is an old one.
      if (!asked.ok) return asked.code === "NoSuchChange" ? { ok: true, everywhere: true } : asked;
      const parsed = v.safeParse(changeSchema, asked.body);
      if (!parsed.success) return notUnderstood;
      return { ok: true, everywhere: parsed.output.ChangeInfo.Status === "INSYNC" };
    },
  };
}

const notUnderstood = failed("failed", "Route 53's answer is not understood: see dns.api_url");

type Standing = { readonly sets: readonly RecordSet[]; readonly mark: RecordSet | null };

/** The record sets that answer for the name, and the TXT record that marks them. */
async function list(
  call: Call,
  { zoneId }: Config,
  name: string,
): Promise<({ readonly ok: true } & Standing) | Failed> {
  const listFrom = async (query: string) => {
    const path = `${API}/hostedzone/${zoneId}/rrset?${query}`;
    const called = await call({ path, iamAction: "route53:ListResourceRecordSets" });
    return called.ok ? (recordSetsOf(called.body) ?? notUnderstood) : called;
  };
  const first = await listFrom(`name=${name}.&maxitems=${MOST}`);
  if (!first.ok) return first;
  const sets = first.sets.filter(
    (each) => each.name === name && /^(A|AAAA|CNAME)$/.test(each.type),
  );
  const isMark = (each: RecordSet) => each.name === markName(name) && each.type === "TXT";
  const mark = first.sets.find(isMark);
  if (mark !== undefined || !first.truncated) return { ok: true, sets, mark: mark ?? null };
  const second = await listFrom(`name=${markName(name)}.&type=TXT&maxitems=1`);
  return second.ok ? { ok: true, sets, mark: second.sets.find(isMark) ?? null } : second;
}

const markName = (name: string) => `_picket.${name}`;
const markOf = (set: RecordSet | null) =>
  set?.values.map((each) => each.replace(/^"|"$/g, "")).find((each) => /^picket:/.test(each)) ??
  null;

/** An alias or one of several by a routing policy was never made by Picket, whatever stands beside it. */
function seenOf(set: RecordSet, mark: RecordSet | null): readonly Seen[] {
  const { type, ttlS, values, odd } = set;
  return values.map((value) => ({
    type,
    content: canonical(value),
    ttlS,
    mark: odd === null ? markOf(mark) : null,
    odd,
  }));
}

/** Route 53 takes the batch whole or not at all, and a DELETE only of what is there to the letter. */
async function write(
  call: Call,
  { zoneId }: Config,
  { sets, mark }: Standing,
  wanted: Wanted,
): Promise<Wrote> {
  const { name, records, ttlS } = wanted;
  const types = [...new Set(records.map((each) => each.type))];
  const gone = sets.filter(({ type }) => !types.some((each) => each === type));
  const text = changeXml(wanted.mark, [
    ...gone.map((set) => ({ action: "DELETE", set }) as const),
    ...(mark === null ? [] : [{ action: "DELETE", set: mark } as const]),
    {
      action: "CREATE",
      set: { name: markName(name), type: "TXT", ttlS, values: [`"${wanted.mark}"`], odd: null },
    },
    ...types.map((type) => {
      const values = records.filter((each) => each.type === type).map(({ content }) => content);
      return { action: "UPSERT", set: { name, type, ttlS, values, odd: null } } as const;
    }),
  ]);
  const iamAction = "route53:ChangeResourceRecordSets";
  const path = `${API}/hostedzone/${zoneId}/rrset/`;
  const called = await call({ path, iamAction, text });
  if (!called.ok) return called;
  const parsed = v.safeParse(changeSchema, called.body);
  // Taken, without a way to ask how far it is: the records decide.
  if (!parsed.success) return notUnderstood;
  const { Id, Status } = parsed.output.ChangeInfo;
  return Status === "INSYNC" ? { ok: true } : { ok: true, receipt: Id.replace("/change/", "") };
}

type Keys = { readonly accessKeyId: string; readonly secretAccessKey: string };

function callerOf(config: Config, keys: Keys, deadlineMs: number, fetch?: Fetch): Call {
  // aws4fetch knows the other partitions by their hosts.
  const china = config.apiUrl.endsWith(".amazonaws.com.cn") ? { region: "cn-northwest-1" } : {};
  return async ({ path, iamAction, text }) => {
    const method = text === undefined ? "GET" : "POST";
    const url = config.apiUrl + path;
    const signer = new AwsV4Signer({
      ...keys,
      ...china,
      method,
      url,
      service: "route53",
      body: text ?? null,
    });
    // It would quote the key that HTTP does not allow in a header.
    const signed = await signer.sign().catch(() => null);
    if (signed === null) {
      return failed("failed", `the access key is malformed: ${renewOf(config.accessKeyIdSecret)}`);
    }
    const headers = { ...Object.fromEntries(signed.headers), "content-type": "text/xml" };
    const answer = await request(
      { method, url: signed.url.href, headers, ...(text === undefined ? {} : { text }) },
      {
        timeoutMs: deadlineMs - Date.now(),
        parse: parseXml,
        ...(fetch === undefined ? {} : { fetch }),
      },
    );
    return calledOf(answer, { config, keys, iamAction, read: method === "GET" });
  };
}
