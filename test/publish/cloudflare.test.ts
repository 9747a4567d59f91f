import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CloudflareStandIn, startCloudflare } from "../../scripts/demo/cloudflare.ts";
import { cloudflare } from "../../worker/publish/dns/cloudflare.ts";
import type { Means } from "../../worker/publish/dns/provider.ts";
import { dnsPublishers } from "../../worker/publish/dns.ts";
import { dnsContract, gate, NAME, READERS, ZONE } from "../contract/dns.ts";
import { routeTo, timeoutMs } from "../contract/publisher.ts";

const token = "a-token-of-the-operator";

type Over = Partial<{ token: string; zoneId: string; apiUrl: string }> & Pick<Means, "fetch">;

const providerOf = (api: CloudflareStandIn, { fetch, ...over }: Over = {}) =>
  cloudflare(
    {
      provider: "cloudflare",
      zoneId: over.zoneId ?? api.zoneId,
      tokenSecret: "CF_TOKEN",
      apiUrl: over.apiUrl ?? api.apiUrl,
      ttlS: 60,
    },
    { secret: () => over.token ?? token, ...(fetch === undefined ? {} : { fetch }) },
  );

const publisherOf = (api: CloudflareStandIn, over: Over = {}) => {
  const [dns] = dnsPublishers(() => providerOf(api, over), { ttlS: 60, replicaHostname: null });
  if (dns === undefined) throw new Error("a publisher");
  return dns;
};

/** One call of the stand-in, as by another's hand. */
async function byHand(api: CloudflareStandIn, method: string, path: string, body?: unknown) {
  const response = await fetch(`${api.apiUrl}/zones/${api.zoneId}/dns_records${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(await response.text());
}

const envelope = (code: number, message: string) => ({
  success: false,
  errors: [{ code, message }],
  messages: [],
  result: null,
});

dnsContract("Cloudflare", async () => {
  const api = await startCloudflare({ zone: ZONE, token });
  return {
    dnsPort: api.dnsPort,
    provider: ({ fetch }, { key, zone, address }) =>
      providerOf(api, {
        ...(fetch === undefined ? {} : { fetch }),
        ...(key === undefined ? {} : { token: "not-the-token" }),
        ...(zone === undefined ? {} : { zoneId: "no-such-zone" }),
        ...(address === undefined ? {} : { apiUrl: address }),
      }),
    lenient: true,
    secrets: [token, "not-the-token"],
    put: async (name, records) => {
      const gone = api.records().filter((each) => each.name === name);
      await byHand(api, "POST", "/batch", {
        deletes: gone.map(({ id }) => ({ id })),
        posts: records.map(({ type, content, ttlS, mark }) => {
          return { type, name, content, ttl: ttlS, comment: mark };
        }),
      });
    },
    held: async (name) =>
      api
        .records()
        .filter((each) => each.name === name)
        .map(({ type, content, ttl, comment }) => ({ type, content, ttlS: ttl, mark: comment })),
    names: async () => api.records().map(({ name }) => name),
    throttled: () =>
      Response.json(envelope(971, "Please wait"), { status: 429, headers: { "retry-after": "7" } }),
    refused: () => Response.json(envelope(1004, "DNS Validation Error"), { status: 400 }),
    accepted: () => Response.json({ success: true, errors: [], messages: [], result: {} }),
    says: {
      key: /Zone > DNS > Edit.*wrangler secret put CF_TOKEN.*9109/,
      zone: /no such zone: set dns\.zone_id.*7003/,
    },
    close: api.close,
  };
});

describe("Cloudflare's own ways", () => {
  let api: CloudflareStandIn;
  beforeEach(async () => {
    api = await startCloudflare({ zone: ZONE, token });
  });
  afterEach(() => api.close());

  const publish = (route = routeTo("192.0.2.1", 7), more: object = {}) =>
    publisherOf(api).publish(route, { timeoutMs, ...more });
  const add = (body: object) => byHand(api, "POST", "", { name: NAME, ttl: 300, ...body });
  const records = () => api.records().map(({ type, content }) => `${type} ${content}`);

  it("takes two reads and a write, and one read when it is already right", async () => {
    await publish();
    expect(api.requests()).toEqual({ GET: 2, POST: 1 });
    await publish();
    expect(api.requests()).toEqual({ GET: 3, POST: 1 });
    await publish(routeTo("192.0.2.2", 8));
    expect(api.requests()).toEqual({ GET: 5, POST: 1, PATCH: 1 });
  });

  it("sets right a record of its own that was proxied by hand", async () => {
    const mark = "picket:cache epoch=7";
    await add({ type: "A", content: "198.51.100.1", proxied: true, comment: mark });
    const drift = "A 198.51.100.1 (proxied)";
    expect(await publish(undefined, { beat: "repair" })).toMatchObject({ kind: "done", drift });
    expect(api.records()).toMatchObject([{ content: "192.0.2.1", proxied: false, ttl: 60 }]);
  });

  it("keeps the tags of a record that only changes its address", async () => {
    const comment = "picket:cache epoch=6";
    await add({ type: "A", content: "198.51.100.1", comment, tags: ["team:cache"] });
    await publish();
    expect(api.records()).toMatchObject([{ content: "192.0.2.1", tags: ["team:cache"] }]);
  });

  it("moves its own record though somebody put one beside it, leaves that, and says so each time", async () => {
    await publish();
    await add({ type: "AAAA", content: "2001:db8::9" });
    for (let times = 0; times < 2; times += 1) {
      const { kind, detail } = await publish(routeTo("192.0.2.2", 8));
      expect(kind).toBe("refused");
      expect(detail).toContain("not Picket's (AAAA 2001:db8::9)");
      expect(records().sort()).toEqual(["A 192.0.2.2", "AAAA 2001:db8::9"]);
    }
    // The second time there was nothing to write.
    expect(api.requests()).toMatchObject({ PATCH: 1 });
  });

  it("makes one of several leftovers of its own", async () => {
    await add({ type: "A", content: "198.51.100.1", comment: "picket:cache epoch=2" });
    await add({ type: "AAAA", content: "2001:db8::2", comment: "picket:cache epoch=3" });
    expect((await publish()).kind).toBe("done");
    expect(records()).toEqual(["A 192.0.2.1"]);
  });

  it("moves several records in one batch", async () => {
    const [, readers] = dnsPublishers(() => providerOf(api), {
      ttlS: 60,
      replicaHostname: READERS,
    });
    const to = (...hosts: string[]) =>
      readers?.publish(
        routeTo("192.0.2.1", 1, {
          replicas: hosts.map((host) => {
            return { id: host, host, port: 6379, tls: false, rest: null, readWeight: 1 };
          }),
        }),
        { timeoutMs },
      );
    await to("192.0.2.2", "192.0.2.3", "192.0.2.4");
    const before = api.requests().POST ?? 0;
    expect(await to("192.0.2.3", "192.0.2.5", "2001:db8::6")).toMatchObject({ kind: "done" });
    expect(api.requests().POST).toBe(before + 1);
    expect(records().sort()).toEqual(["A 192.0.2.3", "A 192.0.2.5", "AAAA 2001:db8::6"]);
  });

  it("keeps the comment within 100 characters", async () => {
    const group = "g".repeat(120);
    const epoch = Number.MAX_SAFE_INTEGER;
    expect((await publish(routeTo("192.0.2.1", epoch, { group }))).kind).toBe("done");
  });

  it.each([81057, 81058])("believes its own eyes after %i", async (code) => {
    const way = gate();
    way.onWrite(async () => {
      await publish();
      return Response.json(envelope(code, "exists"), { status: 400 });
    });
    const dns = publisherOf(api, { fetch: way.fetcher });
    expect((await dns.publish(routeTo("192.0.2.1", 7), { timeoutMs })).kind).toBe("done");
    expect(records()).toEqual(["A 192.0.2.1"]);
  });

  it.each([81044, 81053])("lists again after %i, once", async (code) => {
    const way = gate();
    const stale = () => Response.json(envelope(code, "moved on"), { status: 400 });
    way.onWrite(stale);
    const dns = publisherOf(api, { fetch: way.fetcher });
    expect((await dns.publish(routeTo("192.0.2.1", 7), { timeoutMs })).kind).toBe("done");
    way.onWrite(() => {
      way.onWrite(stale);
      return stale();
    });
    const result = await dns.publish(routeTo("192.0.2.2", 8), { timeoutMs });
    expect(result.kind).toBe("failed");
    expect(result.detail).toMatch(/changed meanwhile: looked at anew.*moved on/);
  });

  it("says so when the record that it made elsewhere cannot be taken away", async () => {
    const way = gate();
    const dns = publisherOf(api, { fetch: way.fetcher });
    const route = routeTo("192.0.2.1", 1, { hostname: "cache.example.org" });
    way.onWrite(async () => {
      way.onWrite(() => Response.json(envelope(1000, "no"), { status: 400 }));
      return null;
    });
    expect((await dns.publish(route, { timeoutMs })).detail).toContain(
      "cache.example.org.example.test of it, which is still there, remove it",
    );
    // Nor does it get lost: the next try meets it.
    expect((await dns.publish(route, { timeoutMs })).detail).toMatch(/81058.*outside the zone/);
  });

  it.each([
    ["9109", { token: "another" }],
    ["6111", { token: "no token" }],
    ["10000", { zoneId: "0".repeat(32) }],
  ])("tells what to fix on %s", async (code, over) => {
    const result = await publisherOf(api, over).publish(routeTo("192.0.2.1", 7), { timeoutMs });
    expect(result.kind).toBe("failed");
    expect(result.detail).toContain("Zone > DNS > Edit");
    expect(result.detail).toContain(code);
    expect(result.detail).toContain("wrangler secret put CF_TOKEN");
    expect(result.detail).not.toContain("another (");
  });

  it("says what a validation error is about", async () => {
    const dns = dnsPublishers(() => providerOf(api), { ttlS: 59, replicaHostname: null })[0];
    const result = await dns?.publish(routeTo("192.0.2.1", 7), { timeoutMs });
    expect(result?.kind).toBe("failed");
    expect(result?.detail).toMatch(/dns\.ttl_s.*9021 Invalid TTL. Must be between 60 and 86400/);
  });

  it("never says its token, even when Cloudflare does", async () => {
    api.faults.failNext(1, { status: 400, body: envelope(1, `bad: Bearer ${token}`) });
    expect((await publish()).detail).not.toContain(token);
  });

  it("understands errors without an envelope, and answers without JSON", async () => {
    api.faults.failNext(1, { status: 400, body: { code: 6003, message: "Invalid headers" } });
    expect((await publish()).detail).toContain("Zone > DNS > Edit");
    api.faults.failNext(1, { status: 200, body: "<html>" });
    expect((await publish()).kind).toBe("failed");
    api.faults.failNext(1, { status: 200, body: { success: true, result: [{ id: 1 }] } });
    expect((await publish()).kind).toBe("failed");
  });

  it.each([
    ["12", 12_000],
    [undefined, 60_000],
    ["soon", 60_000],
  ])("waits as long as it is told: %s", async (said, retryAfterMs) => {
    const headers = said === undefined ? {} : { "retry-after": said };
    api.faults.failNext(1, { status: 429, body: "slow down", headers });
    expect(await publish()).toMatchObject({ kind: "failed", retryAfterMs });
  });
});
