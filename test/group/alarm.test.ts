/** Where the Group's alarm should stand after a decision, one line a case. */
import { describe, expect, it } from "vitest";
import { freshSight, initialState } from "../../worker/core/saved.ts";
import { againAfter, alarmAfter, guardMs, needsGuard } from "../../worker/group/alarm.ts";
import { groupConfig } from "../support/builders.ts";

const config = groupConfig({ checkIntervalMs: 1000, quiet: true });
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

describe("an alarm before a look", () => {
  const idle = initialState("cache").saved;
  const busy = { ...idle, pending: [{ id: "1" }] } as unknown as typeof idle;
  const sight = freshSight;
  const cases: readonly [string, Parameters<typeof needsGuard>, boolean][] = [
    [
      "none stands: set",
      [{ config, state: { saved: idle, sight } }, { armedAtMs: null, quiet: false }, 0, NOW],
      true,
    ],
    [
      "one stands",
      [{ config, state: { saved: idle, sight } }, { armedAtMs: NOW + 1, quiet: false }, 0, NOW],
      false,
    ],
    [
      "one stood, and is past",
      [{ config, state: { saved: idle, sight } }, { armedAtMs: NOW, quiet: false }, 0, NOW],
      true,
    ],
    [
      "the last decision left it to others",
      [{ config, state: { saved: idle, sight } }, { armedAtMs: null, quiet: true }, 0, NOW],
      false,
    ],
    [
      "it slept, none stands, relays are connected",
      [{ config, state: { saved: idle, sight } }, { armedAtMs: null, quiet: null }, 2, NOW],
      false,
    ],
    [
      "it slept, and too few relays are connected",
      [{ config, state: { saved: idle, sight } }, { armedAtMs: null, quiet: null }, 1, NOW],
      true,
    ],
    [
      "it slept in the middle of something",
      [{ config, state: { saved: busy, sight } }, { armedAtMs: null, quiet: null }, 2, NOW],
      true,
    ],
    [
      "it slept, and its alarm is past",
      [{ config, state: { saved: idle, sight } }, { armedAtMs: NOW - 1, quiet: null }, 2, NOW],
      true,
    ],
  ];
  it.each(cases)("%s", (_, asked, expected) => {
    expect(needsGuard(...asked)).toBe(expected);
  });

  it("cron alone wakes a group with an interval of a minute", () => {
    const scheduled = groupConfig({ checkIntervalMs: 60_000 });
    const ready = { config: scheduled, state: { saved: idle, sight } };
    expect(needsGuard(ready, { armedAtMs: null, quiet: false }, 0, NOW)).toBe(false);
    expect(againAfter(scheduled, false, 0)).toBeNull();
  });
});

it.each<[string, boolean | null, number, number | null]>([
  ["a group that is not quiet asks again after its interval", false, 2, 1000],
  ["a quiet one does not say when", true, 2, null],
  ["one that slept, and may be quiet", null, 2, null],
  ["one that slept, and has too few relays to be quiet", null, 1, 1000],
])("vantages are told: %s", (_, quiet, connected, expected) => {
  expect(againAfter(groupConfig({ quiet: true, checkIntervalMs: 1000 }), quiet, connected)).toBe(
    expected,
  );
});
