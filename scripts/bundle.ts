/**
 * Builds the Worker as a deploy would, and an app that imports `connect`, and weighs both; part of `npm run check`.
 *
 * Promises: nothing is uploaded; fails when a build fails, or when a bundle weighs more than it may, compressed.
 * Must never: deploy.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { buildWorker } from "./build.ts";

/** A third of what the Free plan takes (3 MB): a cold start reads all of it. */
const limitBytes = 1_000_000;
/** What the client adds to an app that has @upstash/redis already. */
const clientLimitBytes = 10 * 1024;

const root = join(import.meta.dirname, "..");
const work = mkdtempSync(join(tmpdir(), "picket-bundle-"));
try {
  weigh("bundle", await build([], root, "worker"), limitBytes);
  const app = join(work, "app.ts");
  const client = JSON.stringify(join(root, "worker/client/index.ts"));
  writeFileSync(app, `export { connect as default } from ${client};\n`);
  writeFileSync(join(work, "nothing.ts"), "export class Redis {}\n");
  // What wrangler adds to keep the names of functions is not the client's.
  const settings = ['name = "app"', 'compatibility_date = "2026-10-01"', "keep_names = false"];
  writeFileSync(join(work, "wrangler.toml"), settings.join("\n"));
  const alone = ["--minify", "--alias", `@upstash/redis/cloudflare:${join(work, "nothing.ts")}`];
  weigh("client", await build([app, ...alone], work, "client"), clientLimitBytes);
} catch (error) {
  console.error(`bundle: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** The folder of the bundle. */
async function build(args: readonly string[], cwd: string, name: string): Promise<string> {
  const out = join(work, name);
  await buildWorker(args, cwd, out);
  return out;
}

function weigh(name: string, out: string, mostBytes: number): void {
  const bytes = readdirSync(out, { recursive: true, encoding: "utf8" })
    .filter((file) => /\.(js|mjs|wasm)$/.test(file))
    .map((file) => gzipSync(readFileSync(join(out, file)), { level: 9 }).length)
    .reduce((sum, size) => sum + size, 0);
  console.log(`${name}: ${bytes} bytes compressed, at most ${mostBytes}`);
  if (bytes === 0) throw new Error(`${name}: the bundle is empty`);
  if (bytes > mostBytes) throw new Error(`${name}: the bundle is too large`);
}
