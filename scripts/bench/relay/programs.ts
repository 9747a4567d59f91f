/**
 * wrk and webdis: those on PATH, else Debian's, fetched into `.cache/bench/`; and where a program is to run.
 *
 * Promises: a program that cannot be had is null, and why is told once.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { environmentOf, fetchPackages, onPath, reason, run } from "../../debian.ts";

export type Program = { readonly command: string; readonly env: NodeJS.ProcessEnv };

const cache = join(import.meta.dirname, "../../../.cache/bench");

export async function findPrograms(say: (line: string) => void) {
  const names = ["wrk", "webdis"] as const;
  const missing = names.filter((name) => onPath(name) === null);
  if (missing.length > 0 && !existsSync(cache)) {
    say(`${missing.join(" and ")}: not on PATH, fetching Debian's into .cache/bench/ (once)`);
    const prove = async () => undefined;
    await fetchPackages({ target: cache, packages: names, prove }).catch((error) =>
      say(`could not be fetched: ${reason(error)}`),
    );
  }
  const find = async (name: string): Promise<Program | null> => {
    const installed = onPath(name);
    if (installed !== null) return { command: installed, env: process.env };
    const program = { command: join(cache, "usr/bin", name), env: environmentOf(cache) };
    return existsSync(program.command) ? program : null;
  };
  return { wrk: await find("wrk"), webdis: await find("webdis") };
}

/** One core for the server under test, and one for everything else. */
export const cores = { server: 0, rest: 1 } as const;

/** False: one core only, or no taskset. Then nothing is pinned, and the figures say less. */
export const pinned = cpus().length > 1 && onPath("taskset") !== null;

export const onCore = (core: number, line: readonly string[]): readonly string[] =>
  pinned ? ["taskset", "-c", String(core), ...line] : line;

/** Also a process that runs already, with all its threads. */
export async function pin(pid: number, core: number): Promise<void> {
  if (pinned) await run("taskset", ["-a", "-c", "-p", String(core), String(pid)]);
}

const children = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

/** A server of the bench's own; it ends with this process. `quiet`: its complaints are not shown. */
export function launch({ command, env }: Program, args: readonly string[], quiet = false) {
  const [program = "", ...rest] = onCore(cores.server, [command, ...args]);
  const child = spawn(program, rest, { env, stdio: ["ignore", "ignore", quiet ? "ignore" : 2] });
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}
