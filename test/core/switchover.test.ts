/**
 * The planned switch, as it is decided (W1 to W10 of Redis's own tests; what is refused from the start stands in
 * requests.test.ts): done without loss, or called off with writes resumed.
 */
import { describe, expect, test } from "vitest";
import { SEALED } from "../../worker/core/facts.ts";
import { createWorld, UNSUPPORTED, type World } from "../support/world.ts";

type Asked = {
  readonly to?: string | null;
  readonly timeoutMs?: number | null;
  readonly force?: boolean;
};

function running(change: Parameters<typeof createWorld>[0] = {}): World {
  const world = createWorld(change);
  world.run(3000);
  return world;
}
function ask(world: World, { to = "b", timeoutMs = null, force = false }: Asked = {}): void {
  const reply = world.ask({ id: "x", kind: "switchover", to, timeoutMs, force });
  expect(reply, JSON.stringify(reply)).toMatchObject({ kind: "accepted" });
}
/** b receives nothing more, and a has what it does not. */
function behind(world: World): void {
  world.node("b").lagging = true;
  expect(world.write("a", 10)).toBe(true);
}
const verbs = (world: World) =>
  world.actions.flatMap((action) => ("node" in action ? [`${action.kind} ${action.node}`] : []));

/** b is the primary, everybody follows it, nothing was lost, nobody is sealed. */
function expectSwitched(world: World, to = "b"): void {
  world.run(10_000);
  expect(world.state.saved).toMatchObject({ primary: to, phase: { kind: "watching" } });
  expect(world.primaries()).toEqual([to]);
  for (const { id } of world.config.nodes) {
    expect(world.node(id).keys).toBe(world.node(to).keys);
    expect(world.node(id).follows).toBe(id === to ? null : to);
    expect(world.node(id).minReplicas).toBe(0);
  }
  expect(world.state.saved.maybePromoted).toEqual([]);
}

/** a stays the primary under an epoch of its own, and takes writes. */
function expectStayed(world: World): void {
  expect(world.state.saved).toMatchObject({ primary: "a", phase: { kind: "watching" } });
  expect(world.state.saved.epoch).toBe(world.state.saved.highestEpoch);
  expect(world.primaries()).toEqual(["a"]);
  expect(world.node("a").handsTo).toBeNull();
  expect(world.write("a", 1)).toBe(true);
}

describe("done", () => {
  test("W4 to a named replica", () => {
    const world = running();
    ask(world, { to: "c" });
    expect(world.told("+switchover")).toMatchObject([{ data: { from: "a", to: "c" } }]);
    expectSwitched(world, "c");
    expect(world.state.saved).toMatchObject({
      epoch: 2,
      lastSwitch: { cause: "switchover", from: "a", to: "c", lostBytesAtLeast: 0, unseenMs: 0 },
    });
  });

  test("W4 to any replica: the best one", () => {
    const world = running();
    world.node("b").priority = 200;
    world.run(1100);
    ask(world, { to: null });
    expectSwitched(world, "c");
  });

  test("W4 to any: one without a link to the primary is no candidate", () => {
    const world = running();
    world.node("b").unlinked = true;
    world.run(1100);
    ask(world, { to: null });
    world.node("b").unlinked = false;
    expectSwitched(world, "c");
  });

  test("nothing is sealed, and nothing promoted by command", () => {
    const world = running();
    ask(world);
    expectSwitched(world);
    expect(verbs(world).filter((each) => /^(seal|promote)/.test(each))).toEqual([]);
  });

  test("W9 under writes: every acknowledged one is there", () => {
    const world = running();
    let acknowledged = world.node("a").keys;
    const write = () => {
      for (const { id } of world.config.nodes) if (world.write(id, 1)) acknowledged += 1;
    };
    world.node("b").lagging = true;
    write();
    ask(world);
    for (let round = 0; round < 100; round += 1) {
      if (round === 40) world.node("b").lagging = false;
      write();
      world.run(10);
    }
    expectSwitched(world);
    expect(world.node("b").keys).toBe(acknowledged);
  });

  test("W10 the other replicas are brought under the new primary", () => {
    const world = running({ ids: ["a", "b", "c", "d"] });
    ask(world);
    expectSwitched(world);
    expect(world.state.saved.readable).toEqual(["a", "c", "d"]);
  });

  test("a target that is sealed is unsealed first: as a replica that means nothing", () => {
    const world = running({ fencing: "sealed" });
    world.node("b").minReplicas = SEALED;
    world.run(1100);
    const before = verbs(world).length;
    ask(world);
    world.until("b", () => world.state.saved.primary === "b");
    expect(verbs(world).slice(before, before + 2)).toEqual(["unseal b", "switchover a"]);
    world.run(5000);
    expect(world.node("b").minReplicas).toBe(0);
    expect(world.write("b", 1)).toBe(true);
  });

  test("… and while that fails nobody is told to hand over", () => {
    const world = running({ fencing: "sealed" });
    world.node("b").minReplicas = SEALED;
    world.run(1100);
    world.fail("unseal", "failed");
    ask(world, { timeoutMs: 1000 });
    world.run(8000);
    expect(verbs(world)).not.toContain("switchover a");
    expectStayed(world);
  });

  test("it counts for no cooldown and no limit", () => {
    const world = running();
    ask(world);
    expectSwitched(world);
    world.kill("b");
    world.until("c", () => world.state.saved.primary !== "b", 20_000);
  });
});

describe("called off: the primary that stays takes writes again", () => {
  test("W6 the replica never catches up: when its time is over", () => {
    const world = running();
    behind(world);
    ask(world, { timeoutMs: 2000 });
    const beganMs = world.nowMs;
    world.until("over", () => world.state.saved.phase.kind === "watching");
    expect(world.nowMs - beganMs).toBeGreaterThanOrEqual(2000);
    expect(world.nowMs - beganMs).toBeLessThan(2500);
    expect(world.told("-switchover-aborted")).toMatchObject([{ node: "a", data: { to: "b" } }]);
    expectStayed(world);
    // The relays hold epoch 2 for b: what goes on goes on above it.
    expect(world.state.saved.epoch).toBe(3);
  });

  test("without a time of its own it has the configured one", () => {
    const world = running({ switchoverTimeoutMs: 4000 });
    behind(world);
    ask(world);
    world.run(3500);
    expect(world.state.saved.phase.kind).toBe("switching");
    world.run(1500);
    expectStayed(world);
  });

  test("W7 an operator ends it", () => {
    const world = running();
    behind(world);
    ask(world, { timeoutMs: 60_000 });
    world.run(1000);
    expect(world.ask({ id: "x", kind: "abort-switchover" })).toMatchObject({ kind: "accepted" });
    world.run(1000);
    expect(world.told("-switchover-aborted")[0]?.text).toContain("an operator ended it");
    expectStayed(world);
  });

  test("W8 Redis gave up by itself", () => {
    const world = running();
    behind(world);
    ask(world, { timeoutMs: 60_000 });
    world.run(500);
    world.node("a").handsTo = null;
    world.run(1000);
    expect(world.told("-switchover-aborted")[0]?.text).toContain("a gave up by itself");
    expectStayed(world);
  });

  test.each(["refused", "failed", "unreachable"] as const)(
    "the order is answered with %s",
    (kind) => {
      const world = running();
      world.fail("switchover", kind);
      ask(world);
      world.run(5000);
      expect(world.told("-switchover-aborted")).toHaveLength(1);
      expectStayed(world);
    },
  );

  test("then it can be asked for again", () => {
    const world = running();
    world.fail("switchover", "failed");
    ask(world);
    world.run(5000);
    world.mend("switchover");
    ask(world);
    expectSwitched(world);
    expect(world.state.saved.epoch).toBe(4);
  });

  test("a pause does not end what an operator asked for", () => {
    const world = running();
    behind(world);
    ask(world);
    world.ask({ id: "x", kind: "pause", reason: "rest", forMs: null });
    world.node("b").lagging = false;
    world.run(2000);
    expect(world.state.saved.primary).toBe("b");
  });
});

describe("W5 force: what cannot be done without loss in time is done all the same", () => {
  test("the replica never catches up", () => {
    const world = running();
    behind(world);
    ask(world, { timeoutMs: 1000, force: true });
    world.run(900);
    expect(world.state.saved.phase.kind).toBe("switching");
    world.until("b", () => world.state.saved.primary === "b", 10_000);
    expect(world.state.saved.lastSwitch).toMatchObject({
      from: "a",
      to: "b",
      lostBytesAtLeast: 100,
    });
    world.run(5000);
    expect(world.primaries()).toEqual(["b"]);
    expect(world.node("a")).toMatchObject({ role: "replica", follows: "b" });
  });

  test("it is sealed before another is promoted", () => {
    const world = running();
    behind(world);
    ask(world, { timeoutMs: 1000, force: true });
    world.until("b", () => world.state.saved.primary === "b", 10_000);
    const order = verbs(world).filter((each) => /^(seal a|promote b)/.test(each));
    expect(order).toEqual(["seal a", "promote b"]);
  });

  test("one that catches up in time is switched to without it", () => {
    const world = running();
    ask(world, { timeoutMs: 1000, force: true });
    expectSwitched(world);
    expect(world.state.saved.lastSwitch).toMatchObject({
      cause: "switchover",
      lostBytesAtLeast: 0,
    });
  });
});

describe("a Redis that knows no FAILOVER: sealed, and promoted when it has everything", () => {
  test("without loss", () => {
    const world = running();
    world.fail("switchover", UNSUPPORTED);
    world.node("b").lagging = true;
    world.write("a", 10);
    ask(world);
    world.run(1000);
    expect(world.state.saved.phase.kind).toBe("electing");
    expect(world.write("a", 1)).toBe(false);
    world.node("b").lagging = false;
    expectSwitched(world);
    expect(world.node("b").keys).toBe(110);
  });

  test("strict: it never has everything, so nothing is switched and writes are taken again", () => {
    const world = running();
    world.fail("switchover", UNSUPPORTED);
    behind(world);
    ask(world, { timeoutMs: 3000 });
    world.run(8000);
    expect(world.told("-switchover-aborted")[0]?.text).toContain("nothing was switched");
    expect(verbs(world)).not.toContain("promote b");
    expect(world.node("a").minReplicas).toBe(0);
    expectStayed(world);
  });

  test("strict: the primary cannot be sealed, so nothing is forced on it", () => {
    const world = running();
    world.fail("switchover", UNSUPPORTED);
    world.fail("seal", "failed");
    ask(world);
    world.run(8000);
    expect(world.told("-failover-abort-not-sealed")).toHaveLength(1);
    expect(verbs(world)).not.toContain("promote b");
    expectStayed(world);
  });

  test("with force it is done all the same when its time is over", () => {
    const world = running();
    world.fail("switchover", UNSUPPORTED);
    behind(world);
    ask(world, { timeoutMs: 3000, force: true });
    world.until("b", () => world.state.saved.primary === "b", 10_000);
    expect(world.node("a").minReplicas).toBe(SEALED);
  });

  test("it has one time in all, not one for each way", () => {
    const world = running();
    world.fail("switchover", UNSUPPORTED);
    behind(world);
    ask(world, { timeoutMs: 3000 });
    const beganMs = world.nowMs;
    world.until("over", () => world.state.saved.phase.kind === "watching");
    expect(world.nowMs - beganMs).toBeLessThan(4000);
  });
});

describe("what goes wrong in the middle", () => {
  test("the primary dies: it is failed over, the target fenced as one that may have been promoted", () => {
    const world = running();
    behind(world);
    ask(world, { timeoutMs: 60_000 });
    world.run(1000);
    world.kill("a");
    world.until("another epoch", () => world.state.saved.highestEpoch === 3, 10_000);
    expect(world.state.saved.maybePromoted).toEqual(["b"]);
    world.until("somebody", () => world.state.saved.primary !== "a", 10_000);
    expect(world.state.saved.primary).toBe("c");
    world.run(5000);
    expect(world.primaries()).toEqual(["c"]);
    expect(verbs(world)).toContain("seal b");
  });

  test("… right when it was done, unseen: the target is the primary, and nobody else", () => {
    const world = running();
    ask(world);
    // It took over, and before anybody looked the old one died.
    Object.assign(world.node("b"), { role: "primary", follows: null });
    world.kill("a");
    world.run(10_000);
    expect(world.state.saved).toMatchObject({ primary: "b", epoch: 2 });
    expect(world.primaries()).toEqual(["b"]);
  });

  test("the target dies: called off", () => {
    const world = running();
    behind(world);
    ask(world, { timeoutMs: 3000 });
    world.kill("b");
    world.run(10_000);
    expectStayed(world);
  });

  test("the target dies when it had taken over: somebody is primary in the end, one alone", () => {
    const world = running();
    ask(world);
    Object.assign(world.node("b"), { role: "primary", follows: null });
    Object.assign(world.node("a"), { role: "replica", follows: "b", handsTo: null });
    world.kill("b");
    world.run(30_000);
    const { primary } = world.state.saved;
    expect(primary).not.toBe("b");
    expect(world.primaries()).toEqual([primary]);
  });

  test("nobody hears what became of the order, and it was taken: the look tells", () => {
    const world = running();
    world.fail("switchover", "unknown");
    ask(world);
    expectSwitched(world);
  });

  test("nobody hears what became of it, and it never arrived: it is given again, or called off in time", () => {
    const world = running();
    world.relay("a").cut.add("a");
    world.run(1100);
    const reply = world.ask({
      id: "x",
      kind: "switchover",
      to: "b",
      timeoutMs: 2000,
      force: false,
    });
    world.run(10_000);
    world.relay("a").cut.delete("a");
    world.run(5000);
    if (reply?.kind === "accepted" && world.state.saved.primary === "b") expectSwitched(world);
    else expectStayed(world);
  });

  test("the Group is evicted at any moment of it: done, or as it was, and one alone is primary", () => {
    for (let afterMs = 0; afterMs < 400; afterMs += 5)
      for (const timeoutMs of [300, 60_000]) {
        const world = running();
        if (timeoutMs === 300) behind(world);
        ask(world, { timeoutMs });
        world.run(afterMs);
        world.evict();
        world.run(15_000);
        if (timeoutMs === 300) expectStayed(world);
        else expectSwitched(world);
      }
  });

  test("every relay is away when it has to be called off: it is not waited for without end", () => {
    const world = running();
    behind(world);
    ask(world, { timeoutMs: 1000 });
    for (const id of ["a", "b", "c"]) world.relay(id).reach = false;
    world.until("given up", () => world.state.saved.phase.kind !== "switching", 20_000);
    for (const id of ["a", "b", "c"]) world.relay(id).reach = true;
    world.node("b").lagging = false;
    world.run(60_000);
    expect(world.primaries()).toEqual([world.state.saved.primary]);
    expect(world.state.saved).toMatchObject({ routeState: "up", phase: { kind: "watching" } });
  });
});
