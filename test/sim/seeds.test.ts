/** Whole worlds from seeds: nothing is found, and a seed is the same story whenever it is told. */
import { expect, test } from "vitest";
import { type Result, runSeed } from "../../scripts/sim/run.ts";
import { runSeeds } from "../../scripts/sim/threads.ts";

const SEEDS = 300;

test("300 seeds of two virtual minutes find nothing", { timeout: 300_000 }, async () => {
  const failed: string[] = [];
  let done = 0;
  await runSeeds({
    first: 1,
    count: SEEDS,
    minutes: 2,
    onResult: ({ seed, violations }: Result) => {
      done += 1;
      const [first] = violations;
      if (first !== undefined)
        failed.push(`npm run sim -- --seed ${seed} --minutes 2: ${first.rule}: ${first.text}`);
      return false;
    },
  });
  expect(failed).toEqual([]);
  expect(done).toBe(SEEDS);
});

test("a repeated seed gives the same story, also without telling it", () => {
  const first = runSeed(25, 4, true);
  expect(first.story.length).toBeGreaterThan(50);
  expect(runSeed(25, 4, true)).toEqual(first);
  expect(runSeed(25, 4)).toEqual({ ...first, story: [] });
});

test("another seed is another story", () => {
  expect(runSeed(1, 1, true).story).not.toEqual(runSeed(2, 1, true).story);
});
