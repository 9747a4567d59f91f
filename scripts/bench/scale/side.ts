/**
 * What the scale bench asks of a system that watches many sets, and what it measures of it.
 *
 * Promises: a figure is of one window; what is killed is counted as replaced when Redis itself says so.
 */
import { setTimeout as pause } from "node:timers/promises";
import { processorMs, residentBytes } from "../processor.ts";
import { until } from "../side.ts";
import { type Address, ask } from "../writer.ts";
import type { Trio } from "./trios.ts";

export type Side = {
  /** "workerd": its processes. */
  readonly pids: Readonly<Record<string, readonly number[]>>;
  /** Whoever asks this system is told of another primary of this set. */
  readonly isTold: (trio: Trio) => Promise<boolean>;
  readonly stop: () => Promise<void>;
};

/** Of each kind of process, together. */
export type Usage = Readonly<
  Record<string, { readonly processorMs: number; readonly bytes: number }>
>;

/** What each kind of process used meanwhile, and holds at the end. */
export async function usageIn(
  pids: Side["pids"],
  seconds: number,
): Promise<{ readonly usage: Usage; readonly wallMs: number }> {
  const total = (of: (pid: number) => number, all: readonly number[]) =>
    all.reduce((sum, pid) => sum + of(pid), 0);
  const startMs = performance.now();
  const before = Object.entries(pids).map(([kind, all]) => ({
    ...{ kind, all, usedMs: total(processorMs, all) },
  }));
  await pause(seconds * 1000);
  const wallMs = performance.now() - startMs;
  const usage = before.map(({ kind, all, usedMs }) => {
    const used = total(processorMs, all) - usedMs;
    return [kind, { processorMs: used, bytes: total(residentBytes, all) }];
  });
  return { usage: Object.fromEntries(usage), wallMs };
}

export type Replaced = {
  /** Until each set has a server that calls itself the primary. */
  readonly promotedMs: number;
  /** Until whoever asks is told of it. */
  readonly toldMs: number;
};

/** Kills the primaries of all these at once. */
export async function replaced(side: Side, trios: readonly Trio[]): Promise<Replaced> {
  const startMs = performance.now();
  await Promise.all(trios.map(({ a }) => a.kill("SIGKILL")));
  await Promise.all(
    trios.map((trio) => until(`a new primary of ${trio.name}`, () => hasPrimary([trio.b, trio.c]))),
  );
  const promotedMs = performance.now() - startMs;
  await Promise.all(trios.map((trio) => until(`word of ${trio.name}`, () => side.isTold(trio))));
  return { promotedMs, toldMs: performance.now() - startMs };
}

async function hasPrimary(replicas: readonly Address[]): Promise<boolean> {
  for (const replica of replicas) {
    const [role] = await ask(replica, ["ROLE"]).catch(() => []);
    if (Array.isArray(role) && String(role[0]) === "master") return true;
  }
  return false;
}
