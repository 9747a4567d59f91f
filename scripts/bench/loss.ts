/**
 * Acknowledged writes that are lost, measured: Picket beside Redis Sentinel, on real redis-servers, in one run.
 * `npm run bench:loss -- [--runs N] [--cases a,b,c,d] [--json]`
 *
 * Promises: one system after the other, with the same redis-servers, the same client and the same faults; all
 * processes are its own, and gone afterwards.
 * Must never: fail for its figures.
 */
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { type Case, cases, type Figures, type Result } from "./cases.ts";
import { type Fencing, picketSettings, startPicketSide } from "./picket.ts";
import { sentinelSettings, startSentinelSide } from "./sentinel.ts";
import type { Side, SideOptions } from "./side.ts";
import { ask, hangUp } from "./writer.ts";

type System = {
  readonly name: string;
  /** Cases that it is measured in. */
  readonly cases: string;
  readonly start: (options: SideOptions) => Promise<Side>;
};

const picket = (fencing: Fencing) => (options: SideOptions) => startPicketSide(options, fencing);

const systems: readonly System[] = [
  { name: "Sentinel", cases: "abcd", start: startSentinelSide },
  { name: "Picket", cases: "abcd", start: picket("none") },
  { name: "Picket, sealed", cases: "abc", start: picket("sealed") },
];

type Row = { readonly case: string; readonly system: string; readonly results: Result[] };

const USAGE = "npm run bench:loss -- [--runs N] [--cases a,b,c,d] [--json]";
const { runs, chosen, json } = asked();

function asked() {
  try {
    const { values } = parseArgs({
      options: {
        runs: { type: "string", default: "3" },
        cases: { type: "string", default: cases.map(({ id }) => id).join(",") },
        json: { type: "boolean", default: false },
      },
    });
    const runs = Number(values.runs);
    const chosen = values.cases.split(",").map((id) => cases.find((each) => each.id === id));
    if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs}: 1 or more`);
    if (chosen.includes(undefined)) throw new Error(`--cases ${values.cases}: some of a,b,c,d`);
    return { runs, chosen: chosen.filter((each) => each !== undefined), json: values.json };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    process.exit(2);
  }
}

/** Of others: before anything was started here. */
const load = loadavg()[0] ?? 0;
let side: Side | null = null;
let redisVersion = "";
// What is still starting ends with this process.
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => void Promise.resolve(side?.stop()).finally(() => process.exit(130)));

const rows: Row[] = chosen.flatMap(({ id }) =>
  systems
    .filter((system) => system.cases.includes(id))
    .map(({ name }) => ({ case: id, system: name, results: [] })),
);
for (let run = 1; run <= runs; run += 1)
  for (const each of chosen) for (const system of systems) await measure(run, each, system);

async function measure(run: number, each: Case, system: System): Promise<void> {
  const row = rows.find((one) => one.case === each.id && one.system === system.name);
  if (row === undefined) return;
  process.stderr.write(`run ${run}/${runs}, case ${each.id}: ${system.name}\n`);
  try {
    side = await system.start({ redisArgs: each.redisArgs });
    const [info] = await ask(side.redis.a?.port ?? 0, ["INFO", "server"]);
    redisVersion = /redis_version:(\S+)/.exec(String(info))?.[1] ?? "";
    row.results.push(await each.run(side));
  } catch (error) {
    // What was awaited did not come: told, and left out of the figures.
    process.stderr.write(`  left out: ${error instanceof Error ? error.message : error}\n`);
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
};
if (json) {
  const settings = { sentinel: sentinelSettings, picket: picketSettings };
  console.log(JSON.stringify({ machine, settings, runs, cases: chosen, rows }, null, 2));
} else {
  const { cores, processor, node, redis } = machine;
  console.log(
    `${runs} runs; ${cores} cores (${processor}), Redis ${redis}, Node ${node}; load ${load.toFixed(1)} before.`,
  );
  console.log("least / median / most of the runs; ratio: of the medians, to Sentinel's");
  for (const each of chosen) show(each);
}

function show({ id, title }: Case): void {
  const of = rows.filter((row) => row.case === id);
  console.log(`\n(${id}) ${title}\n`);
  const names = Object.keys(of.flatMap(({ results }) => results)[0]?.figures ?? {});
  const head = ["", ...of.map(({ system }) => system), ...of.slice(1).map(() => "ratio")];
  const lines = names.map((name) => {
    const spreads = of.map(({ results }) =>
      spread(
        results.map(({ figures }) => figures),
        name,
      ),
    );
    const [base] = spreads;
    const ratios = spreads.slice(1).map(({ median }) => ratio(median, base?.median ?? 0));
    return [name, ...spreads.map(({ text }) => text), ...ratios];
  });
  for (const line of [head, head.map(() => "---"), ...lines])
    console.log(`| ${line.join(" | ")} |`);
  for (const { system, results } of of) {
    const said = [...new Set(results.flatMap((result) => result.said))].slice(0, 6);
    if (said.length > 0)
      console.log(`\n${system} said:\n${said.map((line) => `  ${line}`).join("\n")}`);
  }
}

function spread(results: readonly Figures[], name: string) {
  if (results.length === 0) return { median: 0, text: "nothing measured" };
  const sorted = results.map((figures) => figures[name] ?? 0).sort((a, b) => a - b);
  const median = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  return { median, text: `${sorted[0]} / ${median} / ${sorted.at(-1)}` };
}

function ratio(ours: number, theirs: number): string {
  if (theirs === 0) return ours === 0 ? "same" : "-";
  return (ours / theirs).toFixed(ours / theirs < 0.1 ? 3 : 2);
}
process.exit(0);
