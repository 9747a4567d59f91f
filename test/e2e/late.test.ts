/**
 * Nobody looked for a while, as between two crons or after a long eviction, and the primary died meanwhile: by
 * then its replicas have missed it for longer than Sentinel's rule for a link allows, and yet one is promoted.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must, type Scene, startScene } from "../support/stack.ts";

describe("a group that is looked at late", () => {
  let scene: Scene;
  beforeAll(async () => {
    // Ten times down_after_ms is one second here; by default it is half of what lies between two crons.
    const settings = { check_interval_ms: 60_000, probe_timeout_ms: 300, down_after_ms: 100 };
    scene = await startScene({ push: false, settings });
    await scene.published();
    // It returns when there is nothing left to do: from here on nobody looks.
    await scene.cron();
  });
  afterAll(() => scene?.stop());

  it("P9 S00.8 the primary died long before the first look: a replica that followed it takes over", async () => {
    await scene.server("a").kill();
    await scene.eventually("links to be down for long", async () => {
      const seen = await Promise.all([scene.facts("b"), scene.facts("c")]);
      return seen.every((facts) => (facts?.linkDownMs ?? 0) >= 3000);
    });
    await scene.crashWorker();
    const mark = await scene.mark();
    await scene.cron();
    const { epoch, state, primary } = await scene.route();
    expect({ epoch, state }).toEqual({ epoch: 2, state: "up" });
    const promoted = must(primary, "primary").id;
    await scene.steady(promoted, [promoted === "b" ? "c" : "b"]);
    const names = (await scene.events(mark)).map(({ name }) => name);
    expect(names).not.toContain("-failover-abort-no-good-slave");
  });
});
