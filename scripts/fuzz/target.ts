/**
 * What is fuzzed: a relay in a process of its own, over two Redis servers.
 *
 * Promises: everything started here is gone after `stop`; says whether the relay is still the process that was
 * started.
 * Must never: share a process with the fuzzer: a crash there must be seen here.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type RedisProcess, startRedis } from "../redis-server.ts";
import type { Who } from "./inputs.ts";

export const TOKENS: Readonly<Record<Who, string>> = {
  full: "the-full-token-of-the-fuzzer",
  prefix: "the-prefix-token-of-the-fuzzer",
  reader: "the-reading-token-of-the-fuzzer",
  control: "the-control-token-of-the-fuzzer",
  nobody: "the-token-of-nobody-at-all",
};

export type Target = {
  readonly port: number;
  /** Anyone's commands. */
  readonly a: RedisProcess;
  /** Only those of bounded tokens. */
  readonly b: RedisProcess;
  readonly isAlive: () => boolean;
  readonly residentBytes: () => Promise<number>;
  /** What it said on stderr. */
  readonly complaints: () => string;
  readonly stop: () => Promise<void>;
};

/** A value of a megabyte at most, and a set of data that fits: what is fuzzed is the relay. */
const REDIS = ["--proto-max-bulk-len", "1mb", "--maxmemory", "200mb", "--save", ""];

export async function startTarget(): Promise<Target> {
  const [a, b] = await Promise.all([startRedis({ args: REDIS }), startRedis({ args: REDIS })]);
  const dir = await mkdtemp(join(tmpdir(), "picket-fuzz-"));
  const file = join(dir, "relay.json");
  const settings = {
    id: "fuzz",
    listen: { host: "127.0.0.1", port: 0 },
    state_file: join(dir, "state.json"),
    control_tokens: [TOKENS.control],
    data_tokens: [
      TOKENS.full,
      { token: TOKENS.prefix, key_prefix: "app:" },
      { token: TOKENS.reader, read_only: true },
    ],
    limits: { max_block_ms: 100 },
    node_timeout_ms: 30_000,
    nodes: [
      { id: "a", host: a.host, port: a.port },
      { id: "b", host: b.host, port: b.port },
    ],
  };
  await writeFile(file, JSON.stringify(settings));
  const relay = join(import.meta.dirname, "../relay.ts");
  const child = spawn(process.execPath, [relay, "--config", file], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (chunk) => {
    said = `${said}${chunk}`.slice(-4000);
  });
  const stop = async () => {
    await ended(child);
    await Promise.all([a.stop(), b.stop()]);
    await rm(dir, { recursive: true, force: true });
  };
  const port = await listening(child).catch(async (error: unknown) => {
    await stop();
    throw new Error(`the relay did not start: ${error}: ${said}`);
  });
  return {
    ...{ port, a, b, stop },
    isAlive: () => child.exitCode === null && child.signalCode === null,
    residentBytes: async () => {
      const pages = (await readFile(`/proc/${child.pid}/statm`, "utf8")).split(" ")[1];
      return Number(pages) * 4096;
    },
    complaints: () => said,
  };
}

/** Its first line with an address; what follows is thrown away, so that it never waits for a reader. */
function listening(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("exit", () => reject(new Error("it ended")));
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on("line", (line) => {
      const port = /http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
  });
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGKILL");
  });
}
