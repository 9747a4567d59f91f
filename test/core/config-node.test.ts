/** A node that comes at run time is checked as one in the configuration is, and beside whom it is put. */
import { describe, expect, it } from "vitest";
import { type ParsedConfig, parseConfig, parseNode } from "../../worker/core/config.ts";

type Raw = Record<string, unknown>;

const upstash = (id: string, change: Raw = {}): Raw => ({
  transport: "upstash",
  url: `https://${id}.upstash.io`,
  token_secret: `PROBE_${id.toUpperCase()}`,
  ...change,
});
const node = (id: string, change: Raw = {}): Raw => ({
  id,
  host: `${id}.upstash.io`,
  tls: true,
  probe: upstash(id),
  ...change,
});
const databases = (change: Raw = {}): Raw => ({
  name: "sessions",
  mode: "active-active",
  nodes: [node("eu", { weight: 2 }), node("us")],
  ...change,
});
const relayed = (change: Raw = {}): Raw => ({
  name: "cache",
  mode: "active-active",
  relays: [
    { id: "a", url: "https://relay", control_token_secret: "CONTROL", data_token_secret: "DATA" },
  ],
  nodes: [{ id: "a", host: "10.0.0.1" }],
  ...change,
});
const parse = (group: Raw, isSet: (name: string) => boolean = () => true): ParsedConfig =>
  parseConfig({ GROUPS: [group] }, isSet);
function groupOf(group: Raw) {
  const parsed = parse(group);
  if (!parsed.ok || parsed.groups[0] === undefined) throw new Error(JSON.stringify(parsed));
  return parsed.groups[0];
}
const complaintsOf = (group: Raw, isSet?: (name: string) => boolean) => {
  const parsed = parse(group, isSet);
  return parsed.ok ? [] : parsed.complaints;
};

describe("a node at run time", () => {
  it("C14 is what it would be in the configuration", () => {
    for (const [group, raw] of [
      [databases(), node("ap", { weight: 0.5, rest_url: "https://rest.example.com/" })],
      [relayed(), { id: "b", host: "10.0.0.2", port: 6380 }],
    ] as const) {
      const configured = groupOf({ ...group, nodes: [...(group.nodes as Raw[]), raw] });
      expect(parseNode(raw, groupOf(group), () => true)).toEqual({
        ok: true,
        node: configured.nodes.at(-1),
      });
    }
  });

  const wrong: readonly [string, Raw, unknown, string, string, string][] = [
    ["no object", databases(), "ap", "", "ap", "Object"],
    ["no id", databases(), { host: "ap.upstash.io" }, "id", "nothing", "id"],
    ["an unknown key", databases(), node("ap", { wieght: 1 }), "wieght", "an unknown key", "a key"],
    ["a weight of nothing", databases(), node("ap", { weight: 0 }), "weight", "0", "0.001"],
    [
      "no transport where others have one",
      databases(),
      { id: "ap", host: "ap" },
      "probe",
      "nothing",
      "upstash",
    ],
    [
      "a transport where nobody has one",
      relayed({ vantages: ["relay:a", "weur"] }),
      node("b"),
      "probe",
      "upstash",
      "since the other nodes have none",
    ],
    ["a transport where no region looks", relayed(), node("b"), "probe", "upstash", "a region"],
    [
      "an address that no Worker reaches",
      databases(),
      node("ap", { probe: { transport: "tcp", host: "10.0.0.9" } }),
      "probe.host",
      "10.0.0.9",
      "public",
    ],
    [
      "a url without TLS",
      databases(),
      node("ap", { probe: upstash("ap", { url: "http://ap.upstash.io/x" }) }),
      "probe.url",
      "http://ap.upstash.io",
      "https",
    ],
    [
      "the group's own name",
      databases({ hostname: "db.example.com" }),
      node("ap", { host: "DB.example.com" }),
      "host",
      "DB.example.com",
      "itself",
    ],
  ];
  it.each(wrong)(
    "%s: refused by field, value and what is allowed",
    (_, group, raw, path, given, allowed) => {
      const parsed = parseNode(raw, groupOf(group), () => true);
      if (parsed.ok) throw new Error("it was taken");
      const found = parsed.complaints.find((each) => each.path === path);
      expect(found).toMatchObject({ given: expect.stringContaining(given) });
      expect(found?.allowed).toContain(allowed);
    },
  );

  it("a secret that is not set is asked for by its name; none is repeated", () => {
    const group = groupOf(databases());
    const isSet = (name: string) => name !== "PROBE_AP";
    expect(parseNode(node("ap"), group, isSet)).toEqual({
      ok: false,
      complaints: [
        {
          path: "probe.token_secret",
          given: "a secret that is not set",
          allowed: "set it first: wrangler secret put PROBE_AP",
        },
      ],
    });
    for (const probe of [
      upstash("ap", { token_secret: "hunter2 itself" }),
      upstash("ap", { url: "https://hunter2@ap.upstash.io" }),
      upstash("ap", { url: "https://user:hunter2@ap.upstash.io/x" }),
      upstash("ap", { url: "https://ap.upstash.io/?token=hunter2" }),
    ]) {
      const parsed = parseNode(node("ap", { probe }), group, () => true);
      expect(parsed.ok).toBe(false);
      expect(JSON.stringify(parsed)).not.toContain("hunter2");
    }
  });
});

it("no other secret of the Worker than one for looks can be named at run time", () => {
  for (const name of ["OPERATE_TOKEN", "CONTROL", "UPSTASH_EU", "MY_PROBE_X"]) {
    const raw = node("ap", { probe: upstash("ap", { token_secret: name }) });
    expect(parseNode(raw, groupOf(databases()), () => true)).toEqual({
      ok: false,
      complaints: [
        {
          path: "probe.token_secret",
          given: "(not shown)",
          allowed: "a secret whose name begins with PROBE_, for a node at run time",
        },
      ],
    });
  }
  const group = databases({
    nodes: [node("eu", { probe: upstash("eu", { token_secret: "EU" }) }), node("us")],
  });
  const back = { ...node("eu"), probe: upstash("eu", { token_secret: "EU" }) };
  expect(parseNode(back, groupOf(group), () => true)).toMatchObject({ ok: true });
  const elsewhere = { ...back, probe: upstash("evil", { token_secret: "EU" }) };
  expect(parseNode(elsewhere, groupOf(group), () => true)).toMatchObject({ ok: false });
});

describe("a group that regions look at", () => {
  it("without a relay, and without naming vantages: three continents have a vote", () => {
    expect(groupOf(databases())).toMatchObject({
      vantages: ["wnam", "weur", "apac"],
      regions: ["wnam", "weur", "apac"],
      quorum: 2,
    });
  });

  const wrong: readonly [string, Raw, string, string, string][] = [
    [
      "a region that does not exist",
      databases({ vantages: ["weur", "mars"] }),
      "vantages[1]",
      "mars",
      "wnam, enam, weur, eeur, apac, oc",
    ],
    [
      "a region in which nothing runs",
      databases({ vantages: ["weur", "sam"] }),
      "vantages[1]",
      "sam",
      "wnam",
    ],
    [
      "a vantage named twice",
      databases({ vantages: ["weur", "enam", "weur"] }),
      "vantages",
      "vantage weur more than once",
      "once",
    ],
    [
      "a quorum of more than vote",
      databases({ vantages: ["weur"], quorum: 2 }),
      "quorum",
      "2",
      "at most the 1 vantages",
    ],
    [
      "regions without a path have no vote",
      relayed({ vantages: ["relay:a", "weur"], quorum: 2 }),
      "quorum",
      "2",
      "at most the 1 vantages: relay:a",
    ],
    [
      "a transport without its address",
      databases({ nodes: [node("eu", { probe: { transport: "upstash", token_secret: "T" } })] }),
      "nodes[0].probe.url",
      "nothing",
      "",
    ],
    [
      "a transport without its secret",
      databases({ nodes: [node("eu", { probe: { transport: "upstash", url: "https://e" } })] }),
      "nodes[0].probe.token_secret",
      "nothing",
      "",
    ],
    [
      "a transport that does not exist",
      databases({ nodes: [node("eu", { probe: { transport: "icmp" } })] }),
      "nodes[0].probe.transport",
      '"icmp"',
      "upstash, tcp, custom, lag-aware",
    ],
    [
      "a private address by TCP",
      databases({ nodes: [node("eu", { host: "192.168.1.2", probe: { transport: "tcp" } })] }),
      "nodes[0].probe.host",
      "192.168.1.2",
      "look through a relay",
    ],
    [
      "nobody who could look",
      databases({ nodes: [{ id: "a", host: "a.example.com" }] }),
      "nodes[0].probe",
      "nothing",
      "no relay that looks",
    ],
    ["a fence", relayed({ fencing: "sealed" }), "fencing", "sealed", "none in active-active"],
  ];
  it.each(wrong)(
    "%s: refused by field, value and what is allowed",
    (_, group, path, given, allowed) => {
      const found = complaintsOf(group).find((each) => each.path === `GROUPS[0].${path}`);
      expect(found).toMatchObject({ given: expect.stringContaining(given) });
      expect(found?.allowed).toContain(allowed);
    },
  );

  it("the secret of a transport has to be set", () => {
    expect(complaintsOf(databases(), (name) => name !== "PROBE_US")).toEqual([
      {
        path: "GROUPS[0].nodes[1].probe.token_secret",
        given: "a secret that is not set",
        allowed: "set it first: wrangler secret put PROBE_US",
      },
    ]);
  });
});
