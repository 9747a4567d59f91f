/**
 * A stand-in of the Cloudflare DNS API for demo and tests, with a real DNS server behind it.
 *
 * Promises: as strict as the original about tokens, ids, fields, conflicts and rates, in its own
 * envelope, codes and words; the zone answers UDP queries on `dnsPort`; only 127.0.0.1.
 * Must never: accept what the original refuses.
 */
import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";
import { cloudflareApi, type Store } from "./cloudflare-api.ts";
import { serveDns } from "./cloudflare-dns.ts";
import type { Records } from "./cloudflare-records.ts";

export type CloudflareOptions = {
  readonly zone: string;
  readonly token: string;
  readonly now?: () => number;
};

export type Fault = {
  readonly status: number;
  /** An object is sent as JSON, a string as HTML. */
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** True: the request is performed, and only its answer is lost. */
  readonly performed?: boolean;
};

export type CloudflareStandIn = {
  readonly apiUrl: string;
  readonly zoneId: string;
  readonly dnsPort: number;
  readonly records: () => Records;
  /** How many requests came in, by method, faults included. */
  readonly requests: () => Readonly<Record<string, number>>;
  /** When each of them came in, oldest first. */
  readonly arrivedAtMs: () => readonly number[];
  readonly faults: {
    readonly failNext: (count: number, fault: Fault) => void;
    /** Every answer waits; 0 ends it. */
    readonly delay: (ms: number) => void;
    /** No answer at all from now on; false ends it for new requests. */
    readonly hang: (on?: boolean) => void;
  };
  readonly close: () => Promise<void>;
};

export async function startCloudflare(options: CloudflareOptions): Promise<CloudflareStandIn> {
  const store: Store = { records: [] };
  const zoneId = randomBytes(16).toString("hex");
  const { zone, token, now = Date.now } = options;
  const requests: Record<string, number> = {};
  const arrivedAtMs: number[] = [];
  const closing = new AbortController();

  const app = new Hono();
  app.use(async (c, next) => {
    requests[c.req.method] = (requests[c.req.method] ?? 0) + 1;
    arrivedAtMs.push(now());
    await next();
  });
  const faults = withFaults(app, closing.signal);
  app.route("/", cloudflareApi({ zone, zoneId, token, now }, store));

  const server = createAdaptorServer({ fetch: app.fetch });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const dns = await serveDns(zone, () => store.records);
  return {
    apiUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/client/v4`,
    zoneId,
    dnsPort: dns.port,
    records: () => store.records,
    requests: () => ({ ...requests }),
    arrivedAtMs: () => [...arrivedAtMs],
    faults,
    close: async () => {
      closing.abort();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        if ("closeAllConnections" in server) server.closeAllConnections();
      });
      await dns.close();
    },
  };
}

function withFaults(app: Hono, closing: AbortSignal): CloudflareStandIn["faults"] {
  let coming: Fault[] = [];
  let delayMs = 0;
  let hanging = false;
  const wait = (ms: number) => pause(ms, undefined, { signal: closing }).catch(() => {});
  app.use(async (c, next) => {
    if (hanging) await wait(3_600_000);
    if (delayMs > 0) await wait(delayMs);
    const fault = coming.shift();
    if (fault?.performed !== false) await next();
    if (fault === undefined) return;
    // Once a response is there, Hono takes another one only in its place.
    c.res = undefined;
    c.res = failed(fault);
  });
  return {
    failNext: (count, fault) => {
      const { performed = false } = fault;
      coming = [...coming, ...Array.from({ length: count }, () => ({ ...fault, performed }))];
    },
    delay: (ms) => {
      delayMs = ms;
    },
    hang: (on = true) => {
      hanging = on;
    },
  };
}

const failed = ({ status, body, headers = {} }: Fault) =>
  typeof body === "string"
    ? new Response(body, { status, headers: { "content-type": "text/html", ...headers } })
    : new Response(JSON.stringify(body), {
        status,
        headers: { "content-type": "application/json", ...headers },
      });
