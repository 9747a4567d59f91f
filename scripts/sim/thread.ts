/**
 * One thread of the simulator: runs the seeds that it is sent, one after another, and tells each result.
 */
import { parentPort } from "node:worker_threads";
import type { Mode } from "./build.ts";
import { runSeed } from "./run.ts";

export type Order = {
  readonly seed: number;
  readonly minutes: number;
  readonly scene: string | null;
  readonly mode: Mode | null;
};

parentPort?.on("message", ({ seed, minutes, scene, mode }: Order) => {
  parentPort?.postMessage(runSeed(seed, minutes, false, scene, mode));
});
