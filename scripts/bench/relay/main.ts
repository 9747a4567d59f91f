/**
 * How many commands a second go through the relay, beside a bare node:http server, webdis, and Redis itself.
 * `npm run bench:relay -- [--rounds N] [--seconds S] [--memory] [--profile DIR] [--json]`
 *
 * Promises: all in one run, in rounds, so that what else the machine does meets all of them; the server under
 * test has a core of its own, and Redis, the load and this process have the other; says who was missing.
 * Must never: fail for its figures. It says whether the goals are met.
 */
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { createClient } from "@redis/client";
import { startRedis } from "../../redis-server.ts";
import { residentBytes } from "../processor.ts";
import { measure, type Shape, type Slice, shapes, viaHttp } from "./load.ts";
import { cores, findPrograms, pin, pinned } from "./programs.ts";
import { type Served, startBare, startDirect, startRelay, startWebdis } from "./servers.ts";

const USAGE =
  "npm run bench:relay -- [--rounds N] [--seconds S] [--memory] [--profile DIR] [--json]";
const asked = options();

function options() {
  try {
    const { values } = parseArgs({
      options: {
        rounds: { type: "string", default: "5" },
        seconds: { type: "string", default: "3" },
        memory: { type: "boolean", default: false },
        profile: { type: "string" },
        json: { type: "boolean", default: false },
      },
    });
    const whole = (name: "rounds" | "seconds") => {
      const value = Number(values[name]);
      if (!Number.isInteger(value) || value < 1)
        throw new Error(`--${name} ${values[name]}: a whole number, 1 or more`);
      return value;
    };
    const [rounds, seconds] = [whole("rounds"), whole("seconds")];
    return { ...values, rounds, seconds, profile: values.profile ?? null };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    process.exit(2);
  }
}

const say = (line: string) => process.stderr.write(`${line}\n`);
/** Of others: before anything was started here. */
const load = loadavg()[0] ?? 0;
const { wrk, webdis } = await findPrograms(say);
if (wrk === null) {
  console.error("bench:relay: skipped: no wrk on PATH, and Debian's package could not be fetched");
  process.exit(3);
}
if (webdis === null) say("webdis: left out: not on PATH, and Debian's could not be fetched");
if (!pinned) say("nothing is pinned: one core only, or no taskset");

const stops: (() => Promise<void>)[] = [];
const stop = async () => {
  for (const end of stops.splice(0).reverse()) await end().catch(() => undefined);
};
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => void stop().finally(() => process.exit(130)));

await pin(process.pid, cores.rest);
const redis = await startRedis();
stops.push(redis.stop);
await pin(redis.pid, cores.rest);
await fill(redis.port);
const serve = async (starting: Promise<Served>): Promise<Served> => {
  const served = await starting;
  stops.push(served.stop);
  return served;
};

/** Every GET finds something. */
async function fill(port: number): Promise<void> {
  const client = createClient({ socket: { host: "127.0.0.1", port } });
  await client.connect();
  const keys = Array.from({ length: 10_000 }, (_, at) => `bench:${at}`);
  await Promise.all(keys.map((key) => client.set(key, "x".repeat(64))));
  client.destroy();
}

const name = ({ command, depth }: Shape) =>
  `${command.toUpperCase()}${depth === 1 ? "" : `, ${depth} at once`}`;
const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(at)] ?? 0) + (sorted[Math.ceil(at)] ?? 0)) / 2;
};

const base = "bare node:http";
const goal = 0.9;
const memoryGoal = 1.1;
const machine = {
  cores: cpus().length,
  processor: cpus()[0]?.model ?? "",
  node: process.versions.node,
  pinned,
  load,
};

type Row = {
  readonly server: string;
  readonly shape: string;
  readonly perSecond: number;
  readonly busy: number;
  /** To the bare server, the median of the rounds' own ratios. */
  readonly ratio: number;
  /** The same per second of the server's own processor time. */
  readonly processorRatio: number;
};

type Goal = { readonly what: string; readonly value: number; readonly holds: boolean };

async function throughput(): Promise<void> {
  const servers = [
    await serve(startRelay(redis, asked.profile)),
    await serve(startBare(redis, asked.profile)),
    ...(webdis === null ? [] : [await serve(startWebdis(redis, webdis))]),
    await serve(startDirect()),
  ];
  const slices = new Map<string, Slice[]>();
  // Round 0 warms everything up and is not counted.
  for (let round = 0; round <= asked.rounds; round += 1)
    for (const shape of shapes)
      for (const served of servers) {
        if (wrk === null) return;
        const slice = await measure(served, shape, round === 0 ? 1 : asked.seconds, wrk);
        if (round === 0) continue;
        say(`round ${round}/${asked.rounds} ${name(shape)}: ${served.name} ${told(slice)}`);
        const key = `${served.name} ${name(shape)}`;
        slices.set(key, [...(slices.get(key) ?? []), slice]);
      }
  const rows = servers.flatMap(({ name: server }) =>
    shapes.map((shape) => rowOf(server, shape, slices)),
  );
  const goals = [...goalsOf(rows)];
  if (asked.json) {
    const { rounds, seconds } = asked;
    console.log(JSON.stringify({ machine, rounds, seconds, rows, goals }, null, 2));
  } else show(servers, rows, goals);
}

const told = ({ perSecond, busy }: Slice) =>
  `${Math.round(perSecond)} commands/s, ${Math.round(busy * 100)} % of a core`;

function rowOf(server: string, shape: Shape, all: ReadonlyMap<string, readonly Slice[]>): Row {
  const mine = all.get(`${server} ${name(shape)}`) ?? [];
  const bare = all.get(`${base} ${name(shape)}`) ?? [];
  const ratios = (figure: (slice: Slice) => number) =>
    mine.map((slice, round) => figure(slice) / figure(bare[round] ?? slice));
  return {
    server,
    shape: name(shape),
    perSecond: Math.round(median(mine.map(({ perSecond }) => perSecond))),
    busy: median(mine.map(({ busy }) => busy)),
    ratio: median(ratios(({ perSecond }) => perSecond)),
    processorRatio: median(ratios(({ perProcessorSecond }) => perProcessorSecond)),
  };
}

function* goalsOf(rows: readonly Row[]): Generator<Goal> {
  for (const shape of shapes.map(name)) {
    const of = (server: string) => rows.find((row) => row.server === server && row.shape === shape);
    const ours = of("relay");
    if (ours === undefined) continue;
    const what = `${shape}: at least ${goal} of the bare server`;
    yield { what, value: ours.ratio, holds: ours.ratio >= goal };
    // Its best: sixteen requests at once wait for delayed acknowledgements, single ones do not.
    const theirs = rows.filter((row) => row.server === "webdis").map((row) => row.perSecond);
    if (theirs.length === 0 || !shape.includes("at once")) continue;
    const value = ours.perSecond / Math.max(...theirs);
    yield { what: `${shape}: above webdis at its best`, value, holds: value > 1 };
  }
}

function show(servers: readonly Served[], rows: readonly Row[], goals: readonly Goal[]) {
  const { cores: count, processor, node } = machine;
  console.log(`${count} cores (${processor}), Node ${node}; load ${load.toFixed(1)} before.`);
  console.log(
    "commands/s (part of a core in use), ratio to the bare server, ratio per processor time; medians\n",
  );
  const head = ["", ...servers.map((served) => served.name)];
  const lines = shapes.map((shape) => [
    name(shape),
    ...servers.map(({ name: server }) => {
      const row = rows.find((each) => each.server === server && each.shape === name(shape));
      if (row === undefined) return "";
      const { perSecond, busy, ratio, processorRatio } = row;
      const use = `${Math.round(busy * 100)} %`;
      return `${perSecond} (${use}), ${ratio.toFixed(2)}, ${processorRatio.toFixed(2)}`;
    }),
  ]);
  for (const line of [head, head.map(() => "---"), ...lines])
    console.log(`| ${line.join(" | ")} |`);
  console.log("");
  for (const { what, value, holds } of goals)
    console.log(`goal: ${what}: ${value.toFixed(2)}: ${holds ? "holds" : "does NOT hold"}`);
}

async function memory(): Promise<void> {
  if (wrk === null) return;
  const relay = await serve(startRelay(redis, null));
  const stages = [100_000, 1_000_000].map((requests) => ({ requests, bytes: 0 }));
  let requests = 0;
  for (const stage of stages) {
    for (let turn = 0; requests < stage.requests; turn += 1) {
      const shape = shapes[turn % 2] ?? { command: "get", depth: 1 };
      requests += (await viaHttp(relay, shape, 2, wrk)).commands;
      stage.bytes = residentBytes(relay.pid);
      say(`${requests} requests: ${megabytes(stage.bytes)}`);
    }
  }
  const [early = 1, late = 0] = stages.map(({ bytes }) => bytes);
  const value = late / early;
  const holds = value <= memoryGoal;
  if (asked.json) console.log(JSON.stringify({ machine, stages, ratio: value, holds }, null, 2));
  else {
    for (const stage of stages)
      console.log(`after ${stage.requests} requests: ${megabytes(stage.bytes)} resident`);
    const verdict = holds ? "holds" : "does NOT hold";
    console.log(`goal: at most ${memoryGoal} of it: ${value.toFixed(2)}: ${verdict}`);
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

try {
  if (asked.memory) await memory();
  else await throughput();
} finally {
  await stop();
}
process.exit(0);
