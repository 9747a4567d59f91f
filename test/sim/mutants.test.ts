/** The simulator can fail: every deliberate defect is caught, by name. */
import { beforeAll, describe, expect, test } from "vitest";
import { type Caught, hunt, misplaced } from "../../scripts/sim/mutants/hunt.ts";
import { mutants } from "../../scripts/sim/mutants/list.ts";
import { tableOf } from "../../scripts/sim/mutants/table.ts";

test("every defect has its place in the code exactly once", () => {
  expect(misplaced()).toEqual([]);
});

test("a defect whose place is gone fails loudly", async () => {
  const gone = { name: "gone", file: "worker/core/decide.ts", find: "nowhere", replace: "" };
  expect(misplaced([gone])).toEqual(["gone: its place is 0 times in worker/core/decide.ts"]);
  await expect(hunt([gone])).rejects.toThrow("gone: its place is 0 times");
});

test("there are at least twenty-four, each with a name of its own", () => {
  expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
  expect(mutants.length).toBeGreaterThanOrEqual(24);
});

describe("caught:", () => {
  let caught: readonly Caught[] = [];
  beforeAll(async () => {
    caught = await hunt();
  }, 900_000);

  test.each(mutants.map(({ name }) => name))("%s", (name) => {
    const found = caught.find((each) => each.name === name);
    expect(found?.by, tableOf(caught)).toEqual(expect.any(String));
    // A defect that makes the simulator stumble proves nothing.
    expect(["simulator", "throws"]).not.toContain(found?.by);
  });
});
