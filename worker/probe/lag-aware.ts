/**
 * Redis Software's own word on a database: available, and not too far behind its peers in other regions.
 *
 * Promises: as every transport (probe.ts); the database's number is asked for once per isolate, and again after any
 * answer but 200 and 503; `up` is a 200 about a database that was found by its endpoint.
 */
import { availabilityOf, databaseAt, restBase } from "../core/lag-aware.ts";
import type { Found } from "../core/looking.ts";
import { faultOf, firstBytes, type Get, overHttp } from "./http.ts";
import { failed, type ProbeOf, type Transport } from "./probe.ts";
import { createRecent } from "./recent.ts";

type Target = ProbeOf<"lag-aware">;

/** A cluster has some hundred databases at most. */
const MOST_LIST_BYTES = 1 << 20;
const MOST_BYTES = 64 << 10;

/** Numbers of databases by cluster and endpoint. */
const numbers = createRecent<string>();

export const lagAware: Transport<Target> = (target, limits) =>
  overHttp(target, limits, async (get) => {
    const base = restBase(target.url);
    const key = `${base.origin} ${target.host}`;
    const known = numbers.get(key) ?? (await numberOf(get, base, target.host));
    if (typeof known !== "string") return known;
    numbers.note(key, known);
    const got = await get(
      new URL(availabilityOf(known, target.lagToleranceMs), base),
      "application/json",
      (response) => firstBytes(response, MOST_BYTES),
    );
    if (got.kind !== "answer" || (got.status !== 200 && got.status !== 503)) numbers.forget(key);
    if (got.kind === "none") return got.found;
    const { status, value } = got;
    if (status !== 200) return refusalOf(status, value.text);
    // Whoever stands in front of a cluster that is gone has a page for that, and may serve it with a 200.
    if (/^\s*</.test(value.text)) return failed("malformed", "HTTP 200, and a page");
    return { class: "up", detail: "available", facts: null, relay: null };
  });

async function numberOf(get: Get, base: URL, host: string): Promise<string | Found> {
  const url = new URL("/v1/bdbs?fields=uid,endpoints", base);
  const got = await get(url, "application/json", (response) =>
    firstBytes(response, MOST_LIST_BYTES),
  );
  if (got.kind === "none") return got.found;
  const { status, value } = got;
  if (status !== 200) return refusalOf(status, value.text);
  if (!value.whole) return failed("malformed", "the list of databases is too large");
  const list = parsed(value.text);
  if (!Array.isArray(list)) return failed("malformed", "HTTP 200, but no list of databases");
  return (
    databaseAt(list, host) ?? failed("policy", `db not found: no database has the endpoint ${host}`)
  );
}

/** With its error's own name: no_quorum, db_not_found, bdb_unavailable, bdb_endpoint_unavailable. */
function refusalOf(status: number, text: string): Found {
  const { error_code: code, description } = Object(parsed(text)) as Record<string, unknown>;
  const words = [code, description].filter((each) => typeof each === "string").join(": ");
  const detail = `HTTP ${status} ${words}`;
  if (status === 404) return failed(code === "db_not_found" ? "policy" : "malformed", detail);
  return faultOf(status) ?? failed(status >= 500 ? "unavailable" : "malformed", detail);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
