/**
 * What others do to a group behind its back, on real redis-servers: roles, and a disk that takes no more.
 */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must, type Scene, startScene } from "../support/stack.ts";

describe("three nodes", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({
      settings: { adopt_after_ms: 2000, cooldown_ms: 0, max_failovers_per_hour: 0, grace_ms: 0 },
    });
  });
  afterAll(() => scene?.stop());

  const primary = async () => must((await scene.route()).primary, "primary").id;
  const others = (id: string) => scene.ids.filter((each) => each !== id);
  const names = async (mark: number) => (await scene.events(mark)).map(({ name }) => name);
  const follow = (id: string) => ["REPLICAOF", "127.0.0.1", String(scene.server(id).port)];
  const alone = ["REPLICAOF", "NO", "ONE"];
  /** How often each node was told to change its role, by anybody. */
  const told = async () => {
    const stats = await Promise.all(
      scene.ids.map(async (id) => String(await scene.ask(id, ["INFO", "commandstats"]))),
    );
    return stats.map((text) => Number(/cmdstat_replicaof:calls=(\d+)/.exec(text)?.[1] ?? 0));
  };
  it("G16 X31 somebody makes another node the primary: told, not fought, adopted when it has lasted", async () => {
    const { epoch } = await scene.route();
    const before = await told();
    const mark = await scene.mark();
    await scene.ask("b", alone);
    await scene.ask("a", follow("b"));
    await scene.ask("c", follow("b"));
    await scene.event("+role-change", mark, "a");
    const adopted = await scene.event("+failover-detected", mark, "b");
    // Each was told once, by the person who did it; the adoption came no sooner than it may.
    expect(await told()).toEqual(before.map((count) => count + 1));
    const [change] = (await scene.events(mark)).filter(({ name }) => name === "+role-change");
    expect(adopted.atMs - must(change, "+role-change").atMs).toBeGreaterThanOrEqual(1800);
    await scene.steady("b");
    expect((await scene.route()).epoch).toBe(epoch + 1);
    expect(await names(mark)).not.toContain("+try-failover");
    expect(await scene.view()).toMatchObject({ lastSwitch: { cause: "foreign", to: "b" } });
  });

  it("S07.3 G14 X31 it stays a replica and nobody is primary: told, and settled by a failover", async () => {
    const now = await primary();
    const [other] = others(now);
    const mark = await scene.mark();
    await scene.ask(now, follow(must(other, "replica")));
    await scene.event("+no-primary", mark);
    await scene.event("+switch-master", mark);
    await scene.steady(await primary());
  });

  it("S07.4 X27 MISCONF after a failed save: nobody can write to it, so another one takes over, and it follows", async () => {
    const now = await primary();
    const file = join(scene.server(now).dir, "dump.rdb");
    await rm(file, { force: true });
    await mkdir(file);
    await writeFile(join(file, "in-the-way"), "");
    const mark = await scene.mark();
    await scene.ask(now, ["CONFIG", "SET", "save", "3600 1"], ["BGSAVE"]);
    await scene.event("+switch-master", mark);
    expect(await primary()).not.toBe(now);
    expect(await scene.data(await primary(), "SET", "k", "v")).toEqual({ result: "OK" });
    await scene.ask(now, ["CONFIG", "SET", "save", ""]);
    await scene.steady(await primary());
  });
});
