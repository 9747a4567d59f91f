/**
 * Finds a redis-server on this machine, or fetches Debian's into `.cache/redis/`.
 *
 * Promises: works as root and not as root, with and without apt's lists; several processes may ask
 * at once; what it returns has answered `--version`.
 * Must never: install anything on the machine.
 */
import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
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
    try {
      await fetchInto(cache, say, signal);
    } catch (error) {
      throw new Error(
        "No redis-server: none on PATH, and fetching Debian's package with apt-get failed. " +
          `Install redis-server, or make apt-get work. ${reason(error)}`,
      );
    }
  }
  return proven(unpacked(cache)).catch((error) => {
    throw new Error(
      `The redis-server in ${cache} does not run; remove that folder. ${reason(error)}`,
    );
  });
}

/** Fetches beside `target` and renames, so that nobody ever sees half of it. */
async function fetchInto(
  target: string,
  say: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  say("redis-server is not on PATH: fetching Debian's package into .cache/redis/ (once)");
  await mkdir(join(target, ".."), { recursive: true });
  const work = await mkdtemp(`${target}-`);
  try {
    const archives = join(work, "cache", "archives");
    const tree = join(work, "tree");
    for (const folder of [join(work, "state/lists/partial"), join(archives, "partial"), tree]) {
      await mkdir(folder, { recursive: true });
    }
    // State and cache of our own, and no lock of the system's: so neither root nor the system's
    // lists are needed. Root must not drop to the user _apt, who may not write here.
    const own = [
      ...["-o", `Dir::State=${join(work, "state")}`, "-o", `Dir::Cache=${join(work, "cache")}`],
      ...["-o", "Debug::NoLocking=true", "-o", "APT::Sandbox::User=root"],
      ...["-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30"],
    ];
    // One broken source among several is a warning here; it is told if the download then fails.
    const { stderr: warnings } = await apt([...own, "update"], signal);
    // Download only: the packages that the system lacks, dependencies included.
    await apt(
      [
        ...own,
        ...["install", "--yes", "--download-only", "--no-install-recommends"],
        "redis-server",
      ],
      signal,
    ).catch((error) => {
      throw new Error(`${reason(error)}\n${warnings}`);
    });
    for (const name of await readdir(archives)) {
      if (name.endsWith(".deb")) await run("dpkg", ["-x", join(archives, name), tree]);
    }
    await proven(unpacked(tree));
    await rename(tree, target).catch((error: NodeJS.ErrnoException) => {
      // Another process was faster: its tree is as good.
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const apt = (args: readonly string[], signal: AbortSignal | undefined) => {
  const options = { timeout: 300_000, env: { ...process.env, LC_ALL: "C" } };
  return run("apt-get", args, signal === undefined ? options : { ...options, signal });
};

function unpacked(tree: string): RedisServer {
  const libraries = ["usr/lib", "lib"]
    .map((folder) => join(tree, folder))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => name.includes("-linux-"))
        .map((name) => join(folder, name)),
    );
  const path = [...libraries, process.env.LD_LIBRARY_PATH ?? ""].filter((part) => part !== "");
  return {
    command: join(tree, "usr/bin/redis-server"),
    env: { ...process.env, LD_LIBRARY_PATH: path.join(delimiter) },
  };
}

async function proven(server: RedisServer): Promise<RedisServer> {
  await run(server.command, ["--version"], { env: server.env });
  return server;
}

/** The first executable of that name on PATH. */
export function onPath(name: string): string | null {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

function reason(error: unknown): string {
  const { message, stderr } = error as { message?: string; stderr?: string };
  return (stderr || message || String(error)).trim().slice(0, 2000);
}
