/** Whom to tell of the route, what that means to each, and the slow look at what they hold. */
import { describe, expect, test } from "vitest";
import { publishersOf, readersOf } from "../../worker/core/publishing.ts";
import type { Route } from "../../worker/core/route.ts";
import type { DnsConfig, PublishAction } from "../../worker/core/types.ts";
import { groupConfig } from "../support/builders.ts";
import { createWorld, type World } from "../support/world.ts";

const dns: DnsConfig = {
  provider: "cloudflare",
  zoneId: "z".repeat(32),
  tokenSecret: "DNS",
  ttlS: 60,
  apiUrl: "https://api.example.com",
};
const at = (host: string) => ({ id: host, host, port: 6379, tls: false, rest: null });
const route = (change: Partial<Route> = {}): Route => ({
  v: 1,
  group: "cache",
  mode: "replication",
  epoch: 3,
  rev: 2,
  state: "up",
  hostname: "cache.example.com",
  primary: at("10.0.0.1"),
  replicas: [],
  updatedAt: "2026-11-20T12:00:00.000Z",
  ...change,
});
const readers = (...hosts: string[]) => hosts.map((host) => ({ ...at(host), readWeight: 1 }));
const published = (world: World, to: string): readonly PublishAction[] =>
  world.actions.flatMap((each) => (each.kind === "publish" && each.to === to ? [each] : []));
const beats = (world: World, to = "kv") =>
  published(world, to).filter(({ beat }) => beat !== null).length;

describe("a record is written again when what it is made of changes, and only then", () => {
  const [, primaryRule, replicaRule] = publishersOf(
    groupConfig({ dns, replicaHostname: "ro.example.com" }),
  );
  const cases: readonly [string, Partial<Route>, boolean, boolean][] = [
    ["another revision", { rev: 3 }, false, false],
    ["another epoch", { epoch: 4 }, true, true],
    ["another primary", { primary: at("10.0.0.9") }, true, true],
    ["a replica that takes reads", { replicas: readers("10.0.0.2") }, false, true],
    ["another name", { hostname: "other.example.com" }, false, false],
  ];
  test.each(cases)("%s", (_, change, primary, replicas) => {
    const differs = (rule = primaryRule) => rule?.keyOf(route()) !== rule?.keyOf(route(change));
    expect([differs(), differs(replicaRule)]).toEqual([primary, replicas]);
  });

  test("nobody is primary yet: nothing is written", () => {
    expect(primaryRule?.keyOf(route({ primary: null }))).toBeNull();
    expect(replicaRule?.keyOf(route({ primary: null }))).toBeNull();
  });

  test("readers are the replicas in any order, and the primary where there are none", () => {
    expect(readersOf(route({ replicas: readers("10.0.0.3", "10.0.0.2") }))).toEqual([
      "10.0.0.2",
      "10.0.0.3",
    ]);
    expect(readersOf(route())).toEqual(["10.0.0.1"]);
    const idle = readers("10.0.0.2").map((each) => ({ ...each, readWeight: 0 }));
    expect(readersOf(route({ replicas: [...idle, ...readers("10.0.0.3")] }))).toEqual(["10.0.0.3"]);
    expect(readersOf(route({ replicas: idle }))).toEqual(["10.0.0.1"]);
  });
});

test("the name of the replicas follows them", () => {
  const world = createWorld({ dns, replicaHostname: "ro.example.com" });
  world.run(5000);
  const before = published(world, "dns-replicas").length;
  world.node("c").unlinked = true;
  world.until("c takes no reads", () => !world.state.saved.readable.includes("c"));
  world.run(1000);
  const last = published(world, "dns-replicas").at(-1);
  expect(published(world, "dns-replicas").length).toBeGreaterThan(before);
  expect(last?.route.replicas.map(({ id }) => id)).toEqual(["b"]);
});

test("a record that was begun to be written, and is not wanted any more, is written back", () => {
  const world = createWorld({ dns, replicaHostname: "ro.example.com" });
  world.run(5000);
  world.fail("dns-replicas", "unknown");
  const { length } = published(world, "dns-replicas");
  world.node("c").unlinked = true;
  world.until("it is told of b alone", () => published(world, "dns-replicas").length > length);
  world.mend("dns-replicas");
  world.node("c").unlinked = false;
  world.until("c takes reads", () => world.state.saved.readable.includes("c"));
  world.run(3000);
  const last = published(world, "dns-replicas").at(-1);
  expect(last?.route.replicas.map(({ id }) => id)).toEqual(["b", "c"]);
  expect(world.state.saved.published["dns-replicas"]).toMatchObject({ key: last?.key });
});

describe("the slow look", () => {
  test("KV is not looked at sooner than 120 s after it was written, DNS as often as configured", () => {
    const world = createWorld({ dns, driftIntervalMs: 10_000 });
    world.run(110_000);
    expect(beats(world)).toBe(0);
    expect(beats(world, "dns")).toBeGreaterThanOrEqual(9);
    world.run(20_000);
    expect(beats(world)).toBeGreaterThan(0);
  });

  test("is taken in quiet times only: not while the route is down or a primary is replaced", () => {
    const world = createWorld({ dns, driftIntervalMs: 1000, cooldownMs: 0 });
    world.run(5000);
    world.kill("a");
    world.until("b", () => world.state.saved.primary === "b");
    world.kill("b");
    world.kill("c");
    world.run(10_000);
    for (const { actions, state } of world.decisions)
      for (const action of actions)
        if (action.kind === "publish" && action.beat !== null)
          expect([state.saved.phase.kind, state.saved.routeState]).toEqual(["watching", "up"]);
  });

  test("that finds nothing does not hold up the next write", () => {
    const world = createWorld({ driftIntervalMs: 1000 });
    world.until("a look", () => beats(world) > 0, 200_000);
    world.kill("a");
    world.until("b", () => world.state.saved.primary === "b");
    const switchedAtMs = world.nowMs;
    world.until("told", () => published(world, "kv").some(({ epoch }) => epoch === 2));
    expect(world.nowMs - switchedAtMs).toBeLessThan(100);
  });

  test("that fails is told, and repeated until it works; what was published still counts", () => {
    const world = createWorld({ dns, driftIntervalMs: 10_000 });
    world.run(5000);
    const { key } = world.state.saved.published.dns ?? {};
    world.fail("dns", "failed");
    world.run(60_000);
    expect(world.told("-publish-failed")).toHaveLength(1);
    expect(world.state.saved.published.dns).toMatchObject({ key, problem: "failed" });
    world.mend("dns");
    world.run(40_000);
    expect(world.state.saved.published.dns).toMatchObject({ key, problem: null, failures: 0 });
  });

  test("that may not be repeated for long holds up no write", () => {
    const world = createWorld({ dns, driftIntervalMs: 1000 });
    world.until("settled", () => beats(world) > 0, 200_000);
    for (const to of ["kv", "dns"]) world.retryAfter.set(to, 600_000);
    const before = { kv: beats(world), dns: beats(world, "dns") };
    world.until(
      "asked to wait",
      () => beats(world) > before.kv && beats(world, "dns") > before.dns,
    );
    for (const to of ["kv", "dns"]) world.retryAfter.delete(to);
    world.kill("a");
    world.until("b", () => world.state.saved.primary === "b");
    world.run(100);
    for (const to of ["kv", "dns"]) expect(published(world, to).at(-1)?.epoch).toBe(2);
  });

  test("that died with the Group has not failed", () => {
    const world = createWorld({ dns, driftIntervalMs: 10_000 });
    world.run(5000);
    world.fail("dns", "unknown");
    world.until("a look", () => world.state.saved.pending.some(({ beat }) => beat === true));
    world.evict();
    world.mend("dns");
    world.run(20_000);
    expect(world.told("-publish-failed")).toEqual([]);
  });
});

describe("what is taken, and not done yet", () => {
  test("is asked for with its receipt until it is done; another route begins anew", () => {
    const world = createWorld({ dns });
    world.slow.add("dns");
    world.run(10_000);
    const [first, second] = published(world, "dns");
    expect(first?.receipt).toBeNull();
    expect(second?.receipt).toBe(`change-${first?.key}`);
    expect(world.told("-publish-failed")).toEqual([]);
    world.kill("a");
    world.until("b", () => world.state.saved.primary === "b");
    world.run(5000);
    const after = published(world, "dns").filter(({ epoch }) => epoch === 2);
    expect(after[0]?.receipt).toBeNull();
    expect(after[1]?.receipt).toBe(`change-${after[0]?.key}`);
  });

  test("does not hold up the next route by its pace", () => {
    const world = createWorld({ dns });
    world.run(5000);
    world.slow.add("dns");
    world.retryAfter.set("dns", 60_000);
    world.configure({ hostname: "other.example.com" });
    world.until("taken", () => world.state.saved.published.dns?.receipt != null);
    world.kill("a");
    world.until("b", () => world.state.saved.primary === "b");
    world.run(100);
    expect(published(world, "dns").at(-1)?.epoch).toBe(2);
  });

  test("is a failure when it cannot be asked about: told, and asked more and more slowly", () => {
    const world = createWorld({ dns });
    world.slow.add("dns");
    world.until("taken", () => world.state.saved.published.dns?.receipt != null);
    world.deaf.add("dns");
    world.run(60_000);
    expect(world.told("-publish-failed")).toHaveLength(1);
    expect(published(world, "dns").length).toBeLessThan(10);
    world.deaf.clear();
    world.run(40_000);
    expect(world.state.saved.published.dns).toMatchObject({ receipt: null, problem: null });
  });
});

describe("an older route", () => {
  test("whose write fails holds up no newer one", () => {
    const world = createWorld({ dns });
    world.run(5000);
    world.fail("dns", "failed");
    world.configure({ hostname: "other.example.com" });
    world.run(60_000);
    world.mend("dns");
    world.kill("a");
    world.until("b", () => world.state.saved.primary === "b");
    world.run(100);
    expect(published(world, "dns").at(-1)?.epoch).toBe(2);
  });

  test("whose write was under way when the Group died is written again, and has not failed", () => {
    const world = createWorld({ dns });
    world.run(5000);
    for (const to of ["kv", "dns"]) world.fail(to, "unknown");
    world.kill("a");
    world.until("b", () => world.state.saved.primary === "b");
    world.evict();
    for (const to of ["kv", "dns"]) world.mend(to);
    world.run(100);
    expect(world.state.saved.published.dns?.key).toMatch(/^2 /);
    // It may have been written a moment ago, and KV takes one a second.
    expect(world.state.saved.published.kv?.key).toBeNull();
    world.run(1500);
    expect(world.state.saved.published.kv?.key).toMatch(/^2\./);
    expect(world.told("-publish-failed")).toEqual([]);
  });
});

test("another server of the same zone is another destination; one that is configured no more is forgotten", () => {
  const world = createWorld({ dns });
  world.run(5000);
  const before = published(world, "dns").length;
  world.configure({ dns: { ...dns, apiUrl: "https://other.example.com" } });
  world.run(2000);
  expect(published(world, "dns").length).toBe(before + 1);
  world.fail("dns", "unknown");
  world.configure({ dns: { ...dns, ttlS: 120 } });
  world.until("under way", () => world.state.saved.pending.some(({ about }) => about === "dns"));
  world.configure({ dns: null });
  world.run(5000);
  expect(Object.keys(world.state.saved.published)).toEqual(["kv"]);
  expect(world.told("-publish-failed")).toEqual([]);
});

test("after a clock that went back by ten minutes a new route is published at once", () => {
  const world = createWorld();
  world.run(5000);
  world.jump(-600_000);
  // Passive first.
  world.run(32_000);
  const { length } = published(world, "kv");
  world.ask({ id: "x", kind: "failover", to: "b" });
  world.until("b", () => world.state.saved.primary === "b");
  world.run(2000);
  expect(published(world, "kv").length).toBeGreaterThan(length);
});
