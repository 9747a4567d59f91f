/** docs/conformance.md: what a title says, and what is complained about. */
import { describe, expect, test } from "vitest";
import { sections } from "../../scripts/conformance/ids.ts";
import { idsOf, titlesOf } from "../../scripts/conformance/titles.ts";
import { complaints, render } from "../../scripts/conformance.ts";

const titles = (text: string, path = "test/some.test.ts") =>
  titlesOf({ path, text }).map(({ title }) => title);

describe("the ids of a title", () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["S00.8 the primary is killed", ["S00.8"]],
    ["S00.8 to S00.11: the primary is killed", ["S00.8", "S00.9", "S00.10", "S00.11"]],
    ["W1..W3 and W5", ["W1", "W2", "W3", "W5"]],
    ["F1 to F3", ["F1", "F2", "F3"]],
    ["G2, F8 one of three", ["G2", "F8"]],
    ["G5 R4 they return", ["G5", "R4"]],
    ["S00.9 role:master; F1 the old one is down", ["S00.9", "F1"]],
    ["G19: an old KV", ["G19"]],
    ["S04", ["S04"]],
    ["as in S00.8, and F1: only mentioned", []],
    ["nothing of the kind", []],
  ];
  test.each(cases)("%s", (title, ids) => {
    expect(idsOf(title)).toEqual(ids);
  });
});

describe("the titles of a file", () => {
  test("tests, whatever their name, quotes and modifiers; not what only looks like one", () => {
    const text = [
      'describe("G8 evicted", () => {',
      "  it('P1 one', () => {});",
      "  test.concurrent(`P2 two`, () => {});",
      '  // test("P3 three")',
      '  const text = "test(\\"P4 four\\")";',
      "});",
    ].join("\n");
    expect(titles(text)).toEqual(["G8 evicted", "P1 one", "P2 two"]);
  });

  test("a table gives a title a row: in place, by name, the nearest one of that name", () => {
    const text = [
      'test.each([["S05.3", "after-election"], ["S05.4", "x"]])("%s drill %s: dies", () => {});',
      'const cases = [["P5 priority 0", { priority: 0 }], ["P6 down", /down/]] as const;',
      'test.each(cases)("%s", () => {});',
      'const cases = ["P7 old"];',
      'test.each(cases)("%s", () => {});',
      'test.each(files())("%s of a list that nobody knows", () => {});',
    ].join("\n");
    expect(titles(text)).toEqual([
      "S05.3 drill after-election: dies",
      "S05.4 drill x: dies",
      "P5 priority 0",
      "P6 down",
      "P7 old",
      "%s of a list that nobody knows",
    ]);
  });

  test("a scenario has its first comment", () => {
    const text = "# G3: blips.\ngroup a b c\n# another\n";
    expect(titles(text, "test/scenarios/g3.txt")).toEqual(["G3: blips."]);
  });
});

describe("complaints", () => {
  const all = sections.flatMap(({ rows }) => rows.map(({ id }) => id));
  const titled = (title: string, path = "test/e2e/x.test.ts") => ({ path, title });

  test("every id is once in the list", () => {
    expect(new Set(all).size).toBe(all.length);
  });

  test("an id that is none, one without a test, one that has a reason and a test, one not on real Redis", () => {
    const said = complaints([
      titled("W11 no such scenario"),
      titled("S10.1 has a reason"),
      titled("W1 in a world of paper", "test/scenarios/w1.txt"),
      titled("Z7 another list's"),
    ]);
    const about = (id: string) => said.filter((line) => new RegExp(`\\b${id}\\b`).test(line));
    expect(about("W11")).toEqual([expect.stringContaining("there is no scenario W11")]);
    expect(about("S10.1")).toEqual([expect.stringContaining("take its reason out")]);
    expect(about("W1")).toEqual([expect.stringContaining("no test on real Redis")]);
    expect(about("P1")).toContainEqual(expect.stringMatching(/^P1 has no test/));
    expect(about("Z7")).toEqual([]);
  });

  test("the page has a line for each id, and says which are real", () => {
    const page = render([titled("G3 blips"), titled("P1 by priority", "test/core/x.test.ts")]);
    for (const id of all) expect(page).toContain(`\n| ${id} | `);
    expect(page).toContain("| **real** `e2e/x.test.ts`: G3 blips |");
    expect(page).toContain("| `core/x.test.ts`: P1 by priority |");
  });
});
