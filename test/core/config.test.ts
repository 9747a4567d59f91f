/** Configuration: what is right, and every complaint with its path, what was given, what is allowed. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseConfig } from "../../worker/core/config.ts";
import {
  brakeSettings,
  dnsSettings,
  groupSettings,
  nodeSettings,
  type Setting,
} from "../../worker/core/settings.ts";

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
const provided = {
  cloudflare: { zone_id: "0123456789abcdef0123456789abcdef", token_secret: "DNS_TOKEN" },
  route53: {
    zone_id: "Z2FDTNDATAQYW2",
    access_key_id_secret: "AWS_ID",
    secret_access_key_secret: "AWS_KEY",
  },
  powerdns: { zone: "example.com", token_secret: "PDNS_KEY", api_url: "http://10.0.0.9:8081" },
};
const dnsOf = (provider: keyof typeof provided, change: Raw = {}): Raw => ({
  provider,
  ...provided[provider],
  ...change,
});
const dns = (change: Raw = {}) => dnsOf("cloudflare", change);
const webhook = (change: Raw = {}): Raw => ({
  name: "pager",
  url: "https://hooks.example.com/picket",
  signing_secret: "PAGER_SIGNING",
  ...change,
});
const parse = (variables: Raw, isSet: (name: string) => boolean = () => true) =>
  parseConfig(variables, isSet);
const complaints = (variables: Raw, isSet?: (name: string) => boolean) => {
  const parsed = parse(variables, isSet);
  return parsed.ok ? [] : parsed.complaints;
};

describe("right", () => {
  test("a webhook that names no events is told of all but those about webhooks; development may be told at home", () => {
    const home = webhook({ name: "home", url: "http://127.0.0.1:8080/", allow_private: true });
    const parsed = parse({ GROUPS: [group({ webhooks: [webhook(), home] })] });
    const [pager, atHome] = parsed.ok ? (parsed.groups[0]?.webhooks ?? []) : [];
    expect(pager?.events).toContain("+switch-master");
    expect(pager?.events.filter((name) => name.startsWith("-webhook"))).toEqual([]);
    expect(atHome?.url).toBe("http://127.0.0.1:8080/");
  });

  test("every provider, with its defaults", () => {
    for (const provider of ["cloudflare", "route53", "powerdns"] as const) {
      const parsed = parse({
        GROUPS: [group({ dns: dnsOf(provider), replica_hostname: "ro.example.com" })],
      });
      expect(parsed).toMatchObject({
        ok: true,
        groups: [
          {
            replicaHostname: "ro.example.com",
            drift: "repair",
            dns: { provider, ttlS: 60, apiUrl: expect.stringMatching(/^https?:/) },
          },
        ],
      });
    }
  });

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
  type Case = [string, Raw, string, string, string];
  const cases: readonly Case[] = [
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
      { GROUPS: [group({ vantages: ["relay:a", "sam"] })] },
      "GROUPS[0].vantages[1]",
      "sam",
      "relay:a, relay:b, wnam, enam, weur, eeur, apac, oc",
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
      '"https://(not shown)@relay"',
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
      "a name outside PowerDNS's zone",
      { GROUPS: [group({ hostname: "cache.other.org", dns: dnsOf("powerdns") })] },
      "GROUPS[0].hostname",
      "cache.other.org",
      "a name in the zone example.com",
    ],
    [
      "a provider that there is none of",
      { GROUPS: [group({ dns: { provider: "bind" } })] },
      "GROUPS[0].dns.provider",
      '"bind"',
      "cloudflare, route53, powerdns",
    ],
    [
      "a key of another provider",
      { GROUPS: [group({ dns: dnsOf("route53", { token_secret: "X" }) })] },
      "GROUPS[0].dns.token_secret",
      "an unknown key",
      "docs/settings.md",
    ],
    [
      "a name for the replicas, and no dns",
      { GROUPS: [group({ replica_hostname: "ro.example.com" })] },
      "GROUPS[0].dns",
      "nothing",
      "since replica_hostname is set",
    ],
    [
      "a name for replicas that have names themselves",
      {
        GROUPS: [
          group({
            replica_hostname: "ro.example.com",
            dns: dns(),
            nodes: [node("a"), node("b", { host: "redis-b.example.com" })],
          }),
        ],
      },
      "GROUPS[0].nodes[1].host",
      "redis-b.example.com",
      "an IP address",
    ],
    [
      "the same name for the primary and the replicas",
      { GROUPS: [group({ replica_hostname: "CACHE.example.com", dns: dns() })] },
      "GROUPS",
      "hostname cache.example.com more than once",
      "each hostname once",
    ],
    [
      "two webhooks of one name",
      { GROUPS: [group({ webhooks: [webhook(), webhook()] })] },
      "GROUPS[0].webhooks",
      "name pager more than once",
      "each name once",
    ],
    [
      "a webhook at a private address",
      { GROUPS: [group({ webhooks: [webhook({ url: "https://10.0.0.7/hook/hunter2" })] })] },
      "GROUPS[0].webhooks[0].url",
      "https://10.0.0.7",
      "public",
    ],
    [
      "a webhook without TLS",
      { GROUPS: [group({ webhooks: [webhook({ url: "http://hooks.example.com" })] })] },
      "GROUPS[0].webhooks[0].url",
      "http://hooks.example.com",
      "https",
    ],
    [
      "a webhook's url that is none, which is not shown",
      { GROUPS: [group({ webhooks: [webhook({ url: "hooks.example.com/hunter2" })] })] },
      "GROUPS[0].webhooks[0].url",
      "(not shown)",
      "an http or https address",
    ],
    [
      "a webhook that is told of webhooks",
      { GROUPS: [group({ webhooks: [webhook({ events: ["-webhook-gave-up"] })] })] },
      "GROUPS[0].webhooks[0].events[0]",
      '"-webhook-gave-up"',
      "docs/webhooks.md",
    ],
    [
      "a host that is the group's name",
      { GROUPS: [group({ nodes: [node("a", { host: "cache.example.com" }), node("b")] })] },
      "GROUPS[0].hostname",
      "cache.example.com",
      "lead to itself",
    ],
    [
      "an address with a port that there is none of",
      { GROUPS: [group({ relays: [relay("a", { url: "https://relay:99999" }), relay("b")] })] },
      "GROUPS[0].relays[0].url",
      '"https://relay:99999"',
      "an http or https address",
    ],
    ...["01.2.3.4", ":::::", "1::2::3"].map(
      (host): Case => [
        `an address that is none: ${host}`,
        { GROUPS: [group({ nodes: [node("a", { host }), node("b")] })] },
        "GROUPS[0].nodes[0].host",
        JSON.stringify(host),
        "a host name or an IP address",
      ],
    ),
    [
      "an event that there is none of",
      { GROUPS: [group({ webhooks: [webhook({ events: ["+odown", "+nothing"] })] })] },
      "GROUPS[0].webhooks[0].events[1]",
      '"+nothing"',
      "docs/webhooks.md",
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

  test("a secret of a provider or a webhook that is not set", () => {
    const groups = [group({ dns: dnsOf("route53"), webhooks: [webhook()] })];
    const missing = ["AWS_KEY", "PAGER_SIGNING"];
    expect(
      complaints({ GROUPS: groups }, (name) => !missing.includes(name)).map(({ path }) => path),
    ).toEqual(["GROUPS[0].dns.secret_access_key_secret", "GROUPS[0].webhooks[0].signing_secret"]);
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

/** Values that are not what `setting` takes. */
const wrongFor = ({ min, max, fraction }: Setting): readonly unknown[] => [
  min - 1,
  max + 1,
  ...(fraction ? [] : [min + 0.5]),
  ...["1", null, true, [], {}, Number.NaN],
];

test("every number is refused outside its range and taken at both ends", () => {
  for (const [key, setting] of Object.entries<Setting>(groupSettings)) {
    if (key === "quorum" || key === "promote_timeout_ms") continue;
    // The longest of these would not fit in front of the default promote_timeout_ms.
    const roomy = {
      promote_timeout_ms: groupSettings.promote_timeout_ms.max,
      probe_delay_ms: 0,
    };
    for (const right of [setting.min, setting.max])
      expect(complaints({ GROUPS: [group({ ...roomy, [key]: right })] }), key).toEqual([]);
    for (const wrong of wrongFor(setting))
      expect(complaints({ GROUPS: [group({ ...roomy, [key]: wrong })] })[0]?.path, key).toBe(
        `GROUPS[0].${key}`,
      );
  }
  for (const [key, setting] of Object.entries<Setting>(nodeSettings))
    for (const wrong of wrongFor(setting))
      expect(
        complaints({ GROUPS: [group({ nodes: [node("a", { [key]: wrong })] })] })[0]?.path,
      ).toBe(`GROUPS[0].nodes[0].${key}`);
  for (const provider of ["cloudflare", "route53", "powerdns"] as const)
    for (const [key, setting] of Object.entries<Setting>(dnsSettings[provider])) {
      const pathOf = (value: unknown) =>
        complaints({ GROUPS: [group({ dns: dnsOf(provider, { [key]: value }) })] })[0]?.path;
      for (const right of [setting.min, setting.max]) expect(pathOf(right)).toBeUndefined();
      for (const wrong of wrongFor(setting)) expect(pathOf(wrong)).toBe(`GROUPS[0].dns.${key}`);
    }
});

test("a part of the keys may be a fraction, and nothing else", () => {
  const parsed = parse({ GROUPS: [group({ wipe_keep_ratio: 0.25 })] });
  expect(parsed).toMatchObject({ ok: true, groups: [{ wipeKeepRatio: 0.25 }] });
  const fractions = Object.entries<Setting>(groupSettings).filter(([, { fraction }]) => fraction);
  expect(fractions.map(([key]) => key)).toEqual(["wipe_keep_ratio"]);
});

describe("BRAKE, over all groups", () => {
  const brake = (value: unknown) => ({ GROUPS: [group()], BRAKE: value });
  const defaults = {
    maxFailovers: brakeSettings.max_failovers.fallback,
    windowMs: brakeSettings.window_ms.fallback,
  };
  const right: readonly [string, Raw, Raw][] = [
    ["not written", { GROUPS: [group()] }, defaults],
    ["empty", brake({}), defaults],
    ["one of the two", brake({ max_failovers: 3 }), { ...defaults, maxFailovers: 3 }],
    ["both", brake({ max_failovers: 1, window_ms: 1000 }), { maxFailovers: 1, windowMs: 1000 }],
  ];
  test.each(right)("%s", (_, variables, expected) => {
    expect(parse(variables)).toMatchObject({ ok: true, brake: expected });
  });

  const wrong: readonly [string, unknown, string, string][] = [
    ["no failovers at all", { max_failovers: 0 }, "BRAKE.max_failovers", "from 1 to 10000"],
    ["too many", { max_failovers: 10_001 }, "BRAKE.max_failovers", "from 1 to 10000"],
    ["a window that is too short", { window_ms: 999 }, "BRAKE.window_ms", "from 1000 to 3600000"],
    ["a window in words", { window_ms: "1m" }, "BRAKE.window_ms", "from 1000 to 3600000"],
    ["an unknown key", { max_failover: 3 }, "BRAKE.max_failover", "docs/settings.md"],
    ["no table", 3, "BRAKE", "Object"],
    ["a list, as of [[vars.BRAKE]]", [{ max_failovers: 3 }], "BRAKE.0", "docs/settings.md"],
  ];
  test.each(wrong)("%s: refused, and with it everything", (_, value, path, allowed) => {
    const parsed = parse(brake(value));
    expect(parsed.ok).toBe(false);
    expect("groups" in parsed).toBe(false);
    const found = complaints(brake(value));
    expect(found.map((each) => each.path)).toEqual([path]);
    expect(found[0]?.allowed).toContain(allowed);
  });
});

test('fencing "lease" needs exactly one relay on the machine of each node', () => {
  const relays = group().relays as readonly Raw[];
  const local = (...lists: readonly string[][]) => ({
    GROUPS: [
      group({
        fencing: "lease",
        relays: lists.map((each, index) => ({ ...relays[index], local: each })),
      }),
    ],
  });
  expect(complaints(local(["a"], ["b"]))).toEqual([]);
  const [none] = complaints(local(["a"], []));
  expect(none).toMatchObject({ path: "GROUPS[0].relays", given: "no relay local to b" });
  const [two] = complaints(local(["a", "b"], ["b"]));
  expect(two).toMatchObject({ path: "GROUPS[0].relays", given: "a, b local to b" });
  expect(two?.allowed).toMatch(/exactly one relay local to each node/);
});

// ------------------------------------------------------------------ generated

const camel = (key: string) => key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
const numberOf = ({ min, max, fraction }: Setting) =>
  fraction ? fc.double({ min, max, noNaN: true }) : fc.integer({ min, max });
const optional = (table: Readonly<Record<string, Setting>>) =>
  fc.record(
    Object.fromEntries(Object.entries(table).map(([key, setting]) => [key, numberOf(setting)])),
    { requiredKeys: [] },
  );
const maybe = <T>(key: string, value: fc.Arbitrary<T>) =>
  fc.record({ [key]: value }, { requiredKeys: [] }) as fc.Arbitrary<Raw>;
const merged = (...parts: readonly fc.Arbitrary<Raw>[]): fc.Arbitrary<Raw> =>
  fc.tuple(...parts).map((all) => Object.assign({}, ...all) as Raw);

/** Any group that is right: between one and four nodes, each with its relay, every setting written or not. */
const someGroup: fc.Arbitrary<Raw> = fc
  .tuple(
    fc.integer({ min: 1, max: 4 }),
    merged(
      optional(groupSettings),
      maybe("elect", fc.constantFrom("priority", "data")),
      maybe("cross_zone", fc.constantFrom("allow", "avoid", "refuse")),
      maybe("fencing", fc.constantFrom("none", "sealed", "lease")),
      maybe("observe_only", fc.boolean()),
      maybe("quiet", fc.boolean()),
      maybe("location", fc.constantFrom("weur", "enam")),
      maybe("dns", optional(dnsSettings.cloudflare).map(dns)),
    ),
    fc.array(
      merged(
        optional(nodeSettings),
        maybe("priority", fc.integer({ min: 0, max: 1_000_000 })),
        maybe("zone", fc.constantFrom("z1", "z2")),
        maybe("tls", fc.boolean()),
        maybe("replication_host", fc.constantFrom("10.1.0.1", "db.internal", "fd00::1")),
      ),
      { minLength: 4, maxLength: 4 },
    ),
  )
  .map(([count, settings, nodes]) => {
    const ids = ["a", "b", "c", "d"].slice(0, count);
    const ttl = Number(settings.command_ttl_ms ?? groupSettings.command_ttl_ms.fallback);
    const command = Number(
      settings.command_timeout_ms ?? groupSettings.command_timeout_ms.fallback,
    );
    const promote = Number(
      settings.promote_timeout_ms ?? groupSettings.promote_timeout_ms.fallback,
    );
    return group({
      ...settings,
      quorum: Number(settings.quorum ?? 0) % (count + 1),
      promote_timeout_ms: Math.max(promote, ttl + command),
      ...(settings.probes === undefined ? {} : { probe_delay_ms: 0 }),
      relays: ids.map((id) => relay(id)),
      nodes: ids.map((id, at) => node(id, nodes[at])),
    });
  });

describe("generated", () => {
  test("what is right is taken as it is written, number by number; what is not written has its default", () => {
    fc.assert(
      fc.property(someGroup, (raw) => {
        const parsed = parse({ GROUPS: [raw] });
        if (!parsed.ok) return expect.fail(JSON.stringify(parsed.complaints));
        const [found] = parsed.groups as unknown as readonly Raw[];
        for (const [key, { fallback }] of Object.entries(groupSettings)) {
          const written = raw[key] ?? fallback;
          const half = Math.floor((raw.nodes as Raw[]).length / 2) + 1;
          const expected = key === "quorum" && written === 0 ? half : written;
          expect(found?.[camel(key)], key).toBe(expected);
        }
        for (const key of ["elect", "cross_zone", "fencing", "observe_only", "quiet", "location"])
          if (raw[key] !== undefined) expect(found?.[camel(key)], key).toBe(raw[key]);
        const nodes = found?.nodes as readonly Raw[];
        (raw.nodes as Raw[]).forEach((each, at) => {
          expect(nodes[at]).toEqual({
            id: each.id,
            host: each.host,
            port: each.port,
            replicationHost: each.replication_host ?? each.host,
            replicationPort: each.replication_port || each.port,
            tls: each.tls ?? false,
            priority: each.priority ?? null,
            readWeight: each.read_weight ?? nodeSettings.read_weight.fallback,
            zone: each.zone ?? null,
            weight: each.weight ?? nodeSettings.weight.fallback,
            restUrl: null,
            probe: null,
          });
        });
      }),
      { numRuns: 300 },
    );
  });

  /** What no key of that name takes. */
  const broken: Readonly<Record<string, readonly unknown[]>> = {
    ...Object.fromEntries(
      [groupSettings, nodeSettings, dnsSettings.cloudflare].flatMap((table) =>
        Object.entries<Setting>(table).map(([key, setting]) => [key, wrongFor(setting)]),
      ),
    ),
    name: ["", "Cache", "a b", "a".repeat(64), 1, null],
    id: ["", "A", "a_b", 1, null],
    hostname: ["localhost", "10.0.0.1", "a b.example.com", 1],
    host: ["", "10.0.0.256", "http://a", 1, null],
    replication_host: ["", "a b", 1],
    url: ["relay", "ftp://relay", "https://u@relay", "https://relay?x=1", 1, null],
    control_token_secret: ["", "lower", "A-B", 1, null],
    data_token_secret: ["", "lower", "A-B", 1, null],
    token_secret: ["", "lower", 1, null],
    provider: ["bind", "", null],
    zone_id: ["", "xyz", "0123456789ABCDEF0123456789ABCDEF", 1],
    elect: ["both", "", null, 1],
    cross_zone: ["no", null],
    fencing: ["leased", "yes", null],
    observe_only: ["true", 1, null],
    quiet: ["false", 0, null],
    location: ["europe", "", 1],
    tls: ["yes", 1],
    zone: ["", "Z 1", 1],
    priority: [-1, 1.5, 1_000_001, "1"],
    local: ["a", [1], {}],
    relays: [[], "a", {}, null],
    nodes: [[], "a", {}, null],
    dns: ["cloudflare", 1, []],
  };

  type Place = { readonly path: string; readonly key: string; readonly within: Raw };
  /** Every key that is written, with its path. */
  function placesIn(value: unknown, path: string): readonly Place[] {
    if (Array.isArray(value)) return value.flatMap((each, at) => placesIn(each, `${path}[${at}]`));
    if (typeof value !== "object" || value === null) return [];
    return Object.entries(value).flatMap(([key, each]) => [
      { path: `${path}.${key}`, key, within: value as Raw },
      ...placesIn(each, `${path}.${key}`),
    ]);
  }

  test("one thing wrong anywhere: refused whole, with its path", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(someGroup, fc.nat(), fc.nat(), fc.boolean(), (right, at, which, unknown) => {
        const raw = structuredClone(right);
        const places = placesIn(raw, "GROUPS[0]");
        const place = places[at % places.length];
        if (place === undefined) return;
        const values = broken[place.key] ?? expect.fail(`how is ${place.key} wrong?`);
        let { path } = place;
        if (unknown) {
          path = `${path}x`;
          place.within[`${place.key}x`] = 1;
        } else place.within[place.key] = values[which % values.length];
        seen.add(unknown ? "unknown" : place.key);
        const parsed = parse({
          GROUPS: [group({ name: "first", hostname: "first.example.com" }), raw],
        });
        if (parsed.ok) return expect.fail(`taken: ${path} = ${JSON.stringify(place.within)}`);
        expect("groups" in parsed).toBe(false);
        const paths = parsed.complaints.map((each) => each.path);
        // What is wrong inside a list is told at its place in it.
        expect(paths.some((each) => each.startsWith(path.replace("[0]", "[1]")))).toBe(true);
      }),
      { numRuns: 2000 },
    );
    expect([...seen].sort()).toEqual([...Object.keys(broken), "unknown"].sort());
  });
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
