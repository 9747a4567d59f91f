/**
 * docs/settings.md from the table in worker/core/settings.ts: `npm run settings` writes it, `--check` compares.
 *
 * Must never: change anything but the tables between the markers.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  brakeSettings,
  dnsSettings,
  groupSettings,
  nodeSettings,
  probeSettings,
  type Setting,
} from "../worker/core/settings.ts";

const file = join(import.meta.dirname, "../docs/settings.md");

function table(settings: Readonly<Record<string, Setting>>): string {
  const rows = Object.entries(settings).map(
    ([key, { fallback, min, max, source, why }]) =>
      `| \`${key}\` | ${fallback} | ${min} to ${max} | ${source} | ${why} |`,
  );
  return [
    "| setting | default | range | source | what it is |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

const tables = {
  group: groupSettings,
  node: nodeSettings,
  ...probeSettings,
  ...dnsSettings,
  brake: brakeSettings,
};
const before = readFileSync(file, "utf8");
let after = before;
for (const [name, settings] of Object.entries(tables)) {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [head = "", rest = ""] = after.split(begin);
  const tail = rest.split(end)[1];
  if (tail === undefined) throw new Error(`docs/settings.md has no markers for ${name}`);
  after = `${head}${begin}\n${table(settings)}\n${end}${tail}`;
}
if (!process.argv.includes("--check")) writeFileSync(file, after);
else if (after !== before) {
  console.error("docs/settings.md is not what worker/core/settings.ts says: npm run settings");
  process.exit(1);
}
