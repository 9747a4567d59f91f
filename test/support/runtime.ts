/**
 * The Worker's runtime as a process: found among the children of this one, to be killed like any other.
 *
 * Must never: find a process that this one did not start.
 */
import { readdirSync, readFileSync } from "node:fs";

/** Pids of the workerd processes that this process started; none where there is no /proc. */
export function runtimes(): readonly number[] {
  const pids = entries("/proc").filter((name) => /^\d+$/.test(name));
  return pids.filter(isOurs).map(Number);
}

function isOurs(pid: string): boolean {
  // pid (name) state parent …
  const found = /\((.*)\) \S (\d+) /s.exec(text(`/proc/${pid}/stat`));
  return found?.[1] === "workerd" && Number(found[2]) === process.pid;
}

function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Empty when the process ended meanwhile. */
function text(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
