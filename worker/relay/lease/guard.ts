/**
 * The relay's end of its guard: starts it, tells it that this process lives, and starts another when it dies.
 *
 * Promises: no secret is in the guard's environment or command line: what it needs it is sent.
 * Must never: be the reason that a relay ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Log } from "../log.ts";
import { type Beat, type FromGuard, machineNow, parseLine, type Watch } from "./beats.ts";

export type Guard = {
  readonly beat: (beat: Omit<Beat, "kind" | "atMonoMs">) => void;
  /** When it last said that it lives; the time of its start, before. */
  readonly aliveMs: () => number;
  readonly pid: () => number | undefined;
  /** The relay ends: the guard goes, once the node is sealed. */
  readonly release: () => void;
};

/** A guard that dies at once is not started again as fast as it dies. */
const AGAIN_MS = { first: 50, most: 2000 };
const MAX_UNREAD_BYTES = 64 * 1024;

export function startGuard(watch: Omit<Watch, "kind">, log: Log): Guard {
  let child: ChildProcess | null = null;
  let aliveMs = machineNow().monoMs;
  let released = false;
  let gapMs = AGAIN_MS.first;
  let timer: NodeJS.Timeout | undefined;

  function start(): void {
    // Plain pipes: what was written is read even if this process dies before the guard has begun to.
    const born = spawn(process.execPath, [join(import.meta.dirname, "guard-process.ts")], {
      env: { PATH: process.env.PATH ?? "/usr/bin:/bin" },
      stdio: ["pipe", "pipe", "ignore"],
    });
    child = born;
    for (const each of [born, born.stdin, born.stdout]) each.on("error", () => undefined);
    createInterface(born.stdout).on("line", hear);
    born.once("close", (code, signal) => {
      if (child !== born || released) return;
      child = null;
      log("guard-gone", { node: watch.node, code, signal });
      timer = setTimeout(start, gapMs);
      gapMs = Math.min(2 * gapMs, AGAIN_MS.most);
    });
    send({ kind: "watch", ...watch });
    // It is not what keeps this process running.
    born.unref();
    for (const pipe of [born.stdin, born.stdout]) (pipe as Socket).unref();
  }

  function hear(line: string): void {
    const message = parseLine<FromGuard>(line);
    if (message === null) return;
    if (message.kind === "log") return log(message.event, message.fields);
    aliveMs = machineNow().monoMs;
    gapMs = AGAIN_MS.first;
  }

  function send(message: Watch | Beat): void {
    const pipe = child?.stdin;
    // One that does not read hears nothing more, and is missed.
    if (pipe?.writable === true && pipe.writableLength < MAX_UNREAD_BYTES)
      pipe.write(`${JSON.stringify(message)}\n`);
  }

  start();
  return {
    beat: (beat) => send({ kind: "beat", atMonoMs: machineNow().monoMs, ...beat }),
    aliveMs: () => aliveMs,
    pid: () => child?.pid,
    release: () => {
      released = true;
      clearTimeout(timer);
      child?.stdin?.end();
    },
  };
}
