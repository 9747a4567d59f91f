import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CloudflareStandIn, startCloudflare } from "../../scripts/demo/cloudflare.ts";
import { cloudflareDns } from "../../worker/publish/cloudflare.ts";
import { publisherContract, routeTo, timeoutMs } from "../contract/publisher.ts";
import { query } from "../support/dns.ts";

const token = "a-token-of-the-operator";
const NAME = "cache.example.test";

const publisherOf = (
  api: CloudflareStandIn,
  over: Partial<Parameters<typeof cloudflareDns>[0]> = {},
) => cloudflareDns({ zoneId: api.zoneId, token, apiUrl: api.apiUrl, ttlS: 60, ...over });

publisherContract("cloudflare dns", async () => {
  const api = await startCloudflare({ zone: "example.test", token });
  let next: Response | null = null;
  const writes = () => {
    const { POST = 0, PATCH = 0 } = api.requests();
    return POST + PATCH;
  };
  return {
    publisher: publisherOf(api, {
      fetch: async (url, init) => {
        const faulty = init.method === "GET" ? null : next;
        if (faulty === null) return fetch(url, init);
        next = null;
        return faulty;
      },
    }),
    held: async () => {
      const [record] = api.records();
      const epoch = Number(record?.comment?.split("=")[1]);
      return record === undefined ? null : { host: record.content, epoch };
    },
    failNextWrite: () => {
      next = Response.json(envelope(1004, "DNS Validation Error"), { status: 400 });
    },
    throttleNextWrite: () => {
      next = Response.json(envelope(971, "Please wait"), {
        status: 429,
        headers: { "retry-after": "7" },
      });
    },
    hang: api.faults.hang,
    writes,
    skipsRight: true,
    close: api.close,
  };
});

const envelope = (code: number, message: string) => ({
  success: false,
  errors: [{ code, message }],
  messages: [],
  result: null,
});

describe("the record of a group", () => {
  let api: CloudflareStandIn;
  beforeEach(async () => {
    api = await startCloudflare({ zone: "example.test", token });
  });
  afterEach(() => api.close());

  const publish = (route = routeTo("192.0.2.1", 7)) =>
    publisherOf(api).publish(route, { timeoutMs });
  const add = async (body: object) => {
    const response = await fetch(`${api.apiUrl}/zones/${api.zoneId}/dns_records`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ name: NAME, ttl: 300, ...body }),
    });
    expect(response.status).toBe(200);
  };
  const records = () => api.records().map(({ type, content }) => `${type} ${content}`);

  it("is what a resolver sees", async () => {
    expect(await publish()).toEqual({ kind: "done", detail: `${NAME} A 192.0.2.1, ttl 60` });
    expect(api.records()).toMatchObject([
      { proxied: false, ttl: 60, comment: "picket:cache epoch=7" },
    ]);
    const { answers } = await query(api.dnsPort, NAME, "A");
    expect(answers).toMatchObject([{ data: "192.0.2.1", ttl: 60 }]);
    expect(api.requests()).toEqual({ GET: 2, POST: 1 });
  });

  it("takes one read when it is already right", async () => {
    await publish();
    expect((await publish()).kind).toBe("done");
    expect(api.requests()).toEqual({ GET: 3, POST: 1 });
  });

  it.each([
    ["192.0.2.9", "A 192.0.2.9"],
    ["2001:0DB8:0:0::0001", "AAAA 2001:db8::1"],
    ["Redis-A.example.net.", "CNAME redis-a.example.net"],
  ])("has the type of the host: %s", async (host, expected) => {
    await add({ type: "A", content: "192.0.2.1" });
    expect((await publish(routeTo(host, 1))).kind).toBe("done");
    expect(records()).toEqual([expected]);
    const { GET } = api.requests();
    expect((await publish(routeTo(host, 1))).kind).toBe("done");
    expect(api.requests().GET).toBe((GET ?? 0) + 1);
  });

  it("takes over the operator's own record, proxied or not, and leaves other types alone", async () => {
    await add({ type: "A", content: "198.51.100.1", proxied: true, comment: "by hand" });
    await add({ type: "TXT", content: "note" });
    expect((await publish()).kind).toBe("done");
    expect(records().sort()).toEqual(["A 192.0.2.1", "TXT note"]);
    expect(api.records().every((each) => !each.proxied)).toBe(true);
  });

  it("never lowers the epoch", async () => {
    await publish(routeTo("192.0.2.2", 9));
    expect(await publish(routeTo("192.0.2.1", 8))).toEqual({
      kind: "refused",
      detail: "the record names epoch 9, this route has 8",
    });
    expect(records()).toEqual(["A 192.0.2.2"]);
  });

  it("does not take the name of another group", async () => {
    await publish(routeTo("192.0.2.2", 9, { group: "sessions" }));
    const result = await publish();
    expect(result.kind).toBe("refused");
    expect(result.detail).toContain("another group");
  });

  it("fails on several records that are not all its own, and names their number", async () => {
    await add({ type: "A", content: "198.51.100.1" });
    await add({ type: "A", content: "198.51.100.2", comment: "picket:cache epoch=3" });
    const result = await publish();
    expect(result.kind).toBe("failed");
    expect(result.detail).toContain("2 A, AAAA or CNAME records, 1 of them Picket's");
    expect(api.requests()).toEqual({ POST: 2, GET: 1 });
  });

  it("makes one of several leftovers of its own", async () => {
    await add({ type: "A", content: "198.51.100.1", comment: "picket:cache epoch=2" });
    await add({ type: "AAAA", content: "2001:db8::2", comment: "picket:cache epoch=3" });
    expect((await publish()).kind).toBe("done");
    expect(records()).toEqual(["A 192.0.2.1"]);
  });

  it("keeps the comment within 100 characters", async () => {
    const group = "g".repeat(120);
    const epoch = Number.MAX_SAFE_INTEGER;
    expect((await publish(routeTo("192.0.2.1", epoch, { group }))).kind).toBe("done");
  });

  it("has nothing to do without a name, or before the first primary", async () => {
    expect((await publish(routeTo("192.0.2.1", 1, { hostname: null }))).kind).toBe("done");
    expect((await publish(routeTo("192.0.2.1", 1, { primary: null }))).kind).toBe("done");
    expect(api.requests()).toEqual({});
  });

  it.each([81057, 81058])("believes its own eyes after %i", async (code) => {
    await add({ type: "A", content: "198.51.100.1" });
    const fault = { status: 400, body: envelope(code, "exists"), performed: true };
    const spied = failOnWrite(api, () => api.faults.failNext(1, fault));
    expect((await spied.publish(routeTo("192.0.2.1", 7), { timeoutMs })).kind).toBe("done");
  });

  it("lists again when the record is gone between list and write", async () => {
    await publish();
    const gone = { status: 404, body: envelope(81044, "Record does not exist.") };
    const spied = failOnWrite(api, () => api.faults.failNext(1, gone));
    expect((await spied.publish(routeTo("192.0.2.2", 8), { timeoutMs })).kind).toBe("done");
    expect(records()).toEqual(["A 192.0.2.2"]);
  });

  it("is done when only the answer to its write was lost", async () => {
    const lost = { status: 502, body: "<h1>Bad gateway</h1>", performed: true };
    const spied = failOnWrite(api, () => api.faults.failNext(1, lost));
    expect((await spied.publish(routeTo("192.0.2.1", 7), { timeoutMs })).kind).toBe("done");
  });

  it("does not know when a write failed without an answer that counts", async () => {
    const spied = failOnWrite(api, () => api.faults.failNext(1, { status: 502, body: "<html>" }));
    expect((await spied.publish(routeTo("192.0.2.1", 7), { timeoutMs })).kind).toBe("unknown");
  });

  it.each([
    ["9109", { token: "another" }],
    ["6003", { token: "no token" }],
    ["10000", { zoneId: "0".repeat(32) }],
  ])("tells what to fix on %s", async (code, over) => {
    const result = await publisherOf(api, over).publish(routeTo("192.0.2.1", 7), { timeoutMs });
    expect(result.kind).toBe("failed");
    expect(result.detail).toContain("Zone > DNS > Edit");
    expect(result.detail).toContain(code);
    expect(result.detail).not.toContain("another");
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

  it("waits as long as it is told", async () => {
    const throttled = { status: 429, body: "slow down", headers: { "retry-after": "12" } };
    api.faults.failNext(1, throttled);
    expect(await publish()).toMatchObject({ kind: "failed", retryAfterMs: 12_000 });
  });

  it("says unreachable when nobody listens", async () => {
    const gone = publisherOf(api);
    await api.close();
    expect((await gone.publish(routeTo("192.0.2.1", 7), { timeoutMs })).kind).toBe("unreachable");
    api = await startCloudflare({ zone: "example.test", token });
  });
});

/** Breaks the first write of a publisher, whatever it reads before and after. */
function failOnWrite(api: CloudflareStandIn, breakIt: () => void) {
  let broken = false;
  return publisherOf(api, {
    fetch: (url, init) => {
      if (init.method !== "GET" && !broken) {
        broken = true;
        breakIt();
      }
      return fetch(url, init);
    },
  });
}
