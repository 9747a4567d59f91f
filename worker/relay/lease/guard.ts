/**
 * The relay's end of its guard: starts it, tells it that this process lives, and starts another when it dies.
 *
 * Promises: no secret is in the guard's environment or command line: what it needs it is sent.
 * Must never: be the reason that a relay ends.
 */
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import type { Log } from "../log.ts";
import { type Beat, type FromGuard, machineNow, type Watch } from "./beats.ts";

export type Guard = {
  readonly beat: (beat: Omit<Beat, "kind">) => void;
  /** When it last said that it lives; the time of its start, before. */
  readonly aliveMs: () => number;
  readonly pid: () => number | undefined;
  /** The relay ends: the guard goes, once the node is sealed. */
  readonly release: () => void;
};

/** A guard that dies at once is not started again as fast as it dies. */
const AGAIN_MS = { first: 50, most: 2000 };

export function startGuard(watch: Omit<Watch, "kind">, log: Log): Guard {
  let child: ChildProcess | null = null;
  let aliveMs = machineNow().monoMs;
  let released = false;
  let gapMs = AGAIN_MS.first;
  let timer: NodeJS.Timeout | undefined;

  function start(): void {
    const born = fork(join(import.meta.dirname, "guard-process.ts"), {
      env: { PATH: process.env.PATH ?? "/usr/bin:/bin" },
      execArgv: [],
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    child = born;
    born.on("error", () => undefined);
    born.on("message", (message: FromGuard) => {
      if (message.kind === "log") return log(message.event, message.fields);
      aliveMs = machineNow().monoMs;
      gapMs = AGAIN_MS.first;
    });
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
    born.channel?.unref();
  }

  function send(message: Watch | Beat): void {
    if (child?.connected === true) child.send(message, () => undefined);
  }

  start();
  return {
    beat: (beat) => send({ kind: "beat", ...beat }),
    aliveMs: () => aliveMs,
    pid: () => child?.pid,
    release: () => {
      released = true;
      clearTimeout(timer);
      if (child?.connected === true) child.disconnect();
    },
  };
}
