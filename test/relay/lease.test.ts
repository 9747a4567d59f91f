/** What a relay makes of a lease: when it ends, what ends it, and who may open a node meanwhile. Pure rules. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { leaseEndMs, promiseBindsMs } from "../../worker/core/lease.ts";
import {
  allPromised,
  answered,
  askEveryMs,
  asksOthers,
  beatEveryMs,
  closed,
  earlyMs,
  guardSealInMs,
  type Lease,
  leftMs,
  type Now,
  type Opening,
  opened,
  promised,
  sealInMs,
  uncovered,
  whyNotOpened,
  whyNotPromised,
} from "../../worker/relay/lease/rules.ts";

const leaseMs = 3000;
const at = (monoMs: number, wallMs = monoMs): Now => ({ monoMs, wallMs });
const yes = { granted: true, enforced: true, epoch: 1, leaseMs };
const no = { granted: false, enforced: true, epoch: 1, leaseMs };
const held = answered(uncovered, at(1000), yes);
const left = (lease: Lease, now: Now) => leftMs(lease.cover, now);

describe("a grant runs from the moment that it was asked for", () => {
  test("and ends when either clock says so", () => {
    expect(left(held, at(1000))).toBe(leaseMs);
    expect(left(held, at(3500))).toBe(500);
    // The machine slept: only its wall clock went on. Or it was set: then only the other one did.
    expect(left(held, at(1100, 4500))).toBe(-500);
    expect(left(held, at(4500, -90_000))).toBe(-500);
  });

  test("it is given back so early that Redis has confirmed by then", () => {
    expect(earlyMs(200)).toBe(300);
    expect(sealInMs(held.cover, at(1000), 200)).toBe(2700);
    expect(sealInMs(held.cover, at(3700), 200)).toBe(0);
    expect(sealInMs(null, at(0), 200)).toBe(0);
  });

  test("what was asked for later counts, also when it is shorter, or comes first", () => {
    const shorter = answered(held, at(1500), { ...yes, leaseMs: 1000 });
    expect(left(shorter, at(1500))).toBe(1000);
    expect(left(answered(shorter, at(1200), yes), at(1500))).toBe(1000);
  });

  test("what is not enforced lasts as long, and no longer", () => {
    const free = answered(uncovered, at(1000), { ...no, enforced: false });
    expect(left(free, at(2000))).toBe(2000);
  });
});

describe("what ends it", () => {
  test("a no of the Group, at once; and nobody else is asked afterwards", () => {
    const refused = answered(held, at(1100), no);
    expect(refused).toMatchObject({ cover: null, refused: true });
    expect(promised(refused, at(1200), leaseMs, at(1300)).cover).toBeNull();
    expect(asksOthers({ ...held, refused: true }, at(3900), leaseMs)).toBe(false);
  });

  test("but not a no to a question from before a verb opened the node", () => {
    const fresh = opened(uncovered, at(2000), 500, leaseMs, 1);
    expect(answered(fresh, at(1900), no).cover).not.toBeNull();
    expect(answered(fresh, at(2001), no).cover).toBeNull();
  });

  test("a verb that closes the node", () => expect(closed(held, at(1100)).cover).toBeNull());

  test("and a yes to a question from before that brings nothing back", () => {
    const given = closed(held, at(2000));
    expect(answered(given, at(1900), yes).cover).toBeNull();
    expect(answered(given, at(2001), yes).cover).not.toBeNull();
  });

  test("the first lease is as old as the stamp of its verb", () => {
    const fresh = opened(uncovered, at(2000), 500, leaseMs, 1);
    expect(left(fresh, at(2000))).toBe(2500);
  });
});

describe("when the Group is away", () => {
  test("the others are asked when half a lease went by without an answer", () => {
    expect(asksOthers(held, at(2500), leaseMs)).toBe(false);
    expect(asksOthers(held, at(2501), leaseMs)).toBe(true);
    expect(asksOthers(uncovered, at(9000), leaseMs)).toBe(false);
    expect(asksOthers(opened(uncovered, at(9000), 0, leaseMs, 1), at(10_000), leaseMs)).toBe(false);
  });

  test("they are asked at the epoch of the lease; a no, or a newer epoch, gives it no other", () => {
    const leased = opened(uncovered, at(2000), 500, leaseMs, 5);
    expect(answered(leased, at(2100), { ...no, epoch: 6 }).epoch).toBe(5);
    expect(answered(leased, at(2100), { ...yes, epoch: 6 }).epoch).toBe(6);
    expect(answered(leased, at(1900), yes).epoch).toBe(5);
  });

  test("whoever is over asks nobody, and what comes too late changes nothing", () => {
    expect(asksOthers(held, at(4000), leaseMs)).toBe(false);
    expect(promised(held, at(3900), leaseMs, at(4000))).toBe(held);
  });

  test("all of them have to promise; nobody to ask is enough, not to know whom is not", () => {
    expect(allPromised(["b", "c"], new Set(["b"]))).toBe(false);
    expect(allPromised(["b", "c"], new Set(["b", "c"]))).toBe(true);
    expect(allPromised([], new Set())).toBe(true);
    expect(allPromised(null, new Set(["b"]))).toBe(false);
  });

  test("a promise is counted from its sending, and outlived by what binds whoever gave it", () => {
    const open = promised(held, at(2600), leaseMs, at(2700));
    expect(left(open, at(2600))).toBe(leaseMs);
    // Received later than sent, and by a clock that runs two percent faster.
    expect(promiseBindsMs(2600, { leaseMs })).toBeGreaterThan(2600 + 1.02 * leaseMs);
  });

  test.each<readonly [number | null, number, RegExp | null]>([
    [null, 3, /holds no epoch/],
    [4, 3, /epoch 3 is behind 4: another primary may be on its way/],
    [3, 3, null],
    [2, 3, null],
  ])("a giver that holds %s, asked at %s", (heldEpoch, asked, why) => {
    const said = whyNotPromised(heldEpoch, asked);
    if (why === null) expect(said).toBeNull();
    else expect(said).toMatch(why);
  });
});

describe("who opens a node", () => {
  const fine: Opening = { leaseMs, ageMs: 100, sealMs: 200, promisedMs: 0 };
  test.each<readonly [string, Partial<Opening>, string | null]>([
    ["a relay that keeps its lease", {}, null],
    ["one that has promised not to", { promisedMs: 1 }, "promised"],
    [
      "one that has promised, in a group without leases",
      { promisedMs: 1, leaseMs: null },
      "promised",
    ],
    ["one that keeps no lease of it", { sealMs: null }, "lease"],
    ["one that keeps none, where there are none", { sealMs: null, leaseMs: null }, null],
    ["when the stamp is so old that nothing is left", { ageMs: 2700 }, "stamp"],
    ["when a little is left", { ageMs: 2699 }, null],
    ["when the lease is shorter than a seal takes", { leaseMs: 300, ageMs: 0 }, "stamp"],
  ])("%s", (_, change, code) => {
    expect(whyNotOpened({ ...fine, ...change })?.code ?? null).toBe(code);
  });
});

describe("the guard", () => {
  const beat = { cover: held.cover, atMonoMs: 1000, leaseMs };
  test("seals when a beat is late by more than another one, and when the lease ends", () => {
    expect(guardSealInMs(beat, at(1000), 200)).toBe(750);
    expect(guardSealInMs(beat, at(1750), 200)).toBe(0);
    expect(guardSealInMs({ ...beat, atMonoMs: 3600 }, at(3600), 200)).toBe(100);
    expect(beatEveryMs(leaseMs)).toBeLessThanOrEqual(leaseMs / 8);
  });
});

test("the Group is asked three times a lease, each second for a sealed primary, seldom for a replica", () => {
  expect(askEveryMs(held, "primary", leaseMs)).toBe(1000);
  expect(askEveryMs(held, "replica", 6000)).toBe(2000);
  expect(askEveryMs(uncovered, "primary", 60_000)).toBe(1000);
  expect(askEveryMs(uncovered, "replica", 60_000)).toBe(5000);
});

test("whatever is answered, lost or late: never open past what a failover waits for after the last grant", () => {
  const event = fc.record({
    kind: fc.constantFrom("yes", "no", "free", "lost", "verb"),
    afterMs: fc.integer({ min: 0, max: 1500 }),
    answerMs: fc.integer({ min: 0, max: 4000 }),
    /** How far the wall clock is set meanwhile. */
    setMs: fc.constantFrom(0, 0, 0, -3_600_000, 3_600_000),
  });
  const drawn = fc.tuple(
    fc.array(event, { maxLength: 30 }),
    fc.double({ min: 0.981, max: 1.019, noNaN: true }),
  );
  fc.assert(
    fc.property(drawn, ([events, rate]) => {
      let [trueMs, shiftMs, lastMs] = [0, 0, Number.NEGATIVE_INFINITY];
      let lease: Lease = uncovered;
      const now = (ms: number): Now => at(ms * rate, ms * rate + shiftMs);
      for (const { kind, afterMs, answerMs, setMs } of events) {
        trueMs += afterMs;
        shiftMs += setMs;
        const asked = now(trueMs);
        // Granted by the Group somewhere between question and answer; a verb when its stamp was taken, or later.
        if (kind !== "lost" && kind !== "no") lastMs = Math.max(lastMs, trueMs);
        if (kind === "yes") lease = answered(lease, asked, yes);
        if (kind === "free") lease = answered(lease, asked, { ...no, enforced: false });
        if (kind === "no") lease = answered(lease, asked, no);
        if (kind === "verb")
          lease = opened(lease, now(trueMs + answerMs), answerMs * rate, leaseMs, 1);
        if (kind === "verb") trueMs += answerMs;
      }
      expect(left(lease, now(leaseEndMs(lastMs, { leaseMs })))).toBeLessThanOrEqual(0);
    }),
    { numRuns: 300 },
  );
});
