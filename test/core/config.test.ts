/** Configuration: what is right, and every complaint with its path, what was given, what is allowed. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseConfig } from "../../worker/core/config.ts";
import { dnsSettings, groupSettings, nodeSettings } from "../../worker/core/settings.ts";

type Raw = Record<string, unknown>;

const relay = (id: string, change: Raw = {}): Raw => ({
  id,
  url: `https://relay-${id}.example.com`,
  local: [id],
  control_token_secret: `RELAY_${id.toUpperCase()}_CONTROL`,
  data_token_secret: `RELAY_${id.toUpperCase()}_DATA`,
  ...change,
});
const node = (id: string, change: Raw = {}): Raw => ({
  id,
  host: `10.0.0.${id.charCodeAt(0) - 96}`,
  port: 6379,
  ...change,
});
const group = (change: Raw = {}): Raw => ({
  name: "cache",
  hostname: "cache.example.com",
  relays: [relay("a"), relay("b")],
  nodes: [node("a"), node("b")],
  ...change,
});
const dns = (change: Raw = {}): Raw => ({
  provider: "cloudflare",
  zone_id: "0123456789abcdef0123456789abcdef",
  token_secret: "DNS_TOKEN",
  ...change,
});
const parse = (variables: Raw, isSet: (name: string) => boolean = () => true) =>
  parseConfig(variables, isSet);
const complaints = (variables: Raw, isSet?: (name: string) => boolean) => {
  const parsed = parse(variables, isSet);
  return parsed.ok ? [] : parsed.complaints;
};

describe("right", () => {
  test("what is not written has its default", () => {
    const parsed = parse({ GROUPS: [group({ dns: dns() })], OTHER: "ignored" });
    expect(parsed).toMatchObject({
      ok: true,
      groups: [
        {
          name: "cache",
          mode: "replication",
          fencing: "none",
          vantages: ["relay:a", "relay:b"],
          quorum: 2,
          checkIntervalMs: groupSettings.check_interval_ms.fallback,
          dns: { ttlS: 60, apiUrl: "https://api.cloudflare.com/client/v4" },
          nodes: [{ replicationHost: "10.0.0.1", replicationPort: 6379, priority: null }, {}],
        },
      ],
    });
  });

  test("groups of GROUPS_2, GROUPS_3, … belong to it, in that order", () => {
    const named = (name: string) => [group({ name, hostname: undefined })];
    const parsed = parse({ GROUPS_10: named("z"), GROUPS: named("x"), GROUPS_2: named("y") });
    expect(parsed.ok && parsed.groups.map((each) => each.name)).toEqual(["x", "y", "z"]);
  });
});

describe("wrong: refused whole, with the path, what was given and what is allowed", () => {
  const cases: readonly [string, Raw, string, string, string][] = [
    ["no GROUPS at all", {}, "GROUPS", "nothing", "a list of groups"],
    ["no list", { GROUPS: "cache" }, "GROUPS", '"cache"', "a list of group"],
    ["an empty list", { GROUPS: [] }, "GROUPS", "[]", "at least one group"],
    [
      "a duplicate node id",
      { GROUPS: [group({ nodes: [node("a"), node("a", { host: "10.0.0.9" })] })] },
      "GROUPS[0].nodes",
      "id a more than once",
      "each id once",
    ],
    [
      "two nodes at one address",
      { GROUPS: [group({ nodes: [node("a"), node("b", { host: "10.0.0.1" })] })] },
      "GROUPS[0].nodes",
      "address 10.0.0.1:6379 more than once",
      "each address once",
    ],
    [
      "a duplicate relay id",
      { GROUPS: [group({ relays: [relay("a"), relay("a")] })] },
      "GROUPS[0].relays",
      "id a more than once",
      "each id once",
    ],
    ["no node", { GROUPS: [group({ nodes: [] })] }, "GROUPS[0].nodes", "[]", "at least one node"],
    ["a missing key", { GROUPS: [group({ nodes: undefined })] }, "GROUPS[0].nodes", "nothing", ""],
    [
      "a quorum above the vantages",
      { GROUPS: [group({ quorum: 3 })] },
      "GROUPS[0].quorum",
      "3",
      "at most the 2 vantages",
    ],
    [
      "an unknown key",
      { GROUPS: [group({ quorun: 2 })] },
      "GROUPS[0].quorun",
      "an unknown key",
      "docs/settings.md",
    ],
    [
      "an unknown key deep inside",
      { GROUPS: [group({ nodes: [node("a"), node("b", { prot: 1 })] })] },
      "GROUPS[0].nodes[1].prot",
      "an unknown key",
      "docs/settings.md",
    ],
    [
      "a name that is no host name",
      { GROUPS: [group({ hostname: "cache_example" })] },
      "GROUPS[0].hostname",
      '"cache_example"',
      "host name",
    ],
    [
      "an address as host name",
      { GROUPS: [group({ hostname: "10.0.0.1" })] },
      "GROUPS[0].hostname",
      '"10.0.0.1"',
      "host name",
    ],
    [
      "a host that is none",
      { GROUPS: [group({ nodes: [node("a", { host: "10.0.0.256" }), node("b")] })] },
      "GROUPS[0].nodes[0].host",
      '"10.0.0.256"',
      "a host name or an IP address",
    ],
    [
      "a port out of range",
      { GROUPS: [group({ nodes: [node("a", { port: 70_000 }), node("b")] })] },
      "GROUPS[0].nodes[0].port",
      "70000",
      "a whole number from 1 to 65535",
    ],
    [
      "a vantage that is none",
      { GROUPS: [group({ vantages: ["relay:a", "weur"] })] },
      "GROUPS[0].vantages[1]",
      "weur",
      "relay:a, relay:b",
    ],
    [
      "a local node that is none",
      { GROUPS: [group({ relays: [relay("a", { local: ["x"] }), relay("b")] })] },
      "GROUPS[0].relays[0].local[0]",
      "x",
      "a, b",
    ],
    [
      "a relay address with a user in it",
      { GROUPS: [group({ relays: [relay("a", { url: "https://u:p@relay" }), relay("b")] })] },
      "GROUPS[0].relays[0].url",
      '"https://u:p@relay"',
      "without user",
    ],
    [
      "the same group twice",
      { GROUPS: [group()], GROUPS_2: [group({ hostname: "other.example.com" })] },
      "GROUPS, GROUPS_2",
      "group cache more than once",
      "each group once",
    ],
    [
      "the same host name twice",
      { GROUPS: [group(), group({ name: "other" })] },
      "GROUPS",
      "hostname cache.example.com more than once",
      "each hostname once",
    ],
    [
      "dns without a host name",
      { GROUPS: [group({ hostname: undefined, dns: dns() })] },
      "GROUPS[0].hostname",
      "nothing",
      "since dns is set",
    ],
    [
      "a promotion deadline that a late command could outlive",
      { GROUPS: [group({ promote_timeout_ms: 2999 })] },
      "GROUPS[0].promote_timeout_ms",
      "2999",
      "= 3000",
    ],
    [
      "active-active, which is not built",
      { GROUPS: [group({ mode: "active-active" })] },
      "GROUPS[0].mode",
      '"active-active"',
      "replication",
    ],
  ];
  test.each(cases)("%s", (_, variables, path, given, allowed) => {
    const found = complaints(variables).filter((each) => each.path === path);
    expect(found).toHaveLength(1);
    expect(found[0]?.given).toBe(given);
    expect(found[0]?.allowed).toContain(allowed);
  });

  test("a secret that is not set, by its name", () => {
    expect(complaints({ GROUPS: [group()] }, (name) => name !== "RELAY_B_DATA")).toEqual([
      {
        path: "GROUPS[0].relays[1].data_token_secret",
        given: "a secret that is not set",
        allowed: "set it first: wrangler secret put RELAY_B_DATA",
      },
    ]);
  });

  test("a token in the place of a secret's name is not repeated", () => {
    const relays = [relay("a", { control_token_secret: "hunter2-hunter2" }), relay("b")];
    const found = complaints({ GROUPS: [group({ relays })] });
    expect(found[0]?.path).toBe("GROUPS[0].relays[0].control_token_secret");
    expect(JSON.stringify(found)).not.toContain("hunter2");
  });

  test("a token under an unknown key is not repeated", () => {
    const relays = [relay("a", { control_token: "hunter2-hunter2" }), relay("b")];
    expect(JSON.stringify(complaints({ GROUPS: [group({ relays })] }))).not.toContain("hunter2");
  });

  test("a variable that is too large, by its name and size", () => {
    const many = Array.from({ length: 20 }, (_, index) =>
      group({ name: `g${index}`, hostname: `g${index}.example.com` }),
    );
    const [found] = complaints({ GROUPS: many });
    expect(found?.path).toBe("GROUPS");
    expect(found?.given).toMatch(/^\d+ bytes$/);
    expect(found?.allowed).toContain("GROUPS_2");
  });

  test("every complaint at once, not only the first", () => {
    const wrong = group({ quorum: 9, nodes: [node("a"), node("a")], vantages: ["relay:x"] });
    expect(complaints({ GROUPS: [wrong] }).length).toBeGreaterThanOrEqual(3);
  });
});

test("every number is refused outside its range and taken at both ends", () => {
  for (const [key, { min, max }] of Object.entries(groupSettings)) {
    if (key === "quorum" || key === "promote_timeout_ms") continue;
    // The longest of these would not fit in front of the default promote_timeout_ms.
    const roomy = { promote_timeout_ms: groupSettings.promote_timeout_ms.max };
    for (const right of [min, max])
      expect(complaints({ GROUPS: [group({ ...roomy, [key]: right })] }), key).toEqual([]);
    for (const wrong of [min - 1, max + 1, min + 0.5, "1", null])
      expect(complaints({ GROUPS: [group({ ...roomy, [key]: wrong })] })[0]?.path).toBe(
        `GROUPS[0].${key}`,
      );
  }
  expect(Object.keys(nodeSettings).concat(Object.keys(dnsSettings))).toContain("ttl_s");
});

test("whatever comes, it is an answer, and a complaint always has its three parts", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom("GROUPS", "GROUPS_2", "X"), fc.jsonValue()),
      (raw) => {
        for (const { path, given, allowed } of complaints(raw)) {
          expect(path).toMatch(/^GROUPS/);
          expect(given.length).toBeLessThanOrEqual(80);
          expect(allowed).not.toBe("");
        }
      },
    ),
  );
});
