/**
 * One health check of one database: probes, one after another, until the policy is decided or the time is over.
 *
 * Promises: never rejects, and ends within `healthCheckTimeoutMs`; what a probe throws is a failed probe.
 * Must never: remember anything.
 */
import { pause } from "../follow-stream.ts";
import type {
  HealthCheck,
  HealthCheckPolicy,
  InitialHealthCheckPolicy,
  Look,
  Settings,
} from "./options.ts";

/** Redis answers, and with the exact word: a proxy that answers anything is not healthy. */
export const pings: HealthCheck = async ({ ask }) => (await ask("PING")) === "PONG";

/** Decided as soon as the rest cannot change it; null: not yet. A tie is no majority. */
export function verdictOf(
  policy: HealthCheckPolicy,
  probes: number,
  passed: number,
  failed: number,
): boolean | null {
  const mayFail = { all: 0, majority: Math.floor((probes - 1) / 2), any: probes - 1 }[policy];
  if (failed > mayFail) return false;
  return passed >= probes - mayFail ? true : null;
}

export function isEnough(policy: InitialHealthCheckPolicy, healthy: number, all: number): boolean {
  if (policy === "all-available") return healthy === all;
  return policy === "one-available" ? healthy > 0 : healthy > all / 2;
}

export type Checking = Pick<
  Settings,
  "healthCheckProbes" | "healthCheckDelayMs" | "healthCheckTimeoutMs" | "healthCheckPolicy"
>;

/** True when every check passed in time. */
export async function isHealthy(
  checks: readonly HealthCheck[],
  look: Omit<Look, "signal">,
  settings: Checking,
): Promise<boolean> {
  const end = new AbortController();
  const { signal } = end;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => {
      end.abort();
      resolve(false);
    }, settings.healthCheckTimeoutMs);
  });
  try {
    return await Promise.race([all(checks, { ...look, signal }, settings), late]);
  } finally {
    clearTimeout(timer);
    end.abort();
  }
}

async function all(checks: readonly HealthCheck[], look: Look, settings: Checking) {
  for (const check of checks) if (!(await passes(check, look, settings))) return false;
  return true;
}

async function passes(check: HealthCheck, look: Look, settings: Checking): Promise<boolean> {
  const { healthCheckProbes: probes, healthCheckPolicy: policy } = settings;
  let passed = 0;
  let failed = 0;
  while (!look.signal.aborted) {
    if (await probe(check, look)) passed += 1;
    else failed += 1;
    const verdict = verdictOf(policy, probes, passed, failed);
    if (verdict !== null) return verdict;
    await pause(settings.healthCheckDelayMs, look.signal);
  }
  return false;
}

async function probe(check: HealthCheck, look: Look): Promise<boolean> {
  try {
    return (await check(look)) === true;
  } catch {
    return false;
  }
}
