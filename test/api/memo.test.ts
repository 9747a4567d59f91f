/**
 * What callers of one isolate share: one question at a time, whose answer is everyone's for 250 ms. The clock is
 * virtual, so what is said of milliseconds is exact.
 */
import fc from "fast-check";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createMemo } from "../../worker/api/memo.ts";
import type { Answer } from "../../worker/env.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  vi.spyOn(console, "error").mockReturnValue(undefined);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const freshMs = 250;
const withinMs = 10_000;
const silence = "the group did not answer";

/** A group whose answer is the moment at which it saw the question, half way between asking and answer. */
function groupThatTakes(tookMs: () => number) {
  const memo = createMemo<number>({ freshMs, withinMs, silence });
  const held: Promise<unknown>[] = [];
  const startMs = Date.now();
  const at = { asked: 0, underWay: 0, most: 0 };
  let failing: "answers" | "rejects" | "unavailable" | "hangs" = "answers";

  async function question(): Promise<Answer<number>> {
    at.asked += 1;
    at.underWay += 1;
    at.most = Math.max(at.most, at.underWay);
    const how = failing;
    try {
      if (how === "hangs") await new Promise((resolve) => setTimeout(resolve, withinMs));
      const half = tookMs() / 2;
      await new Promise((resolve) => setTimeout(resolve, half));
      const seenMs = Date.now() - startMs;
      await new Promise((resolve) => setTimeout(resolve, half));
      if (how === "rejects") throw new Error("the object was reset");
      if (how === "unavailable") return { kind: "unavailable", detail: "its state is unreadable" };
      return { kind: "told", value: seenMs };
    } finally {
      at.underWay -= 1;
    }
  }
  return {
    at,
    held,
    now: () => Date.now() - startMs,
    becomes: (how: typeof failing) => {
      failing = how;
    },
    ask: (name = "cache") => memo(name, { question, hold: (work) => held.push(work) }),
  };
}

it("an answer that was waited for is young when it is given, however long that took, and old 250 ms later", async () => {
  const memo = createMemo<number>({ freshMs, from: "given", withinMs, silence });
  let asked = 0;
  const question = async (): Promise<Answer<number>> => {
    asked += 1;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    return { kind: "told", value: asked };
  };
  const ask = () => memo("cache", { question, hold: () => undefined });
  const first = ask();
  await pass(900);
  const second = ask();
  await pass(100);
  expect([await first, await second]).toEqual(Array(2).fill({ kind: "told", value: 1 }));
  await pass(250);
  expect(await ask()).toEqual({ kind: "told", value: 1 });
  await pass(1);
  const third = ask();
  await pass(1000);
  expect(await third).toEqual({ kind: "told", value: 2 });
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const told = (value: number) => ({ kind: "told", value });

it("a thousand at once are one question, and it is held for all of them", async () => {
  const group = groupThatTakes(() => 40);
  const all = Promise.all(Array.from({ length: 1000 }, () => group.ask()));
  await pass(40);
  expect(new Set((await all).map((each) => JSON.stringify(each)))).toEqual(
    new Set([JSON.stringify(told(20))]),
  );
  expect(group.at.asked).toBe(1);
  expect(group.held).toHaveLength(1);
});

it("an answer is everyone's until 250 ms after it was asked for, not after it came", async () => {
  const group = groupThatTakes(() => 200);
  const first = group.ask();
  await pass(250);
  expect(await first).toEqual(told(100));
  expect(await group.ask()).toEqual(told(100));
  expect(group.at.asked).toBe(1);
  await pass(1);
  const next = group.ask();
  await pass(200);
  expect(await next).toEqual(told(351));
  expect(group.at.asked).toBe(2);
});

it("who comes while a question is older than that waits for the next, which all of them share", async () => {
  const group = groupThatTakes(() => 600);
  const first = group.ask();
  await pass(250);
  const early = group.ask();
  await pass(1);
  const late = Promise.all(Array.from({ length: 100 }, () => group.ask()));
  await pass(349);
  expect(await first).toEqual(told(300));
  expect(await early).toEqual(told(300));
  await pass(600);
  expect(new Set((await late).map((each) => each.kind === "told" && each.value))).toEqual(
    new Set([900]),
  );
  expect(group.at).toMatchObject({ asked: 2, most: 1 });
});

it.each(["rejects", "unavailable"] as const)(
  "a group that %s: all who waited are told, none of it is remembered, nothing old comes back",
  async (how) => {
    const group = groupThatTakes(() => 20);
    const good = group.ask();
    await pass(20);
    expect(await good).toEqual(told(10));
    await pass(300);
    group.becomes(how);
    const bad = Promise.all([group.ask(), group.ask()]);
    await pass(20);
    const detail = how === "rejects" ? silence : "its state is unreadable";
    expect(await bad).toEqual([
      { kind: "unavailable", detail },
      { kind: "unavailable", detail },
    ]);
    expect(group.at.asked).toBe(2);
    group.becomes("answers");
    const again = group.ask();
    await pass(20);
    expect(await again).toEqual(told(350));
    expect(group.at.asked).toBe(3);
  },
);

it("a failure right after an answer takes its place", async () => {
  const group = groupThatTakes(() => 300);
  const good = group.ask();
  await pass(251);
  group.becomes("unavailable");
  const late = group.ask();
  await pass(49);
  expect(await good).toEqual(told(150));
  await pass(300);
  expect(await late).toMatchObject({ kind: "unavailable" });
  // The good answer is from 600 ms ago.
  group.becomes("answers");
  const next = group.ask();
  await pass(300);
  expect(await next).toEqual(told(750));
});

it("a group that is silent is not asked again meanwhile, and everyone ends in time", async () => {
  const group = groupThatTakes(() => 20);
  group.becomes("hangs");
  const asked = [group.ask()];
  for (let second = 1; second < 10; second += 1) {
    await pass(1000);
    asked.push(group.ask());
  }
  await pass(1000);
  const unavailable = { kind: "unavailable", detail: silence };
  expect(await Promise.all(asked)).toEqual(asked.map(() => unavailable));
  expect(group.at.asked).toBe(1);
  group.becomes("answers");
  const next = group.ask();
  await pass(20);
  expect(await next).toMatchObject({ kind: "told" });
});

it("groups do not share", async () => {
  const group = groupThatTakes(() => 20);
  const both = Promise.all([group.ask("cache"), group.ask("sessions")]);
  await pass(20);
  await both;
  expect(group.at.asked).toBe(2);
});

it("after the clock went back nothing that it dates later is believed", async () => {
  const group = groupThatTakes(() => 20);
  const first = group.ask();
  await pass(20);
  await first;
  vi.setSystemTime(Date.now() - 3_600_000);
  const second = group.ask();
  await pass(20);
  await second;
  expect(group.at.asked).toBe(2);
  group.becomes("hangs");
  await pass(300);
  void group.ask();
  vi.setSystemTime(Date.now() - 3_600_000);
  group.becomes("answers");
  const third = group.ask();
  await pass(20);
  expect(await third).toMatchObject({ kind: "told" });
});

it("whatever the times: one question at a time, and never an answer from before 250 ms ago", async () => {
  const moments = fc.array(fc.nat({ max: 2000 }), { minLength: 1, maxLength: 60 });
  const latencies = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(moments, latencies, async (unsorted, tookMs) => {
      let turn = 0;
      const group = groupThatTakes(() => tookMs[turn++ % tookMs.length] ?? 1);
      const answers: Promise<void>[] = [];
      for (const cameMs of [...unsorted].sort((a, b) => a - b)) {
        await pass(cameMs - group.now());
        answers.push(
          group.ask().then((given) => {
            expect(given.kind === "told" && given.value).toBeGreaterThanOrEqual(cameMs - freshMs);
          }),
        );
      }
      await pass(1000);
      await Promise.all(answers);
      expect(group.at.most).toBe(1);
      expect(group.at.asked).toBeLessThanOrEqual(1 + 3000 / freshMs);
    }),
    { numRuns: 60 },
  );
});
