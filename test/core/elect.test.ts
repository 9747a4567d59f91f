/** Election as a truth table (conformance 8.2), and against a deliberately simple twin. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Candidate, elect } from "../../worker/core/elect.ts";
import { candidate } from "../support/builders.ts";

const rules = { primaryDownMs: 1000, downAfterMs: 3000 };
const order = (...candidates: Candidate[]) => elect(candidates, rules).order.map((each) => each.id);
const reason = (change: Partial<Candidate>, its = rules as Parameters<typeof elect>[1]) =>
  elect([candidate("x", change)], its).refused[0]?.reason ?? null;

describe("order", () => {
  test("P1 lower priority beats larger offset", () => {
    const low = candidate("b", { priority: 10, offset: 1 });
    const high = candidate("c", { priority: 100, offset: 999 });
    expect(order(high, low)).toEqual(["b", "c"]);
  });
  test("P2 equal priority: larger offset", () => {
    expect(order(candidate("b", { offset: 500 }), candidate("c", { offset: 600 }))).toEqual([
      "c",
      "b",
    ]);
  });
  test("P3 equal both: smaller run id, whatever its case", () => {
    const lower = candidate("b", { runId: "bbb" });
    const upper = candidate("c", { runId: "AAA" });
    expect(order(lower, upper)).toEqual(["c", "b"]);
  });
  test("P4 a missing run id comes last", () => {
    expect(order(candidate("b", { runId: "" }), candidate("c", { runId: "zzz" }))).toEqual([
      "c",
      "b",
    ]);
  });
  test("one that was sent a promotion in vain comes after every other", () => {
    const lost = candidate("b", { lost: true, priority: 1, role: "primary" });
    expect(order(lost, candidate("c"))).toEqual(["c", "b"]);
  });
});

describe("filter: who is refused, and why", () => {
  const cases: readonly [string, Partial<Candidate>, RegExp][] = [
    ["P5 priority 0 with the best offset", { priority: 0, offset: 1e9 }, /priority 0/],
    ["P6 subjectively down", { sdown: true, offset: 1e9 }, /subjectively down/],
    ["P7 last good answer older than 5 s", { okAgeMs: 5001 }, /5001 ms old/],
    [
      "P8 INFO older than 5 s while the primary is down",
      { factsAgeMs: 5001 },
      /INFO is 5001 ms old/,
    ],
    ["P9 link down longer than primary down + 10 x down_after", { linkDownMs: 31_001 }, /31001 ms/],
    ["P14 in its first synchronisation", { syncing: true }, /synchronisation/],
    ["loading", { loading: true }, /loading/],
    ["never seen", { okAgeMs: null }, /never seen up/],
    ["no relay to promote it", { reachable: false }, /no relay/],
    ["no facts", { factsAgeMs: null }, /told nothing/],
    ["says that it is a primary", { role: "primary" }, /says that it is a primary/],
  ];
  test.each(cases)("%s", (_, change, why) => {
    expect(reason(change)).toMatch(why);
  });
  test("P8 while the primary is up, facts may be 30 s old", () => {
    const up = { primaryDownMs: null, downAfterMs: 3000 };
    expect(reason({ factsAgeMs: 30_000 }, up)).toBeNull();
    expect(reason({ factsAgeMs: 30_001 }, up)).toMatch(/30001/);
  });
  test("P9 one that followed when the primary was last seen lost its link with it, however long ago", () => {
    expect(reason({ linkDownMs: 86_400_000, followed: true })).toBeNull();
  });
  test("at the edge of every rule one is still eligible", () => {
    expect(reason({ okAgeMs: 5000, factsAgeMs: 5000, linkDownMs: 31_000, priority: 1 })).toBeNull();
  });
  test("P10 none left: the reason for each", () => {
    const { order: left, refused } = elect(
      [candidate("b", { priority: 0 }), candidate("c", { sdown: true })],
      rules,
    );
    expect(left).toEqual([]);
    expect(refused.map((each) => each.node)).toEqual(["b", "c"]);
  });
});

test("the winner is the one that no other beats, by the rule said once more in the simplest way", () => {
  const someone = fc.record({
    priority: fc.integer({ min: 0, max: 2 }),
    offset: fc.integer({ min: 0, max: 3 }),
    runId: fc.constantFrom("", "a", "B", "b", "C"),
    sdown: fc.boolean(),
    lost: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(someone, { maxLength: 5 }), (drawn) => {
      const all = drawn.map((change, index) => candidate(`n${index}`, change));
      const able = all.filter((each) => each.priority !== 0 && !each.sdown);
      const beats = (a: Candidate, b: Candidate) => {
        const rank = (each: Candidate) =>
          [
            Number(each.lost),
            each.priority,
            -each.offset,
            Number(each.runId === ""),
            each.runId.toLowerCase(),
          ] as const;
        const [left, right] = [rank(a), rank(b)];
        for (let at = 0; at < left.length; at += 1) {
          const [l, r] = [left[at] ?? 0, right[at] ?? 0];
          if (l !== r) return l < r;
        }
        return false;
      };
      const winner = elect(all, rules).order[0];
      if (able.length === 0) expect(winner).toBeUndefined();
      else expect(able.every((each) => winner !== undefined && !beats(each, winner))).toBe(true);
    }),
  );
});
