/**
 * Counts what a group costs, in a real run: redis-servers, relays, the built Worker on workerd, with counters.
 *
 * Promises: settings as by default but for those that a case names; every answer of a relay takes as long as one
 * over the Internet, every answer of a vantage as one from another continent, and one key is written each second.
 * Must never: ask anything of the group meanwhile, or count what a start still does.
 */
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { Transform } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { BOOT_SEALED } from "../../worker/relay/protocol.ts";
import { until } from "../bench/side.ts";
import { ask, hangUp } from "../bench/writer.ts";
import { type Link, openLink } from "../demo/link.ts";
import { type Stack, startStack } from "../demo/stack.ts";
import { routeNow } from "../demo/watch.ts";
import type { Case, Counted, Counts } from "./tally.ts";

/** Between a Worker and a relay, and between a Group and a vantage: there and back. */
export const DISTANCE = { relayMs: 50, regionMs: 100 };
export const IDS = ["a", "b", "c"];
export const REGIONS = ["wnam", "weur", "apac"];

/** Where nothing ticks cron comes more often, each time to a group that slept (10 s), so that one late look decides nothing. */
const CRONS = { ticks: 1, quiet: 2, scheduled: 2 };
/** Without the beats of relays, which come each five minutes: month.ts adds them. */
const WINDOW_MS = 30_000;
/** What a start still does, and is told. */
const SETTLE_MS = 10_000;
const LEASE_MS = 3000;
const KEYS = 10_000;

const root = join(import.meta.dirname, "../..");

/** The answer comes later; nothing else changes. */
const later = (ms: number) => () =>
  new Transform({
    transform: (chunk, _, done) => void setTimeout(done, ms, null, chunk),
  });

/** What was started, and is to be ended. */
const ending: (() => unknown)[] = [];
/** Leaves nothing behind, also when somebody interrupts. */
export async function stop(): Promise<void> {
  for (const end of ending.splice(0).reverse()) await end();
}

export async function count(each: Case): Promise<Counted> {
  try {
    const dir = await mkdtemp(join(tmpdir(), "picket-cost-"));
    ending.push(() => rm(dir, { recursive: true, force: true }));
    const { fencing } = each;
    const sealed = BOOT_SEALED.flatMap(([setting, value]) => [`--${setting}`, String(value)]);
    const stack = await startStack({
      ids: IDS,
      settings: {
        fencing,
        quiet: each.mode !== "ticks",
        check_interval_ms: each.mode === "scheduled" ? 60_000 : 1000,
        lease_ms: LEASE_MS,
        location: "weur",
      },
      redisArgs: () => (fencing === "none" ? [] : sealed),
    });
    ending.push(() => stack.stop());
    await replaceWorker(stack, each, dir);
    void stack.cron();
    await until("a route with every node", async () => {
      const route = await routeNow(stack);
      return route?.state === "up" && route.replicas.length === IDS.length - 1;
    });
    const { a } = stack.redis;
    if (a === undefined) throw new Error("there is no redis a");
    // So many that those to come change little: what is noted of a group's data depends on it.
    await ask(a, ["EVAL", `for n = 1, ${KEYS} do redis.call("SET", "cost:" .. n, 1) end`, "0"]);
    let key = KEYS;
    const writing = setInterval(() => {
      key += 1;
      void ask(a, ["SET", `cost:${key}`, "1"]).catch(() => undefined);
    }, 1000);
    ending.push(hangUp, () => clearInterval(writing));
    await pause(SETTLE_MS);
    const url = new URL("/counts", stack.url).href;
    await stack.worker.fetch(url, { method: "POST" });
    const cpuBeforeMs = cpuOfWorkerd();
    const crons = CRONS[each.mode];
    for (let n = 0; n < crons; n += 1) {
      await pause(WINDOW_MS / crons / 2);
      await stack.cron();
      await pause(WINDOW_MS / crons / 2);
    }
    const cpuMs = cpuOfWorkerd() - cpuBeforeMs;
    const answer = await stack.worker.fetch(url);
    const counts = (await answer.json()) as Counts;
    const [load = 0] = loadavg();
    return {
      ...each,
      ms: WINDOW_MS,
      crons,
      load,
      cpuMs,
      leaseMs: LEASE_MS,
      nodes: IDS.length,
      ...counts,
    };
  } finally {
    await stop();
  }
}

/** The same Worker, with counters around it; its ways are as long as they would be. */
async function replaceWorker(stack: Stack, { regions }: Case, dir: string): Promise<void> {
  const links: Link[] = [];
  ending.push(() => Promise.all(links.map((link) => link.close())));
  const [group] = stack.variables.GROUPS;
  if (group === undefined) throw new Error("there is no group");
  const relays = [];
  for (const relay of group.relays) {
    const { hostname: host, port } = new URL(relay.url);
    const link = await openLink("127.0.0.1", later(DISTANCE.relayMs));
    link.leadTo({ host, port: Number(port) });
    links.push(link);
    relays.push({ ...relay, url: link.url });
  }
  const vantages = [...IDS.map((id) => `relay:${id}`), ...REGIONS.slice(0, regions)];
  const probe = { transport: "tcp", allow_private: true };
  const nodes = group.nodes.map((node) => (regions === 0 ? node : { ...node, probe }));
  const config = await readFile(join(root, "wrangler.toml"), "utf8");
  const main = JSON.stringify(join(import.meta.dirname, "worker.ts"));
  const configPath = join(dir, "wrangler.toml");
  await writeFile(configPath, config.replace(/^main = .*$/m, `main = ${main}`));
  const vars = {
    ...stack.variables,
    GROUPS: [{ ...group, relays, nodes, vantages }],
    AWAY_MS: DISTANCE.regionMs,
  };
  await stack.harness.update((same) => ({
    ...same,
    workers: same.workers.map((worker, at) =>
      at === 0 ? { ...worker, configPath, vars } : worker,
    ),
  }));
}

/** Of the runtime that this process started; 0 where there is no /proc. */
function cpuOfWorkerd(): number {
  try {
    return readdirSync("/proc")
      .filter((pid) => /^\d+$/.test(pid))
      .map((pid) => statOf(pid))
      .filter((stat) => stat?.name.startsWith("workerd") === true && isOurs(stat.parent))
      .reduce((sum, stat) => sum + (stat?.cpuMs ?? 0), 0);
  } catch {
    return 0;
  }
}

function isOurs(pid: string): boolean {
  if (Number(pid) === process.pid) return true;
  const parent = statOf(pid)?.parent ?? "0";
  return Number(parent) > 1 && isOurs(parent);
}

const TICKS_PER_S = 100;
function statOf(pid: string): { name: string; parent: string; cpuMs: number } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const name = text.slice(text.indexOf("(") + 1, text.lastIndexOf(")"));
    const rest = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const ticks = Number(rest[11]) + Number(rest[12]);
    return { name, parent: rest[1] ?? "0", cpuMs: (ticks * 1000) / TICKS_PER_S };
  } catch {
    return null;
  }
}
