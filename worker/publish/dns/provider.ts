/**
 * The port of the DNS providers: look at one name, and bring what was seen to what is wanted.
 *
 * Promises: a provider never rejects, ends by the deadline that it is given, and retries nothing; a
 * write is one transaction, so the name is never without a record nor with two that contradict.
 * Must never: touch records of other names, nor of other types than A, AAAA and CNAME.
 */
import type { Answer, Fetch } from "../../relay/request.ts";
import type { PublishResult } from "../publisher.ts";

/** Addresses and names in their canonical form: lower case, no dot at the end. */
export type Target = { readonly type: "A" | "AAAA" | "CNAME"; readonly content: string };

/** All that a name shall have: addresses, or one CNAME. */
export type Wanted = {
  readonly name: string;
  readonly records: readonly Target[];
  readonly ttlS: number;
  /** Whose records these are, and of which epoch: stands beside them, in a comment where there are comments. */
  readonly mark: string;
};

/** One record that answers for the name, ours or not. */
export type Seen = {
  readonly type: string;
  readonly content: string;
  readonly ttlS: number;
  readonly mark: string | null;
  /** What makes it another record than ours would be, in a word: proxied, disabled, an alias. */
  readonly odd: string | null;
};

export type Failed = { readonly ok: false; readonly result: PublishResult };

export type Looked =
  | {
      readonly ok: true;
      readonly records: readonly Seen[];
      /** Replaces what was seen by what is wanted, but for what is to be spared, where single records have marks. */
      readonly write: (wanted: Wanted, spare: readonly Seen[]) => Promise<Wrote>;
    }
  | Failed;

export type Wrote =
  /** `receipt`: taken, but not everywhere yet. */
  | { readonly ok: true; readonly receipt?: string }
  /** `stale`: the records changed since they were looked at. */
  | (Failed & { readonly stale?: boolean });

export type DnsProvider = {
  /** For people. */
  readonly name: string;
  readonly look: (name: string, deadlineMs: number) => Promise<Looked>;
  /** Whether what it gave this receipt for is everywhere. */
  readonly settled?: (
    receipt: string,
    deadlineMs: number,
  ) => Promise<{ readonly ok: true; readonly everywhere: boolean } | Failed>;
};

export type Means = {
  /** A Worker secret by its name. */
  readonly secret: (name: string) => string;
  readonly fetch?: Fetch;
};

export const failed = (
  kind: PublishResult["kind"],
  detail: string,
  retryAfterMs?: number,
): Failed => ({
  ok: false,
  result: { kind, detail, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
});

/** No answer. A read changed nothing; a write may have. */
export const unanswered = (
  who: string,
  { unsent, detail }: Extract<Answer, { kind: "none" }>,
  read: boolean,
): Failed =>
  failed(
    unsent ? "unreachable" : read ? "failed" : "unknown",
    `${who}: ${detail}: check dns.api_url and the secret, or see the provider's status page`,
  );

/** No provider's window is longer: a mistake there must not hold up a name for a year. */
const MAX_WAIT_MS = 600_000;

/** In seconds or as a date; without it, what the provider's own window suggests. */
export function retryAfterMs(headers: Headers, otherwiseMs: number): number {
  const said = headers.get("retry-after");
  if (said === null) return otherwiseMs;
  const ms = /^\d+$/.test(said) ? Number(said) * 1000 : Date.parse(said) - Date.now();
  return Number.isFinite(ms) && ms >= 0 ? Math.min(ms, MAX_WAIT_MS) : otherwiseMs;
}

const ADDRESS = /^\d+\.\d+\.\d+\.\d+$/;

/** A host as a record. */
export function targetOf(host: string): Target {
  if (ADDRESS.test(host)) return { type: "A", content: host };
  if (host.includes(":")) return { type: "AAAA", content: canonical(host) };
  return { type: "CNAME", content: canonical(host) };
}

/** Providers answer with the canonical form of an IPv6 address, and some with a dot after a name. */
export function canonical(host: string): string {
  const address = `http://[${host}]/`;
  if (host.includes(":") && URL.canParse(address)) return new URL(address).hostname.slice(1, -1);
  return host.toLowerCase().replace(/\.$/, "");
}
