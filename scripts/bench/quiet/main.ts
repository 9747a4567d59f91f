/**
 * What a quiet group costs: wake-ups of Durable Objects, rows and KV operations, counted in a real run.
 * `npm run bench:quiet -- [--minutes N] [--ids a,b] [--json]`
 *
 * Promises: settings as by default; nothing happens but cron, once a minute, and what the relays do by themselves;
 * what is counted is told as it is and for an hour.
 * Must never: ask anything of the group meanwhile.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { startStack } from "../../demo/stack.ts";
import { routeNow } from "../../demo/watch.ts";
import { until } from "../side.ts";

const USAGE = "npm run bench:quiet -- [--minutes N] [--ids a,b] [--json]";
const asked = options();

function options() {
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: "string", default: "5" },
        ids: { type: "string", default: "a,b,c" },
        json: { type: "boolean", default: false },
      },
    });
    const minutes = Number(values.minutes);
    if (!Number.isInteger(minutes) || minutes < 1)
      throw new Error(`--minutes ${values.minutes}: a whole number, 1 or more`);
    const ids = values.ids.split(",");
    if (ids.length < 2 || ids.some((id) => !/^[a-z]$/.test(id)))
      throw new Error(`--ids ${values.ids}: two letters or more, with commas`);
    return { minutes, ids, json: values.json };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    process.exit(2);
  }
}

const say = (line: string) => process.stderr.write(`${line}\n`);
const minuteMs = 60_000;
const root = join(import.meta.dirname, "../../..");
const dir = await mkdtemp(join(tmpdir(), "picket-quiet-"));
const stack = await startStack({ ids: asked.ids });
try {
  // The same Worker, with counters around it.
  const config = await readFile(join(root, "wrangler.toml"), "utf8");
  const main = join(import.meta.dirname, "worker.ts");
  const configPath = join(dir, "wrangler.toml");
  await writeFile(configPath, config.replace(/^main = .*$/m, `main = ${JSON.stringify(main)}`));
  await stack.harness.update((same) => ({
    ...same,
    workers: same.workers.map((worker, at) => (at === 0 ? { ...worker, configPath } : worker)),
  }));
  void stack.cron();
  await until("a route with every node", async () => {
    const route = await routeNow(stack);
    return route?.state === "up" && route.replicas.length === asked.ids.length - 1;
  });
  const url = new URL("/counts", stack.url).href;
  // What a start still writes, and the first slow beats, are not of a quiet group.
  await minuteOfQuiet();
  await stack.worker.fetch(url, { method: "POST" });
  for (let minute = 1; minute <= asked.minutes; minute += 1) {
    await minuteOfQuiet();
    say(`minute ${minute} of ${asked.minutes}`);
  }
  const answer = await stack.worker.fetch(url);
  const counts = (await answer.json()) as Readonly<Record<string, number>>;
  const perHour = Object.fromEntries(
    Object.entries(counts).map(([what, times]) => [what, Math.round((times * 60) / asked.minutes)]),
  );
  if (asked.json) console.log(JSON.stringify({ ...asked, counts, perHour }, null, 2));
  else {
    console.log(
      `| ${asked.ids.length} nodes, relays connected | in ${asked.minutes} minutes | an hour |`,
    );
    console.log("| --- | --- | --- |");
    for (const [what, times] of Object.entries(counts).sort(([a], [b]) => a.localeCompare(b)))
      console.log(`| ${what} | ${times} | ${perHour[what]} |`);
  }
} finally {
  await stack.stop();
  await rm(dir, { recursive: true, force: true });
}
process.exit(0);

async function minuteOfQuiet(): Promise<void> {
  await stack.cron();
  await pause(minuteMs);
}
