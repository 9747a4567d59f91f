/**
 * The primary is killed: another one takes over, everybody is told, and the old one comes back as a replica.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must, type Scene, startScene } from "../support/stack.ts";

/** An address of its own for each node, so that a DNS answer tells who is meant. */
const hosts: Record<string, string> = { a: "127.0.0.11", b: "127.0.0.12", c: "127.0.0.13" };

describe("three nodes", () => {
  let scene: Scene;
  let promoted = "";
  let other = "";
  beforeAll(async () => {
    scene = await startScene({ hostOf: (id) => must(hosts[id], id) });
  });
  afterAll(() => scene?.stop());

  it("S02.1 replicas follow the current primary, link up, and everyone is told who it is", async () => {
    await scene.eventually("the DNS answer", async () =>
      (await scene.resolved()).includes("127.0.0.11"),
    );
    await scene.eventually("KV", async () => (await scene.kvRoute())?.primary?.id === "a");
    expect(await scene.follows("b", "a")).toBe(true);
    expect(await scene.follows("c", "a")).toBe(true);
    expect(await scene.data("a", "SET", "before", "1")).toEqual({ result: "OK" });
  });

  it("S00.8 X1 the primary is killed: route, KV and DNS answer a new address, and it takes writes", async () => {
    const before = await scene.route();
    await scene.server("a").kill();
    const after = await scene.eventually("another primary", async () => {
      const route = await scene.route();
      return route.state === "up" && route.primary?.id !== "a" && route;
    });
    promoted = must(after.primary, "primary").id;
    other = promoted === "b" ? "c" : "b";
    expect(["b", "c"]).toContain(promoted);
    expect(after.epoch).toBe(before.epoch + 1);
    expect(after.primary).toMatchObject({
      host: hosts[promoted],
      port: scene.server(promoted).port,
    });
    expect(after.primary?.rest).toBe(`${scene.relay(promoted).url}/nodes/${promoted}`);
    expect(await scene.data(promoted, "SET", "after", "2")).toEqual({ result: "OK" });
    expect(await scene.data(promoted, "GET", "before")).toEqual({ result: "1" });
    await scene.eventually("the DNS answer", async () => {
      const [answer, ...rest] = await scene.resolved();
      return answer === hosts[promoted] && rest.length === 0;
    });
    expect(scene.cloudflare.records()).toEqual([
      expect.objectContaining({
        comment: expect.stringMatching(new RegExp(`\\b${after.epoch}\\b`)),
      }),
    ]);
    const written = await scene.eventually("KV", async () => {
      const route = await scene.kvRoute();
      return route?.state === "up" && route.epoch === after.epoch && route;
    });
    expect(written.primary).toEqual(after.primary);
  });

  it("S00.9 the new primary says role:master; F1 the old one is listed as down and not routed to", async () => {
    expect(await scene.facts(promoted)).toMatchObject({ role: "primary", minReplicasToWrite: 0 });
    const old = await scene.eventually("a to be listed as down", async () => {
      const { nodes } = await scene.view();
      return nodes.find(({ id, verdict }) => id === "a" && verdict === "down");
    });
    expect(old).toMatchObject({ primary: false, readable: false, class: "refused" });
    const { primary, replicas } = await scene.route();
    expect([primary, ...replicas].map((each) => each?.id)).not.toContain("a");
  });

  it("S00.10 S02.2 after the failover the other replica follows the new primary, link up", async () => {
    await scene.steady(promoted, [other]);
    const facts = must(await scene.facts(other), other);
    expect(facts.replicaOf).toEqual({ host: hosts[promoted], port: scene.server(promoted).port });
    expect(await scene.ask(other, ["GET", "after"])).toHaveLength(1);
  });

  it("S00.11 F3 X17 the old primary returns: sealed, demoted, routed to only when it follows", async () => {
    const mark = await scene.mark();
    await scene.server("a").start();
    await scene.steady(promoted);
    // What one relay told alone is in the route at once; that it follows is told when everyone was asked.
    await scene.event("+slave-reconf-done", mark);
    const told = await scene.events(mark);
    const at = (name: string) => told.findIndex((event) => event.name === name);
    const routed = told.findIndex(
      ({ name, data }) =>
        name === "+route" && Array.isArray(data.readable) && data.readable.includes("a"),
    );
    const [sealed, follows] = [at("+sealed"), at("+slave-reconf-done")];
    expect([sealed, follows, routed]).not.toContain(-1);
    expect(sealed).toBeLessThan(Math.min(follows, routed));
    const { primary } = await scene.route();
    expect(primary?.id).toBe(promoted);
    expect(await scene.facts("a")).toMatchObject({ role: "replica", linkUp: true });
  });

  it("F2 a replica dies: it is out of the route; it returns: it is back", async () => {
    await scene.server(other).kill();
    await scene.steady(promoted, ["a"]);
    const before = await scene.route();
    await scene.server(other).start();
    await scene.steady(promoted);
    expect((await scene.route()).epoch).toBe(before.epoch);
  });

  it("S02.3 a replica is dead during the failover: it is repointed when it returns", async () => {
    await scene.server(other).kill();
    await scene.steady(promoted, ["a"]);
    await scene.server(promoted).kill();
    await scene.steady("a", []);
    await scene.server(other).start();
    await scene.steady("a", [other]);
    await scene.server(promoted).start();
    await scene.steady("a");
  });
});
