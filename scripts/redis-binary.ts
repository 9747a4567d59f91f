/**
 * Finds a redis-server on this machine, or fetches Debian's into `.cache/redis/`.
 *
 * Promises: what it returns has answered `--version`; several processes may ask at once.
 * Must never: install anything on the machine.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { environmentOf, fetchPackages, onPath, reason, run } from "./debian.ts";

export { onPath };

const cache = join(import.meta.dirname, "../.cache/redis");

export type RedisServer = { readonly command: string; readonly env: NodeJS.ProcessEnv };

let found: Promise<RedisServer> | null = null;

/**
 * The redis-server on PATH, else the one in `.cache/redis/`, else Debian's, fetched there.
 * Throws one error that names what was tried. `say` hears of a download; stderr by default.
 * `signal` ends a download.
 */
export function findRedisServer(
  say: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
  signal?: AbortSignal,
): Promise<RedisServer> {
  found ??= find(say, signal).catch((error) => {
    found = null;
    throw error;
  });
  return found;
}

async function find(say: (line: string) => void, signal?: AbortSignal): Promise<RedisServer> {
  const installed = onPath("redis-server");
  if (installed !== null) return proven({ command: installed, env: process.env });
  if (!existsSync(cache)) {
    say("redis-server is not on PATH: fetching Debian's package into .cache/redis/ (once)");
    const packages = ["redis-server"];
    const prove = (tree: string) => proven(unpacked(tree));
    await fetchPackages({ target: cache, packages, prove, signal }).catch((error) => {
      throw new Error(
        "No redis-server: none on PATH, and fetching Debian's package with apt-get failed. " +
          `Install redis-server, or make apt-get work. ${reason(error)}`,
      );
    });
  }
  return proven(unpacked(cache)).catch((error) => {
    throw new Error(
      `The redis-server in ${cache} does not run; remove that folder. ${reason(error)}`,
    );
  });
}

const unpacked = (tree: string): RedisServer => ({
  command: join(tree, "usr/bin/redis-server"),
  env: environmentOf(tree),
});

async function proven(server: RedisServer): Promise<RedisServer> {
  await run(server.command, ["--version"], { env: server.env });
  return server;
}
