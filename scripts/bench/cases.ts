/**
 * What is done to a Redis group, and what it cost: the same hand for every system.
 *
 * Promises: what was acknowledged and is not in the primary of the end is lost; nothing else is.
 * Must never: help a system, or know which one it is.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { RedisProcess } from "../redis-server.ts";
import { BOTH, few, GAP, LOST, OLD, type Result, server, TOOK, warmUp } from "./figures.ts";
import { linkDown, restartsEmpty } from "./restarts.ts";
import {
  acked,
  byBoth,
  follows,
  ids,
  isPrimary,
  longestGapMs,
  lostOf,
  type Side,
  until,
} from "./side.ts";
import { ask, key, nameOf, type Written } from "./writer.ts";

export type Case = {
  readonly id: string;
  readonly title: string;
  /** Settings of every redis-server beside the usual ones, which keep nothing on disk. */
  readonly redisArgs: readonly string[];
  /** a stands in a box: root only. */
  readonly boxed: boolean;
  readonly run: (side: Side) => Promise<Result>;
};

/** Another node than a that says it is primary. */
async function otherPrimary(side: Side): Promise<RedisProcess | null> {
  for (const id of ids.slice(1)) if (await isPrimary(server(side, id))) return server(side, id);
  return null;
}

/** What the app was told last is in this server: its writes have come here. */
const arrived = (app: Written, at: RedisProcess, sinceMs: number) =>
  until("the app at the new primary", async () => {
    const last = app.acks.at(-1);
    if (last === undefined || last.atMs < sinceMs) return null;
    const [member] = await ask(at, ["SISMEMBER", key, String(last.n)]);
    return String(member) === "1";
  });

/** What happens to a is over when the app has written `warmUp` numbers elsewhere. */
async function failover(
  side: Side,
  strike: (a: RedisProcess) => Promise<unknown> | unknown,
): Promise<Result> {
  const a = server(side, "a");
  const app = await side.app();
  try {
    await acked(app, warmUp);
    const atMs = performance.now();
    await strike(a);
    const next = await until("a promoted replica", () => otherPrimary(side));
    const promotedMs = performance.now() - atMs;
    await arrived(app, next, atMs + 50);
    await acked(app, warmUp, performance.now());
    app.stop();
    const acks = [...app.acks];
    return {
      figures: {
        [GAP]: longestGapMs(acks),
        [LOST]: await lostOf(acks, next),
        acknowledged: acks.length,
        "promoted after, ms": Math.round(promotedMs),
      },
      said: [],
    };
  } finally {
    app.stop();
  }
}

async function oldPrimaryReturns(side: Side): Promise<Result> {
  const a = server(side, "a");
  const stays = await side.stays();
  try {
    await acked(stays, warmUp);
    await a.kill();
    await until("a promoted replica", () => otherPrimary(side));
    await pause(2000);
    await a.start();
    const startedAtMs = performance.now();
    const next = await until("the old primary as a replica", async () => {
      const primary = await otherPrimary(side);
      return primary !== null && (await follows(a, primary)) ? primary : null;
    });
    const demotedMs = performance.now() - startedAtMs;
    stays.stop();
    const after = stays.acks.filter(({ atMs }) => atMs >= startedAtMs);
    const before = stays.acks.filter(({ atMs }) => atMs < startedAtMs);
    const last = after.at(-1)?.atMs ?? startedAtMs;
    return {
      figures: {
        [TOOK]: Math.round(last - startedAtMs),
        [OLD]: after.length,
        [LOST]: await lostOf(after, next),
        "it followed after, ms": Math.round(demotedMs),
        "lost of those before the crash": await lostOf(before, next),
      },
      said: few(await side.said(), /^(\+convert-to-slave|\+sealed|\+lost-writes)/),
    };
  } finally {
    stays.stop();
  }
}

const cutMs = 30_000;

/** a and a client in its box live on, and hear nobody else for 30 s. */
async function cutOff(side: Side): Promise<Result> {
  const { box } = side;
  if (box === null) throw new Error("nothing stands in a box here");
  const a = server(side, "a");
  const app = await side.app();
  const stays = await side.stays();
  try {
    await acked(app, warmUp);
    await acked(stays, warmUp);
    const cutAtMs = performance.now();
    box.cut();
    const next = await until("a promoted replica", () => otherPrimary(side));
    await arrived(app, next, cutAtMs + 50);
    await pause(cutMs - (performance.now() - cutAtMs));
    box.heal();
    const healedAtMs = performance.now();
    await until("the old primary as a replica", () => follows(a, next));
    const demotedMs = performance.now() - healedAtMs;
    await acked(app, warmUp, performance.now());
    app.stop();
    stays.stop();
    const old = stays.acks.filter(({ atMs }) => atMs >= cutAtMs);
    // Which library it was does not matter here: it writes at the new one since the first it acknowledged.
    const elsewhere = app.acks
      .filter(({ atMs }) => atMs >= cutAtMs + 50)
      .map((ack) => ({ ...ack, by: nameOf(next) }));
    return {
      figures: {
        [GAP]: longestGapMs(app.acks),
        [LOST]: await lostOf([...app.acks, ...stays.acks], next),
        [BOTH]: byBoth([...elsewhere, ...old], nameOf(a), nameOf(next)),
        "acknowledged by the cut-off primary": old.length,
        "it followed after, ms": Math.round(demotedMs),
      },
      said: few(await side.said(), /^(\+convert-to-slave|\+sealed|\+lost-writes)/),
    };
  } finally {
    app.stop();
    stays.stop();
    box.heal();
  }
}

async function plannedSwitch(side: Side): Promise<Result> {
  const app = await side.app();
  try {
    await acked(app, warmUp);
    const askedAtMs = performance.now();
    await side.switchOver();
    const next = await until("a promoted replica", () => otherPrimary(side));
    const promotedMs = performance.now() - askedAtMs;
    await arrived(app, next, performance.now());
    await acked(app, warmUp, performance.now());
    app.stop();
    const acks = [...app.acks];
    return {
      figures: {
        [GAP]: longestGapMs(acks),
        [LOST]: await lostOf(acks, next),
        acknowledged: acks.length,
        "promoted after, ms": Math.round(promotedMs),
      },
      said: [],
    };
  } finally {
    app.stop();
  }
}

const plain = { redisArgs: [], boxed: false };

export const cases: readonly Case[] = [
  {
    ...plain,
    id: "kill",
    title: "the primary is killed (SIGKILL)",
    run: (side) => failover(side, (a) => a.kill()),
  },
  {
    ...plain,
    id: "stop",
    title: "the primary hangs (SIGSTOP)",
    run: (side) => failover(side, (a) => a.kill("SIGSTOP")),
  },
  {
    ...plain,
    id: "empty",
    title: "the primary restarts empty in 100 ms",
    run: restartsEmpty,
  },
  {
    ...plain,
    id: "returns",
    title: "the old primary returns after a failover, and a client stayed at its address",
    run: oldPrimaryReturns,
  },
  {
    id: "cut",
    title: "the primary is cut off for 30 s, and a client stayed beside it",
    redisArgs: [],
    boxed: true,
    run: cutOff,
  },
  { ...plain, id: "switch", title: "a planned switch under writes", run: plannedSwitch },
  {
    id: "links",
    title:
      "the replication links are silently down for 8 s, then SIGKILL; it returns with its data after 5 s",
    redisArgs: ["--appendonly", "yes"],
    boxed: false,
    run: linkDown,
  },
];
