/**
 * What Route 53's errors mean, and what an operator does about each.
 *
 * Promises: AWS's own code and words stand in every detail, the keys in none.
 * Must never: decide about records.
 */
import * as v from "valibot";
import type { DnsConfig } from "../../core/configured.ts";
import { type Answer, brief } from "../../relay/request.ts";
import { type Failed, failed, retryAfterMs, unanswered } from "./provider.ts";

/** `stale`: the record sets are no longer those that were listed. */
export type Problem = Failed & { readonly code?: string; readonly stale?: boolean };

type Asked = {
  readonly config: Extract<DnsConfig, { provider: "route53" }>;
  readonly keys: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly iamAction: string;
  readonly read: boolean;
};

/** Five requests a second for the whole account, and one change at a time for a zone. */
const THROTTLED_MS = 1000;
const BUSY_MS = 2000;

const errorSchema = v.object({
  Error: v.object({ Code: v.string(), Message: v.array(v.string()) }),
});
/** The form that InvalidChangeBatch has had before. */
const batchSchema = v.object({ Messages: v.object({ Message: v.array(v.string()) }) });

export function calledOf(
  answer: Answer,
  asked: Asked,
): { readonly ok: true; readonly body: unknown } | Problem {
  if (answer.kind === "none") return unanswered("Route 53's API", answer, asked.read);
  const { status } = answer;
  const body = answer.kind === "json" ? answer.body : undefined;
  if (status === 200 && body !== undefined) return { ok: true, body };
  const { code, message } = errorOf(body);
  const { accessKeyId, secretAccessKey } = asked.keys;
  const said = brief(
    brief(`${code} ${message}`.trim() || "no details", secretAccessKey),
    accessKeyId,
  );
  const answered = `Route 53's API: HTTP ${status}: ${said}`;
  const meaning = meaningOf(code, message, asked);
  if (code === "Throttling" || code === "ThrottlingException" || status === 429) {
    const advice = "asked too often: AWS allows 5 requests a second to the whole account";
    const waitMs = retryAfterMs(answer.headers, THROTTLED_MS);
    return { ...failed("failed", `${advice} (${answered})`, waitMs), code };
  }
  if (code === "PriorRequestNotComplete") {
    const advice = "Route 53 is still busy with the change before this one";
    const waitMs = retryAfterMs(answer.headers, BUSY_MS);
    return { ...failed("failed", `${advice} (${answered})`, waitMs), code };
  }
  if (meaning !== null) {
    const stale = code === "InvalidChangeBatch" && STALE.test(message);
    return { ...failed("failed", `${meaning} (${answered})`), code, stale };
  }
  if (status >= 500) {
    const kind = asked.read ? "failed" : "unknown";
    return { ...failed(kind, `${answered}: see health.aws.amazon.com`), code };
  }
  return { ...failed("failed", answered), code };
}

export const renewOf = (secret: string) => `set it anew: wrangler secret put ${secret}`;

const STALE = /do not match the current values|was not found|already exists/;

function meaningOf(code: string, message: string, { config, iamAction }: Asked): string | null {
  const { accessKeyIdSecret, secretAccessKeySecret, zoneId } = config;
  switch (code) {
    case "InvalidClientTokenId":
    case "UnrecognizedClientException":
    case "MissingAuthenticationToken":
      return `AWS does not know the access key: ${renewOf(accessKeyIdSecret)}`;
    case "SignatureDoesNotMatch":
      return `the secret access key is not that of the access key: ${renewOf(secretAccessKeySecret)}`;
    case "AccessDenied":
    case "AccessDeniedException":
      return `let the IAM user do ${iamAction} for this zone: docs/dns.md has the policy`;
    case "NoSuchHostedZone":
      return `there is no hosted zone ${zoneId}: set dns.zone_id to the id that the Route 53 console shows`;
    case "InvalidChangeBatch":
      return batchMeaning(message);
    default:
      return null;
  }
}

function batchMeaning(message: string): string {
  if (/is not permitted in zone/.test(message))
    return "the name is outside the zone: set dns.zone_id to the zone of that name, or the name to one of that zone";
  if (STALE.test(message)) return "the records changed meanwhile; looked at anew with the next try";
  if (/conflicts with other records|CNAME/.test(message))
    return "other records of this name stand in the way: a CNAME stands alone; remove them";
  return "Route 53 refuses the records";
}

function errorOf(body: unknown): { readonly code: string; readonly message: string } {
  const error = v.safeParse(errorSchema, body);
  if (error.success) {
    const { Code, Message } = error.output.Error;
    return { code: Code, message: Message.join("; ") };
  }
  const batch = v.safeParse(batchSchema, body);
  if (batch.success) {
    return { code: "InvalidChangeBatch", message: batch.output.Messages.Message.join("; ") };
  }
  return { code: "", message: "" };
}
