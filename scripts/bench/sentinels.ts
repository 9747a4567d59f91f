/**
 * Sentinels, real, over masters that stand already.
 *
 * Promises: they stand when each knows the others, and every replica of every master; free ports; gone after
 * `stop`, and with this process.
 * Must never: touch a process that it did not start.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { findRedisServer, freePort, spawnServer } from "../redis-server.ts";
import { until } from "./side.ts";
import { type Address, ask } from "./writer.ts";

export const sentinelSettings = {
  quorum: 2,
  "failover-timeout": 10_000,
  "parallel-syncs": 1,
};

/** Where a server or a sentinel runs, and how it is started there. */
export type Place = { readonly host: string; readonly inside: readonly string[] };

export type Master = Address & { readonly name: string; readonly replicas: number };

export type Sentinel = Address & {
  readonly pid: number;
  /** Its events, as they came. */
  readonly lines: string[];
};

export type Sentinels = { readonly all: readonly Sentinel[]; readonly stop: () => Promise<void> };

export const oneMachine: Place = { host: "127.0.0.1", inside: [] };

export async function startSentinels(
  dir: string,
  places: readonly Place[],
  masters: readonly Master[],
  downAfterMs: number,
): Promise<Sentinels> {
  const all: Sentinel[] = [];
  const children: ChildProcess[] = [];
  const stop = async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  };
  try {
    for (const [at, place] of places.entries())
      all.push(await start(join(dir, `sentinel-${at}`), place, masters, downAfterMs, children));
    await known(all, masters);
  } catch (error) {
    await stop();
    throw error;
  }
  return { all, stop };
}

async function start(
  dir: string,
  { host, inside }: Place,
  masters: readonly Master[],
  downAfterMs: number,
  children: ChildProcess[],
): Promise<Sentinel> {
  const port = await freePort();
  const server = await findRedisServer();
  await mkdir(dir, { recursive: true });
  const file = join(dir, "sentinel.conf");
  await writeFile(file, settings(port, dir, host, masters, downAfterMs));
  const child = spawnServer(server, [file, "--sentinel"], dir, inside);
  child.stderr.resume();
  children.push(child);
  const last = () => child.kill("SIGKILL");
  process.on("exit", last);
  child.once("exit", () => process.off("exit", last));
  const sentinel: Sentinel = { host, port, pid: child.pid ?? -1, lines: [] };
  createInterface(child.stdout).on("line", (text) => {
    // pid:role date # +event …
    const event = /# ([+-]\S.*)$/.exec(text)?.[1];
    if (event !== undefined) sentinel.lines.push(event);
  });
  await until("a sentinel that answers", async () => (await ask(sentinel, ["PING"])).length === 1);
  return sentinel;
}

function settings(
  port: number,
  dir: string,
  host: string,
  masters: readonly Master[],
  downAfterMs: number,
): string {
  const { quorum } = sentinelSettings;
  const names = ["failover-timeout", "parallel-syncs"] as const;
  const lines = [
    `port ${port}`,
    `bind ${host}`,
    "protected-mode no",
    `dir "${dir}"`,
    "daemonize no",
    `sentinel announce-ip ${host}`,
    ...masters.flatMap((master) => [
      `sentinel monitor ${master.name} ${master.host} ${master.port} ${quorum}`,
      `sentinel down-after-milliseconds ${master.name} ${downAfterMs}`,
      ...names.map((name) => `sentinel ${name} ${master.name} ${sentinelSettings[name]}`),
    ]),
  ];
  return `${lines.join("\n")}\n`;
}

/** Where there are many, they need a while to find each other. */
const knownWithinMs = 120_000;

/** Every sentinel knows the others and every replica, and has heard from these. */
async function known(sentinels: readonly Sentinel[], masters: readonly Master[]): Promise<void> {
  const open = sentinels.flatMap((sentinel) => masters.map((master) => ({ sentinel, master })));
  await until(
    "sentinels that know each other",
    async () => {
      for (let next = open[0]; next !== undefined; next = open[0]) {
        if (!(await isKnown(next.sentinel, next.master, sentinels.length))) return false;
        open.shift();
      }
      return true;
    },
    knownWithinMs,
  );
}

async function isKnown(sentinel: Sentinel, { name, replicas }: Master, sentinels: number) {
  const [others, seen, check] = await ask(
    sentinel,
    ["SENTINEL", "SENTINELS", name],
    ["SENTINEL", "REPLICAS", name],
    ["SENTINEL", "CKQUORUM", name],
  );
  if (!Array.isArray(others) || others.length !== sentinels - 1) return false;
  if (!Array.isArray(seen) || seen.length !== replicas) return false;
  for (const each of seen) {
    const fields = (each as readonly unknown[]).map(String);
    if (fields[fields.indexOf("master-link-status") + 1] !== "ok") return false;
  }
  return String(check).startsWith("OK");
}
