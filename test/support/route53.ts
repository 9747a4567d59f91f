/**
 * A stand-in of Route 53's API for one hosted zone, with a real DNS server behind it: no endpoint of AWS is
 * reachable where the tests run.
 *
 * Promises: as strict as the original about signatures, XML, values, conflicts, rates and order, in its own
 * codes and words; a change is PENDING for `pendingMs` of its clock, and only then do its servers answer
 * with it; only 127.0.0.1.
 * Must never: accept what the original refuses.
 */
import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { serveDns } from "../../scripts/demo/cloudflare-dns.ts";
import { applyChanges, type Change53, type Set53, type Sets, sortSets } from "./route53-changes.ts";
import { allows, type Policy } from "./route53-policy.ts";
import { type Credentials, complaintOfSignature } from "./route53-signature.ts";
import { changesOf, element, errorXml, NAMESPACE, setXml } from "./route53-xml.ts";

export type Route53Options = Credentials & {
  readonly zone: string;
  readonly now: () => number;
  readonly pendingMs?: number;
  /** What the user may do; everything when absent. */
  readonly policy?: Policy;
  readonly zoneId?: string;
};

export type Route53 = {
  readonly apiUrl: string;
  readonly zoneId: string;
  readonly dnsPort: number;
  readonly sets: () => Sets;
  /** As by another's hand, past all rules. */
  readonly put: (sets: Sets) => void;
  readonly close: () => Promise<void>;
};

const RATE = 5;

type Refusal = { readonly status: number; readonly code: string; readonly message: string };

export async function startRoute53(options: Route53Options): Promise<Route53> {
  const { zone, now, pendingMs = 0, policy } = options;
  const zoneId = options.zoneId ?? `Z${randomBytes(10).toString("hex").toUpperCase()}`;
  let current: Sets = [];
  let visible: Sets = [];
  const changes = new Map<string, { atMs: number; sets: Sets }>();
  let spentAtMs: number[] = [];

  const settle = () => {
    for (const change of changes.values()) {
      if (change.atMs + pendingMs <= now()) visible = change.sets;
    }
  };
  const statusOf = (id: string) =>
    (changes.get(id)?.atMs ?? 0) + pendingMs <= now() ? "INSYNC" : "PENDING";
  const changeInfo = (id: string) =>
    element("ChangeInfo", [
      element("Id", `/change/${id}`),
      element("Status", statusOf(id)),
      element("SubmittedAt", new Date(changes.get(id)?.atMs ?? 0).toISOString()),
    ]);
  const may = (c: Context, action: string, resource: string, changes?: readonly Change53[]) =>
    policy === undefined || allows(policy, action, resource, changes)
      ? null
      : refuse(c, {
          status: 403,
          code: "AccessDenied",
          message: `User: arn:aws:iam::123456789012:user/picket is not authorized to perform: route53:${action} on resource: arn:aws:route53:::${resource} because no identity-based policy allows the route53:${action} action`,
        });

  const app = new Hono();
  app.use(async (c, next) => {
    const body = await c.req.text();
    const wrong = complaintOfSignature(options, c.req.raw, body);
    if (wrong !== null) return refuse(c, wrong);
    spentAtMs = spentAtMs.filter((atMs) => atMs > now() - 1000);
    if (spentAtMs.length >= RATE)
      return refuse(c, { status: 400, code: "Throttling", message: "Rate exceeded" });
    spentAtMs.push(now());
    return next();
  });
  app.get("/2013-04-01/hostedzone/:id/rrset", (c) => {
    const denied = may(c, "ListResourceRecordSets", `hostedzone/${c.req.param("id")}`);
    if (denied !== null) return denied;
    if (c.req.param("id") !== zoneId) return refuse(c, noZone(c.req.param("id")));
    return list(c, current);
  });
  app.post("/2013-04-01/hostedzone/:id/rrset/", async (c) => {
    const asked = changesOf(await c.req.text());
    if (typeof asked === "string") return refuse(c, invalid(asked));
    const denied = may(c, "ChangeResourceRecordSets", `hostedzone/${c.req.param("id")}`, asked);
    if (denied !== null) return denied;
    if (c.req.param("id") !== zoneId) return refuse(c, noZone(c.req.param("id")));
    const changed = applyChanges(zone, current, asked);
    if (!changed.ok) {
      const code = changed.input ? "InvalidInput" : "InvalidChangeBatch";
      return refuse(c, { status: 400, code, message: changed.message });
    }
    current = changed.sets;
    const id = `C${randomBytes(10).toString("hex").toUpperCase()}`;
    changes.set(id, { atMs: now(), sets: current });
    return accept(c, "ChangeResourceRecordSetsResponse", [changeInfo(id)]);
  });
  app.get("/2013-04-01/change/:id", (c) => {
    const id = c.req.param("id");
    const denied = may(c, "GetChange", `change/${id}`);
    if (denied !== null) return denied;
    if (!changes.has(id)) {
      const message = `Could not find resource with ID: ${id}`;
      return refuse(c, { status: 404, code: "NoSuchChange", message });
    }
    return accept(c, "GetChangeResponse", [changeInfo(id)]);
  });
  app.all("*", (c) =>
    refuse(c, { status: 404, code: "UnknownOperationException", message: c.req.path }),
  );

  const server = createAdaptorServer({ fetch: app.fetch });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const dns = await serveDns(zone, () => {
    settle();
    return visible.flatMap(recordsOf);
  });
  return {
    apiUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    zoneId,
    dnsPort: dns.port,
    sets: () => current,
    put: (sets) => {
      current = sortSets(sets);
      visible = current;
      changes.clear();
    },
    close: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        if ("closeAllConnections" in server) server.closeAllConnections();
      });
      await dns.close();
    },
  };
}

const invalid = (message: string): Refusal => ({ status: 400, code: "InvalidInput", message });
const noZone = (id: string): Refusal => ({
  status: 404,
  code: "NoSuchHostedZone",
  message: `No hosted zone found with ID: ${id}`,
});

const xml = (c: Context, text: string, status = 200) =>
  c.body(`<?xml version="1.0"?>\n${text}`, status as 200, { "content-type": "text/xml" });
const accept = (c: Context, name: string, inside: readonly string[]) =>
  xml(c, element(name, inside, { xmlns: NAMESPACE }));
const refuse = (c: Context, { status, code, message }: Refusal) =>
  xml(c, errorXml(code, message), status);

function list(c: Context, sets: Sets) {
  const { name, type, maxitems = "300" } = c.req.query();
  const most = Number(maxitems);
  if (!(Number.isInteger(most) && most >= 1 && most <= 300)) return refuse(c, invalid("MaxItems"));
  if (type !== undefined && name === undefined) return refuse(c, invalid("type without name"));
  const from = sets.filter((each) => name === undefined || !isBefore(each, name, type ?? ""));
  const page = from.slice(0, most);
  const next = from[most];
  return accept(c, "ListResourceRecordSetsResponse", [
    element("ResourceRecordSets", page.map(setXml)),
    element("IsTruncated", String(next !== undefined)),
    ...(next === undefined
      ? []
      : [element("NextRecordName", next.name), element("NextRecordType", next.type)]),
    element("MaxItems", String(most)),
  ]);
}

function isBefore(set: Set53, name: string, type: string): boolean {
  const asked = { name: name.toLowerCase(), type, ttlS: 0, values: [] };
  const [first] = sortSets([asked, set]);
  return first === set && !(set.name === asked.name && set.type === type);
}

const recordsOf = ({ name, type, ttlS, values }: Set53) =>
  values.map((value) => ({
    id: "",
    name: name.replace(/\.$/, ""),
    type,
    content: value.replace(/\.$/, ""),
    ttl: ttlS,
    proxied: false,
    proxiable: false,
    comment: null,
    tags: [],
    created_on: "",
    modified_on: "",
  }));
