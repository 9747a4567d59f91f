/**
 * What the bench asks of a system that keeps a Redis group alive, whichever it is; and waiting for it.
 *
 * Promises: every wait ends: with what was awaited, or with an error that names it.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { RedisProcess } from "../redis-server.ts";
import { ask } from "./writer.ts";

export const ids = ["a", "b", "c"] as const;

/** The same for every system: ["--appendonly", "yes"]. */
export type SideOptions = { readonly redisArgs: readonly string[] };

export type Side = {
  /** a is the primary at first, b and c follow it. */
  readonly redis: Readonly<Record<string, RedisProcess>>;
  /** Calls back with the port of the primary now, and of each one that is told from then on. */
  readonly follow: (turn: (port: number) => void) => void;
  /** The planned switch of this system. */
  readonly switchOver: () => Promise<void>;
  /** What it has told since it stood: a name and a text in a line. */
  readonly said: () => Promise<readonly string[]>;
  readonly stop: () => Promise<void>;
};

const limitMs = 60_000;

export async function until<T>(
  what: string,
  condition: () => Promise<T | null | false> | T | null | false,
  withinMs = limitMs,
): Promise<T> {
  const endsAtMs = performance.now() + withinMs;
  for (;;) {
    const value = await Promise.resolve()
      .then(condition)
      .catch(() => null);
    if (value !== null && value !== false) return value;
    if (performance.now() > endsAtMs) throw new Error(`${what}: not seen within ${withinMs} ms`);
    await pause(10);
  }
}

/** What `INFO replication` says in one field. */
export async function info(port: number, field: string): Promise<string | null> {
  const [text] = await ask(port, ["INFO", "replication"]);
  return new RegExp(`^${field}:(.*?)\\r?$`, "m").exec(String(text))?.[1] ?? null;
}

/** It follows `of`, and its link is up. */
export async function follows(port: number, of: number): Promise<boolean> {
  const [role, to, link] = await Promise.all([
    info(port, "role"),
    info(port, "master_port"),
    info(port, "master_link_status"),
  ]);
  return role === "slave" && Number(to) === of && link === "up";
}
