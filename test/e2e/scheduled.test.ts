/**
 * check_interval_ms = 60000, the free plan: no alarm, and one call of cron detects, fails over and repairs.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must, type Scene, startScene } from "../support/stack.ts";

describe("scheduled only", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({ push: false, settings: { check_interval_ms: 60_000 } });
    await scene.published();
    await scene.cron();
  });
  afterAll(() => scene?.stop());

  it("between two crons it neither looks nor decides, also when the primary is dead", async () => {
    await scene.server("a").kill();
    const before = { version: await scene.version(), looks: await scene.looksAt("b") };
    for (let asked = 0; asked < 100; asked += 1) await scene.view();
    expect({ version: await scene.version(), looks: await scene.looksAt("b") }).toEqual(before);
    expect((await scene.route()).primary?.id).toBe("a");
  });

  it("one cron detects it, fails over, publishes and repoints", async () => {
    const { outcome } = await scene.cron();
    expect(outcome).toBe("ok");
    const { state, primary, replicas, epoch } = await scene.route();
    const promoted = must(primary, "primary").id;
    expect({ state, epoch }).toEqual({ state: "up", epoch: 2 });
    expect(promoted).not.toBe("a");
    expect((await scene.view()).phase).toBe("watching");
    expect(replicas).toHaveLength(1);
    expect(await scene.follows(must(replicas[0], "replica").id, promoted)).toBe(true);
    expect(await scene.kvRoute()).toMatchObject({
      epoch: 2,
      state: "up",
      primary: { id: promoted },
    });
  });

  it("S00.11 one cron brings the old primary back as a replica", async () => {
    await scene.server("a").start();
    await scene.cron();
    const { primary, replicas } = await scene.route();
    expect(await scene.follows("a", must(primary, "primary").id)).toBe(true);
    expect(replicas.map(({ id }) => id)).toContain("a");
  });

  it("an operator's failover needs no cron", async () => {
    const asked = await scene.api("/v1/groups/cache/failover", { body: { to: "a" } });
    expect(asked).toMatchObject({ status: 202, body: { accepted: true, epoch: 3 } });
    await scene.steady("a");
  });
});
