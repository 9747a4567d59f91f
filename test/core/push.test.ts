/** What relays tell of their own accord: early, and no more than their own vote. */
import { describe, expect, test } from "vitest";
import { awaitedBy } from "../../worker/core/sight.ts";
import type { Observation } from "../../worker/core/types.ts";
import { createWorld, type World } from "../support/world.ts";

const steady = (): World => {
  const world = createWorld();
  world.run(3000);
  return world;
};

/** What the relay beside or away from a node tells of it, as `max_failures` refusals in a row. */
type Row = NonNullable<Observation["pushed"]>;
const row = (world: World, change: Partial<Row> = {}): Row => {
  const { maxFailures } = world.config;
  const looks = { looks: maxFailures, refusals: maxFailures, sinceMs: world.nowMs };
  return { news: true, ...looks, before: null, ...change };
};

const refusedBy = (
  world: World,
  relay: string,
  change: Partial<Observation> = {},
): Observation => ({
  vantage: `relay:${relay}`,
  from: "group",
  epoch: world.state.saved.epoch,
  node: "a",
  class: "refused",
  detail: "nothing listens there",
  atMs: world.nowMs,
  tookMs: 1,
  facts: null,
  relay: null,
  pushed: row(world, { sinceMs: world.nowMs - 200 }),
  ...change,
});

describe("a push", () => {
  test("of one relay is one vote: everyone is asked at once, and nothing is decided by it", () => {
    const world = steady();
    const decision = world.push([refusedBy(world, "a")]);
    expect(decision.actions).toEqual([]);
    expect(decision.wakeAtMs).toBe(world.nowMs);
    expect(world.told("+sdown")).toMatchObject([{ node: "a" }]);
    expect(world.told("+odown")).toEqual([]);
    // The others see it alive: no more than a blip.
    world.run(2000);
    expect(world.state.saved).toMatchObject({ primary: "a", phase: { kind: "watching" } });
    expect(world.told("-sdown")).toMatchObject([{ node: "a" }]);
  });

  test("of enough relays is an end of the primary, and the look that follows begins a failover", () => {
    const world = steady();
    world.kill("a");
    world.push([refusedBy(world, "a")]);
    const decision = world.push([refusedBy(world, "b")]);
    expect(world.told("+odown")).toHaveLength(1);
    expect(world.state.saved.phase.kind).toBe("watching");
    expect(decision.actions.filter(({ kind }) => kind !== "publish")).toEqual([]);
    expect(decision.because).toContain("everyone is asked");
    world.run(20);
    expect(world.told("+try-failover")).toHaveLength(1);
  });

  test("of the end of one while all are gone begins nothing: the look that follows sees it", () => {
    const world = steady();
    for (const id of ["a", "b", "c"]) world.kill(id);
    world.push([refusedBy(world, "a"), refusedBy(world, "b")]);
    world.run(5000);
    expect(world.told("+outage")).toHaveLength(1);
    expect(world.told("+try-failover")).toEqual([]);
  });

  test("twice from the same relay is still one vote", () => {
    const world = steady();
    for (let times = 0; times < 5; times += 1) world.push([refusedBy(world, "b")]);
    expect(world.told("+odown")).toEqual([]);
    expect(world.state.saved.phase.kind).toBe("watching");
  });

  test("that was on its way for long, and of an older epoch, is dropped", () => {
    const world = steady();
    const before = world.state.sight.dropped;
    world.push([refusedBy(world, "a", { epoch: 0 })]);
    world.push([refusedBy(world, "b", { atMs: world.nowMs - 60_000 })]);
    expect(world.state.sight.dropped).toBe(before + 2);
    expect(world.told("+sdown")).toEqual([]);
  });

  test("of silence counts from when it began, but no relay can claim an eternity", () => {
    const world = steady();
    const silent = (relay: string, sinceMs: number) =>
      refusedBy(world, relay, {
        class: "timeout",
        pushed: row(world, { refusals: 0, sinceMs }),
      });
    const { downAfterMs } = world.config;
    world.push([silent("a", world.nowMs - downAfterMs + 100)]);
    expect(world.told("+sdown")).toEqual([]);
    world.push([silent("b", world.nowMs - downAfterMs), silent("c", 0)]);
    expect(world.told("+odown")).toHaveLength(1);
    const since = world.state.sight.nodes.a?.["relay:c"]?.firstBadAtMs ?? 0;
    expect(world.nowMs - since).toBeLessThan(60_000);
  });

  test("of what only changed asks for a look, and a slow beat does not", () => {
    const world = steady();
    const facts = world.state.sight.nodes.b?.["relay:b"]?.facts ?? null;
    const up = (news: boolean) =>
      refusedBy(world, "b", {
        node: "b",
        class: "up",
        facts,
        pushed: row(world, { news, looks: 0, refusals: 0 }),
      });
    expect(world.push([up(true)]).wakeAtMs).toBe(world.nowMs);
    expect(world.push([up(false)]).wakeAtMs).toBeGreaterThan(world.nowMs);
  });
});

test("news that comes while everyone is asked is followed by a look of its own", () => {
  const world = steady();
  world.push([refusedBy(world, "a")]);
  world.jump(5);
  const seen = world.look();
  world.jump(20);
  const { wakeAtMs } = world.push([...seen, refusedBy(world, "a")]);
  expect(world.state.sight.newsAtMs).toBeNull();
  expect(wakeAtMs).toBe(world.nowMs);
});

test("a look is complete without those that were down when it was asked for", () => {
  const world = steady();
  world.kill("a");
  world.until("a to be down", () => world.state.sight.away.nodes.includes("a"));
  const before = world.state.sight.lookAskedAtMs ?? 0;
  world.jump(1000);
  const seen = world.look();
  world.push(seen.filter(({ node }) => node === "c"));
  expect(world.state.sight.lookAskedAtMs).toBe(before);
  world.push(seen.filter(({ node }) => node === "b"));
  expect(world.state.sight.lookAskedAtMs).toBe(world.nowMs - 1);
});

test("nor for a relay that does not answer; where nobody does, everyone is waited for", () => {
  const world = steady();
  world.relay("a").reach = false;
  world.until("a's relay to be away", () => world.state.sight.away.vantages.length > 0);
  world.jump(1000);
  const seen = world.look();
  world.push(seen.filter(({ vantage }) => vantage !== "relay:a"));
  expect(world.state.sight.lookAskedAtMs).toBe(world.nowMs - 1);
  const away = { nodes: [], vantages: ["relay:a", "relay:b", "relay:c"] };
  const isAwaited = awaitedBy(away, world.config);
  expect(isAwaited({ vantage: "relay:a", node: "a" })).toBe(true);
});

test("what operators ask about the nodes waits for a look that began after it; a pause does not", () => {
  const world = steady();
  const ask = { id: "1", kind: "switchover", to: "b", timeoutMs: null, force: false } as const;
  const pause = { id: "2", kind: "pause", reason: "maintenance", forMs: null } as const;
  const seen = world.look();
  world.jump(10);
  world.hang("b");
  const late = { askedAtMs: world.nowMs };
  const early = world.decide(
    [
      { ...ask, ...late },
      { ...pause, ...late },
    ],
    seen,
  );
  expect(early.replies).toMatchObject([{ id: "2", kind: "accepted" }]);
  expect(early.wakeAtMs).toBeLessThanOrEqual(world.nowMs + world.config.retryMs);
  world.jump(10);
  expect(world.decide([{ ...ask, ...late }]).replies).toMatchObject([
    { id: "1", kind: "refused", code: "NOGOODSLAVE" },
  ]);
});
