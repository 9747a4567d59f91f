/**
 * What geographic failover is told: names, meanings and defaults of redis-py's MultiDbConfig, units last.
 *
 * Promises: a wrong option is refused with its name, its value and what is allowed, never with a token.
 */

import type { Reason } from "../../core/steering.ts";
import { OptionError } from "../failure.ts";
import type { Logger } from "../options.ts";
import type { SurfaceOptions } from "../sdk.ts";

export type Database = {
  readonly id: string;
  /** Its Upstash REST address: an Upstash database, or a relay's node. */
  readonly url: string;
  readonly token: string;
  /** The heaviest healthy one is used; 1. */
  readonly weight?: number;
  /** Where its cluster's own REST interface is, for health checks that ask it: `lagAware`. */
  readonly healthCheckUrl?: string;
  /** The host by which its cluster knows it; by default that of `url`. */
  readonly host?: string;
};

/** What a health check may use. It is looked at as long as `signal` is not aborted. */
export type Look = {
  readonly database: Database;
  readonly signal: AbortSignal;
  /** Sends one command to this database; rejects as the SDK does. */
  readonly ask: (...command: readonly string[]) => Promise<unknown>;
};

/** True: healthy. What it throws is a failed probe. */
export type HealthCheck = (look: Look) => Promise<boolean>;

export type HealthCheckPolicy = "all" | "majority" | "any";
export type InitialHealthCheckPolicy = "all-available" | "majority-available" | "one-available";

export type GeoOptions = SurfaceOptions & {
  /** How often it is counted that nobody is healthy before the error is NoValidDatabaseError; 10. */
  readonly failoverAttempts?: number;
  /** At least so long between two counted attempts; 12000. */
  readonly failoverDelayMs?: number;
  /** At least so long between a switch and going back to a heavier one; 0: never back; 120000. */
  readonly autoFallbackIntervalMs?: number;
  /** Nobody goes back to one at which a look failed since; 60000. */
  readonly gracePeriodMs?: number;
  /** The breaker: failed commands within the window, and their share of all; both are needed; 1000 and 0.1. */
  readonly minNumFailures?: number;
  readonly failureRateThreshold?: number;
  readonly failuresDetectionWindowMs?: number;
  /** Which errors count as a failed command; by default those that are no answer of Redis. */
  readonly isFailure?: (error: unknown) => boolean;
  /** Every check has to pass; one that sends PING. */
  readonly healthChecks?: readonly HealthCheck[];
  /** 5000. */
  readonly healthCheckIntervalMs?: number;
  /** Probes of one check, the pause between them, and how many have to pass; 3, 500, "all". */
  readonly healthCheckProbes?: number;
  readonly healthCheckDelayMs?: number;
  readonly healthCheckPolicy?: HealthCheckPolicy;
  /** For a whole check; 3000. */
  readonly healthCheckTimeoutMs?: number;
  /** Which databases must be healthy at the first command; "all-available". */
  readonly initialHealthCheckPolicy?: InitialHealthCheckPolicy;
  /** True: an interval looks at the databases; false: commands do so by the way. By default false on Workers. */
  readonly backgroundHealthChecks?: boolean;
  /** Keeps a look alive that outlives its request; on Workers that of "cloudflare:workers". */
  readonly waitUntil?: (work: Promise<unknown>) => void;
  /** Longest wait for the answer to one request; 3000. */
  readonly timeoutMs?: number;
  /** After it no further try of one command begins, and no request outlives it; 10000. */
  readonly deadlineMs?: number;
  /** Further tries of one command; 10. */
  readonly maxRetries?: number;
  /** Pause before a further try at the same database: at first, doubled each time, and at most; 10 and 1000. */
  readonly retryDelayMs?: number;
  readonly maxRetryDelayMs?: number;
  /** True: everything is sent again when the outcome is unknown; false: nothing is. Default: what is safe. */
  readonly idempotent?: boolean;
  /** Called when the active database became another one. What it throws goes to the logger. */
  readonly onSwitch?: (from: string, to: string, reason: Reason) => void;
  /** Never told a key, a value or a token. */
  readonly logger?: Logger;
};

export const defaults = {
  failoverAttempts: 10,
  failoverDelayMs: 12_000,
  autoFallbackIntervalMs: 120_000,
  gracePeriodMs: 60_000,
  minNumFailures: 1000,
  failureRateThreshold: 0.1,
  failuresDetectionWindowMs: 2000,
  healthCheckIntervalMs: 5000,
  healthCheckProbes: 3,
  healthCheckDelayMs: 500,
  healthCheckPolicy: "all",
  healthCheckTimeoutMs: 3000,
  initialHealthCheckPolicy: "all-available",
  timeoutMs: 3000,
  deadlineMs: 10_000,
  maxRetries: 10,
  retryDelayMs: 10,
  maxRetryDelayMs: 1000,
} as const;

type Chosen = "healthCheckPolicy" | "initialHealthCheckPolicy";
export type Settings = {
  readonly [K in Exclude<keyof typeof defaults, Chosen>]: number;
} & {
  readonly healthCheckPolicy: HealthCheckPolicy;
  readonly initialHealthCheckPolicy: InitialHealthCheckPolicy;
};

/** A timer takes no more. */
const mostMs = 2_147_483_647;
const choices: Readonly<Record<Chosen, readonly string[]>> = {
  healthCheckPolicy: ["all", "majority", "any"],
  initialHealthCheckPolicy: ["all-available", "majority-available", "one-available"],
};
/** Zero makes no sense, or would never wait. */
const positive: readonly string[] = [
  ...["healthCheckIntervalMs", "healthCheckProbes", "healthCheckTimeoutMs"],
  ...["failuresDetectionWindowMs", "timeoutMs", "deadlineMs"],
];

const flags: readonly string[] = ["idempotent", "backgroundHealthChecks"];
const callbacks: readonly string[] = ["isFailure", "waitUntil", "onSwitch"];

/** @throws OptionError */
export function settingsOf(options: GeoOptions): Settings {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) {
    const usual = (defaults as Record<string, unknown>)[name];
    if (name in choices) {
      const allowed = choices[name as Chosen];
      if (!allowed.includes(value as string)) wrong(name, value, allowed.join(", "));
    } else if (typeof usual === "number") checkNumber(name, value);
    else if (flags.includes(name) && typeof value !== "boolean")
      wrong(name, value, "true or false");
    else if (callbacks.includes(name) && typeof value !== "function")
      wrong(name, typeof value, "a function");
  }
  const { healthChecks } = options;
  if (healthChecks?.length === 0) wrong("healthChecks", [], "one or more");
  return { ...defaults, ...Object.fromEntries(given) } as Settings;
}

function checkNumber(name: string, value: unknown): void {
  const least = positive.includes(name) ? 1 : name === "autoFallbackIntervalMs" ? -mostMs : 0;
  const most = name === "failureRateThreshold" ? 1 : mostMs;
  if (typeof value !== "number" || !(value >= least && value <= most))
    wrong(name, value, `a number from ${least} to ${most}`);
}

/** @throws OptionError */
export function checkDatabases(databases: readonly Database[]): void {
  if (!Array.isArray(databases) || databases.length === 0)
    wrong("databases", databases, "a list of one or more");
  for (const [index, each] of databases.entries()) {
    const at = `databases[${index}]`;
    if (typeof each.id !== "string" || each.id === "")
      wrong(`${at}.id`, each.id, "a string that is not empty");
    if (databases.findIndex(({ id }) => id === each.id) !== index)
      wrong(`${at}.id`, each.id, "an id of its own");
    for (const name of ["url", "healthCheckUrl"] as const)
      if ((name === "url" || each[name] !== undefined) && !isAddress(each[name]))
        wrong(`${at}.${name}`, each[name], "an http or https address");
    if (typeof each.token !== "string" || each.token === "")
      throw new OptionError(`${at}.token`, "not a string or empty", "a token");
    checkWeight(`${at}.weight`, each.weight ?? 1);
  }
}

/** @throws OptionError */
export function checkWeight(name: string, weight: unknown): void {
  if (typeof weight !== "number" || !(weight >= 0 && weight <= mostMs))
    wrong(name, weight, `a number from 0 to ${mostMs}`);
}

const isAddress = (url: unknown) => typeof url === "string" && /^https?:\/\/[^\s/]/.test(url);

function wrong(name: string, value: unknown, allowed: string): never {
  throw new OptionError(name, JSON.stringify(value) ?? String(value), allowed);
}
