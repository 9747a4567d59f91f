/**
 * Two machines, each with a Redis and a relay, and no third one: the edge is the witness.
 */
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Scene, startScene } from "../support/stack.ts";

describe("two nodes", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({ ids: ["a", "b"] });
  });
  afterAll(() => scene?.stop());

  const machineDies = (id: string) =>
    Promise.all([scene.relay(id).kill(), scene.server(id).kill()]);
  const machineReturns = (id: string) =>
    Promise.all([scene.relay(id).start(), scene.server(id).start()]);

  it("G26 the primary dies: the replica takes over, and that it has no replica is reported", async () => {
    expect(await scene.data("a", "SET", "kept", "1")).toEqual({ result: "OK" });
    await scene.eventually("the write at b", async () => {
      const [value] = await scene.ask("b", ["GET", "kept"]);
      return String(value) === "1";
    });
    await scene.server("a").kill();
    const { epoch, replicas } = await scene.steady("b", []);
    expect({ epoch, replicas }).toEqual({ epoch: 2, replicas: [] });
    expect(await scene.data("b", "GET", "kept")).toEqual({ result: "1" });
    const { nodes } = await scene.view();
    expect(nodes.find(({ id }) => id === "a")).toMatchObject({ verdict: "down", readable: false });
  });

  it("G26 the last node standing dies as well: nobody can be promoted, each with its reason", async () => {
    const mark = await scene.mark();
    await scene.server("b").kill();
    await scene.eventually(
      "the route to be down",
      async () => (await scene.route()).state === "down",
    );
    await scene.event("+odown", mark, "b");
    const route = await scene.route();
    expect(route).toMatchObject({ primary: { id: "b" }, replicas: [] });
    const asked = await scene.api("/v1/groups/cache/failover", { body: {} });
    expect(asked).toMatchObject({ status: 409, body: { code: "NOGOODSLAVE" } });
    await scene.eventually("because", async () => /^b is down/.test((await scene.view()).because));
  });

  it("G5 the two return in either order: the stored primary is restored, the other its replica", async () => {
    const seen = (id: string) =>
      scene.eventually(`${id} to be seen`, async () =>
        (await scene.view()).nodes.some((node) => node.id === id && node.class === "up"),
      );
    const before = await scene.mark();
    for (const order of [
      ["a", "b"],
      ["b", "a"],
    ]) {
      for (const id of order) {
        await scene.server(id).start();
        await seen(id);
      }
      await scene.steady("b");
      const mark = await scene.mark();
      await Promise.all(order.map((id) => scene.server(id).kill()));
      await scene.event("+outage", mark);
    }
    await scene.server("b").start();
    await scene.server("a").start();
    await scene.steady("b");
    expect((await scene.events(before)).map(({ name }) => name)).not.toContain("+switch-master");
  });

  it("S01.1 a whole machine dies, Redis and relay: the relay that is left carries the failover alone", async () => {
    const mark = await scene.mark();
    const before = (await scene.route()).epoch;
    await machineDies("b");
    expect((await scene.steady("a", [])).epoch).toBe(before + 1);
    const told = await scene.events(mark);
    expect(told.find(({ name }) => name === "-sealed")?.node).toBe("b");
    expect(await scene.data("a", "SET", "after", "1")).toEqual({ result: "OK" });
  });

  it("S00.11 S01.2 the machine returns, its Redis still a primary: sealed, demoted, then routed to; its relay learns the epoch", async () => {
    const mark = await scene.mark();
    const before = (await scene.route()).epoch;
    await machineReturns("b");
    expect((await scene.steady("a")).epoch).toBe(before);
    await scene.eventually(`relay b to hold epoch ${before}`, async () => {
      const { groups } = JSON.parse(await readFile(scene.relay("b").stateFile, "utf8"));
      return groups[0].epoch === before && groups[0].primary === "a";
    });
    await scene.event("+slave-reconf-done", mark);
    const names = (await scene.events(mark)).map(({ name }) => name);
    expect(names.indexOf("+sealed")).toBeGreaterThan(names.indexOf("+convert-to-slave"));
    expect(names.indexOf("+slave-reconf-done")).toBeGreaterThan(names.indexOf("+sealed"));
  });

  it("the machine of the replica dies: nothing is promoted; it returns: it follows", async () => {
    const before = (await scene.route()).epoch;
    await machineDies("b");
    await scene.steady("a", []);
    await machineReturns("b");
    expect((await scene.steady("a")).epoch).toBe(before);
  });
});
