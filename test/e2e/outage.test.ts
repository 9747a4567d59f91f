/**
 * Every node of three goes down and comes back: the stored primary is restored, in whatever order they return.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must, type Scene, startScene } from "../support/stack.ts";

const orders = ["abc", "acb", "bac", "bca", "cab", "cba"].map((order) => [...order]);

describe("an outage of all three nodes", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene();
  });
  afterAll(() => scene?.stop());

  /** Kills everyone, and waits until that was seen. */
  const outage = async () => {
    const mark = await scene.mark();
    await Promise.all(scene.ids.map((id) => scene.server(id).kill()));
    await scene.event("+outage", mark);
  };
  /** What counts: an attempt that found everyone dead as well and was given up has used an epoch, no more. */
  const switches = async (mark: number) =>
    (await scene.events(mark)).filter(({ name }) => name === "+switch-master");
  /** One after the other, each only when the one before was seen. */
  const startInOrder = async (order: readonly string[]) => {
    for (const id of order) {
      await scene.server(id).start();
      await scene.eventually(`${id} to be seen`, async () => {
        const { nodes } = await scene.view();
        return nodes.find((node) => node.id === id)?.class === "up";
      });
    }
  };

  it("R4 no node is up: the route says down and keeps the last primary, and the relay's error is clear", async () => {
    await outage();
    const route = await scene.eventually("the route to be down", async () => {
      const now = await scene.route();
      return now.state === "down" && now;
    });
    expect(route).toMatchObject({ primary: { id: "a" } });
    await scene.eventually("because", async () =>
      /^a is down: .*; and so is every other node/.test((await scene.view()).because),
    );
    expect((await scene.data("a", "GET", "k")).error).toMatch(/^NODE_REFUSED /);
    const asked = await scene.api("/v1/groups/cache/failover", { body: {} });
    expect(asked).toMatchObject({ status: 409, body: { code: "NOGOODSLAVE" } });
    await scene.eventually("KV to say so", async () => (await scene.kvRoute())?.state === "down");
  });

  it("G5 R4 they return: the stored primary is the primary, the others its replicas", async () => {
    await startInOrder(["c", "b", "a"]);
    await scene.steady("a");
    expect(await switches(0)).toEqual([]);
  });

  it("G5 after a failover the new primary is the stored one, with redis.conf as it was rewritten", async () => {
    await scene.api("/v1/groups/cache/failover", { body: { to: "b" } });
    await scene.steady("b");
    const mark = await scene.mark();
    for (const order of orders) {
      await outage();
      await startInOrder(order);
      await scene.steady("b");
      expect(await switches(mark), order.join()).toEqual([]);
    }
  }, 90_000);

  it("R4 the stored primary never returns: after primary_start_timeout_ms a replica is promoted", async () => {
    await scene.harness.update((same) => ({
      ...same,
      workers: same.workers.map((worker) =>
        "vars" in worker
          ? {
              ...worker,
              vars: { GROUPS: [{ ...scene.variables.GROUPS[0], primary_start_timeout_ms: 500 }] },
            }
          : worker,
      ),
    }));
    await scene.steady("b");
    await outage();
    await startInOrder(["c", "a"]);
    await scene.eventually(
      "another primary",
      async () => (await scene.route()).primary?.id !== "b",
    );
    const primary = must((await scene.route()).primary, "primary").id;
    await scene.steady(primary, [primary === "a" ? "c" : "a"]);
    const mark = await scene.mark();
    await scene.server("b").start();
    await scene.steady(primary);
    expect(await switches(mark)).toEqual([]);
  });
});
