/**
 * What becomes of the writes on two machines and no third, as a table: each row of rows.ts in each fencing mode.
 * `npm run bench:two-machines -- [--modes none,sealed] [--rows box-lost,…] [--json]`
 *
 * Promises: one mode after the other, each in boxes of its own; all of it is gone afterwards.
 * Must never: fail for its figures; the tests in test/two-machines/ do that.
 */
import { parseArgs } from "node:util";
import { whyNoBoxes } from "./boxes.ts";
import { type Outcome, rows } from "./rows.ts";
import { modes, startTwoMachines } from "./two-machines.ts";

const all = rows.map(({ id }) => id).join(",");
const USAGE = `npm run bench:two-machines -- [--modes ${modes.join(",")}] [--rows ${all}] [--json]`;
const asked = options();

function options() {
  try {
    const { values } = parseArgs({
      options: {
        modes: { type: "string", default: modes.join(",") },
        rows: { type: "string", default: all },
        json: { type: "boolean", default: false },
      },
    });
    return {
      json: values.json,
      modes: chosen("modes", values.modes, modes, (mode) => mode),
      rows: chosen("rows", values.rows, rows, ({ id }) => id),
    };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    process.exit(2);
  }
}

function chosen<T>(
  option: string,
  given: string,
  from: readonly T[],
  nameOf: (each: T) => string,
): readonly T[] {
  const names = given.split(",");
  const wrong = names.filter((name) => !from.some((each) => nameOf(each) === name));
  if (wrong.length > 0) {
    const allowed = from.map(nameOf).join(", ");
    throw new Error(`--${option} ${wrong.join(",")}: allowed: some of ${allowed}`);
  }
  return from.filter((each) => names.includes(nameOf(each)));
}

const why = whyNoBoxes();
if (why !== null) {
  console.error(`bench:two-machines: skipped: ${why}`);
  process.exit(3);
}

type Measured = { readonly mode: string; readonly row: string; readonly outcome: Outcome };
const measured: Measured[] = [];
for (const mode of asked.modes) {
  const world = await startTwoMachines(mode);
  try {
    for (const { id, run } of asked.rows) {
      process.stderr.write(`${mode}: ${id}\n`);
      measured.push({ mode, row: id, outcome: await run(world) });
    }
  } finally {
    await world.stop();
  }
}
if (asked.json) console.log(JSON.stringify(measured, null, 2));
else
  for (const { id, title } of asked.rows) {
    console.log(`\n### ${title}\n`);
    const head = ["fencing", "promoted", "longest without writes at the edge, ms"];
    const more = [
      "acknowledged meanwhile: in the primary's box",
      "in the other box",
      "at the edge",
    ];
    const names = [...head, ...more, "lost", "by both sides"];
    const lines = measured
      .filter(({ row }) => row === id)
      .map(({ mode, outcome: { failedOver, edgeGapMs, during, lost, byBoth } }) => [
        ...[mode, failedOver ? "yes" : "no", edgeGapMs],
        ...[during.beside, during.other, during.edge, lost, byBoth],
      ]);
    for (const line of [names, names.map(() => "---"), ...lines])
      console.log(`| ${line.join(" | ")} |`);
  }
process.exit(0);
