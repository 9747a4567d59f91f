/**
 * Many groups on one Worker, beside three Sentinels with as many masters over the same redis-servers, in one run.
 * `npm run bench:scale -- [--groups N,M] [--trios N] [--seconds S] [--kills N] [--only ticks,kills] [--json]`
 *
 * Promises: one system after the other; all processes are its own, and gone afterwards, also when it is interrupted;
 * every figure is of one window, in which nobody asks the systems anything.
 * Must never: fail for its figures. It says whether the goals are met.
 */
import { cpus, loadavg } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { picketSettings } from "../picket.ts";
import { sentinelSettings } from "../sentinels.ts";
import { hangUp } from "../writer.ts";
import { type PicketOptions, startPicket } from "./picket.ts";
import { type Kills, killsOf, killsTable, type Ticks, ticksOf, ticksTable } from "./report.ts";
import { startSentinel } from "./sentinel.ts";
import { replaced, type Side, usageIn } from "./side.ts";
import { startTrios, type Trios } from "./trios.ts";

const USAGE =
  "npm run bench:scale -- [--groups N,M] [--trios N] [--seconds S] [--kills N] [--only ticks,kills] [--json]";
const downAfterMs = picketSettings.down_after_ms;
/** Kills of one at a time, whose median the many are compared with. */
const SINGLES = 5;
/** Until nothing is left of a start. */
const SETTLE_MS = 5000;
const parts = ["ticks", "kills"];
const asked = options();

function options() {
  const whole = (name: string, given: string, least: number) => {
    const value = Number(given);
    if (Number.isInteger(value) && value >= least) return value;
    throw new Error(`--${name} ${given}: a whole number, ${least} or more`);
  };
  try {
    const { values } = parseArgs({
      options: {
        groups: { type: "string", default: "30,100,300" },
        trios: { type: "string", default: "30" },
        seconds: { type: "string", default: "20" },
        kills: { type: "string", default: "20" },
        only: { type: "string", default: parts.join(",") },
        json: { type: "boolean", default: false },
      },
    });
    const only = values.only.split(",");
    if (!only.every((each) => parts.includes(each)))
      throw new Error(`--only ${values.only}: allowed: some of ${parts.join(",")}`);
    const trios = whole("trios", values.trios, 1);
    const kills = whole("kills", values.kills, 1);
    if (trios > 85) throw new Error(`--trios ${trios}: at most 85, for one relay has 256 nodes`);
    if (only.includes("kills") && kills + SINGLES > trios)
      throw new Error(`--kills ${kills}: at most ${trios - SINGLES}, ${SINGLES} less than --trios`);
    return {
      groups: values.groups.split(",").map((each) => whole("groups", each, 1)),
      ...{ trios, kills, only, json: values.json },
      seconds: whole("seconds", values.seconds, 1),
    };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    process.exit(2);
  }
}

const say = (line: string) => process.stderr.write(`${line}\n`);
/** Of others: before anything was started here. */
const load = loadavg()[0] ?? 0;
let trios: Trios | null = null;
let side: Side | null = null;
const endAll = async () => {
  hangUp();
  await side?.stop().catch(() => undefined);
  await trios?.stop().catch(() => undefined);
};
// What is still starting ends with this process.
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => void endAll().finally(() => process.exit(130)));

const ticks: Ticks[] = [];
const kills: Kills[] = [];
try {
  say(`${asked.trios * 3} redis-servers`);
  trios = await startTrios(asked.trios);
  const { all, pids } = trios;
  if (asked.only.includes("ticks")) for (const groups of asked.groups) await measureTicks(groups);
  if (asked.only.includes("kills")) {
    const picket = { groups: asked.trios, push: true };
    await measureKills("Sentinel", () => startSentinel(all, asked.trios, downAfterMs));
    await measureKills("Picket", () => startPicket(all, { ...picket, relays: 1, quiet: false }));
    await measureKills("Picket, quiet", () =>
      startPicket(all, { ...picket, relays: 2, quiet: true }),
    );
  }

  async function measureTicks(groups: number): Promise<void> {
    say(`${groups} groups: Sentinel`);
    side = await startSentinel(all, groups, downAfterMs);
    const theirs = await usageIn({ ...side.pids, redis: pids() }, asked.seconds);
    await side.stop();
    say(`${groups} groups: Picket`);
    const settings: PicketOptions = { groups, relays: 1, push: false, quiet: false };
    const picket = await startPicket(all, settings);
    side = picket;
    // What a start still writes is not of a tick.
    await pause(SETTLE_MS);
    await picket.reset();
    const ours = await usageIn({ ...side.pids, redis: pids() }, asked.seconds);
    const counted = await picket.counted();
    await side.stop();
    side = null;
    const row = ticksOf(groups, counted, ours, theirs);
    ticks.push(row);
    say(`  ${JSON.stringify(row)}`);
  }

  async function measureKills(system: string, start: () => Promise<Side>): Promise<void> {
    say(`${asked.kills} at once: ${system}`);
    await trios?.form();
    side = await start();
    const ones = [];
    for (const trio of all.slice(0, SINGLES)) ones.push(await replaced(side, [trio]));
    const many = await replaced(side, all.slice(SINGLES, SINGLES + asked.kills));
    await side.stop();
    side = null;
    const row = killsOf(system, ones, many);
    kills.push(row);
    say(`  ${JSON.stringify(row)}`);
  }
} catch (error) {
  say(`ended early: ${error instanceof Error ? error.message : error}`);
} finally {
  await endAll();
}

const machine = {
  ...{ cores: cpus().length, processor: cpus()[0]?.model ?? "", node: process.versions.node },
  ...{ load, loadAfter: loadavg()[0] ?? 0 },
};
if (asked.json) {
  const settings = { sentinel: sentinelSettings, picket: picketSettings };
  console.log(JSON.stringify({ machine, settings, asked, ticks, kills }, null, 2));
} else {
  const { cores, processor, node, loadAfter } = machine;
  console.log(
    `${asked.trios} sets of three; ${asked.seconds} s each; ${cores} cores (${processor}), Node ${node}; load ${load.toFixed(1)} before, ${loadAfter.toFixed(1)} after.\n`,
  );
  for (const line of [...ticksTable(ticks), "", ...killsTable(kills, asked.kills)])
    console.log(line);
}
process.exit(0);
