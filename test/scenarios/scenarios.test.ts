/**
 * Every file in this folder is a scenario and its golden story. `UPDATE_SCENARIOS=1 npm test` rewrites the
 * stories; commit the changes only if you understand what caused them.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { play } from "./interpreter.ts";

const folder = import.meta.dirname;
const files = readdirSync(folder).filter((name) => name.endsWith(".txt"));

test.each(files)("%s", (name) => {
  const file = join(folder, name);
  const [script = "", golden = ""] = readFileSync(file, "utf8").split("\n----\n");
  const story = play(script);
  if (process.env.UPDATE_SCENARIOS) writeFileSync(file, `${script}\n----\n${story}\n`);
  else expect(story).toBe(golden.trimEnd());
});
