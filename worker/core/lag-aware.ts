/**
 * Redis Software's availability request: which database of a cluster is meant, and what is asked about it.
 *
 * Promises: pure; whatever a server gives as a list is looked through, and what is strange in it is passed over.
 */

/** Where a cluster's REST interface listens unless its address says otherwise. */
export const REST_API_PORT = 9443;

/** The address with its port. */
export function restBase(url: string, port = REST_API_PORT): URL {
  const base = new URL(url);
  // `https://…:443` names a port, though URL does not show it.
  if (base.port === "" && !/^\w+:\/\/[^/?#]*:\d+(?:[/?#]|$)/.test(url)) base.port = String(port);
  return base;
}

/** The number of the database that has this endpoint, by its name or an address; null: there is none. */
export function databaseAt(list: unknown, host: string): string | null {
  const found = listed(list).find((each) => listed(fieldOf(each, "endpoints")).some(isOurs));
  const uid = fieldOf(found, "uid");
  return typeof uid === "number" || typeof uid === "string" ? String(uid) : null;

  function isOurs(endpoint: unknown): boolean {
    // An endpoint has one address or several.
    return [fieldOf(endpoint, "dns_name"), fieldOf(endpoint, "addr")].flat().includes(host);
  }
}

/** The path that asks whether it is available, and not further behind its peers than that. */
export const availabilityOf = (uid: string, lagToleranceMs: number): string =>
  `/v1/bdbs/${encodeURIComponent(uid)}/availability?extend_check=lag&availability_lag_tolerance_ms=${lagToleranceMs}`;

const listed = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return Reflect.get(value, name);
}
