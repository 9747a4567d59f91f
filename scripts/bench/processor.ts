/**
 * What a process has used of this machine, as Linux counts it.
 *
 * Promises: a process that is gone is an error, never a zero.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

const ticksPerSecond = Number(execFileSync("getconf", ["CLK_TCK"]).toString());

/** What follows the name in /proc/<pid>/stat: the name itself may hold anything. */
function statOf(pid: number): readonly string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** Processor time that it used so far, user and system. */
export function processorMs(pid: number): number {
  const fields = statOf(pid);
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1000;
}

export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

/** Processes of that name that this process, or one that it started, has started. */
export function childrenNamed(name: string, of = process.pid): readonly number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc"))
    if (/^\d+$/.test(entry)) {
      try {
        parents.set(Number(entry), Number(statOf(Number(entry))[1]));
      } catch {
        // It ended meanwhile.
      }
    }
  const isOurs = (pid: number): boolean => {
    const parent = parents.get(pid);
    return parent === of || (parent !== undefined && isOurs(parent));
  };
  return [...parents.keys()].filter(
    (pid) => isOurs(pid) && readFileSync(`/proc/${pid}/comm`, "utf8").trim() === name,
  );
}
