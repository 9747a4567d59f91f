/**
 * Dollars a month: of a configuration, or of all kinds of groups.
 * `npm run cost -- [--config wrangler.toml [--env NAME]] [--json]`; `--count` runs, counts anew, and writes the
 * tables of docs/cost.md.
 *
 * Promises: answers at once, from the counts that stand beside it; a configuration that is wrong is told with every
 * complaint, as the Worker does, and exit code 2.
 * Must never: ask anything of an account, or need a secret.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readOwn } from "./cost/own.ts";
import { allTables, estimate, estimateTable, goalOf, withTables } from "./cost/report.ts";
import type { Case, Counted } from "./cost/tally.ts";

const USAGE = `npm run cost                                      what all kinds of groups cost
npm run cost -- --config FILE [--env NAME]        what the groups of a wrangler.toml cost
npm run cost -- --count [none-quiet-0,lease-ticks-3,…]   counts anew, all or some kinds; 45 s each
              --json                              the same for machines`;
const stored = join(import.meta.dirname, "cost/counts.json");
const docs = join(import.meta.dirname, "../docs/cost.md");

const fencings: readonly Case["fencing"][] = ["none", "sealed", "lease"];
const modes: readonly Case["mode"][] = ["quiet", "ticks", "scheduled"];
const nameOf = ({ fencing, mode, regions }: Case) => `${fencing}-${mode}-${regions}`;
const cases: readonly Case[] = fencings.flatMap((fencing) =>
  modes.flatMap((mode) => [0, 3].map((regions) => ({ fencing, mode, regions }))),
);

function refuse(...complaints: readonly string[]): never {
  for (const complaint of complaints) console.error(`cost: ${complaint}`);
  process.exit(2);
}

function asked() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        config: { type: "string" },
        env: { type: "string" },
        count: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    if (values.env !== undefined && values.config === undefined)
      throw new Error(`--env ${values.env}: only with --config`);
    if (!values.count && positionals[0] !== undefined)
      throw new Error(`${positionals[0]}: allowed only after --count; a configuration: --config`);
    const wanted = positionals.flatMap((names) => names.split(","));
    const unknown = wanted.find((name) => !cases.some((each) => nameOf(each) === name));
    if (unknown !== undefined)
      throw new Error(`--count ${unknown}: allowed: some of ${cases.map(nameOf).join(",")}`);
    const chosen = cases.filter((each) => wanted.length === 0 || wanted.includes(nameOf(each)));
    return { ...values, chosen };
  } catch (error) {
    return refuse(error instanceof Error ? error.message : "wrong arguments", USAGE);
  }
}

const { config, env, count, json, chosen } = asked();
let all: readonly Counted[] = JSON.parse(readFileSync(stored, "utf8"));
if (count) {
  const { count: run, stop } = await import("./cost/count.ts");
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => void stop().finally(() => process.exit(130)));
  for (const [at, each] of chosen.entries()) {
    process.stderr.write(`${at + 1} of ${chosen.length}: ${nameOf(each)}\n`);
    const counted = await run(each);
    all = cases.flatMap(
      (one) => [counted, ...all].find((known) => nameOf(known) === nameOf(one)) ?? [],
    );
    writeFileSync(stored, `${JSON.stringify(all, null, 2)}\n`);
  }
  writeFileSync(docs, withTables(readFileSync(docs, "utf8"), all));
}
if (config !== undefined) {
  const own = await readOwn(config, env);
  if (!own.ok) refuse(...own.complaints);
  if (json) console.log(JSON.stringify(estimate(all, own.groups), null, 2));
  else console.log(estimateTable(all, own).join("\n"));
} else if (json) {
  const goals = [0, 3].map((regions) => goalOf(all, regions));
  console.log(JSON.stringify({ goals, counted: all }, null, 2));
} else console.log(allTables(all).join("\n"));
process.exit(0);
