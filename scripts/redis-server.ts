/**
 * Real redis-servers for tests, demo and bench: started, killed, started again.
 *
 * Promises: a server listens on 127.0.0.1 only, unless told otherwise; it answers PING once started, and dies
 * with its parent.
 * Must never: sleep in place of waiting for a condition, or touch a server that it did not start.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { findRedisServer, onPath, type RedisServer } from "./redis-binary.ts";

export { findRedisServer };

const startTimeoutMs = 20_000;
const killTimeoutMs = 10_000;
const keptLines = 50;

export type RedisProcess = {
  readonly host: string;
  readonly port: number;
  /** Of the last start. */
  readonly pid: number;
  readonly dir: string;
  /** Sends a signal, SIGKILL by default; for SIGKILL and SIGTERM waits until the process is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again: same port and folder, and the redis.conf as it is now (CONFIG REWRITE). */
  start(): Promise<void>;
  /** Kills it for good, and removes the folder if it was made here. */
  stop(): Promise<void>;
};

export type RedisOptions = {
  /** Default: a temporary folder. */
  readonly dir?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** Where it is asked whether it is ready; that it listens there is said in `args`. Default: 127.0.0.1. */
  readonly host?: string;
  /** A command that runs it: ["ip", "netns", "exec", "box"]. It must keep the pid. */
  readonly inside?: readonly string[];
  /** More settings as on the command line: ["--replicaof", "127.0.0.1", "7000"]. They go to redis.conf. */
  readonly args?: readonly string[];
};

/** A port of 127.0.0.1 on which nobody listens. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    // Below the ephemeral range: no outgoing connection takes it while a server is down.
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error("No free port between 10000 and 32000 on 127.0.0.1");
}

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts a redis-server; resolves when it answers PING, and throws its last lines when it does not. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisProcess> {
  const server = await findRedisServer();
  const port = options.port ?? (await freePort());
  const { host = "127.0.0.1", inside = [] } = options;
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), "picket-redis-")));
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, "redis.conf"), settings(port, dir, options.args ?? []));

  let child: ChildProcess | null = null;
  const start = async () => {
    if (child !== null && !gone(child)) throw new Error(`redis-server ${port} runs already`);
    child = await launch(server, { host, port }, dir, inside);
  };
  const kill = async (signal: NodeJS.Signals = "SIGKILL") => {
    if (child !== null) await signalled(child, signal);
  };
  const stop = async () => {
    await kill("SIGKILL");
    if (options.dir === undefined) await rm(dir, { recursive: true, force: true });
  };
  await start().catch(async (error) => {
    await stop();
    throw error;
  });
  return {
    host,
    port,
    dir,
    get pid() {
      return child?.pid ?? -1;
    },
    kill,
    start,
    stop,
  };
}

/** In the file, not on the command line: so CONFIG REWRITE wins over it at the next start. */
function settings(port: number, dir: string, args: readonly string[]): string {
  const lines = [
    `port ${port}`,
    "bind 127.0.0.1",
    `dir "${dir}"`,
    'save ""',
    "appendonly no",
    "repl-diskless-sync-delay 0",
    "daemonize no",
  ];
  for (const arg of args) {
    if (arg.startsWith("--")) lines.push(arg.slice(2));
    else lines.push(`${lines.pop()} ${arg === "" ? '""' : arg}`);
  }
  return `${lines.join("\n")}\n`;
}

/**
 * Starts the program in `dir`; it dies with this process.
 * @param inside what runs it, such as `ip netns exec x`.
 */
export function spawnServer(
  server: RedisServer,
  args: readonly string[],
  dir: string,
  inside: readonly string[],
) {
  const line = [server.command, ...args];
  // setpriv keeps the pid; with it the kernel kills Redis even if this process is killed -9.
  const guard = onPath("setpriv");
  if (guard !== null) line.unshift(guard, "--pdeathsig", "KILL", "--");
  line.unshift(...inside);
  const [command = server.command, ...rest] = line;
  return spawn(command, rest, { cwd: dir, env: server.env, stdio: ["ignore", "pipe", "pipe"] });
}

type At = { readonly host: string; readonly port: number };

async function launch(
  server: RedisServer,
  { host, port }: At,
  dir: string,
  inside: readonly string[],
): Promise<ChildProcess> {
  const child = spawnServer(server, [join(dir, "redis.conf")], dir, inside);
  running.add(child);
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      said.push(...chunk.toString().split("\n").filter(Boolean));
      said.splice(0, said.length - keptLines);
    });
  }
  child.once("error", (error) => said.push(String(error)));
  // close, not exit: by then all that it said was read.
  child.once("close", () => running.delete(child));

  const deadline = performance.now() + startTimeoutMs;
  while (!(await answers({ host, port }, child.pid ?? -1))) {
    const late = performance.now() > deadline;
    if (running.has(child) && !late) {
      await pause(10);
      continue;
    }
    await signalled(child, "SIGKILL");
    const why = late ? `did not answer in ${startTimeoutMs} ms` : "ended while it started";
    throw new Error(`redis-server on port ${port} ${why}:\n${said.join("\n")}`);
  }
  return child;
}

/** True when the server of that pid is ready. A stranger on the port, or LOADING, is not. */
function answers({ host, port }: At, pid: number): Promise<boolean> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(port, host, () => socket.write("PING\r\nINFO server\r\n"));
    const end = (ready: boolean) => {
      socket.destroy();
      resolve(ready);
    };
    socket.setTimeout(1000, () => end(false));
    socket.on("error", () => end(false));
    socket.on("close", () => end(false));
    socket.on("data", (chunk) => {
      text += chunk.toString();
      if (text.startsWith("-NOAUTH")) end(true);
      else if (text.startsWith("-")) end(false);
      else if (/process_id:\d+\r/.test(text)) end(text.includes(`process_id:${pid}\r`));
    });
  });
}

const gone = (child: ChildProcess) =>
  child.pid === undefined || child.exitCode !== null || child.signalCode !== null;

/** Delivers a signal; waits for the end when the signal means the end. */
async function signalled(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (gone(child)) return;
  child.kill(signal);
  if (signal !== "SIGKILL" && signal !== "SIGTERM") return;
  const exited = new Promise<boolean>((resolve) => child.once("exit", () => resolve(true)));
  const cancel = new AbortController();
  const late = pause(killTimeoutMs, false, { signal: cancel.signal }).catch(() => false);
  const ended = await Promise.race([exited, late]);
  cancel.abort();
  if (!ended) throw new Error(`pid ${child.pid} still runs ${killTimeoutMs} ms after ${signal}`);
}
