/**
 * AWS Signature Version 4, checked by code of its own: what signs must not be what verifies.
 *
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

export type Credentials = { readonly accessKeyId: string; readonly secretAccessKey: string };

const SKEW_MS = 300_000;
const FORM =
  /^AWS4-HMAC-SHA256 Credential=([\w]+)\/(\d{8})\/([\w-]+)\/([\w-]+)\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/;

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const hmac = (key: string | Buffer, text: string) =>
  createHmac("sha256", key).update(text).digest();

/** Null when the signature is right. */
export function complaintOfSignature(
  { accessKeyId, secretAccessKey }: Credentials,
  request: Request,
  body: string,
): { readonly status: number; readonly code: string; readonly message: string } | null {
  const denied = (code: string, message: string) => ({ status: 403, code, message });
  const header = request.headers.get("authorization");
  if (header === null) return denied("MissingAuthenticationToken", "Missing Authentication Token");
  const form = FORM.exec(header);
  if (form === null) return denied("IncompleteSignature", "Authorization header is malformed");
  const [, key, day, region, service, signedHeaders = "", signature = ""] = form;
  if (key !== accessKeyId)
    return denied("InvalidClientTokenId", "The security token included in the request is invalid.");
  const mismatch = (why: string) =>
    denied(
      "SignatureDoesNotMatch",
      `The request signature we calculated does not match the signature you provided. ${why}`,
    );
  if (region !== "us-east-1" || service !== "route53")
    return mismatch(`Credential should be scoped to a valid region and service, not ${region}`);
  const date = request.headers.get("x-amz-date") ?? "";
  const atMs = Date.parse(
    date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"),
  );
  if (!date.startsWith(day ?? "?") || !(Math.abs(Date.now() - atMs) < SKEW_MS))
    return mismatch(`Signature expired: ${date}`);
  const names = signedHeaders.split(";");
  if (!names.includes("host") || !names.includes("x-amz-date")) return mismatch("host, x-amz-date");
  const url = new URL(request.url);
  const encoded = (text: string) =>
    encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
  const query = [...url.searchParams]
    .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
    .sort()
    .join("&");
  const canonical = [
    request.method,
    url.pathname.split("/").map(encoded).join("/"),
    query,
    ...names.map((name) => `${name}:${(request.headers.get(name) ?? "").trim()}`),
    "",
    signedHeaders,
    sha256(body),
  ].join("\n");
  const scope = `${day}/${region}/${service}/aws4_request`;
  const text = ["AWS4-HMAC-SHA256", date, scope, sha256(canonical)].join("\n");
  const signing = [day ?? "", region, service, "aws4_request"].reduce<string | Buffer>(
    hmac,
    `AWS4${secretAccessKey}`,
  );
  const right = hmac(signing, text);
  return timingSafeEqual(right, Buffer.from(signature, "hex"))
    ? null
    : mismatch("Check your AWS Secret Access Key and signing method.");
}
