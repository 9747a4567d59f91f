/**
 * The built Worker on workerd, and nothing in between.
 *
 * Why not the test harness of wrangler: there Node fetches for the Worker, and a trace of everything is kept; with
 * hundreds of groups that is most of what would be measured.
 * Promises: the Worker as a deploy would build it, with counters around it; nothing is left after `close`.
 */
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { unstable_getMiniflareWorkerOptions as optionsOf } from "wrangler";
import { buildWorker } from "../../build.ts";
import { childrenNamed } from "../processor.ts";

export type Runtime = {
  readonly url: URL;
  readonly pids: readonly number[];
  /** Wakes every group, as every minute does. */
  readonly cron: () => Promise<unknown>;
  readonly close: () => Promise<void>;
};

/** As wrangler has them, and Miniflare takes them. */
type WorkerOptions = Pick<
  Required<Extract<Parameters<typeof convertV4MiniflareOptions>[0], { script: string }>>,
  "bindings" | "compatibilityDate" | "compatibilityFlags" | "durableObjects" | "kvNamespaces"
>;

const root = join(import.meta.dirname, "../../..");
const configPath = join(root, "wrangler.toml");
let built: Promise<string> | null = null;

/** @param bindings variables and secrets, in place of those that stand in wrangler.toml. */
export async function startRuntime(bindings: Readonly<Record<string, unknown>>): Promise<Runtime> {
  built ??= build();
  const script = await built;
  const { compatibilityDate, compatibilityFlags, durableObjects, kvNamespaces } = optionsOf(
    configPath,
  ).workerOptions as WorkerOptions;
  const before = childrenNamed("workerd");
  const { TMPDIR } = process.env;
  process.env.TMPDIR = storageDir();
  const runtime = new Miniflare(
    convertV4MiniflareOptions({
      ...{ name: "picket", modules: true, script, cf: false },
      bindings: bindings as WorkerOptions["bindings"],
      ...{ compatibilityDate, compatibilityFlags, durableObjects, kvNamespaces },
      handleStructuredLogs: () => {},
      // Else a Worker of Miniflare's own stands between this one and whom it asks.
      stripCfConnectingIp: false,
    }),
  );
  try {
    const url = await runtime.ready;
    const worker = await runtime.getWorker();
    return {
      url,
      pids: childrenNamed("workerd").filter((pid) => !before.includes(pid)),
      cron: () => worker.scheduled({ cron: "* * * * *", scheduledTime: new Date() }),
      close: () => runtime.dispose(),
    };
  } catch (error) {
    await runtime.dispose();
    throw error;
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
  }
}

/** What a deploy would upload, with counters around it. */
async function build(): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), "picket-scale-build-"));
  const last = () => rmSync(dir, { recursive: true, force: true });
  process.on("exit", last);
  try {
    const config = await readFile(configPath, "utf8");
    const main = JSON.stringify(join(import.meta.dirname, "worker.ts"));
    await writeFile(
      join(dir, "wrangler.toml"),
      config.replace(/^main = .*$/m, () => `main = ${main}`),
    );
    await buildWorker(["--config", join(dir, "wrangler.toml")], dir, dir);
    return await readFile(join(dir, "worker.js"), "utf8");
  } finally {
    last();
    process.off("exit", last);
  }
}

const memory = "/dev/shm";
/** Some megabytes of journal for each object, at most. */
const memoryBytes = 2 ** 31;

/**
 * Where the objects keep their state: in memory where there is enough. On a disk every tick waits for it to confirm
 * the alarm, and it would be the disk that is measured, with whatever else uses it.
 */
function storageDir(): string {
  try {
    const { bavail, bsize } = statfsSync(memory);
    if (bavail * bsize > memoryBytes) return memory;
  } catch {
    // There is none.
  }
  return tmpdir();
}
