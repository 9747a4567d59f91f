/** docs/api.md is kept true: every operation is in it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { operations } from "../../worker/api/operations.ts";

const docs = readFileSync(join(import.meta.dirname, "../../docs/api.md"), "utf8");

it.each(operations.map(({ method, path }) => `${method} …${path}`))("%s is described", (line) => {
  expect(docs).toContain(`| \`${line}\` |`);
});
