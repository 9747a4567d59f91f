/**
 * Builds a Worker as a deploy would.
 *
 * Promises: nothing is uploaded and nobody is told; whatever wrangler writes beside the bundle is within `out`.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

const wrangler = join(import.meta.dirname, "../node_modules/wrangler/bin/wrangler.js");

/**
 * @param args of `wrangler deploy`: an entry, `--config`; without them what stands in `cwd`.
 * @param out the folder of the bundle.
 * @throws with what wrangler said.
 */
export async function buildWorker(
  args: readonly string[],
  cwd: string,
  out: string,
): Promise<void> {
  const deploy = [wrangler, "deploy", ...args, "--dry-run", "--outdir", out];
  const env = {
    ...process.env,
    WRANGLER_SEND_METRICS: "false",
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    WRANGLER_LOG_PATH: join(out, "logs"),
    WRANGLER_REGISTRY_PATH: join(out, "registry"),
  };
  try {
    await promisify(execFile)(process.execPath, deploy, { cwd, env });
  } catch (error) {
    const { stdout, stderr } = Object(error) as { stdout?: unknown; stderr?: unknown };
    throw new Error(`wrangler deploy --dry-run failed\n${stdout ?? ""}${stderr ?? error}`);
  }
}
