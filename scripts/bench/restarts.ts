/**
 * Cases in which the primary comes back by itself: empty at once, or late and whole.
 *
 * Promises and must never: as cases.ts.
 */
import { setTimeout as pause } from "node:timers/promises";
import { BEFORE, few, GAP, LOST, type Result, server, warmUp } from "./figures.ts";
import { acked, follows, ids, isPrimary, longestGapMs, lostOf, type Side, until } from "./side.ts";
import { ask } from "./writer.ts";

/** The one that all others follow. */
const settled = (side: Side) =>
  until("one primary that everybody follows", async () => {
    for (const one of ids.map((id) => server(side, id))) {
      const others = ids.map((id) => server(side, id)).filter((each) => each !== one);
      const follow = await Promise.all(others.map((other) => follows(other, one)));
      if (follow.every(Boolean) && (await isPrimary(one))) return one;
    }
    return null;
  });

export async function restartsEmpty(side: Side): Promise<Result> {
  const a = server(side, "a");
  const app = await side.app();
  try {
    await acked(app, 2 * warmUp);
    await a.kill();
    await pause(100);
    await a.start();
    const startedAtMs = performance.now();
    await acked(app, warmUp, startedAtMs);
    const primary = await settled(side);
    await acked(app, warmUp, performance.now());
    app.stop();
    const acks = [...app.acks];
    const before = acks.filter(({ atMs }) => atMs < startedAtMs);
    return {
      figures: {
        [GAP]: longestGapMs(acks),
        [LOST]: await lostOf(acks, primary),
        [BEFORE]: before.length,
      },
      said: few(await side.said(), /^(\+wiped|\+switch-master|\+reboot)/),
    };
  } finally {
    app.stop();
  }
}

const silentMs = 8000;
/** The supervisor of the primary takes its time. */
const awayMs = 5000;

export async function linkDown(side: Side): Promise<Result> {
  const a = server(side, "a");
  const app = await side.app();
  try {
    await acked(app, warmUp);
    await ask(a, ["ACL", "SETUSER", "default", "-psync", "-sync"]);
    await ask(a, ["CLIENT", "KILL", "TYPE", "replica"]);
    await pause(silentMs);
    const warned = few(await side.said(), /^\+link-down/);
    const killedAtMs = performance.now();
    await a.kill();
    await pause(awayMs);
    await a.start();
    const startedAtMs = performance.now();
    const primary = await settled(side);
    await acked(app, warmUp, startedAtMs);
    app.stop();
    const acks = [...app.acks];
    return {
      figures: {
        [GAP]: longestGapMs(acks),
        [LOST]: await lostOf(acks, primary),
        acknowledged: acks.length,
        "promoted a stale replica": primary === a ? 0 : 1,
        "said so before the crash": warned.length > 0 ? 1 : 0,
        "steady again after, ms": Math.round(performance.now() - killedAtMs),
      },
      said: [
        ...warned,
        ...few(await side.said(), /^(\+switch-master|-failover-abort-no-good-slave)/),
      ],
    };
  } finally {
    app.stop();
  }
}
