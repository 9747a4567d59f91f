/** The stand-in of the Cloudflare API is itself held to what the original does. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CloudflareStandIn, startCloudflare } from "../../scripts/demo/cloudflare.ts";
import { query } from "../support/dns.ts";

const token = "a-token-of-the-operator";
let api: CloudflareStandIn;
let nowMs = 0;

beforeEach(async () => {
  nowMs = Date.parse("2026-11-20T12:00:00Z");
  api = await startCloudflare({ zone: "example.test", token, now: () => nowMs });
});
afterEach(() => api.close());

type Envelope = {
  success: boolean;
  errors: { code: number; error_chain?: { code: number }[]; source?: { pointer: string } }[];
  messages: unknown[];
  result: { id: string } & Record<string, unknown>;
  result_info?: Record<string, number>;
};

async function call(method: string, path = "", body?: unknown, headers: HeadersInit = {}) {
  const response = await fetch(`${api.apiUrl}/zones/${api.zoneId}/dns_records${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const envelope = (await response.json()) as Envelope;
  return { status: response.status, headers: response.headers, ...envelope };
}

const code = ({ status, errors }: Awaited<ReturnType<typeof call>>) => [status, errors[0]?.code];
const a = { type: "A", name: "cache.example.test", content: "192.0.2.1", ttl: 60 };

describe("records", () => {
  it("are created, patched, overwritten, read and deleted", async () => {
    const created = await call("POST", "", { ...a, comment: "one" });
    expect(created).toMatchObject({ status: 200, success: true, errors: [], messages: [] });
    const { id } = created.result;
    expect(created.result).toMatchObject({ ...a, proxied: false, comment: "one" });

    nowMs += 1000;
    const patched = await call("PATCH", `/${id}`, { content: "192.0.2.2" });
    expect(patched.result).toMatchObject({ id, content: "192.0.2.2", ttl: 60, comment: "one" });
    expect(patched.result.modified_on).toBe("2026-11-20T12:00:01.000Z");
    expect(patched.result.created_on).toBe("2026-11-20T12:00:00.000Z");

    const put = await call("PUT", `/${id}`, { type: "A", name: "cache", content: "192.0.2.3" });
    expect(put.result).toMatchObject({ id, name: a.name, ttl: 1, comment: null });
    expect((await call("GET", `/${id}`)).result).toEqual(put.result);
    expect((await call("DELETE", `/${id}`)).result).toEqual({ id });
    expect(api.records()).toEqual([]);
    expect(api.requests()).toEqual({ POST: 1, PATCH: 1, PUT: 1, GET: 1, DELETE: 1 });
  });

  it.each([
    [{ content: "192.0.2" }, 9005],
    [{ type: "AAAA" }, 9006],
    [{ type: "CNAME" }, 9007],
    [{ type: "CNAME", content: "cache.example.test" }, 9039],
    [{ type: "NOPE" }, 9000],
    [{ name: "" }, 9000],
    [{ content: "" }, 9002],
    [{ ttl: 59 }, 9021],
    [{ ttl: 86_401 }, 9021],
    [{ ttl: "60" }, 9021],
    [{ comment: "c".repeat(101) }, 9313],
    [{ proxied: "no" }, 9003],
    [{ proxied: true, content: "10.0.0.1" }, 9041],
  ])("are refused when wrong: %j", async (wrong, detail) => {
    const refused = await call("POST", "", { ...a, ...wrong });
    expect(code(refused)).toEqual([400, 1004]);
    expect(refused.errors[0]?.error_chain?.[0]?.code).toBe(detail);
    expect(api.records()).toEqual([]);
  });

  it("conflict as they do there", async () => {
    await call("POST", "", a);
    expect(code(await call("POST", "", a))).toEqual([400, 81058]);
    expect((await call("POST", "", { ...a, content: "192.0.2.2" })).status).toBe(200);
    const cname = { ...a, type: "CNAME", content: "elsewhere.example.net" };
    expect(code(await call("POST", "", cname))).toEqual([400, 81053]);
    await call("POST", "", { ...cname, name: "alias" });
    expect(code(await call("POST", "", { ...a, name: "alias" }))).toEqual([400, 81054]);
  });

  it("that are unknown are 81044", async () => {
    expect(code(await call("GET", "/nope"))).toEqual([404, 81044]);
    expect(code(await call("PATCH", "/nope", {}))).toEqual([404, 81044]);
    expect(code(await call("PUT", "/nope", a))).toEqual([404, 81044]);
    expect(code(await call("DELETE", "/nope"))).toEqual([404, 81044]);
  });

  it("change in a batch all or none, deletes first", async () => {
    const { id } = (await call("POST", "", a)).result;
    const cname = { ...a, type: "CNAME", content: "elsewhere.example.net" };
    const failed = await call("POST", "/batch", { deletes: [{ id }], posts: [cname, cname] });
    expect(code(failed)).toEqual([400, 81058]);
    expect(failed.errors[0]?.source?.pointer).toBe("/posts/1");
    expect(api.records()).toMatchObject([{ id, type: "A" }]);
    const done = await call("POST", "/batch", { posts: [cname], deletes: [{ id }] });
    expect(done.result).toMatchObject({ deletes: [{ id }], posts: [{ type: "CNAME" }] });
    expect(api.records()).toMatchObject([{ type: "CNAME" }]);
  });

  it("are listed by name and type, in pages", async () => {
    await call("POST", "", a);
    await call("POST", "", { ...a, content: "192.0.2.2" });
    await call("POST", "", { ...a, name: "other" });
    await call("POST", "", { ...a, type: "TXT", content: "note" });
    expect((await call("GET", `?name=${a.name}`)).result).toHaveLength(3);
    expect((await call("GET", `?name.exact=${a.name}&type=A`)).result).toHaveLength(2);
    const page = await call("GET", "?per_page=3&page=2");
    expect(page.result).toHaveLength(1);
    expect(page.result_info).toEqual({
      page: 2,
      per_page: 3,
      count: 1,
      total_count: 4,
      total_pages: 2,
    });
  });
});

describe("admission", () => {
  it.each([
    ["Bearer another", 403, 9109],
    ["Bearer a b", 400, 6003],
    ["Basic abc", 400, 6003],
  ])("%s", async (authorization, status, expected) => {
    expect(code(await call("GET", "", undefined, { authorization }))).toEqual([status, expected]);
  });

  it("knows one zone, and its own paths", async () => {
    const get = async (path: string) => {
      const headers = { authorization: `Bearer ${token}` };
      const response = await fetch(api.apiUrl + path, { headers });
      return [response.status, ((await response.json()) as Envelope).errors[0]?.code];
    };
    expect(await get(`/zones/${"0".repeat(32)}/dns_records`)).toEqual([403, 10000]);
    expect(await get("/zones/nope/dns_records")).toEqual([404, 7003]);
    expect(await get(`/zones/${api.zoneId}/nope`)).toEqual([404, 7000]);
  });

  it("takes 1200 requests in five minutes", async () => {
    for (let n = 0; n < 1200; n += 1) await call("GET", "/nope");
    nowMs += 100_000;
    const throttled = await call("GET", "/nope");
    expect(code(throttled)).toEqual([429, 971]);
    expect(throttled.headers.get("retry-after")).toBe("200");
    nowMs += 200_000;
    expect((await call("GET", "/nope")).status).toBe(404);
  });
});

describe("DNS", () => {
  const ask = (name: string, type = "A") => query(api.dnsPort, name, type);

  it("answers with the record as it is now", async () => {
    const { id } = (await call("POST", "", a)).result;
    expect(await ask("Cache.Example.Test")).toMatchObject({
      rcode: "NOERROR",
      answers: [{ name: "cache.example.test", type: "A", ttl: 60, data: "192.0.2.1" }],
      authorities: [],
    });
    await call("PATCH", `/${id}`, { content: "192.0.2.2" });
    expect((await ask(a.name)).answers).toMatchObject([{ data: "192.0.2.2" }]);
  });

  it("answers AAAA, and TTL 1 as five minutes", async () => {
    await call("POST", "", { type: "AAAA", name: "six", content: "2001:0db8::0001" });
    const { answers } = await ask("six.example.test", "AAAA");
    expect(answers).toMatchObject([{ type: "AAAA", ttl: 300, data: "2001:db8::1" }]);
  });

  it("follows a CNAME inside the zone, and names one that leads out of it", async () => {
    await call("POST", "", a);
    await call("POST", "", { type: "CNAME", name: "alias", content: a.name });
    await call("POST", "", { type: "CNAME", name: "out", content: "redis.example.net" });
    await call("POST", "", { type: "CNAME", name: "broken", content: "nowhere.example.test" });
    await call("POST", "", { type: "CNAME", name: "ping", content: "pong.example.test" });
    await call("POST", "", { type: "CNAME", name: "pong", content: "ping.example.test" });
    const types = async (name: string) => {
      const { rcode, answers } = await ask(`${name}.example.test`);
      return [rcode, ...answers.slice(0, 2).map((each) => `${each.type} ${each.data}`)];
    };
    expect(await types("alias")).toEqual(["NOERROR", `CNAME ${a.name}`, "A 192.0.2.1"]);
    expect(await types("out")).toEqual(["NOERROR", "CNAME redis.example.net"]);
    expect(await types("broken")).toEqual(["NXDOMAIN", "CNAME nowhere.example.test"]);
    expect((await types("ping"))[0]).toBe("NOERROR");
    // An SOA beside it would say that the name has no address.
    expect((await ask("out.example.test")).authorities).toEqual([]);
  });

  it("tells no name from no data, and refuses other zones", async () => {
    await call("POST", "", { ...a, name: "deep.cache.example.test" });
    const soa = [{ type: "SOA", name: "example.test" }];
    expect(await ask("nope.example.test")).toMatchObject({ rcode: "NXDOMAIN", authorities: soa });
    expect(await ask("deep.cache.example.test", "AAAA")).toMatchObject({
      rcode: "NOERROR",
      answers: [],
      authorities: soa,
    });
    expect(await ask("cache.example.test")).toMatchObject({ rcode: "NOERROR", answers: [] });
    expect((await ask("example.test", "SOA")).answers).toMatchObject(soa);
    expect((await ask("example.net")).rcode).toBe("REFUSED");
    expect((await ask("notexample.test")).rcode).toBe("REFUSED");
  });

  it("never shows the server behind a proxied name", async () => {
    await call("POST", "", { ...a, proxied: true });
    const { answers } = await ask(a.name);
    expect(answers).toHaveLength(1);
    expect(answers[0]?.data).not.toBe("192.0.2.1");
  });
});
