/** docs/rest.md is kept true: every behaviour in it names a test that exists. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { titlesOf } from "../../../scripts/conformance/titles.ts";

const root = join(import.meta.dirname, "../../..");
const page = readFileSync(join(root, "docs/rest.md"), "utf8");

const titles = new Set(
  globSync("test/relay/**/*.test.ts", { cwd: root })
    .flatMap((path) => titlesOf({ path, text: readFileSync(join(root, path), "utf8") }))
    .map(({ title }) => title),
);

/** Tables whose last column is a test. */
const rows = page
  .split("\n## ")
  .flatMap((section) => section.split("\n\n"))
  .filter((block) => /^\|[^\n]*\| test \|\n/.test(block))
  .flatMap((block) => block.trim().split("\n").slice(2));

test("every behaviour names a test that exists", () => {
  expect(rows.length).toBeGreaterThan(50);
  const named = rows.map((row) => /\| `([^`]+)` \|$/.exec(row)?.[1] ?? `no test: ${row}`);
  expect(named.filter((title) => !titles.has(title))).toEqual([]);
});
