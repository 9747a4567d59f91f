/**
 * Debian's packages, unpacked into a folder of this checkout: programs that the machine lacks.
 *
 * Promises: works as root and not as root, with and without apt's lists; several processes may ask
 * at once; nobody ever sees half of a folder.
 * Must never: install anything on the machine.
 */
import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

export const run = promisify(execFile);

export type Fetching = {
  /** The folder that holds the unpacked packages afterwards. */
  readonly target: string;
  readonly packages: readonly string[];
  /** Asked of the unpacked folder before it takes its place; rejects when it is of no use. */
  readonly prove: (tree: string) => Promise<unknown>;
  /** Ends a download. */
  readonly signal?: AbortSignal | undefined;
};

/** Fetches beside `target` and renames: the packages and those they depend on that the system lacks. */
export async function fetchPackages(fetching: Fetching): Promise<void> {
  const { target, packages, prove, signal } = fetching;
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
    const install = ["install", "--yes", "--download-only", "--no-install-recommends"];
    await apt([...own, ...install, ...packages], signal).catch((error) => {
      throw new Error(`${reason(error)}\n${warnings}`);
    });
    for (const name of await readdir(archives)) {
      if (name.endsWith(".deb")) await run("dpkg", ["-x", join(archives, name), tree]);
    }
    await prove(tree);
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

/** What a program out of such a folder needs to find its libraries. */
export function environmentOf(tree: string): NodeJS.ProcessEnv {
  const libraries = ["usr/lib", "lib"]
    .map((folder) => join(tree, folder))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => name.includes("-linux-"))
        .map((name) => join(folder, name)),
    );
  const path = [...libraries, process.env.LD_LIBRARY_PATH ?? ""].filter((part) => part !== "");
  return { ...process.env, LD_LIBRARY_PATH: path.join(delimiter) };
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

export function reason(error: unknown): string {
  const { message, stderr } = error as { message?: string; stderr?: string };
  return (stderr || message || String(error)).trim().slice(0, 2000);
}
