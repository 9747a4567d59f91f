/**
 * What the edge app says of its writes, kept: which numbers were acknowledged, and when.
 *
 * Promises: a number counts as acknowledged when the app's line about it arrives here, not before.
 * Must never: write to Redis itself.
 */
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { EdgeLine } from "./edge.ts";
import { limitMs, type Seen } from "./watch.ts";

export type Writer = {
  readonly acked: ReadonlySet<number>;
  readonly gaveUp: () => number;
  /** Acknowledged in the last second. */
  readonly rate: () => number;
  /** The first line from now on of which `pick` makes something, and when it arrived. */
  readonly next: <T>(
    what: string,
    pick: (line: EdgeLine) => T | null,
    signal: AbortSignal,
  ) => Promise<Seen<T>>;
};

type EdgeApp = {
  fetch(url: string, init: { method: string }): Promise<{ readonly body: unknown }>;
};

export async function startWriter(edge: EdgeApp, signal: AbortSignal): Promise<Writer> {
  const response = await edge.fetch("http://edge.example.test/write", { method: "POST" });
  const acked = new Set<number>();
  let recent: number[] = [];
  let gaveUp = 0;
  const listeners = new Set<(line: EdgeLine) => void>();
  const take = (line: EdgeLine) => {
    if (line.kind === "acked") {
      acked.add(line.n);
      recent.push(Date.now());
    }
    if (line.kind === "gave-up") gaveUp += 1;
    for (const listener of listeners) listener(line);
  };
  const body = Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]);
  // The stack takes the Worker away at the end: a broken stream is how this ends.
  body.on("error", () => undefined);
  signal.addEventListener("abort", () => body.destroy());
  const lines = createInterface(body);
  lines.on("error", () => undefined);
  lines.on("line", (line) => take(JSON.parse(line) as EdgeLine));
  return {
    acked,
    gaveUp: () => gaveUp,
    rate: () => {
      recent = recent.filter((atMs) => atMs > Date.now() - 1000);
      return recent.length;
    },
    next: (what, pick, until) =>
      new Promise((resolve, reject) => {
        const seconds = limitMs / 1000;
        const late = () => end(() => reject(new Error(`${what}: not seen within ${seconds} s`)));
        const timer = setTimeout(late, limitMs);
        const stop = () => end(() => reject(until.reason));
        const listener = (line: EdgeLine) => {
          const atMs = Date.now();
          const value = pick(line);
          if (value !== null) end(() => resolve({ value, atMs }));
        };
        const end = (settle: () => void) => {
          clearTimeout(timer);
          listeners.delete(listener);
          until.removeEventListener("abort", stop);
          settle();
        };
        until.addEventListener("abort", stop);
        listeners.add(listener);
        if (until.aborted) stop();
      }),
  };
}
