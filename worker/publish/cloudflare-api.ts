/**
 * The Cloudflare API for the records of one zone: one call, one answer or one problem.
 *
 * Promises: never rejects; believes a result only when status and `success` agree; a problem says
 * what the operator can do about it, in Cloudflare's own codes and words.
 * Must never: retry, or say its token.
 */
import * as v from "valibot";
import { type Answer, brief, type Fetch, request } from "../relay/request.ts";
import type { PublishResult } from "./publisher.ts";

export type CloudflareApi = {
  readonly zoneId: string;
  /** Needs Zone > DNS > Edit on this zone. */
  readonly token: string;
  readonly apiUrl: string;
  readonly fetch?: Fetch;
};

type Problem = { readonly codes: readonly number[]; readonly result: PublishResult };
type Called = { readonly ok: true; readonly result: unknown } | ({ readonly ok: false } & Problem);
export type Call = (
  method: "GET" | "POST" | "PATCH",
  path: string,
  body?: unknown,
) => Promise<Called>;

const TOKEN: readonly number[] = [9109, 10000, 6003];
const THROTTLED = 971;

const errorSchema = v.object({ code: v.number(), message: v.optional(v.string(), "") });
const envelopeSchema = v.object({
  success: v.boolean(),
  errors: v.optional(v.array(errorSchema), []),
  result: v.optional(v.unknown()),
});

export function callerOf(options: CloudflareApi, deadlineMs: number): Call {
  const base = `${options.apiUrl.replace(/\/+$/, "")}/zones/${options.zoneId}/dns_records`;
  return async (method, path, body) => {
    const answer = await request(
      {
        method,
        url: base + path,
        headers: { authorization: `Bearer ${options.token}` },
        body,
      },
      {
        timeoutMs: deadlineMs - Date.now(),
        ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
      },
    );
    const called = calledOf(answer, method === "GET");
    if (called.ok) return called;
    const detail = brief(called.result.detail, options.token);
    return { ...called, result: { ...called.result, detail } };
  };
}

/** Some errors come bare, without the envelope. A read that got no answer changed nothing; a write may have. */
function calledOf(answer: Answer, read: boolean): Called {
  if (answer.kind === "none") {
    const kind = answer.unsent ? "unreachable" : read ? "failed" : "unknown";
    return problem({ kind, detail: `Cloudflare API: ${answer.detail}` });
  }
  const { status } = answer;
  const json = answer.kind === "json" ? answer.body : null;
  const parsed = v.safeParse(envelopeSchema, json);
  const bare = v.safeParse(errorSchema, json);
  const errors = parsed.success ? parsed.output.errors : bare.success ? [bare.output] : [];
  const codes = errors.map((each) => each.code);
  const said = errors.map((each) => `${each.code} ${each.message}`).join("; ") || "no details";
  const detail = `Cloudflare API: HTTP ${status}: ${said}`;
  if (status === 429 || codes.includes(THROTTLED)) {
    return problem({ kind: "failed", detail, retryAfterMs: retryAfterMs(answer.headers) }, codes);
  }
  if (status === 401 || status === 403 || codes.some((code) => TOKEN.includes(code))) {
    const fix = "give the API token the permission Zone > DNS > Edit for this zone";
    return problem({ kind: "failed", detail: `${fix} (HTTP ${status}: ${said})` }, codes);
  }
  if (parsed.success && parsed.output.success && status >= 200 && status < 300) {
    return { ok: true, result: parsed.output.result };
  }
  return problem({ kind: status >= 500 && !read ? "unknown" : "failed", detail }, codes);
}

const problem = (result: PublishResult, codes: readonly number[] = []): Called => ({
  ok: false,
  codes,
  result,
});

/** In seconds; Cloudflare's window is five minutes when it says nothing. */
function retryAfterMs(headers: Headers): number {
  const seconds = Number(headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? Math.ceil(seconds * 1000) : 60_000;
}
