/** Where the Group's alarm should stand after a decision, one line a case. */
import { describe, expect, it } from "vitest";
import { alarmAfter, guardMs } from "../../worker/group/alarm.ts";
import { groupConfig } from "../support/builders.ts";

const config = groupConfig({ checkIntervalMs: 1000 });
const NOW = 1_000_000;

describe("the alarm after a decision", () => {
  const cases: readonly [string, number | null, number, number | null][] = [
    ["none stands: where the decision wants it", null, NOW + 1000, NOW + 1000],
    ["it stands there", NOW + 1000, NOW + 1000, NOW + 1000],
    ["it stands a little early: left alone", NOW + 700, NOW + 1000, NOW + 700],
    ["it stands a little late: left alone", NOW + 1090, NOW + 1000, NOW + 1090],
    ["it stands too late", NOW + 1000, NOW + 600, NOW + 600],
    ["it stands far too early", NOW + 10, NOW + 10_000, NOW + 10_000],
    ["it is past: set anew", NOW - 1, NOW + 500, NOW + 500],
    ["what is wanted is past: never now", null, NOW - 5, NOW + 1],
    ["a minute ahead is cron's", NOW + 1000, NOW + 60_000, null],
  ];
  it.each(cases)("%s", (_, armedAtMs, wakeAtMs, expected) => {
    expect(alarmAfter(armedAtMs, { atMs: NOW, wakeAtMs }, NOW, config)).toBe(expected);
  });

  it("a decision of a moment ago that left it to cron is still that", () => {
    const decided = { atMs: NOW - 30, wakeAtMs: NOW - 30 + 60_000 };
    expect(alarmAfter(NOW + 500, decided, NOW, config)).toBeNull();
  });

  it("with an interval of a minute there is none", () => {
    const scheduled = groupConfig({ checkIntervalMs: 60_000 });
    expect(alarmAfter(null, { atMs: NOW, wakeAtMs: NOW + 100 }, NOW, scheduled)).toBeNull();
  });
});

it("what is set before a look stands where the decision will want it, and at most two intervals ahead", () => {
  expect(guardMs(config, 300)).toBe(1300);
  expect(guardMs(config, 9000)).toBe(2000);
  const armedAtMs = NOW + guardMs(config, 300);
  const decided = { atMs: NOW + 250, wakeAtMs: NOW + 1250 };
  expect(alarmAfter(armedAtMs, decided, NOW + 260, config)).toBe(armedAtMs);
});
