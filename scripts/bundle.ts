/**
 * Builds the Worker as a deploy would, and weighs it; part of `npm run check`.
 *
 * Promises: nothing is uploaded; fails when the build fails or when
 * the bundle weighs `limitBytes` or more, compressed.
 * Must never: deploy.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

/** A third of what the Free plan takes (3 MB): a cold start reads all of it. */
const limitBytes = 1_000_000;

const root = join(import.meta.dirname, "..");
const work = mkdtempSync(join(tmpdir(), "picket-bundle-"));
try {
  const out = join(work, "out");
  const wrangler = join(root, "node_modules/wrangler/bin/wrangler.js");
  const built = spawnSync(process.execPath, [wrangler, "deploy", "--dry-run", "--outdir", out], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      WRANGLER_SEND_METRICS: "false",
      CLOUDFLARE_CF_FETCH_ENABLED: "false",
      WRANGLER_LOG_PATH: join(work, "logs"),
      WRANGLER_REGISTRY_PATH: join(work, "registry"),
    },
  });
  if (built.status !== 0) {
    console.error(`${built.stdout}${built.stderr}`);
    throw new Error("wrangler deploy --dry-run failed");
  }
  const bytes = readdirSync(out, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(js|mjs|wasm)$/.test(name))
    .map((name) => gzipSync(readFileSync(join(out, name))).length)
    .reduce((sum, size) => sum + size, 0);
  console.log(`bundle: ${bytes} bytes compressed, ${limitBytes} is too many`);
  if (bytes === 0) throw new Error("the bundle is empty");
  if (bytes >= limitBytes) throw new Error("the bundle is too large");
} catch (error) {
  console.error(`bundle: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}
