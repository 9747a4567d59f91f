/**
 * What the bench asks of a system that keeps a Redis group alive, whichever it is; and waiting for it.
 *
 * Promises: every wait ends: with what was awaited, or with an error that names it.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { RedisProcess } from "../redis-server.ts";
import { ask, type Writer } from "./writer.ts";

export const ids = ["a", "b", "c"] as const;

/** The same for every system: ["--appendonly", "yes"]. */
export type SideOptions = { readonly redisArgs: readonly string[] };

export type Side = {
  /** a is the primary at first, b and c follow it. */
  readonly redis: Readonly<Record<string, RedisProcess>>;
  /** From now on the writer is turned to the primary, as a client library of this system does it. */
  readonly follow: (writer: Writer) => void;
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
    await pause(20);
  }
}

/** What `INFO replication` says. */
export async function info(port: number): Promise<Readonly<Record<string, string>>> {
  const [text] = await ask(port, ["INFO", "replication"]);
  return Object.fromEntries(
    String(text)
      .split("\r\n")
      .map((line) => line.split(":"))
      .filter((parts): parts is [string, string] => parts.length === 2),
  );
}

export const isPrimary = async (port: number): Promise<boolean> =>
  (await info(port)).role === "master";

/** It follows `of`, and its link is up. */
export async function follows(port: number, of: number): Promise<boolean> {
  const { role, master_port: to, master_link_status: link } = await info(port);
  return role === "slave" && Number(to) === of && link === "up";
}
