/**
 * What the scale bench asks of a system that watches many sets, and what it measures of it.
 *
 * Promises: a figure is of one window; what is killed is counted as replaced when Redis itself says so.
 */
import { connect } from "node:net";
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
  const watched = trios.map(({ name, b, c }) => ({ name, watch: watchRoles([b, c]) }));
  try {
    const startMs = performance.now();
    await Promise.all(trios.map(({ a }) => a.kill("SIGKILL")));
    await Promise.all(
      watched.map(({ name, watch }) => until(`a new primary of ${name}`, watch.hasPrimary)),
    );
    const promotedMs = performance.now() - startMs;
    await Promise.all(trios.map((trio) => until(`word of ${trio.name}`, () => side.isTold(trio))));
    return { promotedMs, toldMs: performance.now() - startMs };
  } finally {
    for (const { watch } of watched) watch.close();
  }
}

/** How often roles are asked for if nothing tells of a change. */
const ROLES_MS = 500;

/**
 * Whether one of them is a primary. Both systems drop every client of a server with its promotion: a connection that
 * ends tells of it at once, and to wait for it costs those who are measured nothing.
 */
function watchRoles(replicas: readonly Address[]) {
  const lines = replicas.map(({ host, port }) => connect(port, host).on("error", () => undefined));
  const dropped = lines.map((line) => new Promise((resolve) => line.once("close", resolve)));
  const isPrimary = async (replica: Address) => {
    const [role] = await ask(replica, ["ROLE"]).catch(() => []);
    return Array.isArray(role) && String(role[0]) === "master";
  };
  return {
    hasPrimary: async () => {
      const cancel = new AbortController();
      const again = pause(ROLES_MS, undefined, { signal: cancel.signal }).catch(() => undefined);
      const at = await Promise.race([...dropped.map((each, at) => each.then(() => at)), again]);
      cancel.abort();
      // Whoever was told to follow another one dropped its clients as well, and is asked no more.
      if (at !== undefined) dropped[at] = new Promise(() => {});
      const roles = await Promise.all(replicas.map(isPrimary));
      return roles.includes(true);
    },
    close: () => {
      for (const line of lines) line.destroy();
    },
  };
}
