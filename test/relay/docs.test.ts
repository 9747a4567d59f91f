/** docs/relay.md says what the code says: settings, metrics, the example, the files of the service. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { expect, test } from "vitest";
import { parseSettings, settingsSchema } from "../../worker/relay/config.ts";
import { createMetrics } from "../../worker/relay/metrics.ts";

const root = join(import.meta.dirname, "../..");
const docs = readFileSync(join(root, "docs/relay.md"), "utf8");

/** The rows of the table whose first column is named so. */
function tableOf(heading: string): readonly (readonly string[])[] {
  const lines = docs.split("\n");
  const start = lines.findIndex((line) => line.startsWith(`| ${heading} |`));
  const rows: string[][] = [];
  for (let at = start + 2; lines[at]?.startsWith("|"); at += 1) {
    const cells = (lines[at] ?? "").split("|").slice(1, -1);
    rows.push(cells.map((cell) => cell.trim()));
  }
  return rows;
}

/** What of valibot's schemas is looked at. */
type Schema = {
  readonly type: string;
  readonly entries?: Readonly<Record<string, Schema>>;
  readonly item?: Schema;
  readonly wrapped?: Schema;
  readonly default?: unknown;
  readonly pipe?: readonly Schema[];
  readonly kind?: string;
  readonly requirement?: unknown;
};

/** "path" to what stands for its default in the table: nothing, a dash, or the value. */
function settingsOf(schema: Schema, path: string, fallback: string): [string, string, Schema][] {
  if (schema.wrapped !== undefined) {
    const given = "default" in schema && schema.type === "optional";
    const value = schema.default === undefined ? "-" : String(schema.default);
    return settingsOf(schema.wrapped, path, given ? value : fallback).map(
      ([name, was, leaf]) => [name, was, leaf] as [string, string, Schema],
    );
  }
  // The objects and lists of a pipe; what comes before them only prepares.
  const inner = schema.pipe?.find((each) => each.entries !== undefined || each.item !== undefined);
  const { entries, item } = inner ?? schema;
  if (entries !== undefined) {
    return Object.entries(entries).flatMap(([key, each]) =>
      settingsOf(each, path === "" ? key : `${path}.${key}`, ""),
    );
  }
  if (item !== undefined) {
    const items = settingsOf(item, `${path}[]`, "");
    // A list of plain values is one setting.
    return items.length === 1 && items[0]?.[0] === `${path}[]` ? [[path, fallback, schema]] : items;
  }
  return [[path, fallback, schema]];
}

test("every setting stands in the table with its default, and no other", () => {
  const settings = settingsOf(settingsSchema as unknown as Schema, "", "");
  const table = tableOf("setting").map(([name, fallback]) => [name?.replaceAll("`", ""), fallback]);
  expect(table).toEqual(settings.map(([name, fallback]) => [name, fallback]));
});

test("every number stands in the table with its range", () => {
  const ranges = new Map(tableOf("setting").map(([name, , range]) => [name, range]));
  const numbers = settingsOf(settingsSchema as unknown as Schema, "", "").filter(([, , leaf]) =>
    leaf.pipe?.some((each) => each.type === "integer"),
  );
  for (const [name, , leaf] of numbers) {
    const limit = (type: string) => leaf.pipe?.find((each) => each.type === type)?.requirement;
    expect([name, ranges.get(`\`${name}\``)]).toEqual([
      name,
      `${limit("min_value")} to ${limit("max_value")}`,
    ]);
  }
  expect(numbers.length).toBeGreaterThan(10);
});

test("the example is a configuration", () => {
  const example = /```json\n({[\s\S]*?})\n```/.exec(docs)?.[1] ?? "";
  const parsed = parseSettings(example, {
    variable: (name) => `the-value-of-${name}`,
    file: (path) => ({
      kind: "found",
      text: path.endsWith(".pem") ? (rootCertificates[0] ?? "") : `the-content-of-${path}`,
    }),
  });
  expect(parsed).toMatchObject({ kind: "settings", settings: { id: "a" } });
});

test("every metric stands in the table, and no other", async () => {
  const metrics = createMetrics({
    sockets: () => 0,
    bytes: () => ({ received: 0, sent: 0 }),
    nodes: () => [],
  });
  const { body } = await metrics.text();
  const names = [...body.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? "");
  const own = names.filter((name) => !/^picket_relay_(process|nodejs)_/.test(name));
  const listed = tableOf("metric").flatMap(([cell]) =>
    [...(cell ?? "").matchAll(/`([a-z_]+)`/g)].map(([, name]) => name),
  );
  expect(listed.toSorted()).toEqual(own.toSorted());
});

test("the files of the service and of the image are there", () => {
  const files = [
    ...[...docs.matchAll(/^COPY (.+) \S+$/gm)].flatMap(([, from]) => (from ?? "").split(" ")),
    ...[...docs.matchAll(/\/opt\/picket\/(\S+)/g)].map(([, file]) => file ?? ""),
  ];
  expect(files.length).toBeGreaterThan(3);
  for (const file of files) expect([file, existsSync(join(root, file))]).toEqual([file, true]);
});
