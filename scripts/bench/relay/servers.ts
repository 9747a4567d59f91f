/**
 * The servers that are measured, each over the same Redis.
 *
 * Promises: each answers rightly once before it is measured; free ports, temporary folders; gone after `stop`.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePort, type RedisProcess, startRedis } from "../../redis-server.ts";
import { cores, launch, type Program, pin } from "./programs.ts";

export const TOKEN = "data-token-of-the-bench";

export type Served = {
  readonly name: string;
  /** How its requests look; redis: no HTTP at all. */
  readonly kind: "relay" | "webdis" | "redis";
  readonly port: number;
  readonly pid: number;
  readonly stop: () => Promise<void>;
};

const script = (path: string) => join(import.meta.dirname, path);

/** How node is started for the relay, as package.json has it; the bare server is given the same. */
const { scripts } = JSON.parse(readFileSync(script("../../../package.json"), "utf8"));
const nodeFlags = [...String(scripts.relay).matchAll(/\s(--\S+)/g)].map(([, flag = ""]) => flag);

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  await exit;
}

/** Asks until the answer is as it should be. */
async function ready(name: string, ask: () => Promise<string>, want: string): Promise<void> {
  const endsAtMs = performance.now() + 20_000;
  for (let last = ""; ; await pause(20)) {
    last = await ask().catch((error) => String(error));
    if (last === want) return;
    if (performance.now() > endsAtMs) throw new Error(`${name} answers ${last}, not ${want}`);
  }
}

const post = (port: number, body: string) => async () => {
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
  const url = `http://127.0.0.1:${port}/nodes/a`;
  return (await fetch(url, { method: "POST", headers, body })).text();
};

/** `profileDir`: where node writes a profile of its processor time when it ends. */
export async function startRelay(redis: RedisProcess, profileDir: string | null): Promise<Served> {
  const dir = await mkdtemp(join(tmpdir(), "picket-bench-"));
  const port = await freePort();
  const file = join(dir, "relay.json");
  const settings = {
    id: "a",
    listen: { host: "127.0.0.1", port },
    state_file: join(dir, "state.json"),
    control_tokens: ["control-token-of-the-bench"],
    data_tokens: [TOKEN],
    nodes: [{ id: "a", host: "127.0.0.1", port: redis.port }],
  };
  await writeFile(file, JSON.stringify(settings));
  const args = [...profiled(profileDir, "relay"), script("../../relay.ts"), "--config", file];
  const child = launch({ command: process.execPath, env: process.env }, args);
  await ready("the relay", post(port, '["ECHO","hi"]'), '{"result":"hi"}');
  const stop = async () => {
    await ended(child);
    await rm(dir, { recursive: true, force: true });
  };
  return { name: "relay", kind: "relay", port, pid: child.pid ?? -1, stop };
}

export async function startBare(redis: RedisProcess, profileDir: string | null): Promise<Served> {
  const port = await freePort();
  const args = [...profiled(profileDir, "bare"), script("bare.ts"), `${port}`, `${redis.port}`];
  const child = launch({ command: process.execPath, env: process.env }, args);
  await ready("the bare server", post(port, '["ECHO","hi"]'), '{"result":"hi"}');
  const stop = () => ended(child);
  return { name: "bare node:http", kind: "relay", port, pid: child.pid ?? -1, stop };
}

const profiled = (dir: string | null, name: string) =>
  dir === null
    ? nodeFlags
    : [...nodeFlags, "--cpu-prof", `--cpu-prof-dir=${dir}`, `--cpu-prof-name=${name}.cpuprofile`];

export async function startWebdis(redis: RedisProcess, webdis: Program): Promise<Served> {
  const dir = await mkdtemp(join(tmpdir(), "picket-bench-"));
  const port = await freePort();
  const settings = {
    redis_host: "127.0.0.1",
    redis_port: redis.port,
    http_host: "127.0.0.1",
    http_port: port,
    // One core: one thread, with as many connections to Redis as Debian's own file gives it.
    threads: 1,
    pool_size: 20,
    daemonize: false,
    database: 0,
    verbosity: 0,
    logfile: join(dir, "webdis.log"),
  };
  const file = join(dir, "webdis.json");
  await writeFile(file, JSON.stringify(settings));
  // Its event library complains of every connection that wrk closes.
  const child = launch(webdis, [file], true);
  const ask = async () => (await fetch(`http://127.0.0.1:${port}/ECHO/hi`)).text();
  await ready("webdis", ask, '{"ECHO":"hi"}');
  const stop = async () => {
    await ended(child);
    await rm(dir, { recursive: true, force: true });
  };
  return { name: "webdis", kind: "webdis", port, pid: child.pid ?? -1, stop };
}

/** Redis itself, where the other servers stand. */
export async function startDirect(): Promise<Served> {
  const redis = await startRedis();
  await pin(redis.pid, cores.server);
  const { port, pid, stop } = redis;
  return { name: "Redis direct", kind: "redis", port, pid, stop };
}
