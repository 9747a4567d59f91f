/**
 * A health check for Redis Software: the cluster itself says whether a database is available, and not too far
 * behind its peers in other regions.
 *
 * `GET /v1/bdbs`, the database whose endpoint is ours, then `GET /v1/bdbs/<uid>/availability` with
 * `extend_check=lag`: 200 is healthy, all else is not (no_quorum, db_not_found, bdb_endpoint_unavailable).
 * Promises: as redis-py's LagAwareHealthCheck in options and defaults. Must never: put the password into an error.
 */
import { availabilityOf, databaseAt, REST_API_PORT, restBase } from "../../core/lag-aware.ts";
import type { HealthCheck } from "./options.ts";

export type LagAwareOptions = {
  readonly username: string;
  readonly password: string;
  /** 9443. */
  readonly restApiPort?: number;
  /** How far behind its peers a healthy database may be; 5000. */
  readonly lagToleranceMs?: number;
  /** For one request, within the time of the whole check; 30000. */
  readonly httpTimeoutMs?: number;
  /** In place of the global one: on Node one that knows the cluster's certificate. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
};

/** Each database needs its `healthCheckUrl`: the cluster's address, "https://cluster.example.com". */
export function lagAware(options: LagAwareOptions): HealthCheck {
  const { restApiPort = REST_API_PORT, lagToleranceMs = 5000, httpTimeoutMs = 30_000 } = options;
  const send = options.fetch ?? fetch;
  const bytes = new TextEncoder().encode(`${options.username}:${options.password}`);
  const authorization = `Basic ${btoa(String.fromCharCode(...bytes))}`;

  return async ({ database, signal }) => {
    if (database.healthCheckUrl === undefined) return false;
    const base = restBase(database.healthCheckUrl, restApiPort);
    const get = async (path: string) => {
      const end = new AbortController();
      const stop = () => end.abort();
      const timer = setTimeout(stop, httpTimeoutMs);
      signal.addEventListener("abort", stop);
      try {
        const headers = { authorization, accept: "application/json" };
        const init = { headers, redirect: "manual" as const, signal: end.signal };
        const response = await send(new URL(path, base).href, init);
        return { ok: response.status === 200, text: await response.text() };
      } finally {
        clearTimeout(timer);
        signal.removeEventListener("abort", stop);
      }
    };
    const list = await get("/v1/bdbs");
    if (!list.ok) return false;
    const host = database.host ?? new URL(database.url).hostname;
    const uid = databaseAt(JSON.parse(list.text), host);
    return uid !== null && (await get(availabilityOf(uid, lagToleranceMs))).ok;
  };
}
