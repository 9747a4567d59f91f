/**
 * A health check for Redis Software: the cluster itself says whether a database is available, and not too far
 * behind its peers in other regions.
 *
 * `GET /v1/bdbs`, the database whose endpoint is ours, then `GET /v1/bdbs/<uid>/availability` with
 * `extend_check=lag`: 200 is healthy, all else is not (no_quorum, db_not_found, bdb_endpoint_unavailable).
 * Promises: as redis-py's LagAwareHealthCheck in options and defaults. Must never: put the password into an error.
 */
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

type Bdb = {
  readonly uid?: unknown;
  readonly endpoints?: readonly { readonly dns_name?: unknown; readonly addr?: unknown }[];
};

/** Each database needs its `healthCheckUrl`: the cluster's address, "https://cluster.example.com". */
export function lagAware(options: LagAwareOptions): HealthCheck {
  const { restApiPort = 9443, lagToleranceMs = 5000, httpTimeoutMs = 30_000 } = options;
  const send = options.fetch ?? fetch;
  const bytes = new TextEncoder().encode(`${options.username}:${options.password}`);
  const authorization = `Basic ${btoa(String.fromCharCode(...bytes))}`;

  return async ({ database, signal }) => {
    if (database.healthCheckUrl === undefined) return false;
    const base = new URL(database.healthCheckUrl);
    if (base.port === "") base.port = String(restApiPort);
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
    const found = (JSON.parse(list.text) as readonly Bdb[]).find(({ endpoints = [] }) =>
      endpoints.some(({ dns_name, addr }) => dns_name === host || isOneOf(host, addr)),
    );
    if (found === undefined) return false;
    const query = `extend_check=lag&availability_lag_tolerance_ms=${lagToleranceMs}`;
    const uid = encodeURIComponent(String(found.uid));
    return (await get(`/v1/bdbs/${uid}/availability?${query}`)).ok;
  };
}

/** An endpoint has one address or several. */
const isOneOf = (host: string, addr: unknown) => [addr].flat().includes(host);
