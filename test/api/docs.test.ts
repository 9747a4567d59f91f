/** docs/api.md is kept true: every operation is in it; docs/webhooks.md has every event. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { operations } from "../../worker/api/operations.ts";
import { eventNames } from "../../worker/core/events.ts";

const read = (name: string) => readFileSync(join(import.meta.dirname, "../../docs", name), "utf8");
const docs = read("api.md");

it.each(operations.map(({ method, path }) => `${method} …${path}`))("%s is described", (line) => {
  expect(docs).toContain(`| \`${line}\` |`);
});

it("every event is described, each once", () => {
  const described = read("webhooks.md").matchAll(/^\| `([+-][a-z-]+)` \| \S/gm);
  expect([...described].map(([, name]) => name).sort()).toEqual([...eventNames].sort());
});
