import { it } from "vitest";
import { powerdns } from "../../worker/publish/dns/powerdns.ts";
import { type DnsBench, dnsContract, ZONE } from "../contract/dns.ts";
import { findPdns, type Pdns, startPdns } from "../support/pdns.ts";

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

async function bench(server: Pdns): Promise<DnsBench> {
  const api = await startPdns(server, ZONE, key);
  const rrsets = async () => ((await api.call("GET")) as { rrsets: RrSet[] }).rrsets;
  return {
    dnsPort: api.dnsPort,
    provider: ({ fetch }, wrong) =>
      powerdns(
        {
          provider: "powerdns",
          zone: wrong.zone === undefined ? ZONE : "test",
          serverId: "localhost",
          tokenSecret: "PDNS_KEY",
          apiUrl: wrong.address ?? api.apiUrl,
          ttlS: 60,
        },
        {
          secret: () => (wrong.key === undefined ? key : "not-the-key"),
          ...(fetch === undefined ? {} : { fetch }),
        },
      ),
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

if (typeof pdns !== "string") {
  dnsContract("PowerDNS", () => bench(pdns));
} else {
  // Skipped where there is no PowerDNS to ask: neither installed nor to be had from Debian's mirror.
  it.skip(`dns PowerDNS against a real server: ${pdns}`, () => {});
}
