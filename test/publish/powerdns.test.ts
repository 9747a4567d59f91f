import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { powerdns } from "../../worker/publish/dns/powerdns.ts";
import { dnsPublishers } from "../../worker/publish/dns.ts";
import type { Fetch } from "../../worker/relay/request.ts";
import { type DnsBench, dnsContract, NAME, ZONE } from "../contract/dns.ts";
import { routeTo, timeoutMs } from "../contract/publisher.ts";
import { query } from "../support/dns.ts";
import { findPdns, type Pdns, type PdnsServer, startPdns } from "../support/pdns.ts";

const key = "a-key-of-the-operator";
const pdns = await findPdns();

type RrSet = {
  readonly name: string;
  readonly type: string;
  readonly ttl: number;
  readonly records: readonly { readonly content: string; readonly disabled: boolean }[];
  readonly comments: readonly { readonly content: string }[];
};

const plain = (text: string) => text.replace(/\.$/, "");
const dotted = (type: string, content: string) =>
  type === "CNAME" || type === "MX" ? `${content}.` : content;

const configOf = (apiUrl: string, zone = ZONE) =>
  ({
    provider: "powerdns",
    zone,
    serverId: "localhost",
    tokenSecret: "PDNS_KEY",
    apiUrl,
    ttlS: 60,
  }) as const;

async function bench(server: Pdns): Promise<DnsBench> {
  const api = await startPdns(server, ZONE, key);
  const rrsets = async () => ((await api.call("GET")) as { rrsets: RrSet[] }).rrsets;
  return {
    dnsPort: api.dnsPort,
    provider: ({ fetch }, wrong) =>
      powerdns(configOf(wrong.address ?? api.apiUrl, wrong.zone === undefined ? ZONE : "test"), {
        secret: () => (wrong.key === undefined ? key : "not-the-key"),
        ...(fetch === undefined ? {} : { fetch }),
      }),
    secrets: [key, "not-the-key"],
    put: async (name, records) => {
      const types = [...new Set(records.map((each) => each.type))];
      const gone = (await rrsets()).filter((each) => plain(each.name) === name);
      const changes = [
        ...gone.map(({ type }) => ({ name: `${name}.`, type, changetype: "DELETE" })),
        ...types.map((type) => {
          const of = records.filter((each) => each.type === type);
          const marks = of.flatMap(({ mark }) => (mark === null ? [] : [mark]));
          return {
            name: `${name}.`,
            type,
            ttl: of[0]?.ttlS,
            changetype: "REPLACE",
            records: of.map(({ content }) => ({ content: dotted(type, content), disabled: false })),
            comments: marks.slice(0, 1).map((content) => ({ content, account: "" })),
          };
        }),
      ];
      if (changes.length > 0) await api.call("PATCH", undefined, { rrsets: changes });
    },
    held: async (name) =>
      (await rrsets())
        .filter((each) => plain(each.name) === name)
        .flatMap(({ type, ttl, records, comments }) =>
          records.map(({ content }) => ({
            type,
            content: plain(content),
            ttlS: ttl,
            mark: comments[0]?.content ?? null,
          })),
        ),
    names: async () =>
      (await rrsets())
        .filter(({ type }) => /^(A|AAAA|CNAME)$/.test(type))
        .map(({ name }) => plain(name)),
    throttled: () => new Response("slow down", { status: 429, headers: { "retry-after": "7" } }),
    accepted: () => new Response(null, { status: 204 }),
    refused: () => Response.json({ error: "no" }, { status: 422 }),
    says: {
      key: /not the server's api-key.*wrangler secret put PDNS_KEY/,
      zone: /there is no zone test on the server localhost/,
    },
    close: api.stop,
  };
}

if (typeof pdns === "string") {
  // Skipped where there is no PowerDNS to ask: neither installed nor to be had from Debian's mirror.
  it.skip(`dns PowerDNS against a real server: ${pdns}`, () => {});
} else {
  dnsContract("PowerDNS", () => bench(pdns));
  describe("PowerDNS's own ways", () => ownWays(pdns));
}

function ownWays(server: Pdns) {
  let api: PdnsServer;
  beforeAll(async () => {
    api = await startPdns(server, ZONE, key);
  });
  afterAll(() => api?.stop());

  const publish = (more: object = {}, fetch?: Fetch) => {
    const config = configOf(api.apiUrl);
    const means = { secret: () => key, ...(fetch === undefined ? {} : { fetch }) };
    const [dns] = dnsPublishers(() => powerdns(config, means), { ttlS: 60, replicaHostname: null });
    return dns?.publish(routeTo("192.0.2.1", 7), { timeoutMs, ...more });
  };
  const put = (type: string, content: string, over: object = {}) => {
    const records = [{ content, disabled: false, ...over }];
    const rrset = { name: `${NAME}.`, type, ttl: 60, changetype: "REPLACE", records };
    return api.call("PATCH", undefined, { rrsets: [rrset] });
  };
  const remove = (type: string) =>
    api.call("PATCH", undefined, { rrsets: [{ name: `${NAME}.`, type, changetype: "DELETE" }] });

  /** As a server does that does not know `rrset_name`. */
  const wholeZone: Fetch = (url, init) => fetch(url.replace(/\?.*/, ""), init);

  it("sets right a record that was disabled by hand, also where the server does not show it", async () => {
    for (const [fetcher, drift] of [
      [fetch, "no record"],
      [wholeZone, "A 192.0.2.1 (disabled)"],
    ] as const) {
      expect(await publish({}, fetcher)).toMatchObject({ kind: "done" });
      await put("A", "192.0.2.1", { disabled: true });
      expect(await publish({ beat: "repair" }, fetcher)).toMatchObject({ kind: "done", drift });
      const { answers } = await query(api.dnsPort, NAME, "A");
      expect(answers).toMatchObject([{ data: "192.0.2.1" }]);
    }
  });

  it("keeps the comments of people", async () => {
    const comments = ["ask Ada first", "picket:cache epoch=6"].map((content) => {
      return { content, account: "" };
    });
    const records = [{ content: "192.0.2.9", disabled: false }];
    const rrset = {
      name: `${NAME}.`,
      type: "A",
      ttl: 60,
      changetype: "REPLACE",
      records,
      comments,
    };
    await api.call("PATCH", undefined, { rrsets: [rrset] });
    expect(await publish()).toMatchObject({ kind: "done" });
    const { rrsets } = (await api.call("GET")) as { rrsets: RrSet[] };
    const held = rrsets.find((each) => each.name === `${NAME}.`)?.comments ?? [];
    expect(held.map(({ content }) => content).sort()).toEqual([
      "ask Ada first",
      "picket:cache epoch=7",
    ]);
  });

  it("leaves alone what answers for an address in PowerDNS's own way", async () => {
    await remove("A");
    await put("LUA", `A "ifportup(443, {'192.0.2.1'})"`);
    expect((await publish())?.detail).toContain("not Picket's (LUA A");
    await remove("LUA");
  });

  it.each([
    [Response.json({ error: "overloaded" }, { status: 503 }), "failed", /to wait/],
    [
      new Response("", { status: 301, headers: { location: "https://x.test" } }),
      "failed",
      /api_url/,
    ],
    [new Response("<html>", { status: 500 }), "failed", /HTTP 500/],
    [Response.json({ rrsets: [{ name: 1 }] }), "failed", /not understood/],
    [Response.json({ error: `bad key ${key}` }, { status: 400 }), "failed", /bad key \*\*\*/],
  ])("reads an answer that is none: %#", async (response, kind, says) => {
    const result = await publish({}, async () => response.clone());
    expect(result?.kind).toBe(kind);
    expect(result?.detail).toMatch(says);
  });
}
