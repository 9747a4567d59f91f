/** Rules of one decision that a running world hardly shows: stale looks, old stamps, late outcomes, eviction. */
import { describe, expect, test } from "vitest";
import { decide } from "../../worker/core/decide.ts";
import { freshSight } from "../../worker/core/saved.ts";
import type { Input, State } from "../../worker/core/state.ts";
import { groupConfig } from "../support/builders.ts";
import { createWorld, type World } from "../support/world.ts";

const nothing: Input = { observations: [], outcomes: [], requests: [] };

/** A world in the given phase of a failover from a to b. */
function worldIn(phase: State["saved"]["phase"]["kind"]): World {
  const world = createWorld();
  world.run(2000);
  world.kill("a");
  world.until(phase, () => world.state.saved.phase.kind === phase);
  return world;
}

describe("never believe a look that is older than the action", () => {
  test("a candidate that was seen as primary before it was told to be is not promoted yet", () => {
    const world = worldIn("promoting");
    const b = world.node("b");
    Object.assign(b, { role: "primary", follows: null });
    // Asked for in the moment before the order was given: as new as any that is known, and too old to show it.
    const old = world.look();
    expect(old[0]?.tookMs).toBe(1);
    const input = { ...nothing, observations: old };
    const decision = decide(world.state, input, world.config, world.nowMs);
    expect(decision.state.saved.phase.kind).toBe("promoting");
    expect(decision.state.saved.primary).toBe("a");
  });

  test("the election waits for a look that was asked for after the seal", () => {
    const world = worldIn("electing");
    const early = decide(world.state, nothing, world.config, world.nowMs);
    expect(early.state.saved.phase.kind).toBe("electing");
    expect(early.actions.filter((action) => action.kind === "promote")).toEqual([]);
  });
});

test("a stamp that the relay would refuse for its age is not used: nobody can act for the node", () => {
  const world = createWorld();
  world.run(2000);
  const later = world.nowMs + world.config.commandTtlMs;
  const request = { kind: "failover", id: "x", to: null } as const;
  const { replies } = decide(world.state, { ...nothing, requests: [request] }, world.config, later);
  expect(replies[0]).toMatchObject({ kind: "refused", code: "NOGOODSLAVE" });
  const [reply] = replies;
  expect(reply?.kind === "refused" && reply.reasons.map((each) => each.reason)).toContain(
    "has no relay that could promote it now",
  );
});

test("an outcome of an action that nobody remembers is dropped and counted", () => {
  const world = createWorld();
  world.run(2000);
  const outcome = { action: "cache.999", kind: "done", detail: "", atMs: world.nowMs } as const;
  const decision = decide(
    world.state,
    { ...nothing, outcomes: [outcome] },
    world.config,
    world.nowMs,
  );
  expect(decision.state.sight.dropped).toBe(world.state.sight.dropped + 1);
  expect(decision.state.saved).toBe(world.state.saved);
});

test("F4 idle: the same document, no action, no event", () => {
  const world = createWorld();
  world.run(5000);
  const { saved } = world.state;
  const [actions, events] = [world.actions.length, world.events.length];
  world.run(60_000);
  expect(world.state.saved).toBe(saved);
  expect([world.actions.length, world.events.length]).toEqual([actions, events]);
});

test("P10 nobody can be promoted: told once, though the ages in the reasons grow with every look", () => {
  const world = createWorld();
  world.run(2000);
  for (const id of ["b", "c"]) world.kill(id);
  world.run(10_000);
  world.kill("a");
  // They are back too late to follow a, and their links are older than anything known of it.
  for (const id of ["b", "c"]) Object.assign(world.node(id), { life: "up", brokenAtMs: 0 });
  world.run(30_000);
  const told = world.events.filter(({ name }) => name === "-failover-abort-no-good-slave");
  // While they are new they are not trusted yet; then what speaks against them is their data.
  expect(told.map(({ text }) => text.replace(/\d+/g, "n"))).toEqual([
    expect.stringContaining("c was bad, and is good for only n ms of the n ms of grace"),
    expect.stringContaining("c link to its primary was down for n ms, more than n ms"),
  ]);
  expect(world.state.sight.told.filter((mark) => mark.startsWith("no-good"))).toHaveLength(1);
});

describe("X22 nobody knows what became of the order to promote", () => {
  const orders = (world: World) => world.actions.filter(({ kind }) => kind === "promote").length;

  test("it is done: a second order, which would drop clients that came meanwhile, is not sent", () => {
    const world = worldIn("promoting");
    world.fail("promote", "unknown");
    // It was executed all the same; nobody looks for a while.
    Object.assign(world.node("b"), { role: "primary", follows: null });
    for (let count = 0; count < 10; count += 1) {
      world.jump(60);
      world.decide([], []);
    }
    expect(orders(world)).toBe(1);
    world.run(1000);
    expect(world.state.saved.primary).toBe("b");
    expect(orders(world)).toBe(1);
  });

  test("it was in vain, whatever was said: sent again when a look after the answer shows it", () => {
    const world = worldIn("electing");
    world.fail("promote", "done");
    world.until("the order", () => orders(world) > 0);
    world.run(50);
    world.mend("promote");
    world.until("b", () => world.state.saved.primary === "b");
    expect(orders(world)).toBeGreaterThan(1);
  });
});

describe("P11 the chosen replica dies before it was promoted", () => {
  test("while it is looked at once more: another one is chosen, in the same attempt", () => {
    const world = worldIn("electing");
    world.kill("b");
    world.until("somebody is primary", () => world.state.saved.primary !== "a");
    expect(world.state.saved).toMatchObject({ primary: "c", epoch: 2 });
    expect(world.actions.filter(({ kind }) => kind === "promote")).toHaveLength(1);
  });

  test("when it was told: the deadline ends it, and the next epoch names another", () => {
    const world = createWorld();
    world.run(2000);
    world.fail("promote", "unreachable");
    world.kill("a");
    world.until("promoting", () => world.state.saved.phase.kind === "promoting");
    const beganMs = world.nowMs;
    world.kill("b");
    world.mend("promote");
    world.until("somebody is primary", () => world.state.saved.primary !== "a");
    expect(world.state.saved).toMatchObject({ primary: "c", epoch: 3 });
    expect(world.told("-failover-abort-slave-timeout")).toMatchObject([{ node: "b", epoch: 2 }]);
    expect(world.nowMs - beganMs).toBeLessThan(world.config.promoteTimeoutMs + 2000);
    // It may have been promoted, for all that is known: it is fenced like the old primary first.
    const sealed = world.actions.filter(({ kind, epoch }) => kind === "seal" && epoch === 3);
    expect(sealed).toMatchObject([{ node: "a" }, { node: "b" }]);
  });

  test("the only one: nobody is promoted, the route stays, and it is tried again when it is back", () => {
    const world = createWorld({ ids: ["a", "b"], graceMs: 0 });
    world.run(2000);
    world.kill("a");
    world.until("electing", () => world.state.saved.phase.kind === "electing");
    world.kill("b");
    world.run(10_000);
    expect(world.told("-failover-abort-no-good-slave")[0]?.text).toContain("b ");
    expect(world.state.saved).toMatchObject({ primary: "a", phase: { kind: "watching" } });
  });
});

test("no promotion is sent so late that it could take effect past the deadline", () => {
  const world = createWorld();
  world.run(2000);
  world.fail("promote", "unreachable");
  world.kill("a");
  world.until("promoting", () => world.state.saved.phase.kind === "promoting");
  const beganMs = world.nowMs;
  world.until("another attempt", () => world.state.saved.highestEpoch === 3);
  const { promoteTimeoutMs, commandTtlMs, commandTimeoutMs } = world.config;
  const sent = world.actions.filter(({ kind, epoch }) => kind === "promote" && epoch === 2);
  expect(sent.length).toBeGreaterThan(3);
  const lastMs = beganMs + promoteTimeoutMs - commandTtlMs - commandTimeoutMs;
  for (const { deadlineMs } of sent)
    expect(deadlineMs - commandTimeoutMs).toBeLessThanOrEqual(lastMs);
});

test("promotions that nobody sees follow each other more and more slowly", () => {
  const world = createWorld({ ids: ["a", "b"] });
  world.run(2000);
  world.fail("promote", "unreachable");
  world.kill("a");
  world.run(600_000);
  const begun = world.told("+try-failover").map(({ atMs }) => atMs);
  const gaps = begun.slice(1).map((atMs, at) => atMs - (begun[at] ?? 0));
  expect(gaps.length).toBeGreaterThan(10);
  expect(gaps.length).toBeLessThan(30);
  expect(gaps.at(-1)).toBeGreaterThanOrEqual(30_000);
  expect(world.state.saved.primary).toBe("a");
  world.mend("promote");
  world.run(40_000);
  expect(world.state.saved.primary).toBe("b");
});

test("one that was told in vain is chosen after every other, though it is the best", () => {
  const world = createWorld();
  world.run(2000);
  world.node("b").priority = 1;
  world.run(1100);
  world.fail("promote", "unreachable");
  world.kill("a");
  world.until("another attempt", () => world.state.saved.highestEpoch === 4);
  const told = world.told("+failover-state-send-slaveof-noone").map(({ node }) => node);
  expect(told).toEqual(["b", "c"]);
});

test("G22 a refusal of the brake that comes when the promotion was sent undoes nothing", () => {
  const world = worldIn("promoting");
  const { saved, sight } = world.state;
  const permit = { id: "cache.99", kind: "permit", about: "fleet", key: null } as const;
  const pending = [{ ...permit, epoch: 2, deadlineMs: world.nowMs + 100 }];
  const outcome = { action: permit.id, kind: "refused", detail: "", atMs: world.nowMs } as const;
  const state = { saved: { ...saved, pending: [...saved.pending, ...pending] }, sight };
  const decision = decide(state, { ...nothing, outcomes: [outcome] }, world.config, world.nowMs);
  expect(decision.state.saved.phase.kind).toBe("promoting");
  expect(decision.actions.filter(({ kind }) => kind === "unseal")).toEqual([]);
});

test("a replica that was away takes reads after up_after good looks, not at once", () => {
  const world = createWorld({ upAfter: 3 });
  world.run(2000);
  world.kill("c");
  world.run(5000);
  expect(world.state.saved.readable).toEqual(["b"]);
  world.start("c");
  const before = world.decisions.length;
  world.until("c", () => world.state.saved.readable.includes("c"));
  expect(world.decisions.length - before).toBe(3);
});

describe("quiet: the next look is left to cron while enough relays would tell", () => {
  /** How long until the next look, when `deed` was done and seen. */
  function nextLookMs(
    deed: (world: World) => void,
    connected: readonly string[] = ["a", "b"],
    change: Parameters<typeof createWorld>[0] = {},
  ) {
    const world = createWorld(change);
    world.run(5000);
    deed(world);
    world.run(5000);
    const input = { ...nothing, observations: world.look(), connected };
    const { wakeAtMs } = decide(world.state, input, world.config, world.nowMs);
    return wakeAtMs - world.nowMs;
  }

  test("all is well, and two are connected", () => {
    expect(nextLookMs(() => {})).toBe(60_000);
  });
  test("two on one machine are as good as one: they die with it", () => {
    const local = { relays: groupConfig({}).relays.map((each) => ({ ...each, local: ["a"] })) };
    expect(nextLookMs(() => {}, ["a", "b"], local)).toBe(1000);
  });
  test("a node that only the relay beside it sees: if both die nobody tells", () => {
    const deed = (world: World) => world.relay("b").cut.add("a");
    expect(nextLookMs(deed, ["a", "b"])).toBe(1000);
  });
  test("one is not enough", () => {
    expect(nextLookMs(() => {}, ["a"])).toBe(1000);
  });
  const cases: readonly (readonly [string, (world: World) => void])[] = [
    ["not wanted", (world) => world.configure({ quiet: false })],
    ["a replica is down", (world) => world.kill("c")],
    ["a replica has no link", (world) => Object.assign(world.node("c"), { unlinked: true })],
    ["a relay does not answer", (world) => Object.assign(world.relay("c"), { reach: false })],
    ["a node is full", (world) => Object.assign(world.node("c"), { life: "policy" })],
    [
      "the primary is sealed, and cannot be opened",
      (world) => {
        world.node("a").minReplicas = 1_000_000;
        world.fail("unseal", "failed");
      },
    ],
    [
      "somebody else switched",
      (world) => {
        Object.assign(world.node("b"), { role: "primary", follows: null });
        for (const id of ["a", "c"])
          Object.assign(world.node(id), { role: "replica", follows: "b" });
      },
    ],
  ];
  test.each(cases)("not while %s", (_, deed) => {
    expect(nextLookMs(deed)).toBeLessThanOrEqual(1000);
  });
});

test("orders to open it that nobody heard of, and that it obeyed, are no row of failures", () => {
  const world = createWorld({ maxFailures: 2 });
  world.run(2000);
  world.fail("unseal", "unknown");
  for (let count = 0; count < 4; count += 1) {
    world.node("a").minReplicas = 1_000_000;
    world.until("open again", () => world.node("a").minReplicas === 0, 60_000);
    world.run(60_000);
  }
  expect(world.told("+unseal")).toHaveLength(4);
  expect(world.told("+try-failover")).toEqual([]);
});

test.each([1, 2])("I17 the others are repointed %i at a time", (parallelSyncs) => {
  const world = createWorld({ ids: ["a", "b", "c", "d", "e", "f"], parallelSyncs });
  world.run(2000);
  world.kill("a");
  world.until("b", () => world.state.saved.primary === "b");
  world.run(10_000);
  const syncing = world.decisions.map(
    ({ state }) => state.saved.pending.filter(({ kind }) => kind === "demote").length,
  );
  expect(Math.max(...syncing)).toBe(parallelSyncs);
  expect(world.told("+slave-reconf-done").map(({ node }) => node)).toEqual(["c", "d", "e", "f"]);
});

test("F3, G6 the old primary is sealed by the decision that first sees it again", () => {
  const world = createWorld();
  world.run(2000);
  world.kill("a");
  world.until("b", () => world.state.saved.primary === "b");
  world.until("over", () => world.state.saved.phase.kind === "watching");
  world.start("a", { follows: null });
  const input = { ...nothing, observations: world.look() };
  const { actions } = decide(world.state, input, world.config, world.nowMs);
  expect(actions.filter((each) => "node" in each && each.node === "a")).toMatchObject([
    { kind: "seal", primary: "b" },
  ]);
});

describe("F7 the first primary is found by two looks that agree", () => {
  const round = (world: World, state: State, nowMs: number) =>
    decide(state, { ...nothing, observations: world.look() }, world.config, nowMs);

  test("one look settles nothing, the second does", () => {
    const world = createWorld();
    const first = round(world, world.state, world.nowMs);
    expect(first.state.saved).toMatchObject({ primary: null, epoch: 0 });
    expect(first.because).toContain("looking once more");
    world.jump(100);
    const second = round(world, first.state, world.nowMs);
    expect(second.state.saved).toMatchObject({ primary: "a", epoch: 1 });
  });

  test("the same look twice is one look", () => {
    const world = createWorld();
    const first = round(world, world.state, world.nowMs);
    const again = round(world, first.state, world.nowMs);
    expect(again.state.saved.primary).toBeNull();
  });

  test("the second says otherwise: nothing is settled, and it takes two again", () => {
    const world = createWorld();
    const first = round(world, world.state, world.nowMs);
    world.jump(100);
    Object.assign(world.node("b"), { role: "primary", follows: null });
    const second = round(world, first.state, world.nowMs);
    Object.assign(world.node("b"), { role: "replica", follows: "a" });
    world.jump(100);
    const third = round(world, second.state, world.nowMs);
    expect(third.state.saved.primary).toBeNull();
  });
});

describe("G8 the Group is evicted at any moment of a failover: somebody is primary in the end, one alone", () => {
  // Every multiple of 5 ms is a round of this world: each of them is the last one before an eviction.
  const moments = Array.from({ length: 60 }, (_, index) => index * 5);
  test.each(moments)("after %i ms", (afterMs) => {
    const world = createWorld();
    world.run(2000);
    world.kill("a");
    world.run(180 + afterMs);
    world.evict();
    world.run(20_000);
    world.start("a", { follows: null });
    world.run(10_000);
    expect(world.primaries()).toEqual([world.state.saved.primary]);
    expect(world.state.saved).toMatchObject({ primary: "b", routeState: "up" });
    expect(world.state.saved.phase.kind).toBe("watching");
    expect(world.node("b").minReplicas).toBe(0);
    const promoted = world.actions.filter((action) => action.kind === "promote");
    const named = new Map<number, string>();
    for (const { epoch, node } of promoted) {
      expect(named.get(epoch) ?? node).toBe(node);
      named.set(epoch, node);
    }
  });
});

test("evicted at every round, always: what it remembers on disk is enough to finish", () => {
  const world = createWorld();
  world.run(2000);
  world.kill("a");
  world.run(210);
  for (let round = 0; round < 40; round += 1) {
    world.evict();
    world.run(5);
  }
  world.run(5000);
  expect(world.state.saved).toMatchObject({ primary: "b", phase: { kind: "watching" } });
  expect(world.primaries()).toEqual(["b"]);
});

test("a decision made twice from the same state is the same decision", () => {
  const world = worldIn("promoting");
  const input = { ...nothing, observations: world.look() };
  const once = decide(world.state, input, world.config, world.nowMs);
  const twice = decide(world.state, input, world.config, world.nowMs);
  expect(twice).toEqual(once);
});

test("a look that is too old says nothing of now: the counters begin anew", () => {
  const world = createWorld();
  world.run(2000);
  world.kill("a");
  world.run(150);
  const failures = world.state.sight.nodes.a?.["relay:a"]?.failures ?? 0;
  expect(failures).toBeGreaterThan(0);
  const late = world.nowMs + 10_000;
  const { state } = decide(world.state, nothing, world.config, late);
  expect(state.sight.nodes).toEqual({ a: {}, b: {}, c: {} });
  expect(freshSight.nodes).toEqual({});
});
