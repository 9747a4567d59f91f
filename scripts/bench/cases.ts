/**
 * What is done to a Redis group, and what it cost: the same hand for every system.
 *
 * Promises: what was acknowledged and is not in the primary of the end is lost; nothing else is.
 * Must never: help a system, or know which one it is.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { RedisProcess } from "../redis-server.ts";
import { follows, ids, isPrimary, type Side, until } from "./side.ts";
import { type Ack, ask, numbersAt, startWriter, type Writer } from "./writer.ts";

export type Figures = Readonly<Record<string, number>>;

export type Result = {
  readonly figures: Figures;
  /** What the system told of it, where that matters. */
  readonly said: readonly string[];
};

export type Case = {
  readonly id: string;
  readonly title: string;
  /** Settings of every redis-server beside the usual ones, which keep nothing on disk. */
  readonly redisArgs: readonly string[];
  readonly run: (side: Side) => Promise<Result>;
};

/** Writes that stand before anything happens. */
const warmUp = 200;

const server = (side: Side, id: string): RedisProcess => {
  const found = side.redis[id];
  if (found === undefined) throw new Error(`there is no redis ${id}`);
  return found;
};

/** Another node than a that says it is primary. */
async function otherPrimary(side: Side): Promise<RedisProcess | null> {
  for (const id of ids.slice(1))
    if (await isPrimary(server(side, id).port)) return server(side, id);
  return null;
}

const acked = (writer: Writer, count: number, since = 0, port?: number) =>
  until(`${count} acknowledged writes`, () => {
    const fit = writer.acks.filter(
      (ack) => ack.atMs >= since && (port === undefined || ack.port === port),
    );
    return fit.length >= count;
  });

async function lostOf(acks: readonly Ack[], port: number): Promise<number> {
  const kept = await numbersAt(port);
  return acks.filter(({ n }) => !kept.has(n)).length;
}

/** The longest time without an acknowledged write. */
function longestGapMs(acks: readonly Ack[]): number {
  let longest = 0;
  for (const [at, { atMs }] of acks.entries())
    longest = Math.max(longest, atMs - (acks[at - 1]?.atMs ?? atMs));
  return Math.round(longest);
}

const few = (lines: readonly string[], names: RegExp) =>
  [...new Set(lines.filter((line) => names.test(line)))].slice(0, 12);

async function oldPrimaryReturns(side: Side): Promise<Result> {
  const a = server(side, "a");
  const stays = startWriter(a.port);
  try {
    await acked(stays, warmUp);
    const killedAtMs = performance.now();
    await a.kill();
    await until("a promoted replica", () => otherPrimary(side));
    const promotedMs = performance.now() - killedAtMs;
    await pause(2000);
    await a.start();
    const startedAtMs = performance.now();
    const next = await until("the old primary as a replica", async () => {
      const primary = await otherPrimary(side);
      return primary !== null && (await follows(a.port, primary.port)) ? primary : null;
    });
    const demotedMs = performance.now() - startedAtMs;
    stays.stop();
    const after = stays.acks.filter(({ atMs }) => atMs >= startedAtMs);
    const before = stays.acks.filter(({ atMs }) => atMs < startedAtMs);
    const last = after.at(-1)?.atMs ?? startedAtMs;
    return {
      figures: {
        "acknowledged by the old primary": after.length,
        "of them lost": await lostOf(after, next.port),
        "it took writes for, ms": Math.round(last - startedAtMs),
        "it followed after, ms": Math.round(demotedMs),
        "lost of those before the crash": await lostOf(before, next.port),
        "promoted after, ms": Math.round(promotedMs),
      },
      said: few(await side.said(), /^(\+convert-to-slave|\+sealed|\+lost-writes)/),
    };
  } finally {
    stays.stop();
  }
}

async function plannedSwitch(side: Side): Promise<Result> {
  const writer = startWriter(server(side, "a").port);
  try {
    side.follow(writer);
    await acked(writer, warmUp);
    const askedAtMs = performance.now();
    await side.switchOver();
    const next = await until("a promoted replica", () => otherPrimary(side));
    const promotedMs = performance.now() - askedAtMs;
    await acked(writer, warmUp, askedAtMs, next.port);
    writer.stop();
    const acks = [...writer.acks];
    return {
      figures: {
        acknowledged: acks.length,
        "of them lost": await lostOf(acks, next.port),
        "longest without writes, ms": longestGapMs(acks),
        "promoted after, ms": Math.round(promotedMs),
      },
      said: [],
    };
  } finally {
    writer.stop();
  }
}

async function restartsEmpty(side: Side): Promise<Result> {
  const a = server(side, "a");
  const writer = startWriter(a.port);
  try {
    side.follow(writer);
    await acked(writer, 2 * warmUp);
    await a.kill();
    await pause(100);
    await a.start();
    const startedAtMs = performance.now();
    await acked(writer, warmUp, startedAtMs);
    writer.stop();
    const acks = [...writer.acks];
    const { port } = acks.at(-1) ?? a;
    const others = ids.map((id) => server(side, id).port).filter((each) => each !== port);
    await until("everybody at the primary", async () => {
      for (const other of others) if (!(await follows(other, port))) return false;
      return true;
    });
    const before = acks.filter(({ atMs }) => atMs < startedAtMs);
    return {
      figures: {
        "acknowledged before": before.length,
        "of them lost": await lostOf(before, port),
        "acknowledged after, and lost": await lostOf(acks.slice(before.length), port),
        "longest without writes, ms": longestGapMs(acks),
      },
      said: few(await side.said(), /^(\+wiped|\+switch-master|\+reboot)/),
    };
  } finally {
    writer.stop();
  }
}

const silentMs = 8000;
/** The supervisor of the primary takes its time. */
const awayMs = 5000;

async function linkDown(side: Side): Promise<Result> {
  const a = server(side, "a");
  const writer = startWriter(a.port);
  try {
    side.follow(writer);
    await acked(writer, warmUp);
    await ask(a.port, ["ACL", "SETUSER", "default", "-psync", "-sync"]);
    await ask(a.port, ["CLIENT", "KILL", "TYPE", "replica"]);
    await pause(silentMs);
    const warned = few(await side.said(), /^\+link-down/);
    const killedAtMs = performance.now();
    await a.kill();
    await pause(awayMs);
    await a.start();
    const startedAtMs = performance.now();
    const primary = await until("one primary that everybody follows", async () => {
      for (const { port } of ids.map((id) => server(side, id))) {
        const others = ids.map((id) => server(side, id).port).filter((each) => each !== port);
        const follow = await Promise.all(others.map((other) => follows(other, port)));
        if (follow.every(Boolean) && (await isPrimary(port))) return port;
      }
      return null;
    });
    await acked(writer, warmUp, startedAtMs, primary);
    writer.stop();
    const acks = [...writer.acks];
    return {
      figures: {
        acknowledged: acks.length,
        "of them lost": await lostOf(acks, primary),
        "longest without writes, ms": longestGapMs(acks),
        "promoted a stale replica": primary === a.port ? 0 : 1,
        "said so before the crash": warned.length > 0 ? 1 : 0,
        "steady again after, ms": Math.round(performance.now() - killedAtMs),
      },
      said: [
        ...warned,
        ...few(await side.said(), /^(\+switch-master|-failover-abort-no-good-slave)/),
      ],
    };
  } finally {
    writer.stop();
  }
}

export const cases: readonly Case[] = [
  {
    id: "a",
    title: "the old primary returns after a failover, and a client stayed at its address",
    redisArgs: [],
    run: oldPrimaryReturns,
  },
  {
    id: "b",
    title: "a planned switch under writes",
    redisArgs: [],
    run: plannedSwitch,
  },
  {
    id: "c",
    title: "the primary restarts empty in 100 ms",
    redisArgs: [],
    run: restartsEmpty,
  },
  {
    id: "d",
    title:
      "the replication links are silently down for 8 s, then kill -9; it returns with its data after 5 s",
    redisArgs: ["--appendonly", "yes"],
    run: linkDown,
  },
];
