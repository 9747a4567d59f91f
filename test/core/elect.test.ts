/** Election as a truth table (conformance 8.2 and beyond), and against a deliberately simple twin. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Candidate, type ElectRules, elect } from "../../worker/core/elect.ts";
import { candidate } from "../support/builders.ts";

const rules: ElectRules = {
  downAfterMs: 3000,
  upAfter: 2,
  graceMs: 10_000,
  maxLinkDownMs: 5000,
  maxLagBytes: 1_048_576,
  wipeKeepRatio: 0.1,
  elect: "priority",
  crossZone: "allow",
  primaryDownMs: 1000,
  knownKeys: null,
  cause: "odown",
};
/** Sentinel's link rule alone. */
const sentinels = { maxLinkDownMs: 0 };
const primaryUp = { primaryDownMs: null };

type Its = Partial<ElectRules>;
type Change = Partial<Candidate>;

const reason = (change: Change, its: Its = {}) =>
  elect([candidate("x", change)], { ...rules, ...its }).refused[0]?.reason ?? null;

describe("order: best first", () => {
  const cases: readonly [string, Change, Change, Its?][] = [
    [
      "P1 lower priority beats larger offset",
      { priority: 10, offset: 1 },
      { priority: 100, offset: 999 },
    ],
    ["P2 equal priority: larger offset", { offset: 600 }, { offset: 500 }],
    [
      "P3 equal both: smaller run id, whatever its case",
      { runId: "Afff" },
      { runId: "b000", id: "a" },
    ],
    ["P3 … also where case alone would turn it", { runId: "AAA" }, { runId: "bbb" }],
    ["P4 a missing run id comes last", { runId: "zzz" }, { runId: "" }],
    ["P4 … but after priority and offset", { runId: "", offset: 2 }, { runId: "aaa", offset: 1 }],
    [
      'elect="data": larger offset beats lower priority',
      { priority: 100, offset: 999 },
      { priority: 10, offset: 1 },
      { elect: "data" },
    ],
    [
      'elect="data": at one offset the priority counts',
      { priority: 10, offset: 7 },
      { priority: 100, offset: 7 },
      { elect: "data" },
    ],
    [
      "P13 avoid: the primary's own zone before everything else",
      { sameZone: true, priority: 100, offset: 1 },
      { sameZone: false, priority: 1, offset: 999 },
      { crossZone: "avoid" },
    ],
    [
      'P13 avoid, elect="data": the zone still comes first',
      { sameZone: true, offset: 1 },
      { sameZone: false, offset: 999 },
      { crossZone: "avoid", elect: "data" },
    ],
    [
      "P13 allow: zones mean nothing",
      { sameZone: false, priority: 1 },
      { sameZone: true, priority: 100 },
    ],
    [
      "one that was sent a promotion in vain comes after every other",
      { priority: 100 },
      { lost: true, mayBePrimary: true, priority: 1, role: "primary" },
    ],
    [
      "… after one in another zone too",
      { sameZone: false },
      { lost: true, sameZone: true },
      { crossZone: "avoid" },
    ],
    [
      "a larger priority is a later one at any offset",
      { priority: 99 },
      { priority: 100, offset: 1e12 },
    ],
  ];
  test.each(cases)("%s", (_, first, second, its = {}) => {
    const [best, other] = [candidate("best", first), candidate("other", second)];
    for (const drawn of [
      [best, other],
      [other, best],
    ]) {
      const { order, refused } = elect(drawn, { ...rules, ...its });
      expect(refused).toEqual([]);
      expect(order[0]).toBe(best);
      expect(order).toHaveLength(2);
    }
  });

  test("P13 avoid: another zone takes over when its own has nobody", () => {
    const alone = [candidate("b", { sameZone: false }), candidate("c", { priority: 0 })];
    const { order } = elect(alone, { ...rules, crossZone: "avoid" });
    expect(order.map(({ id }) => id)).toEqual(["b"]);
  });
});

describe("filter: who is refused, and why; null: is not", () => {
  const cases: readonly [string, Change, RegExp | null, Its?][] = [
    ["P5 priority 0 with the best offset", { priority: 0, offset: 1e9 }, /^has priority 0$/],
    ["P5 … named: still not", { priority: 0, named: true }, /^has priority 0$/],
    ["P6 subjectively down, with the best offset", { sdown: true, offset: 1e9 }, /subjectively/],
    ["P7 last good answer 5000 ms old", { okAgeMs: 5000 }, null],
    ["P7 last good answer older than 5 s", { okAgeMs: 5001 }, /answer is 5001 ms old/],
    ["P7 … also while the primary is up", { okAgeMs: 5001 }, /answer is 5001 ms old/, primaryUp],
    ["P7 never seen up", { okAgeMs: null }, /never seen up/],
    ["P8 INFO 5000 ms old while the primary is down", { factsAgeMs: 5000 }, null],
    ["P8 INFO older than 5 s while the primary is down", { factsAgeMs: 5001 }, /INFO is 5001 ms/],
    ["P8 INFO 30 s old while the primary is up", { factsAgeMs: 30_000 }, null, primaryUp],
    ["P8 INFO older than that", { factsAgeMs: 30_001 }, /INFO is 30001 ms/, primaryUp],
    ["P8 no INFO at all", { factsAgeMs: null }, /told nothing about itself/],
    ["P9 link down as long as allowed", { linkDownMs: 31_000 }, null, sentinels],
    [
      "P9 link down longer than the primary is down and 10 x down_after",
      { linkDownMs: 31_001 },
      /down for 31001 ms, more than 31000 ms/,
      sentinels,
    ],
    [
      "P9 primary up: 10 x down_after",
      { linkDownMs: 30_001 },
      /30001 ms/,
      { ...sentinels, ...primaryUp },
    ],
    ["P9 it followed when the primary was last seen", { linkDownMs: 1e9, followed: true }, null],
    ["P9 … and Redis no longer knows since when", { linkDownMs: null, followed: true }, null],
    ["P12 as far behind as allowed", { lagBytes: 1_048_576 }, null],
    ["P12 further behind", { lagBytes: 1_048_577 }, /^is 1048577 bytes behind .* 1048576$/],
    ["P12 … though it followed", { lagBytes: 1_048_577, followed: true }, /behind/],
    ["P12 lag not known", { lagBytes: null }, null],
    ["P12 no limit", { lagBytes: 1e12 }, null, { maxLagBytes: 0 }],
    ["P12 named: an operator knows", { lagBytes: 1e12, named: true }, null],
    ["P13 refuse: another zone", { sameZone: false }, /another zone/, { crossZone: "refuse" }],
    ["P13 refuse: its own", { sameZone: true }, null, { crossZone: "refuse" }],
    ["P13 refuse, named", { sameZone: false, named: true }, null, { crossZone: "refuse" }],
    ["P13 avoid refuses nobody", { sameZone: false }, null, { crossZone: "avoid" }],
    ["P14 in its first synchronisation", { syncing: true }, /first synchronisation/],
    [
      "P14 … named, and it holds nothing",
      { syncing: true, named: true, keys: 0 },
      /first synchronisation/,
    ],
    ["P14 … named, and it still holds what it had", { syncing: true, named: true }, null],
    ["P14 it waits to copy an emptied primary", { syncing: true }, null, { cause: "wiped" }],
    ["loading", { loading: true }, /loading/],
    ["… of an emptied primary's group too", { loading: true }, /loading/, { cause: "wiped" }],
    ["no relay to promote it", { reachable: false }, /no relay/],
    ["… named: still not", { reachable: false, named: true }, /no relay/],
    ["downtime, with its reason", { downtime: "new disk" }, /^is in downtime: new disk$/],
    ["… named: still not", { downtime: "new disk", named: true }, /downtime/],
    ["says that it is a primary", { role: "primary" }, /says that it is a primary/],
    ["… and may be one", { role: "primary", mayBePrimary: true }, null],
    ["… with no link to anybody", { role: "primary", mayBePrimary: true, linkDownMs: null }, null],
    ["G28 never seen bad: no grace to keep", { cleanForMs: null, successes: 1 }, null],
    [
      "G28 good since it was bad, not for long enough",
      { cleanForMs: 9999 },
      /good for only 9999 ms/,
    ],
    ["G28 for long enough", { cleanForMs: 10_000 }, null],
    [
      "G28 for long enough, but not often enough",
      { cleanForMs: 10_000, successes: 1 },
      /^was bad, and was seen good only 1 times of 2$/,
    ],
    ["G28 named: no grace", { cleanForMs: 0, successes: 0, named: true }, null],
    ["its link was down for 5 s while the primary was up", { linkDownMs: 6000 }, null],
    [
      "… for longer: silently down",
      { linkDownMs: 6001 },
      /down for 5001 ms while the primary was up, more than 5000 ms/,
    ],
    ["… and the primary is up", { linkDownMs: 5001 }, /more than 5000 ms/, primaryUp],
    ["… though another rule would take it: named", { linkDownMs: 1e9, named: true }, null],
    ["… it followed when the primary was last seen", { linkDownMs: 6001, followed: true }, null],
    ["… down only as long as the primary is", { linkDownMs: 1e6 }, null, { primaryDownMs: 1e6 }],
    [
      "… of one that is a replica itself now: no link says anything",
      { linkDownMs: null },
      null,
      { cause: "no-primary" },
    ],
    ["… nor how long it is down", { linkDownMs: 1e9 }, null, { cause: "no-primary" }],
    ["… nor of one that was emptied", { linkDownMs: null }, null, { cause: "wiped" }],
    ["no link since it started", { linkDownMs: null }, /no link to its primary since/],
    ["… named", { linkDownMs: null, named: true }, null],
    ["emptied", { keys: 9 }, /holds 9 keys of the 100/, { knownKeys: 100 }],
    ["… holds as much as is enough", { keys: 10 }, null, { knownKeys: 100 }],
    ["… named: an operator knows", { keys: 0, named: true }, null, { knownKeys: 100 }],
    ["… nobody knows how many there were", { keys: 0 }, null],
    ["… there were none", { keys: 0 }, null, { knownKeys: 0 }],
  ];
  test.each(cases)("%s", (_, change, why, its = {}) => {
    const found = reason(change, its);
    if (why === null) expect(found).toBeNull();
    else expect(found).toMatch(why);
  });

  test("P10 none left: a reason for each, in the order of the configuration", () => {
    const all = [candidate("b", { priority: 0 }), candidate("c", { sdown: true })];
    const { order, refused } = elect(all, rules);
    expect(order).toEqual([]);
    expect(refused).toEqual([
      { node: "b", reason: "has priority 0" },
      { node: "c", reason: "is subjectively down" },
    ]);
  });

  test("nobody at all is nobody", () => {
    expect(elect([], rules)).toEqual({ order: [], refused: [] });
  });
});

/** Every rule of an election said once more, as one list of sentences that must all be true. */
function isEligible(each: Candidate, its: ElectRules): boolean {
  const down = its.primaryDownMs ?? 0;
  const linkIsNothing =
    each.role !== "replica" || each.followed || /wiped|no-primary/.test(its.cause ?? "");
  const cannotBeHelped = [
    each.okAgeMs !== null && each.okAgeMs <= 5000,
    !each.sdown,
    each.reachable,
    each.downtime === null,
    each.priority > 0,
    each.factsAgeMs !== null && each.factsAgeMs <= (its.primaryDownMs === null ? 30_000 : 5000),
    !each.loading,
    !each.syncing || its.cause === "wiped" || (each.named && each.keys > 0),
    each.role !== "primary" || each.mayBePrimary,
  ];
  const canBeOverruled = [
    each.cleanForMs === null || (each.cleanForMs >= its.graceMs && each.successes >= its.upAfter),
    linkIsNothing || each.linkDownMs !== null,
    linkIsNothing || (each.linkDownMs ?? 0) <= down + 10 * its.downAfterMs,
    linkIsNothing || its.maxLinkDownMs === 0 || (each.linkDownMs ?? 0) <= down + its.maxLinkDownMs,
    its.maxLagBytes === 0 || each.lagBytes === null || each.lagBytes <= its.maxLagBytes,
    its.knownKeys === null || each.keys >= its.knownKeys * its.wipeKeepRatio,
    its.crossZone !== "refuse" || each.sameZone,
  ];
  return cannotBeHelped.every(Boolean) && (each.named || canBeOverruled.every(Boolean));
}

/** What is compared, most important first; smaller is better. */
function rankOf(each: Candidate, its: ElectRules): readonly (number | string)[] {
  const zone = its.crossZone === "allow" ? 0 : Number(!each.sameZone);
  const merit = [each.priority, -each.offset];
  if (its.elect === "data") merit.reverse();
  return [Number(each.lost), zone, ...merit, Number(each.runId === ""), each.runId.toLowerCase()];
}

function beats(a: Candidate, b: Candidate, its: ElectRules): boolean {
  const [left, right] = [rankOf(a, its), rankOf(b, its)];
  const at = left.findIndex((value, index) => value !== right[index]);
  return at >= 0 && (left[at] ?? 0) < (right[at] ?? 0);
}

/** Mostly sound: a candidate with everything at random is hardly ever eligible. */
const mostly = <T>(sound: T, ...others: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 12, arbitrary: fc.constant(sound) }, fc.constantFrom(...others));

const someone: fc.Arbitrary<Change> = fc.record({
  priority: fc.integer({ min: 0, max: 4 }),
  offset: fc.integer({ min: 0, max: 2 }),
  runId: fc.constantFrom("", "a", "B", "b"),
  keys: mostly(100, 0, 9, 10),
  sdown: mostly(false, true),
  reachable: mostly(true, false),
  okAgeMs: mostly<number | null>(0, null, 5000, 5001),
  factsAgeMs: mostly<number | null>(0, null, 5000, 5001, 30_000, 30_001),
  downtime: mostly<string | null>(null, "disk"),
  cleanForMs: mostly<number | null>(null, 0, 9999, 10_000),
  successes: mostly(3, 0, 1, 2),
  linkDownMs: mostly<number | null>(0, null, 5000, 5001, 6000, 6001, 30_001, 31_000, 31_001),
  followed: fc.boolean(),
  lagBytes: mostly<number | null>(0, null, 1_048_576, 1_048_577),
  syncing: mostly(false, true),
  loading: mostly(false, true),
  role: mostly<Candidate["role"]>("replica", "primary", null),
  mayBePrimary: fc.boolean(),
  lost: mostly(false, true),
  named: mostly(false, true),
  sameZone: fc.boolean(),
});

const someRules: fc.Arbitrary<ElectRules> = fc.record({
  downAfterMs: fc.constantFrom(100, 3000),
  upAfter: fc.integer({ min: 1, max: 3 }),
  graceMs: fc.constantFrom(0, 10_000),
  maxLinkDownMs: fc.constantFrom(0, 5000),
  maxLagBytes: fc.constantFrom(0, 1_048_576),
  wipeKeepRatio: fc.constantFrom(0, 0.1, 1),
  elect: fc.constantFrom("priority" as const, "data" as const),
  crossZone: fc.constantFrom("allow" as const, "avoid" as const, "refuse" as const),
  primaryDownMs: fc.constantFrom(null, 0, 1000),
  knownKeys: fc.constantFrom(null, 0, 100),
  cause: fc.constantFrom(null, "odown" as const, "wiped" as const, "no-primary" as const),
});

describe("against the twin", () => {
  const drawn = fc.tuple(
    fc
      .array(someone, { maxLength: 5 })
      .map((all) => all.map((each, at) => candidate(`n${at}`, each))),
    someRules,
  );

  test("who is eligible, who is refused, and nobody is both or neither", () => {
    let [taken, refusedOnes] = [0, 0];
    fc.assert(
      fc.property(drawn, ([all, its]) => {
        const { order, refused } = elect(all, its);
        const able = all.filter((each) => isEligible(each, its)).map(({ id }) => id);
        expect(order.map(({ id }) => id).sort()).toEqual(able);
        const rest = all.map(({ id }) => id).filter((id) => !able.includes(id));
        expect(refused.map(({ node }) => node)).toEqual(rest);
        expect(refused.every((each) => each.reason !== "")).toBe(true);
        taken += order.length;
        refusedOnes += refused.length;
      }),
      { numRuns: 3000 },
    );
    // Both happened often: else nothing was compared.
    expect(Math.min(taken, refusedOnes)).toBeGreaterThan(500);
  });

  test("I10 nobody in the order is beaten by one behind it, and the order of arrival changes nothing", () => {
    fc.assert(
      fc.property(drawn, ([all, its]) => {
        const { order } = elect(all, its);
        order.forEach((each, at) => {
          for (const behind of order.slice(at + 1)) expect(beats(behind, each, its)).toBe(false);
        });
        const again = elect([...all].reverse(), its).order;
        expect(again.map((each) => rankOf(each, its))).toEqual(
          order.map((each) => rankOf(each, its)),
        );
      }),
      { numRuns: 3000 },
    );
  });

  test("it changes nothing that it is given", () => {
    fc.assert(
      fc.property(drawn, ([all, its]) => {
        const before = JSON.stringify([all, its]);
        elect(Object.freeze(all), Object.freeze(its));
        expect(JSON.stringify([all, its])).toBe(before);
      }),
    );
  });
});
