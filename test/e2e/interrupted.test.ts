/**
 * The Worker's runtime dies in the middle, and cron is all there is: whoever wakes next finishes what was begun.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PhaseKind } from "../../worker/core/state.ts";
import { type Scene, startScene } from "../support/stack.ts";

describe("G8, S05.3, S05.4 the runtime dies, and everything that was only in memory with it", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene();
  });
  afterAll(() => scene?.stop());

  const primaries = async () => {
    const seen = await Promise.all(scene.ids.map((id) => scene.facts(id)));
    return scene.ids.filter((_, index) => seen[index]?.role === "primary");
  };
  const savedPhase = async (): Promise<PhaseKind> => {
    const [row] = await (await scene.storage()).exec("SELECT json FROM state");
    return JSON.parse(String((row as { json?: unknown }).json)).phase.kind;
  };
  /** Kills the primary, interferes until another one is in force, and brings the old one back. */
  const failoverWhile = async (interfere: () => Promise<unknown>) => {
    const { primary: old, epoch } = await scene.view();
    await scene.server(old ?? "").kill();
    await scene.eventually(
      "another primary",
      async () => {
        await interfere();
        scene.wake();
        return (await scene.route()).epoch > epoch && (await scene.route()).state === "up";
      },
      { withinMs: 30_000 },
    );
    const primary = (await scene.route()).primary?.id ?? "";
    expect(primary).not.toBe(old);
    await scene.server(old ?? "").start();
    await scene.steady(primary);
    expect(await primaries()).toEqual([primary]);
    await scene.eventually("the same in KV", async () => {
      return (await scene.kvRoute())?.epoch === (await scene.view()).epoch;
    });
  };

  it.each(["fencing", "electing", "promoting", "publishing", "repointing"] as const)(
    "once it stands in %s, or beyond",
    async (phase) => {
      const order = ["watching", "fencing", "electing", "promoting", "publishing", "repointing"];
      let done = false;
      await failoverWhile(async () => {
        if (done) return;
        const now = await savedPhase();
        if (order.indexOf(now) < order.indexOf(phase)) return;
        done = true;
        await scene.crashWorker();
      });
    },
  );

  it("again and again while it fails over", async () => {
    let left = 4;
    await failoverWhile(async () => {
      if (left <= 0) return;
      left -= 1;
      await scene.crashWorker();
    });
  });
});

describe("scheduled only: no alarm, one cron call does it all", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({ settings: { check_interval_ms: 60_000 } });
  });
  afterAll(() => scene?.stop());

  it("between two crons nobody looks", async () => {
    await scene.cron();
    // What the cron began (the first publishing) is over when nothing is pending any more.
    await scene.eventually("quiet", async () => {
      const [row] = await (await scene.storage()).exec("SELECT json FROM state");
      return JSON.parse(String((row as { json?: unknown }).json)).pending.length === 0;
    });
    const before = await scene.looksAt("b");
    // The route goes on; none of its readers is a look.
    for (let n = 0; n < 20; n += 1) await scene.route();
    expect(await scene.looksAt("b")).toBe(before);
  });

  it("S00.8 the primary is killed: the next cron detects it and fails over", async () => {
    await scene.server("a").kill();
    expect((await scene.view()).primary).toBe("a");
    await scene.cron();
    const { primary } = await scene.view();
    expect(primary).not.toBe("a");
    await scene.server("a").start();
    await scene.cron();
    await scene.eventually("everyone to follow", async () => {
      await scene.cron();
      const others = scene.ids.filter((id) => id !== primary);
      const following = await Promise.all(others.map((id) => scene.follows(id, primary ?? "")));
      return following.every(Boolean);
    });
  });
});
