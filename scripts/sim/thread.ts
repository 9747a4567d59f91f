/**
 * One thread of the simulator: runs the seeds that it is sent, one after another, and tells each result.
 */
import { parentPort } from "node:worker_threads";
import { runSeed } from "./run.ts";

export type Order = { readonly seed: number; readonly minutes: number };

parentPort?.on("message", ({ seed, minutes }: Order) => {
  parentPort?.postMessage(runSeed(seed, minutes));
});
