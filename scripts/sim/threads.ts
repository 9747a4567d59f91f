/**
 * Many seeds on all cores.
 *
 * Promises: every seed is run once, in order as far as there are threads; every thread has ended when this returns.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { Mode } from "./build.ts";
import type { Result } from "./run.ts";
import type { Order } from "./thread.ts";

export type Job = {
  readonly first: number;
  readonly count: number;
  readonly minutes: number;
  /** Where `thread.ts` of the code to run is; a mutant has its own. */
  readonly thread?: string;
  readonly threads?: number;
  /** Played whenever it fits. */
  readonly scene?: string;
  /** Of every group; left out: as drawn. */
  readonly mode?: Mode;
  /** Called with each result; true: that is enough. */
  readonly onResult: (result: Result) => boolean;
};

const ownThread = join(import.meta.dirname, "thread.ts");

export async function runSeeds(job: Job): Promise<void> {
  const count = Math.min(job.threads ?? availableParallelism(), job.count);
  let next = job.first;
  const end = job.first + job.count;
  let enough = false;
  const run = (): Promise<void> => {
    const worker = new Worker(job.thread ?? ownThread);
    return new Promise<void>((resolve, reject) => {
      const order = () => {
        if (enough || next >= end) return resolve();
        const { minutes, scene = null, mode = null } = job;
        worker.postMessage({ seed: next, minutes, scene, mode } satisfies Order);
        next += 1;
      };
      worker.on("message", (result: Result) => {
        if (job.onResult(result)) enough = true;
        order();
      });
      worker.on("error", reject);
      order();
    }).finally(() => worker.terminate());
  };
  await Promise.all(Array.from({ length: count }, run));
}
