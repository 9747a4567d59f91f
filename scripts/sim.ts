/**
 * Simulates whole groups on virtual time, each from its seed, and looks for what must never be.
 *
 *   npm run sim -- --seeds 2000                     many seeds, ten virtual minutes each
 *   npm run sim -- --seed 123                       one seed, and its story
 *   npm run sim -- --seeds 200 --scene NAME         one scene wherever it fits
 *   npm run sim -- --seeds 200 --mode active-active only groups of this mode
 *   npm run sim -- --mutants                        deliberate defects: each must be caught
 *
 * Promises: what is found is printed with the line that repeats it, and the exit code says whether anything was.
 */
import { parseArgs } from "node:util";
import type { Mode } from "./sim/build.ts";
import { hunt } from "./sim/mutants/hunt.ts";
import { tableOf } from "./sim/mutants/table.ts";
import { type Result, runSeed } from "./sim/run.ts";
import { runSeeds } from "./sim/threads.ts";

const usage =
  "usage: npm run sim -- [--seeds N] [--seed S] [--minutes M] [--scene NAME] [--mode replication|active-active] [--mutants]";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    seed: { type: "string" },
    minutes: { type: "string", default: "10" },
    mutants: { type: "boolean", default: false },
    scene: { type: "string" },
    mode: { type: "string" },
  },
});

function number(name: "seeds" | "seed" | "minutes", least: number): number {
  const value = Number(values[name]);
  if (Number.isFinite(value) && value >= least) return value;
  console.error(`--${name} has to be a number of at least ${least}\n${usage}`);
  process.exit(2);
}

function modeGiven(): Mode | null {
  const { mode } = values;
  if (mode === undefined || mode === "replication" || mode === "active-active") return mode ?? null;
  console.error(`--mode is ${mode}: replication or active-active\n${usage}`);
  process.exit(2);
}

const minutes = number("minutes", 0.1);
const mode = modeGiven();
if (values.mutants) await mutants();
else if (values.seed !== undefined) one(number("seed", 0));
else await many(number("seeds", 1));

function one(seed: number): void {
  const result = runSeed(seed, minutes, true, values.scene ?? null, mode);
  console.log(result.story.join("\n"));
  if (result.violations.length === 0) console.log(`\nseed ${seed}: nothing found`);
  else tell(result);
}

function tell({ seed, violations }: Result): void {
  const [first] = violations;
  if (first === undefined) return;
  process.exitCode = 1;
  console.log(
    `\nseed ${seed}, after ${(first.atMs / 1000).toFixed(3)} s: ${first.rule}: ${first.text}`,
  );
  const scene = values.scene === undefined ? "" : ` --scene ${JSON.stringify(values.scene)}`;
  const only = mode === null ? "" : ` --mode ${mode}`;
  console.log(`  npm run sim -- --seed ${seed} --minutes ${minutes}${scene}${only}`);
}

async function many(count: number): Promise<void> {
  const startMs = performance.now();
  let [done, decisions, failed] = [0, 0, 0];
  await runSeeds({
    first: 1,
    count,
    minutes,
    ...(values.scene === undefined ? {} : { scene: values.scene }),
    ...(mode === null ? {} : { mode }),
    onResult: (result) => {
      done += 1;
      decisions += result.decisions;
      if (result.violations.length > 0) {
        failed += 1;
        if (failed <= 20) tell(result);
      }
      if (process.stderr.isTTY && done % 20 === 0) process.stderr.write(`\r${done} of ${count}`);
      return false;
    },
  });
  if (process.stderr.isTTY) process.stderr.write("\r");
  const tookS = ((performance.now() - startMs) / 1000).toFixed(1);
  const found = failed === 0 ? "nothing found" : `${failed} seeds failed`;
  console.log(
    `${count} seeds of ${minutes} virtual minutes, ${decisions} decisions, ${tookS} s: ${found}`,
  );
}

async function mutants(): Promise<void> {
  const caught = await hunt();
  console.log(tableOf(caught));
  const escaped = caught.filter(({ by }) => by === null);
  console.log(`\n${caught.length} defects, ${caught.length - escaped.length} caught`);
  if (escaped.length > 0) process.exitCode = 1;
}
