/**
 * Failover, measured: Picket beside Redis Sentinel, on real redis-servers, in one run.
 * `npm run bench:failover -- [--runs N] [--cases kill,stop,…] [--json]`
 *
 * Promises: one system after the other, with the same redis-servers, the same rate of writes and the same faults;
 * all processes are its own, and gone afterwards; what did not end as it should is told and left out.
 * Must never: fail for its figures. It says whether the goals are met.
 */
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { whyNoBoxes } from "../netns/boxes.ts";
import { type Case, cases } from "./cases.ts";
import type { Result } from "./figures.ts";
import { type App, type Fencing, picketSettings, startPicketSide } from "./picket.ts";
import { goalsOf, type Measured, summary, table } from "./report.ts";
import { startSentinelSide } from "./sentinel.ts";
import { sentinelSettings } from "./sentinels.ts";
import type { Side, SideOptions } from "./side.ts";
import { ask, hangUp } from "./writer.ts";

type System = {
  readonly name: string;
  /** Cases that it is measured in; others would say the same again. */
  readonly cases: readonly string[];
  readonly start: (options: SideOptions) => Promise<Side>;
};

const picket = (fencing: Fencing, app: App) => (options: SideOptions) =>
  startPicketSide(options, fencing, app);
const sentinel = (downAfterMs: number) => (options: SideOptions) =>
  startSentinelSide(options, downAfterMs);

/** The first is what the others are compared with. */
const systems: readonly System[] = [
  { name: "Sentinel, 1000", cases: cases.map(({ id }) => id), start: sentinel(1000) },
  { name: "Sentinel, 5000", cases: ["kill", "stop"], start: sentinel(5000) },
  { name: "Picket", cases: cases.map(({ id }) => id), start: picket("none", "tcp") },
  {
    name: "Picket, worker/client",
    cases: ["kill", "stop", "switch"],
    start: picket("none", "edge"),
  },
  { name: "Picket, sealed", cases: ["empty", "returns"], start: picket("sealed", "tcp") },
  { name: "Picket, lease", cases: ["kill", "cut"], start: picket("lease", "tcp") },
];

const names = cases.map(({ id }) => id).join(",");
const USAGE = `npm run bench:failover -- [--runs N] [--cases ${names}] [--json]`;
const { runs, chosen, json } = asked();

function asked() {
  try {
    const { values } = parseArgs({
      options: {
        runs: { type: "string", default: "3" },
        cases: { type: "string", default: names },
        json: { type: "boolean", default: false },
      },
    });
    const runs = Number(values.runs);
    const chosen = values.cases.split(",").map((id) => cases.find((each) => each.id === id));
    if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs}: 1 or more`);
    if (chosen.includes(undefined))
      throw new Error(`--cases ${values.cases}: allowed: some of ${names}`);
    return { runs, chosen: chosen.filter((each) => each !== undefined), json: values.json };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    process.exit(2);
  }
}

const say = (line: string) => process.stderr.write(`${line}\n`);
/** Of others: before anything was started here. */
const load = loadavg()[0] ?? 0;
let side: Side | null = null;
let redisVersion = "";
// What is still starting ends with this process.
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => void Promise.resolve(side?.stop()).finally(() => process.exit(130)));

const noBoxes = chosen.some(({ boxed }) => boxed) ? whyNoBoxes() : null;
const possible = chosen.filter(({ boxed }) => !boxed || noBoxes === null);
for (const { id } of chosen.filter((each) => !possible.includes(each)))
  say(`case ${id} is left out: ${noBoxes}`);

const rows: (Measured & { readonly results: Result[] })[] = possible.flatMap(({ id }) =>
  systems
    .filter((system) => system.cases.includes(id))
    .map(({ name }) => ({ case: id, system: name, results: [] })),
);
for (let run = 1; run <= runs; run += 1)
  for (const each of possible) for (const system of systems) await measure(run, each, system);

async function measure(run: number, each: Case, system: System): Promise<void> {
  const row = rows.find((one) => one.case === each.id && one.system === system.name);
  if (row === undefined) return;
  say(`run ${run}/${runs}, ${each.id}: ${system.name}`);
  try {
    side = await system.start(each);
    const [info] = side.redis.a === undefined ? [] : await ask(side.redis.a, ["INFO", "server"]);
    redisVersion = /redis_version:(\S+)/.exec(String(info))?.[1] ?? "";
    const result = await each.run(side);
    row.results.push(result);
    say(`  ${JSON.stringify(result.figures)}`);
  } catch (error) {
    // What was awaited did not come: told, and left out of the figures.
    say(`  left out: ${error instanceof Error ? error.message : error}`);
  } finally {
    hangUp();
    await side?.stop();
    side = null;
  }
}

const machine = {
  cores: cpus().length,
  processor: cpus()[0]?.model ?? "",
  system: process.platform,
  node: process.versions.node,
  redis: redisVersion,
  load,
  loadAfter: loadavg()[0] ?? 0,
};
const goals = goalsOf(rows);
if (json) {
  const settings = { sentinel: sentinelSettings, picket: picketSettings };
  const told = possible.map(({ id, title }) => ({ id, title, figures: summary(rows, id) }));
  console.log(JSON.stringify({ machine, settings, runs, goals, cases: told, rows }, null, 2));
} else {
  const { cores, processor, node, redis, loadAfter } = machine;
  console.log(
    `${runs} runs; ${cores} cores (${processor}), Redis ${redis}, Node ${node}; load ${load.toFixed(1)} before, ${loadAfter.toFixed(1)} after.`,
  );
  console.log("least / median / most of the runs; ratio: of the medians, to the first column");
  for (const { id, title } of possible)
    console.log(`\n### ${id}: ${title}\n\n${table(rows, id).join("\n")}`);
  console.log("");
  for (const { what, holds } of goals)
    console.log(`goal: ${what}: ${holds ? "holds" : "does NOT hold"}`);
}
process.exit(0);
