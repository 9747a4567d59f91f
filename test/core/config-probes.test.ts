/** Where a group is looked at from, and how: what is right, and every complaint. */
import { describe, expect, test } from "vitest";
import { parseConfig } from "../../worker/core/config.ts";

type Raw = Record<string, unknown>;

const tcp = { transport: "tcp", host: "redis.example.com" };
const node = (id: string, change: Raw = {}): Raw => ({ id, host: `${id}.example.com`, ...change });
const relay = (id: string): Raw => ({
  id,
  url: `https://relay-${id}.example.com`,
  control_token_secret: "CONTROL",
  data_token_secret: "DATA",
});
/** Two databases that all take writes, looked at over TCP. */
const active = (change: Raw = {}): Raw => ({
  name: "cache",
  mode: "active-active",
  nodes: [node("a", { probe: tcp }), node("b", { probe: tcp })],
  ...change,
});
/** One primary, two relays. */
const replication = (change: Raw = {}): Raw => ({
  name: "cache",
  relays: [relay("a"), relay("b")],
  nodes: [node("a"), node("b")],
  ...change,
});
const parse = (raw: Raw, isSet: (name: string) => boolean = () => true) =>
  parseConfig({ GROUPS: [raw] }, isSet);
function parsed(raw: Raw) {
  const found = parse(raw);
  if (!found.ok) return expect.fail(JSON.stringify(found.complaints));
  return found.groups[0] ?? expect.fail("no group");
}
function complaints(raw: Raw, isSet?: (name: string) => boolean) {
  const found = parse(raw, isSet);
  return found.ok ? [] : found.complaints;
}

describe("who votes, and which regions look", () => {
  const cases: [string, Raw, string[], string[], number][] = [
    ["relays alone", replication(), ["relay:a", "relay:b"], [], 2],
    [
      "regions that see the nodes only through relays have no vote",
      replication({ vantages: ["weur", "enam", "relay:a", "relay:b"] }),
      ["relay:a", "relay:b"],
      ["weur", "enam"],
      2,
    ],
    [
      "regions alone, through relays: those are the votes",
      replication({ vantages: ["weur", "enam"] }),
      ["relay:a", "relay:b"],
      ["weur", "enam"],
      2,
    ],
    [
      "regions with a path of their own",
      replication({
        vantages: ["weur", "enam", "relay:a"],
        nodes: [node("a", { probe: tcp }), node("b", { probe: tcp })],
      }),
      ["weur", "enam", "relay:a"],
      ["weur", "enam"],
      2,
    ],
    ["no relay: three continents", active(), ["wnam", "weur", "apac"], ["wnam", "weur", "apac"], 2],
    ["one region", active({ vantages: ["oc"] }), ["oc"], ["oc"], 1],
  ];
  test.each(cases)("%s", (_, raw, vantages, regions, quorum) => {
    expect(parsed(raw)).toMatchObject({ vantages, regions, quorum });
  });
});

test("each transport with its defaults", () => {
  const url = "https://db.example.com/";
  const group = parsed(
    active({
      nodes: [
        node("a", { probe: { transport: "tcp" }, port: 6380, tls: true }),
        node("b", { probe: { transport: "upstash", url, token_secret: "T" } }),
        node("c", { probe: { transport: "custom", url: `${url}health?x=1`, expect_body: "ok" } }),
        node("d", {
          rest_url: url,
          weight: 0.5,
          probe: { transport: "lag-aware", url, username: "u", password_secret: "P" },
        }),
      ],
    }),
  );
  const basic = { username: null, passwordSecret: null };
  expect(group.nodes.map(({ probe }) => probe)).toEqual([
    { transport: "tcp", host: "a.example.com", port: 6380, tls: true, ...basic },
    { transport: "upstash", url: "https://db.example.com", tokenSecret: "T" },
    {
      ...{ transport: "custom", url: "https://db.example.com/health?x=1" },
      ...{ expectStatus: 200, expectBody: "ok", timeoutMs: 0, ...basic },
    },
    {
      ...{ transport: "lag-aware", url: "https://db.example.com", host: "d.example.com" },
      ...{ lagToleranceMs: 5000, timeoutMs: 0, username: "u", passwordSecret: "P" },
    },
  ]);
  expect(group.nodes[3]).toMatchObject({ restUrl: "https://db.example.com", weight: 0.5 });
  expect(group).toMatchObject({
    ...{ failbackIntervalMs: 120_000, failbackGraceMs: 60_000, initialHealthPolicy: "majority" },
    ...{ failoverAttempts: 10, failoverDelayMs: 12_000, probes: 1, probePolicy: "all" },
  });
});

describe("wrong", () => {
  const probed = (probe: Raw) =>
    active({ nodes: [node("a", { probe }), node("b", { probe: tcp })] });
  const cases: [string, Raw, string, string, string][] = [
    [
      "a region where nothing is put up",
      active({ vantages: ["afr"] }),
      "vantages[0]",
      "afr",
      "wnam",
    ],
    ["a region that is none", active({ vantages: ["mars"] }), "vantages[0]", "mars", "weur"],
    [
      "a vantage twice",
      active({ vantages: ["weur", "weur"] }),
      "vantages",
      "vantage weur more than once",
      "each vantage once",
    ],
    [
      "a quorum over the usable vantages",
      replication({ vantages: ["weur", "enam", "apac", "relay:a"], quorum: 2 }),
      "quorum",
      "2",
      "at most the 1 vantages: relay:a",
    ],
    ["no relay to promote", { ...active(), mode: "replication" }, "relays", "nothing", "promote"],
    [
      "fencing, where nothing is promoted",
      active({ fencing: "sealed" }),
      "fencing",
      "sealed",
      "none in active-active",
    ],
    [
      "a node that nobody can look at",
      active({ nodes: [node("a"), node("b")] }),
      "nodes[1].probe",
      "nothing",
      "since there is no relay",
    ],
    [
      "some nodes with a path of their own, and some without",
      replication({ vantages: ["weur"], nodes: [node("a", { probe: tcp }), node("b")] }),
      "nodes[1].probe",
      "nothing",
      "all or none",
    ],
    [
      "a path of its own that nobody uses",
      replication({ nodes: [node("a", { probe: tcp }), node("b", { probe: tcp })] }),
      "nodes[0].probe",
      "tcp",
      "a region among the vantages",
    ],
    [
      "a transport that is none",
      probed({ transport: "udp" }),
      "nodes[0].probe.transport",
      '"udp"',
      "lag-aware",
    ],
    [
      "a private address over TCP",
      probed({ transport: "tcp", host: "10.0.0.5" }),
      "nodes[0].probe.host",
      "10.0.0.5",
      "look through a relay",
    ],
    [
      "a private address of the node itself",
      active({ nodes: [{ id: "a", host: "fd00::1", probe: { transport: "tcp" } }] }),
      "nodes[0].probe.host",
      "fd00::1",
      "a public address",
    ],
    ...["0x7f.1", "0xa.0.0.1", "::ffff:10.0.0.1"].map(
      (host): [string, Raw, string, string, string] => [
        `a private address, written as ${host}`,
        probed({ transport: "tcp", host }),
        ...(["nodes[0].probe.host", host, "a public address"] as [string, string, string]),
      ],
    ),
    [
      "a user without a password",
      probed({ ...tcp, username: "picket" }),
      "nodes[0].probe.password_secret",
      "nothing",
      "since there is a username",
    ],
    [
      "a private address over HTTPS",
      probed({ transport: "custom", url: "https://192.168.1.1/health" }),
      "nodes[0].probe.url",
      "https://192.168.1.1",
      "public",
    ],
    [
      "no TLS over HTTP",
      probed({ transport: "upstash", url: "http://db.example.com", token_secret: "T" }),
      "nodes[0].probe.url",
      "http://db.example.com",
      "https",
    ],
    [
      "without its secret",
      probed({ transport: "upstash", url: "https://db.example.com" }),
      "nodes[0].probe.token_secret",
      "nothing",
      "token_secret",
    ],
    [
      "without its address",
      probed({ transport: "custom" }),
      "nodes[0].probe.url",
      "nothing",
      "url",
    ],
    [
      "a path of its own that leads through a relay",
      replication({
        vantages: ["weur", "relay:a"],
        nodes: ["a", "b"].map((id) =>
          node(id, {
            probe: {
              transport: "upstash",
              url: `https://relay-${id}.example.com/nodes/${id}`,
              token_secret: "T",
            },
          }),
        ),
      }),
      "nodes[1].probe.url",
      "https://relay-b.example.com",
      "the relay's vote",
    ],
    [
      "looks that take longer than a look may",
      active({ probes: 3, probe_delay_ms: 500 }),
      "probes",
      "3, 500 ms apart",
      "half of probe_timeout_ms = 1000",
    ],
  ];
  test.each(cases)("%s", (_, raw, path, given, allowed) => {
    const found = complaints(raw).filter((each) => each.path === `GROUPS[0].${path}`);
    expect(found).toHaveLength(1);
    expect(found[0]?.given).toBe(given);
    expect(found[0]?.allowed).toContain(allowed);
  });

  test("a secret that is not set, by its name", () => {
    const raw = probed({ transport: "tcp", host: "redis.example.com", password_secret: "PASS" });
    expect(complaints(raw, (name) => name !== "PASS")).toEqual([
      {
        path: "GROUPS[0].nodes[0].probe.password_secret",
        given: "a secret that is not set",
        allowed: "set it first: wrangler secret put PASS",
      },
    ]);
  });

  test("a private address is right for development", () => {
    expect(
      complaints(probed({ transport: "tcp", host: "127.0.0.1", allow_private: true })),
    ).toEqual([]);
  });
});
