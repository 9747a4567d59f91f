/**
 * What counts as down, on real processes: stopped and thawed, killed and restarted; and a replica that dies.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Scene, startScene } from "../support/stack.ts";

describe("a primary that cannot fail over, since its votes are short", () => {
  let scene: Scene;
  const votes = async (node: number) =>
    Object.values((await scene.view()).nodes[node]?.vantages ?? {}).map(({ vote }) => vote);
  beforeAll(async () => {
    scene = await startScene({ settings: { quorum: 3 } });
    await scene.relay("c").kill();
  });
  afterAll(() => scene?.stop());

  it("S07.1 SIGSTOP: subjectively down; SIGCONT: up again, and nothing was changed", async () => {
    const mark = await scene.mark();
    await scene.server("a").kill("SIGSTOP");
    await scene.event("+sdown", mark, "a");
    await scene.eventually("two votes for down", async () => {
      return (await votes(0)).filter((vote) => vote === "down").length === 2;
    });
    await scene.server("a").kill("SIGCONT");
    await scene.event("-sdown", mark, "a");
    await scene.eventually("two votes for up", async () => {
      return (await votes(0)).filter((vote) => vote === "up").length === 2;
    });
    expect(await scene.view()).toMatchObject({ phase: "watching", epoch: 1, primary: "a" });
    expect(await scene.facts("a")).toMatchObject({ role: "primary", minReplicasToWrite: 0 });
  });

  it("S07.2 killed: subjectively down; restarted: up again under another run id", async () => {
    const mark = await scene.mark();
    await scene.server("a").kill();
    await scene.event("+sdown", mark, "a");
    await scene.server("a").start();
    await scene.event("-sdown", mark, "a");
    await scene.event("+reboot", mark, "a");
    expect(await scene.view()).toMatchObject({ phase: "watching", epoch: 1, primary: "a" });
    expect(await scene.data("a", "SET", "k", "v")).toEqual({ result: "OK" });
  });
});

describe("three nodes", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene();
  });
  afterAll(() => scene?.stop());

  it("F2 a replica dies: it leaves the route, and nobody is promoted", async () => {
    await scene.server("c").kill();
    const route = await scene.eventually("a route without it", async () => {
      const now = await scene.route();
      return now.replicas.map(({ id }) => id).join() === "b" && now;
    });
    expect(route).toMatchObject({ state: "up", epoch: 1, primary: { id: "a" } });
    expect((await scene.view()).nodes[2]).toMatchObject({ id: "c", verdict: "down" });
  });

  it("F3 and comes back into it when it follows again", async () => {
    await scene.server("c").start();
    await scene.steady("a");
  });

  it("S07.1 SIGSTOP for long: replaced; SIGCONT: it thaws as a stranger, and is demoted", async () => {
    const mark = await scene.mark();
    await scene.server("a").kill("SIGSTOP");
    await scene.event("+switch-master", mark);
    const primary = (await scene.route()).primary?.id ?? "";
    expect(primary).not.toBe("a");
    await scene.steady(
      primary,
      ["b", "c"].filter((id) => id !== primary),
    );
    await scene.server("a").kill("SIGCONT");
    await scene.steady(primary);
    expect(await scene.facts("a")).toMatchObject({ minReplicasToWrite: 0 });
  });
});
