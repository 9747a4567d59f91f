/**
 * The options of `connect`, their defaults, and what is wrong with them.
 *
 * Promises: a bad option is told by its name, its value and what is allowed.
 * Must never: tell a token.
 */
import type { BreakerOptions } from "./breaker.ts";
import { OptionError } from "./failure.ts";
import type { Authority, OnSwitch, RouteStore } from "./reader.ts";
import type { SurfaceOptions } from "./sdk.ts";

type Tell = (message: string, fields?: Readonly<Record<string, unknown>>) => void;
/** Hears what a person would want to know. Never a key, a value or a token. */
export type Logger = { readonly debug?: Tell; readonly info?: Tell; readonly warn?: Tell };

/** Data token of the relays: one for all, by node id, or a function of it. */
export type Token = string | Readonly<Record<string, string>> | ((nodeId: string) => string);

export type ClientOptions = SurfaceOptions & {
  readonly token: Token;
  /** Who is asked when a command fails. Without it only KV is, which may be a minute late. */
  readonly authority?: Authority;
  /** Where reads go: "primary" (default), "replicas" while there are any, or "any" of both. */
  readonly readFrom?: "primary" | "replicas" | "any";
  /** Reads in turn ("round-robin", default), or as the route's readWeight says ("weight"). */
  readonly balance?: "round-robin" | "weight";
  /** When a replica that fails is spared: 3 failures, a tenth of all, within 10000 ms; for 5000 ms. */
  readonly breaker?: BreakerOptions;
  /** Before every key of every command, with a colon: "app" makes `app:key`. */
  readonly namespace?: string;
  /** True: everything is sent again when the outcome is unknown; false: nothing is. Default: what is safe. */
  readonly idempotent?: boolean;
  /** How long a route from KV is believed; 1000. */
  readonly memoMs?: number;
  /** Longest wait for the answer to one request; 3000. What waits inside Redis has its own time on top. */
  readonly timeoutMs?: number;
  /** After it, no further try begins, and no request outlives it; 10000. */
  readonly deadlineMs?: number;
  /** Further tries of one command, pipeline or transaction; 3. */
  readonly maxRetries?: number;
  /** Pause before a further try at the same primary, doubled each time; 200. */
  readonly retryDelayMs?: number;
  /** Called when the primary became another node. What it throws goes to the logger. */
  readonly onSwitch?: OnSwitch;
  readonly logger?: Logger;
  /** On Workers, `waitUntil` of "cloudflare:workers": a question about the route outlives the request that asked first. */
  readonly waitUntil?: (work: Promise<unknown>) => void;
  /** As in the SDK: what comes back is base64 on the wire; "base64". */
  readonly responseEncoding?: false | "base64";
};

export type Settings = ReturnType<typeof settled>;

export function settled(kv: RouteStore, group: string, options: ClientOptions) {
  if (typeof kv?.get !== "function") throw new OptionError("kv", told(kv), "a KV namespace");
  if (typeof group !== "string" || group === "")
    throw new OptionError("group", told(group), "the name of a group");
  if (typeof options !== "object") throw new OptionError("options", typeof options, "an object");
  const { token, authority, namespace } = options;
  tokenOf(token, "token");
  if (authority !== undefined) checkAuthority(authority);
  // The others have a meaning in patterns.
  if (namespace !== undefined && !/^[^*?[\]\\]{1,100}$/.test(String(namespace)))
    throw new OptionError("namespace", told(namespace), "1 to 100 characters, none of * ? [ ] \\");
  checkIdempotent(options.idempotent);
  const { onSwitch, breaker = {} } = options;
  if (onSwitch !== undefined && typeof onSwitch !== "function")
    throw new OptionError("onSwitch", told(onSwitch), "a function");
  return {
    ...options,
    readFrom: oneOf(options, "readFrom", ["primary", "replicas", "any"]),
    balance: oneOf(options, "balance", ["round-robin", "weight"]),
    memoMs: number(options, "memoMs", 1000, 0, 60_000),
    timeoutMs: number(options, "timeoutMs", 3000, 1),
    deadlineMs: number(options, "deadlineMs", 10_000, 1),
    maxRetries: number(options, "maxRetries", 3, 0, 100),
    retryDelayMs: number(options, "retryDelayMs", 200, 0, 60_000),
    breaker: {
      minNumFailures: number(breaker, "minNumFailures", 3, 0, 1_000_000),
      failureRateThreshold: number(breaker, "failureRateThreshold", 0.1, 0, 1),
      failuresDetectionWindowMs: number(breaker, "failuresDetectionWindowMs", 10_000, 1),
      gracePeriodMs: number(breaker, "gracePeriodMs", 5000, 0),
    },
  };
}

/** "false" of an environment is none. */
export function checkIdempotent(value: unknown): void {
  if (value !== undefined && typeof value !== "boolean")
    throw new OptionError("idempotent", told(value), "true or false");
}

function checkAuthority(authority: Authority): void {
  if ("fetch" in authority && typeof authority.fetch === "function") return;
  const { url, token } = authority as { url?: unknown; token?: unknown };
  if (!/^https?:\/\/[^\s/]+/.test(String(url)))
    throw new OptionError("authority.url", told(url), "https://…, or a binding");
  if (typeof token !== "string" || token === "")
    throw new OptionError("authority.token", typeof token, "a read token");
}

/** The token of each node; what is wrong with it is told without it. */
export function tokenOf(token: Token, option: string): (node: string) => string {
  if (typeof token === "string" && token !== "") return () => token;
  if (typeof token !== "function" && (typeof token !== "object" || token === null))
    throw new OptionError(
      option,
      token === "" ? "empty" : typeof token,
      "a string, one by node id, or a function",
    );
  return (node) => {
    const found: unknown = typeof token === "function" ? token(node) : token[node];
    if (typeof found === "string" && found !== "") return found;
    throw new OptionError(
      `${option} for node ${node}`,
      found === "" ? "empty" : typeof found,
      "a string",
    );
  };
}

function oneOf<K extends "readFrom" | "balance", T extends NonNullable<ClientOptions[K]>>(
  options: ClientOptions,
  name: K,
  allowed: readonly [T, ...T[]],
): T {
  const value = options[name] ?? allowed[0];
  const found = allowed.find((each) => each === value);
  if (found === undefined) throw new OptionError(name, told(value), allowed.join(", "));
  return found;
}

function number<K extends string>(
  options: { readonly [name in K]?: number },
  name: K,
  fallback: number,
  min: number,
  max = 600_000,
): number {
  const value: number = options[name] ?? fallback;
  const whole = max > 1;
  if (!(whole ? Number.isInteger(value) : Number.isFinite(value)) || value < min || value > max)
    throw new OptionError(
      name,
      told(value),
      `a ${whole ? "whole " : ""}number from ${min} to ${max}`,
    );
  return value;
}

const told = (value: unknown): string =>
  (typeof value === "string" ? `"${value}"` : String(value)).slice(0, 100);
