/**
 * Redis Sentinel, real: three redis-servers and three sentinels over them.
 *
 * Promises: stands when every sentinel knows the others and both replicas; free ports; every process and folder
 * is gone after `stop`, and with this process.
 * Must never: touch a process that it did not start.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createClient } from "@redis/client";
import { onPath } from "../redis-binary.ts";
import { findRedisServer, freePort, type RedisProcess, startRedis } from "../redis-server.ts";
import { follows, ids, type Side, type SideOptions, until } from "./side.ts";
import { ask } from "./writer.ts";

const group = "cache";
export const sentinelSettings = {
  sentinels: 3,
  quorum: 2,
  "down-after-milliseconds": 1000,
  "failover-timeout": 10_000,
  "parallel-syncs": 1,
};

type Sentinel = { readonly port: number; readonly lines: string[] };

export async function startSentinelSide({ redisArgs }: SideOptions): Promise<Side> {
  const dir = await mkdtemp(join(tmpdir(), "picket-bench-"));
  // Also when this process ends without a word of goodbye.
  const last = () => rmSync(dir, { recursive: true, force: true });
  process.on("exit", last);
  const ending: (() => Promise<unknown>)[] = [
    async () => {
      await rm(dir, { recursive: true, force: true });
      process.off("exit", last);
    },
  ];
  const stop = async () => {
    for (const end of ending.splice(0).reverse()) await end().catch(() => undefined);
  };
  try {
    const redis: Record<string, RedisProcess> = {};
    for (const id of ids) {
      const first = redis.a;
      const follow = first === undefined ? [] : ["--replicaof", first.host, String(first.port)];
      const server = await startRedis({ dir: join(dir, id), args: [...follow, ...redisArgs] });
      redis[id] = server;
      ending.push(() => server.stop());
    }
    const primary = redis.a?.port ?? 0;
    const replicas = [redis.b?.port ?? 0, redis.c?.port ?? 0];
    await until("replicas of a", async () => {
      for (const port of replicas) if (!(await follows(port, primary))) return false;
      return true;
    });
    const sentinels: Sentinel[] = [];
    for (let at = 0; at < sentinelSettings.sentinels; at += 1) {
      const { sentinel, child } = await startSentinel(join(dir, `sentinel-${at}`), primary);
      sentinels.push(sentinel);
      ending.push(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill("SIGKILL");
        await once(child, "exit");
      });
    }
    await until("sentinels that know each other", () => allKnown(sentinels, replicas));
    return {
      redis,
      follow: ({ turn }) => {
        for (const { port } of sentinels) void listen(port, turn, (end) => ending.push(end));
      },
      switchOver: async () => {
        await ask(sentinels[0]?.port ?? 0, ["SENTINEL", "FAILOVER", group]);
      },
      said: async () => sentinels.flatMap(({ lines }) => lines),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startSentinel(dir: string, primaryPort: number) {
  const port = await freePort();
  const server = await findRedisServer();
  await mkdir(dir, { recursive: true });
  const file = join(dir, "sentinel.conf");
  const { quorum } = sentinelSettings;
  const settings = ["down-after-milliseconds", "failover-timeout", "parallel-syncs"] as const;
  const lines = [
    `port ${port}`,
    "bind 127.0.0.1",
    `dir "${dir}"`,
    "daemonize no",
    `sentinel monitor ${group} 127.0.0.1 ${primaryPort} ${quorum}`,
    ...settings.map((name) => `sentinel ${name} ${group} ${sentinelSettings[name]}`),
  ];
  await writeFile(file, `${lines.join("\n")}\n`);
  const line = [server.command, file, "--sentinel"];
  const guard = onPath("setpriv");
  if (guard !== null) line.unshift(guard, "--pdeathsig", "KILL", "--");
  const [command = server.command, ...args] = line;
  const child: ChildProcess = spawn(command, args, {
    cwd: dir,
    env: server.env,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const last = () => child.kill("SIGKILL");
  process.on("exit", last);
  child.once("exit", () => process.off("exit", last));
  const sentinel: Sentinel = { port, lines: [] };
  if (child.stdout !== null)
    createInterface(child.stdout).on("line", (text) => {
      // pid:role date # +event …
      const event = /# ([+-]\S.*)$/.exec(text)?.[1];
      if (event !== undefined) sentinel.lines.push(event);
    });
  await until("a sentinel that answers", async () => (await ask(port, ["PING"])).length === 1);
  return { sentinel, child };
}

/** Every sentinel knows the two others and both replicas, and has heard from these. */
async function allKnown(sentinels: readonly Sentinel[], replicas: readonly number[]) {
  for (const { port } of sentinels) {
    const [others, known, check] = await ask(
      port,
      ["SENTINEL", "SENTINELS", group],
      ["SENTINEL", "REPLICAS", group],
      ["SENTINEL", "CKQUORUM", group],
    );
    if (!Array.isArray(others) || others.length !== sentinels.length - 1) return false;
    if (!Array.isArray(known) || known.length !== replicas.length) return false;
    for (const each of known) {
      const fields = (each as readonly unknown[]).map(String);
      if (fields[fields.indexOf("master-link-status") + 1] !== "ok") return false;
    }
    if (!String(check).startsWith("OK")) return false;
  }
  return true;
}

/** As a client library does: every +switch-master of every sentinel. */
async function listen(
  port: number,
  turn: (port: number) => void,
  onEnd: (end: () => Promise<void>) => void,
): Promise<void> {
  const client = createClient({ socket: { host: "127.0.0.1", port } });
  client.on("error", () => undefined);
  onEnd(async () => client.destroy());
  await client.connect();
  await client.subscribe("+switch-master", (message) => {
    const [name, , , , to] = message.split(" ");
    if (name === group) turn(Number(to));
  });
}
