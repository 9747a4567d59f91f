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
import { EDGE, makeBoxes } from "../netns/boxes.ts";
import { startStays } from "../netns/stays.ts";
import { onPath } from "../redis-binary.ts";
import { findRedisServer, freePort, type RedisProcess, startRedis } from "../redis-server.ts";
import { sentinelApp } from "./apps.ts";
import { follows, ids, type Side, type SideOptions, staysFrom, until } from "./side.ts";
import { type Address, ask, startWriter } from "./writer.ts";

const group = "cache";
export const sentinelSettings = {
  quorum: 2,
  "failover-timeout": 10_000,
  "parallel-syncs": 1,
};

type Sentinel = Address & { readonly lines: string[] };

/** Where a server or a sentinel runs, and how it is started there. */
type Place = { readonly host: string; readonly inside: readonly string[] };

export async function startSentinelSide(
  { redisArgs, boxed }: SideOptions,
  downAfterMs: number,
): Promise<Side> {
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
    const boxes = boxed ? makeBoxes(["a"]) : null;
    ending.push(async () => boxes?.stop());
    /** a sentinel stands beside each server, as its documentation has it. */
    const placeOf = (id: string): Place => {
      const place = id === "a" ? id : EDGE;
      if (boxes === null) return { host: "127.0.0.1", inside: [] };
      return { host: boxes.hostOf(place), inside: boxes.inside(place) };
    };
    const redis: Record<string, RedisProcess> = {};
    const servers: RedisProcess[] = [];
    for (const id of ids) {
      const place = placeOf(id);
      const { a } = redis;
      const open = boxed ? ["--bind", place.host, "--protected-mode", "no"] : [];
      const follow = a === undefined ? [] : ["--replicaof", a.host, String(a.port)];
      const args = [...open, ...follow, ...redisArgs];
      const server = await startRedis({ ...place, dir: join(dir, id), args });
      redis[id] = server;
      servers.push(server);
      ending.push(() => server.stop());
    }
    const [primary, ...replicas] = servers;
    if (primary === undefined) throw new Error("there is no redis a");
    await until("replicas of a", async () => {
      for (const replica of replicas) if (!(await follows(replica, primary))) return false;
      return true;
    });
    const sentinels: Sentinel[] = [];
    for (const id of ids) {
      const place = placeOf(id);
      const { sentinel, child } = await startSentinel(
        join(dir, `sentinel-${id}`),
        place,
        primary,
        downAfterMs,
      );
      sentinels.push(sentinel);
      ending.push(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill("SIGKILL");
        await once(child, "exit");
      });
    }
    await until("sentinels that know each other", () => allKnown(sentinels, replicas.length));
    return {
      redis,
      // It hears of switches from the first of them: let that be one that lives on.
      app: () => sentinelApp(group, [...sentinels].reverse()),
      stays: async () =>
        boxes === null
          ? startWriter(primary, staysFrom)
          : startStays(boxes.inside("a"), primary, staysFrom),
      switchOver: async () => {
        const [one] = sentinels;
        if (one !== undefined) await ask(one, ["SENTINEL", "FAILOVER", group]);
      },
      box:
        boxes === null
          ? null
          : { cut: () => boxes.cut("a", EDGE), heal: () => boxes.heal("a", EDGE) },
      said: async () => sentinels.flatMap(({ lines }) => lines),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startSentinel(
  dir: string,
  { host, inside }: Place,
  primary: Address,
  downAfterMs: number,
) {
  const port = await freePort();
  const server = await findRedisServer();
  await mkdir(dir, { recursive: true });
  const file = join(dir, "sentinel.conf");
  const { quorum } = sentinelSettings;
  const settings = ["failover-timeout", "parallel-syncs"] as const;
  const lines = [
    `port ${port}`,
    `bind ${host}`,
    "protected-mode no",
    `dir "${dir}"`,
    "daemonize no",
    `sentinel announce-ip ${host}`,
    `sentinel monitor ${group} ${primary.host} ${primary.port} ${quorum}`,
    `sentinel down-after-milliseconds ${group} ${downAfterMs}`,
    ...settings.map((name) => `sentinel ${name} ${group} ${sentinelSettings[name]}`),
  ];
  await writeFile(file, `${lines.join("\n")}\n`);
  const line = [server.command, file, "--sentinel"];
  const guard = onPath("setpriv");
  if (guard !== null) line.unshift(guard, "--pdeathsig", "KILL", "--");
  line.unshift(...inside);
  const [command = server.command, ...args] = line;
  const child: ChildProcess = spawn(command, args, {
    cwd: dir,
    env: server.env,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const last = () => child.kill("SIGKILL");
  process.on("exit", last);
  child.once("exit", () => process.off("exit", last));
  const sentinel: Sentinel = { host, port, lines: [] };
  if (child.stdout !== null)
    createInterface(child.stdout).on("line", (text) => {
      // pid:role date # +event …
      const event = /# ([+-]\S.*)$/.exec(text)?.[1];
      if (event !== undefined) sentinel.lines.push(event);
    });
  await until("a sentinel that answers", async () => (await ask(sentinel, ["PING"])).length === 1);
  return { sentinel, child };
}

/** Every sentinel knows the two others and both replicas, and has heard from these. */
async function allKnown(sentinels: readonly Sentinel[], replicas: number) {
  for (const sentinel of sentinels) {
    const [others, known, check] = await ask(
      sentinel,
      ["SENTINEL", "SENTINELS", group],
      ["SENTINEL", "REPLICAS", group],
      ["SENTINEL", "CKQUORUM", group],
    );
    if (!Array.isArray(others) || others.length !== sentinels.length - 1) return false;
    if (!Array.isArray(known) || known.length !== replicas) return false;
    for (const each of known) {
      const fields = (each as readonly unknown[]).map(String);
      if (fields[fields.indexOf("master-link-status") + 1] !== "ok") return false;
    }
    if (!String(check).startsWith("OK")) return false;
  }
  return true;
}
