/**
 * A client that stands in a box and stays at one server: started and listened to from outside.
 *
 * Promises: its times are this process's; it ends with `stop`, and with this process.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
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
