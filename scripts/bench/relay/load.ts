/**
 * The load: wrk over HTTP, redis-benchmark for Redis itself; 50 connections, 64-byte values, 10000 keys.
 *
 * Promises: counts commands, not requests; a slice with errors is an error.
 */
import { dirname, join } from "node:path";
import { run } from "../../debian.ts";
import { findRedisServer } from "../../redis-server.ts";
import { processorMs } from "../processor.ts";
import { cores, onCore, type Program } from "./programs.ts";
import { type Served, TOKEN } from "./servers.ts";

export type Shape = { readonly command: "get" | "set"; readonly depth: 1 | 16 };

export const shapes: readonly Shape[] = [
  { command: "get", depth: 1 },
  { command: "set", depth: 1 },
  { command: "get", depth: 16 },
  { command: "set", depth: 16 },
];

export type Slice = {
  readonly perSecond: number;
  /** Commands in a second of the server's own processor time: what others do on the machine hardly counts. */
  readonly perProcessorSecond: number;
  /** Part of a core that the server used. */
  readonly busy: number;
};

const connections = 50;

export async function measure(
  served: Served,
  shape: Shape,
  seconds: number,
  wrk: Program,
): Promise<Slice> {
  const beforeMs = processorMs(served.pid);
  const { commands, tookMs } =
    served.kind === "redis"
      ? await benchmark(served.port, shape, seconds)
      : await viaHttp(served, shape, seconds, wrk);
  const usedMs = processorMs(served.pid) - beforeMs;
  return {
    perSecond: (commands / tookMs) * 1000,
    perProcessorSecond: (commands / usedMs) * 1000,
    busy: usedMs / tookMs,
  };
}

/** For so many seconds; `commands` is how many were answered. */
export async function viaHttp(
  { kind, port }: Served,
  { command, depth }: Shape,
  seconds: number,
  wrk: Program,
): Promise<{ readonly commands: number; readonly tookMs: number }> {
  const options = ["-t", "1", "-c", String(connections), "-d", `${seconds}s`, "--timeout", "10s"];
  const lua = join(import.meta.dirname, "load.lua");
  const url = `http://127.0.0.1:${port}/`;
  const line = [wrk.command, ...options, "-s", lua, url, "--", kind, command, String(depth), TOKEN];
  const [program = "", ...args] = onCore(cores.rest, line);
  const { stdout } = await run(program, args, { env: wrk.env });
  const result = JSON.parse(/^RESULT (.*)$/m.exec(stdout)?.[1] ?? "null");
  if (result === null) throw new Error(`wrk said: ${stdout}`);
  if (result.errors > 0) throw new Error(`${result.errors} of ${result.requests} requests failed`);
  // webdis: each command is a request of its own.
  const commands = result.requests * (kind === "relay" ? depth : 1);
  return { commands, tookMs: result.durationUs / 1000 };
}

/** It counts commands and not seconds: as many as take about so long here. */
async function benchmark(port: number, { command, depth }: Shape, seconds: number) {
  const { command: server, env } = await findRedisServer();
  const commands = seconds * (depth === 1 ? 60_000 : 500_000);
  const line = [
    join(dirname(server), "redis-benchmark"),
    ...["-p", String(port), "-c", String(connections), "-d", "64", "-r", "10000", "-q"],
    ...["-P", String(depth), "-t", command, "-n", String(commands)],
  ];
  const [program = "", ...args] = onCore(cores.rest, line);
  const { stdout } = await run(program, args, { env, maxBuffer: 1 << 26 });
  const perSecond = Number(/([\d.]+) requests per second/.exec(stdout)?.[1]);
  if (!(perSecond > 0)) throw new Error(`redis-benchmark said: ${stdout.slice(-500)}`);
  return { commands, tookMs: (commands / perSecond) * 1000 };
}
