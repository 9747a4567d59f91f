/**
 * A client that stands in a box and stays at one server: started and listened to from outside. And a question
 * that is asked in there.
 *
 * Promises: its times are this process's; it ends with `stop`, and with this process; a question has a deadline.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import type { Ack, Address, Written } from "../bench/writer.ts";

export type Stays = Written & { readonly ended: Promise<unknown> };

export function startStays(
  inside: readonly string[],
  { host, port }: Address,
  firstNumber: number,
): Stays {
  const script = join(import.meta.dirname, "client.ts");
  const line = [...inside, process.execPath, script, host, String(port), String(firstNumber)];
  const [command = process.execPath, ...args] = line;
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  const acks: Ack[] = [];
  createInterface(child.stdout).on("line", (text) => {
    const { n, atMs, by } = JSON.parse(text) as Ack;
    acks.push({ n, atMs: atMs - performance.timeOrigin, by });
  });
  // By then everything that it said was read.
  const ended = once(child, "close");
  return { acks, ended, stop: () => child.stdin.end() };
}

const run = promisify(execFile);
const patienceMs = 10_000;

/** What a server says of its replication, where the edge may not reach it. */
export async function infoInside(
  inside: readonly string[],
  { host, port }: Address,
): Promise<Readonly<Record<string, string>>> {
  const script = join(import.meta.dirname, "info.ts");
  const line = [...inside, process.execPath, script, host, String(port)];
  const [command = process.execPath, ...args] = line;
  const { stdout } = await run(command, args, { timeout: patienceMs });
  return JSON.parse(stdout);
}
