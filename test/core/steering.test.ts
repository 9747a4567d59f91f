/** Which database is used when: what was seen and when, and what follows. No network, no clock. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as core from "../../worker/core/steering.ts";

const rules: core.Rules = {
  autoFallbackIntervalMs: 120_000,
  gracePeriodMs: 60_000,
  failoverAttempts: 10,
  failoverDelayMs: 12_000,
};

/** Databases by weight; every one was seen healthy at 0 unless `down`. */
function group(weights: Record<string, number>, change: Partial<core.Rules> = {}, down = "") {
  const applied = { ...rules, ...change };
  const members = Object.entries(weights).map(([id, weight]) => core.newMember(id, weight));
  let state = core.newState(members, 0);
  let nowMs = 0;
  const switches: string[] = [];
  const keep = (step: core.Step) => {
    state = step.state;
    if (step.change !== null)
      switches.push(`${step.change.from} > ${step.change.to} ${step.change.reason}`);
  };
  const answer = (said: core.Answer) => {
    if (said.kind === "done") keep(said);
    return said.kind;
  };
  const settle = () => keep(core.settle(state, applied, nowMs));
  const one = {
    switches,
    get state() {
      return state;
    },
    get usable() {
      return core.usable(state);
    },
    /** Time passes, and whoever is asked decides. */
    at(ms: number) {
      nowMs = ms;
      settle();
      return one;
    },
    sees(id: string, healthy: boolean, beganAtMs = nowMs) {
      state = core.saw(state, id, healthy, beganAtMs, nowMs);
      settle();
      return one;
    },
    attempt() {
      const next = core.attempt(state, applied, nowMs);
      state = next.state;
      return next.kind;
    },
    select: (id: string, pinMs = 0) => answer(core.select(state, id, pinMs, nowMs)),
    add: (id: string, weight: number, healthy: boolean | null) =>
      answer(core.add(state, { ...core.newMember(id, weight), healthy }, nowMs)),
    remove: (id: string) => answer(core.remove(state, id, applied, nowMs)),
    weigh: (id: string, weight: number) => answer(core.weigh(state, id, weight, nowMs)),
    prefer: (id: string) => keep(core.prefer(state, id, applied, nowMs)),
  };
  for (const id of Object.keys(weights))
    state = core.saw(state, id, !down.split(",").includes(id), 0, 0);
  settle();
  return one;
}

describe("the choice", () => {
  it.each([
    [{ a: 1, b: 3, c: 2 }, "", "b"],
    [{ a: 1, b: 1 }, "", "a"],
    [{ a: 0.5, b: 0.7 }, "", "b"],
    [{ a: 1, b: 3, c: 2 }, "b", "c"],
    [{ a: 1, b: 3, c: 2 }, "b,c", "a"],
    [{ a: 1 }, "a", null],
  ])("C1 of %o, down: %s: %s", (weights, down, expected) => {
    const one = group(weights as Record<string, number>, {}, down);
    expect(one.usable).toBe(expected);
    expect(one.switches).toEqual([]);
  });

  it("C3 the active one is unhealthy: the next, and the next, and none", () => {
    const one = group({ a: 1, b: 3, c: 2 }).at(10).sees("b", false);
    expect(one.usable).toBe("c");
    one.at(20).sees("c", false);
    expect(one.usable).toBe("a");
    one.at(30).sees("a", false);
    expect(one.usable).toBe(null);
    expect(one.switches).toEqual(["b > c automatic", "c > a automatic"]);
  });

  it("C3 another one is unhealthy: nothing changes", () => {
    const one = group({ a: 2, b: 1 }).at(10).sees("b", false);
    expect([one.usable, one.switches]).toEqual(["a", []]);
  });

  it("C13 any that recovers is used at once when there is nobody else", () => {
    const one = group({ a: 2, b: 1 }).at(10).sees("a", false).sees("b", false);
    expect(one.usable).toBe(null);
    one.at(20).sees("b", true);
    expect(one.usable).toBe("b");
    one.sees("b", false).at(30).sees("a", true);
    expect(one.usable).toBe("a");
  });

  it("C3 one that had no failure lately goes before a heavier one that had", () => {
    const one = group({ a: 3, b: 2, c: 1 }).at(10).sees("b", false).at(20).sees("b", true);
    one.at(30).sees("a", false);
    expect(one.usable).toBe("c");
    one.at(40).sees("c", false);
    expect(one.usable).toBe("b");
  });

  it("C21 a look that began before the one that stands changes nothing", () => {
    const one = group({ a: 2, b: 1 }).at(100).sees("a", false, 90);
    one.at(110).sees("a", true, 80);
    expect([one.usable, one.switches]).toEqual(["b", ["a > b automatic"]]);
    one.at(120).sees("b", false, 115).sees("b", true, 95);
    expect(one.usable).toBe(null);
  });

  it("C20 none when it is the same one again", () => {
    const one = group({ a: 1 }).at(10).sees("a", false).at(20).sees("a", true);
    expect([one.usable, one.switches]).toEqual(["a", []]);
    expect(one.select("a")).toBe("done");
    expect(one.switches).toEqual([]);
  });
});

describe("failback", () => {
  it("C4 after the interval and the grace period, not before", () => {
    const one = group({ a: 2, b: 1 }).at(1000).sees("a", false).at(2000).sees("a", true);
    expect(one.at(120_999).usable).toBe("b");
    expect(one.at(121_000).usable).toBe("a");
    expect(one.switches).toEqual(["a > b automatic", "b > a failback"]);
  });

  it("C4 as soon as the grace period is over, if that is later", () => {
    const one = group({ a: 2, b: 1 }).at(1000).sees("a", false);
    one.at(100_000).sees("a", false).at(105_000).sees("a", true);
    expect(one.at(159_999).usable).toBe("b");
    expect(one.at(160_000).usable).toBe("a");
  });

  it.each([0, -1])("C5 with an interval of %d it stays", (autoFallbackIntervalMs) => {
    const one = group({ a: 2, b: 1 }, { autoFallbackIntervalMs }).at(10).sees("a", false);
    one.at(20).sees("a", true);
    expect(one.at(10_000_000).usable).toBe("b");
  });

  it("C6 unhealthy again inside the grace period: it begins anew", () => {
    const one = group({ a: 2, b: 1 }, { autoFallbackIntervalMs: 1 }).at(10).sees("a", false);
    one.at(20_000).sees("a", true).at(50_000).sees("a", false).at(55_000).sees("a", true);
    expect(one.at(70_010).usable).toBe("b");
    expect(one.at(109_999).usable).toBe("b");
    expect(one.at(110_000).usable).toBe("a");
  });

  it("C6 one that alternates is never gone back to", () => {
    const one = group({ a: 2, b: 1 }, { autoFallbackIntervalMs: 1 }).at(10).sees("a", false);
    for (let ms = 5000; ms < 3_600_000; ms += 5000) one.at(ms).sees("a", ms % 10_000 === 0);
    expect(one.switches).toEqual(["a > b automatic"]);
  });

  it("C7 several return: the heaviest that is healthy", () => {
    const one = group({ a: 4, b: 3, c: 2, d: 1 }).at(10);
    one.sees("a", false).sees("b", false).sees("c", false);
    one.at(20).sees("c", true).sees("b", true);
    expect(one.at(120_010).usable).toBe("b");
    one.at(130_000).sees("a", true);
    expect(one.at(240_009).usable).toBe("b");
    expect(one.at(240_010).usable).toBe("a");
  });

  it("C4 never to one that is not heavier", () => {
    const one = group({ a: 1, b: 1 }).at(10).sees("a", false).at(20).sees("a", true);
    expect(one.at(1_000_000).usable).toBe("b");
  });
});

describe("nobody", () => {
  it("C11 attempts within the delay count once", () => {
    const one = group({ a: 1 }, {}, "a");
    for (let ms = 0; ms < 12_000; ms += 1000) expect(one.at(ms).attempt()).toBe("temporary");
    expect(one.state.attempts).toBe(1);
    one.at(12_000).attempt();
    expect(one.state.attempts).toBe(2);
  });

  it("C12 temporary for ten attempts, then permanent, then counted anew", () => {
    const one = group({ a: 1 }, {}, "a");
    for (let count = 0; count < 10; count += 1)
      expect(one.at(count * 12_000).attempt()).toBe("temporary");
    expect(one.at(119_999).attempt()).toBe("temporary");
    expect(one.at(120_000).attempt()).toBe("permanent");
    expect(one.at(120_001).attempt()).toBe("temporary");
    expect(one.state.attempts).toBe(1);
  });

  it("C12 long silences of the app are no attempts", () => {
    const one = group({ a: 1 }, {}, "a");
    one.at(0).attempt();
    one.at(1_000_000).attempt();
    for (let ms = 1_000_000; ms < 1_012_000; ms += 1000) one.at(ms).attempt();
    expect(one.state.attempts).toBe(2);
  });

  it("C13 recovery ends the count", () => {
    const one = group({ a: 1 }, { failoverAttempts: 1 }, "a");
    expect(one.attempt()).toBe("temporary");
    expect(one.at(12_000).attempt()).toBe("permanent");
    one.at(13_000).sees("a", true);
    expect(one.usable).toBe("a");
    one.at(14_000).sees("a", false);
    expect(one.attempt()).toBe("temporary");
    one.at(15_000).sees("a", true).at(16_000).sees("a", false);
    expect(one.at(27_000).attempt()).toBe("temporary");
  });
});

describe("what a person asks for", () => {
  it("C15 an unhealthy or a foreign one is refused", () => {
    const one = group({ a: 2, b: 1, c: 1 }, {}, "b");
    expect([one.select("b"), one.select("x"), one.select("c")]).toEqual([
      ...["unhealthy", "unknown", "done"],
    ]);
    expect([one.usable, one.switches]).toEqual(["c", ["a > c manual"]]);
  });

  it("C15 it is left again by failback, or when it fails", () => {
    const one = group({ a: 2, b: 1 });
    one.at(10);
    one.select("b");
    expect([one.at(120_009).usable, one.at(120_010).usable]).toEqual(["b", "a"]);
    one.select("b");
    expect(one.at(120_020).sees("b", false).usable).toBe("a");
  });

  it("C16 pinned: nothing else moves it until the time is over", () => {
    const one = group({ a: 2, b: 1, c: 1 }, { autoFallbackIntervalMs: 1, gracePeriodMs: 0 });
    one.at(1000);
    expect(one.select("b", 60_000)).toBe("done");
    expect([one.at(30_000).usable, one.weigh("c", 9), one.usable]).toEqual(["b", "done", "b"]);
    one.sees("b", false);
    expect(one.usable).toBe(null);
    one.sees("b", true);
    expect(one.usable).toBe("b");
    one.prefer("c");
    expect(one.usable).toBe("b");
    expect(one.at(61_000).usable).toBe("c");
    expect(one.switches).toEqual(["a > b manual", "b > c failback"]);
  });

  it("C16 another choice ends the pin", () => {
    const one = group({ a: 2, b: 1 });
    one.select("b", 1_000_000);
    one.select("a");
    expect(one.at(10).sees("a", false).usable).toBe("b");
  });

  it("C14 a heavier healthy one that is added becomes the active one", () => {
    const one = group({ a: 2 });
    expect([one.add("b", 1, true), one.usable]).toEqual(["done", "a"]);
    expect([one.add("c", 3, false), one.usable]).toEqual(["done", "a"]);
    expect([one.add("d", 4, null), one.usable]).toEqual(["done", "a"]);
    expect([one.add("e", 3, true), one.usable]).toEqual(["done", "e"]);
    expect(one.add("e", 1, true)).toBe("known");
  });

  it("C14 the active one is removed: switched first; the last one stays", () => {
    const one = group({ a: 3, b: 2, c: 1 });
    expect([one.remove("a"), one.usable]).toEqual(["done", "b"]);
    expect([one.remove("c"), one.usable]).toEqual(["done", "b"]);
    expect([one.remove("b"), one.remove("x"), one.usable]).toEqual(["last", "unknown", "b"]);
    expect(one.switches).toEqual(["a > b manual"]);
  });

  it("C14 the active one is not removed while no other is healthy", () => {
    const one = group({ a: 3, b: 2 }, {}, "b");
    expect([one.remove("a"), one.usable]).toEqual(["unhealthy", "a"]);
    expect([one.remove("b"), one.remove("a")]).toEqual(["done", "last"]);
  });

  it("C14 a weight changes: at once to the heavier healthy one", () => {
    const one = group({ a: 3, b: 2, c: 1 }, {}, "c");
    one.weigh("c", 9);
    expect(one.usable).toBe("a");
    one.weigh("b", 3);
    expect(one.usable).toBe("a");
    one.weigh("b", 4);
    expect(one.usable).toBe("b");
    one.weigh("b", 1);
    expect(one.usable).toBe("a");
    expect(one.weigh("x", 1)).toBe("unknown");
    expect(one.switches).toEqual(["a > b manual", "b > a manual"]);
  });
});

it("C14 one that is added or weighed moves nobody to a third one", () => {
  const one = group({ a: 3, b: 1, c: 1 }).at(10).sees("a", false).at(20).sees("a", true);
  one.add("d", 1, true);
  one.weigh("c", 0.5);
  expect([one.usable, one.switches]).toEqual(["b", ["a > b automatic"]]);
});

describe("the route names another primary", () => {
  it("first among equals, and gone to", () => {
    const one = group({ a: 1, b: 1, c: 1 });
    one.prefer("c");
    expect([one.usable, one.switches]).toEqual(["c", ["a > c route"]]);
    one.at(10).sees("c", false);
    expect(one.usable).toBe("a");
    one.prefer("c");
    expect(one.usable).toBe("a");
  });

  it("not away from a heavier one, not to a lighter, unknown or unhealthy one", () => {
    const one = group({ a: 2, b: 1, c: 2 }, {}, "c");
    one.add("d", 2, null);
    for (const id of ["b", "c", "d", "x"]) one.prefer(id);
    expect([one.usable, one.switches]).toEqual(["a", []]);
  });
});

it("whatever is seen and asked for in whatever order: one healthy member is used, and going back keeps its rules", () => {
  const id = fc.constantFrom("a", "b", "c");
  const step = fc.oneof(
    fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(100_000) }),
    fc.record({ kind: fc.constant("saw" as const), id, healthy: fc.boolean(), agoMs: fc.nat(20) }),
    fc.record({ kind: fc.constant("select" as const), id, pinMs: fc.constantFrom(0, 0, 30_000) }),
    fc.record({ kind: fc.constant("weigh" as const), id, weight: fc.nat(3) }),
    fc.record({ kind: fc.constant("remove" as const), id }),
    fc.record({ kind: fc.constant("add" as const), id, weight: fc.nat(3) }),
    fc.record({ kind: fc.constant("prefer" as const), id }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let nowMs = 0;
      let state = core.newState(
        ["a", "b", "c"].map((each) => core.newMember(each, 1)),
        0,
      );
      const keep = (next: core.Step | core.Answer) => {
        if ("kind" in next && next.kind !== "done") return;
        const { state: after, change } = next as core.Step;
        if (change !== null) {
          expect(change.from).not.toBe(change.to);
          expect([state.active, after.active]).toEqual([change.from, change.to]);
          if (change.reason === "failback") {
            expect(nowMs - state.switchedAtMs).toBeGreaterThanOrEqual(rules.autoFallbackIntervalMs);
            const [from, to] = [change.from, change.to].map((each) => core.memberOf(state, each));
            expect(to?.weight).toBeGreaterThan(from?.weight ?? Number.NaN);
            expect(nowMs - (to?.failedAtMs ?? Number.NEGATIVE_INFINITY)).toBeGreaterThanOrEqual(
              rules.gracePeriodMs,
            );
          }
        }
        state = after;
      };
      for (const each of steps) {
        if (each.kind === "wait") nowMs += each.ms;
        if (each.kind === "saw")
          state = core.saw(state, each.id, each.healthy, nowMs - each.agoMs, nowMs);
        if (each.kind === "select") keep(core.select(state, each.id, each.pinMs, nowMs));
        if (each.kind === "weigh") keep(core.weigh(state, each.id, each.weight, nowMs));
        if (each.kind === "remove") keep(core.remove(state, each.id, rules, nowMs));
        if (each.kind === "add") keep(core.add(state, core.newMember(each.id, each.weight), nowMs));
        if (each.kind === "prefer") keep(core.prefer(state, each.id, rules, nowMs));
        keep(core.settle(state, rules, nowMs));
        const used = core.memberOf(state, core.usable(state));
        expect(used?.healthy ?? true).toBe(true);
        const someone = state.members.some(({ healthy }) => healthy === true);
        if (someone && state.pinnedUntilMs === null) expect(used).toBeDefined();
        expect(state.members.length).toBeGreaterThan(0);
        expect(new Set(state.members.map((member) => member.id)).size).toBe(state.members.length);
      }
    }),
    { numRuns: 500 },
  );
});
