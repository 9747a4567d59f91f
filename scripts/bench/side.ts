/**
 * What the bench asks of a system that keeps a Redis group alive, whichever it is; and waiting for it.
 *
 * Promises: every wait ends: with what was awaited, or with an error that names it.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { RedisProcess } from "../redis-server.ts";
import { type Ack, type Address, ask, numbersAt, type Written } from "./writer.ts";

export const ids = ["a", "b", "c"] as const;

/** The same for every system. */
export type SideOptions = {
  /** ["--appendonly", "yes"] */
  readonly redisArgs: readonly string[];
  /** a stands in a box of its own, which can be cut off. */
  readonly boxed: boolean;
};

/** Numbers of a client that stays: nobody else writes them. */
export const staysFrom = 1_000_000;

export type Side = {
  /** a is the primary at first, b and c follow it. */
  readonly redis: Readonly<Record<string, RedisProcess>>;
  /** An app that writes as the client library of this system does, and goes where it says. */
  readonly app: () => Promise<Written>;
  /** A client at a, beside it where a has a box of its own, that is told nothing. */
  readonly stays: () => Promise<Written>;
  /** The planned switch of this system. */
  readonly switchOver: () => Promise<void>;
  /** a's box hears nobody, and nobody hears it; null: everybody stands in one place. */
  readonly box: { readonly cut: () => void; readonly heal: () => void } | null;
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
export async function info(at: Address): Promise<Readonly<Record<string, string>>> {
  const [text] = await ask(at, ["INFO", "replication"]);
  return Object.fromEntries(
    String(text)
      .split("\r\n")
      .map((line) => line.split(":"))
      .filter((parts): parts is [string, string] => parts.length === 2),
  );
}

export const isPrimary = async (at: Address): Promise<boolean> =>
  (await info(at)).role === "master";

/** It follows `of`, and its link is up. */
export async function follows(at: Address, of: Address): Promise<boolean> {
  const { role, master_port: to, master_link_status: link } = await info(at);
  return role === "slave" && Number(to) === of.port && link === "up";
}

/** So many acknowledged writes since then, by that server where it is named. */
export const acked = (writer: Written, count: number, sinceMs = 0, by?: string): Promise<true> =>
  until(`${count} acknowledged writes`, () => {
    const fit = writer.acks.filter(
      (ack) => ack.atMs >= sinceMs && (by === undefined || ack.by === by),
    );
    return fit.length >= count;
  });

/** What was acknowledged and is not in the primary of the end. */
export async function lostOf(acks: readonly Ack[], at: Address): Promise<number> {
  const kept = await numbersAt(at);
  return acks.filter(({ n }) => !kept.has(n)).length;
}

/** The longest time without an acknowledged write. */
export function longestGapMs(acks: readonly Ack[]): number {
  let longest = 0;
  for (const [at, { atMs }] of acks.entries())
    longest = Math.max(longest, atMs - (acks[at - 1]?.atMs ?? atMs));
  return Math.round(longest);
}

/** Acknowledged by the old primary after the new one had acknowledged something. */
export function byBoth(acks: readonly Ack[], old: string, next: string): number {
  const first = Math.min(...acks.filter(({ by }) => by === next).map(({ atMs }) => atMs));
  return acks.filter(({ by, atMs }) => by === old && atMs > first).length;
}
