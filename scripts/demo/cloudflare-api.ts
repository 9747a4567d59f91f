/**
 * The routes of the Cloudflare API over the records of one zone.
 *
 * Promises: token, zone id, rate limit, then the rules of the records, each refusal in the original's
 * envelope.
 * Must never: answer a request that the original would refuse.
 */
import { randomBytes } from "node:crypto";
import { type Context, Hono } from "hono";
import {
  batch,
  type CfProblem,
  type Changed,
  create,
  overwrite,
  patch,
  type Records,
  remove,
  type Zone,
} from "./cloudflare-records.ts";

export type ApiOptions = {
  readonly zone: string;
  readonly zoneId: string;
  readonly token: string;
  readonly now: () => number;
};

export type Store = { records: Records };

const RATE_LIMIT = 1200;
const RATE_WINDOW_MS = 300_000;

export function cloudflareApi(options: ApiOptions, store: Store): Hono {
  const zone = (): Zone => ({
    name: options.zone,
    nowIso: new Date(options.now()).toISOString(),
    newId: () => randomBytes(16).toString("hex"),
  });
  const change = (c: Context, changed: Changed) => {
    if (!changed.ok) return refuse(c, changed.problem);
    store.records = changed.records;
    return accept(c, changed.record);
  };
  const path = "/client/v4/zones/:zone/dns_records";
  const app = new Hono();
  admission(app, options);
  app.get(path, (c) => list(c, store.records));
  app.post(path, async (c) => change(c, create(zone(), store.records, await bodyOf(c))));
  app.post(`${path}/batch`, async (c) => {
    const batched = batch(zone(), store.records, await bodyOf(c));
    if (!batched.ok) return refuse(c, batched.problem);
    store.records = batched.records;
    return accept(c, batched.result);
  });
  app.get(`${path}/:id`, (c) => {
    const found = store.records.find((each) => each.id === c.req.param("id"));
    return found === undefined ? refuse(c, notFound) : accept(c, found);
  });
  app.patch(`${path}/:id`, async (c) =>
    change(c, patch(zone(), store.records, c.req.param("id"), await bodyOf(c))),
  );
  app.put(`${path}/:id`, async (c) =>
    change(c, overwrite(zone(), store.records, c.req.param("id"), await bodyOf(c))),
  );
  app.delete(`${path}/:id`, (c) => {
    const removed = remove(store.records, c.req.param("id"));
    if (!removed.ok) return refuse(c, removed.problem);
    store.records = removed.records;
    return accept(c, { id: removed.record.id });
  });
  app.all("*", (c) => refuse(c, { status: 404, code: 7000, message: "No route for that URI" }));
  return app;
}

/** Who may come in, and how often. */
function admission(app: Hono, { token, zoneId, now }: ApiOptions): void {
  let spentAtMs: number[] = [];
  app.use(async (c, next) => {
    const denied = unauthorized(c.req.header("authorization"), token);
    if (denied !== null) return refuse(c, denied);
    spentAtMs = spentAtMs.filter((atMs) => atMs > now() - RATE_WINDOW_MS);
    const [oldest = 0] = spentAtMs;
    if (spentAtMs.length >= RATE_LIMIT) {
      c.header("retry-after", String(Math.ceil((oldest + RATE_WINDOW_MS - now()) / 1000)));
      const message = "Please wait and consider throttling your request speed";
      return refuse(c, { status: 429, code: 971, message });
    }
    spentAtMs.push(now());
    const asked = c.req.path.split("/")[4];
    return asked === zoneId ? next() : refuse(c, otherZone(asked));
  });
}

const notFound: CfProblem = { status: 404, code: 81044, message: "Record does not exist." };

const bodyOf = (c: Context): Promise<unknown> => c.req.json<unknown>().catch(() => null);

function unauthorized(header: string | undefined, token: string): CfProblem | null {
  if (header === undefined) {
    const message = "Missing X-Auth-Key, X-Auth-Email or Authorization headers";
    return { status: 400, code: 9106, message };
  }
  if (!/^Bearer [\w-]+$/.test(header)) {
    const error_chain = [{ code: 6111, message: "Invalid format for Authorization header" }];
    return { status: 400, code: 6003, message: "Invalid request headers", error_chain };
  }
  if (header === `Bearer ${token}`) return null;
  return { status: 403, code: 9109, message: "Invalid access token" };
}

const otherZone = (asked: string | undefined): CfProblem =>
  /^[0-9a-f]{32}$/.test(asked ?? "")
    ? { status: 403, code: 10000, message: "Authentication error" }
    : {
        status: 404,
        code: 7003,
        message: "Could not route to that path, perhaps your object identifier is invalid?",
      };

const accept = (c: Context, result: unknown) =>
  c.json({ success: true, errors: [], messages: [], result });

const refuse = (c: Context, { status, ...error }: CfProblem) =>
  c.body(
    JSON.stringify({ success: false, errors: [error], messages: [], result: null }),
    status as 400,
    { "content-type": "application/json" },
  );

function list(c: Context, records: Records) {
  const { name, type, page = "1", per_page = "100" } = c.req.query();
  const exact = c.req.query("name.exact") ?? name;
  const matching = records.filter(
    (each) =>
      (exact === undefined || each.name === exact.toLowerCase()) &&
      (type === undefined || each.type === type.toUpperCase()),
  );
  const size = Number(per_page);
  const at = Number(page);
  if (!(at >= 1 && size >= 1 && size <= 5_000_000)) {
    return refuse(c, { status: 400, code: 1004, message: "DNS Validation Error" });
  }
  const result = matching.slice((at - 1) * size, at * size);
  const result_info = {
    page: at,
    per_page: size,
    count: result.length,
    total_count: matching.length,
    total_pages: Math.ceil(matching.length / size),
  };
  return c.json({ success: true, errors: [], messages: [], result, result_info });
}
