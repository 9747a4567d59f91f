/** The circuit breaker, as a table: what was recorded when, and whether it is open. */
import { describe, expect, it } from "vitest";
import { type BreakerOptions, breaker } from "../../worker/client/breaker.ts";

/** Outcomes in order: "." answered, "x" failed; each a millisecond after the one before. */
function fed(outcomes: string, options: BreakerOptions, atMs = 1000) {
  const one = breaker(options);
  for (const [index, outcome] of [...outcomes].entries()) one.record(outcome === ".", atMs + index);
  return one;
}

describe("opens", () => {
  it.each([
    [2, 0.4, true],
    [2, 0, true],
    [0, 0.4, true],
    [3, 0.4, false],
    [2, 0.41, false],
  ])("C8 two of five failed, minimum %d, rate %d: %s", (minNumFailures, rate, open) => {
    const one = fed(".x..x", { minNumFailures, failureRateThreshold: rate });
    expect(one.isOpen(1010)).toBe(open);
  });

  it("C8 by default at 1000 failures that are a tenth of all, within 2 s", () => {
    const half = { failuresDetectionWindowMs: 100_000 };
    expect(fed("x".repeat(999), half).isOpen(2500)).toBe(false);
    expect(fed("x".repeat(1000), half).isOpen(2500)).toBe(true);
    expect(fed(".".repeat(9001) + "x".repeat(1000), half).isOpen(12_000)).toBe(false);
    expect(fed(".".repeat(9000) + "x".repeat(1000), half).isOpen(12_000)).toBe(true);
    expect(fed("x".repeat(1000), {}).isOpen(2500)).toBe(true);
  });

  it.each([0.07, 0.1, 0.29, 0.57])("C8 a share of exactly %d of a hundred is enough", (rate) => {
    const failed = Math.round(rate * 100);
    const outcomes = ".".repeat(100 - failed) + "x".repeat(failed);
    const options = { minNumFailures: 1, failureRateThreshold: rate };
    expect(fed(outcomes, options).isOpen(1200)).toBe(true);
    expect(fed(`.${outcomes}`, options).isOpen(1200)).toBe(false);
  });

  it("C9 the window passed: counted anew", () => {
    const one = breaker({ minNumFailures: 2, failureRateThreshold: 0.4 });
    one.record(false, 1000);
    expect(one.record(false, 3000)).toBe(false);
    expect(one.isOpen(3000)).toBe(false);
    expect(one.record(false, 4999)).toBe(true);
    expect(one.isOpen(4999)).toBe(true);
  });
});

describe("open", () => {
  const options = { minNumFailures: 1, failureRateThreshold: 0, gracePeriodMs: 500 };

  it("until its grace period is over, whatever came late", () => {
    const one = fed("x", options);
    expect(one.record(true, 1100)).toBe(false);
    expect(one.record(false, 1200)).toBe(false);
    expect([one.isOpen(1499), one.isOpen(1500)]).toEqual([true, false]);
  });

  it("then one outcome decides", () => {
    const well = fed("x", { ...options, minNumFailures: 2, failureRateThreshold: 1 });
    expect(well.isOpen(1001)).toBe(false);
    const twice = () => fed("xx", { ...options, minNumFailures: 2 });
    const closed = twice();
    closed.record(true, 1600);
    closed.record(false, 1601);
    expect(closed.isOpen(1602)).toBe(false);
    const again = twice();
    expect(again.record(false, 1600)).toBe(true);
    expect([again.isOpen(2099), again.isOpen(2100)]).toEqual([true, false]);
  });

  it("not for longer because the clock was set back", () => {
    expect(fed("x", options).isOpen(900)).toBe(false);
  });

  it("not after a reset", () => {
    const one = fed("x", options);
    one.reset();
    expect(one.isOpen(1100)).toBe(false);
  });
});
