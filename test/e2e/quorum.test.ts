/**
 * Who must agree before a primary is called dead: too few votes, one that errs, one that speaks nonsense.
 */
import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../scripts/redis-server.ts";
import { must, type Scene, startScene } from "../support/stack.ts";

describe("every one of three vantages is needed", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({ settings: { quorum: 3 } });
  });
  afterAll(() => scene?.stop());

  it("S00.12 F9 the primary dies while one relay is away: too few votes, no failover", async () => {
    await scene.relay("c").kill();
    await scene.eventually("the relay to be missed", async () => {
      const { nodes } = await scene.view();
      return nodes[0]?.vantages["relay:c"]?.class === "relay-unreachable";
    });
    await scene.server("a").kill();
    const mark = await scene.mark();
    await scene.eventually("both others to see it down", async () => {
      const { nodes } = await scene.view();
      const votes = Object.values(nodes[0]?.vantages ?? {}).map(({ vote }) => vote);
      return votes.filter((vote) => vote === "down").length === 2;
    });
    await scene.looks(20, { by: 2 });
    const view = await scene.view();
    expect(view).toMatchObject({ phase: "watching", primary: "a", epoch: 1 });
    expect(await scene.events(mark)).not.toContainEqual(
      expect.objectContaining({ name: "+try-failover" }),
    );
    expect(await scene.facts("b")).toMatchObject({ role: "replica" });
  });

  it("S00.14 S11 the relay is started again, and no second observer: with all of them the failover happens, and roles match", async () => {
    await scene.relay("c").start();
    await scene.eventually(
      "another primary",
      async () => (await scene.route()).primary?.id !== "a",
    );
    const primary = must((await scene.route()).primary, "primary").id;
    await scene.steady(primary, [primary === "b" ? "c" : "b"]);
    for (const { vantages } of (await scene.view()).nodes)
      expect(Object.keys(vantages)).toEqual(["relay:a", "relay:b", "relay:c"]);
  });
});

describe("one of three observers is wrong", () => {
  let scene: Scene;
  const servers: Server[] = [];
  beforeAll(async () => {
    const nobody = { host: "127.0.0.1", port: await freePort() };
    scene = await startScene({
      reach: (relay, node) => (relay === "c" && node === "a" ? nobody : undefined),
    });
  });
  afterAll(async () => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    await scene?.stop();
  });

  it("G2 one of three sees the primary down: it is told, and nothing is done", async () => {
    await scene.event("+sdown", 0, "a");
    await scene.looks(20);
    const view = await scene.view();
    expect(view).toMatchObject({ phase: "watching", primary: "a", epoch: 1, state: "up" });
    expect(view.nodes[0]).toMatchObject({ verdict: "up" });
    expect(view.nodes[0]?.vantages["relay:c"]).toMatchObject({ vote: "down", class: "refused" });
    const names = (await scene.events()).map(({ name }) => name);
    expect(names).not.toContain("+odown");
    expect(names).not.toContain("+try-failover");
  });

  it("G21 X8 a relay that answers garbage is a fault of the relay: never up, no failover by it", async () => {
    const port = Number(new URL(scene.relay("a").url).port);
    await scene.relay("a").kill();
    const answers = [
      "<html>hello</html>",
      '{"result":"PONG"}',
      "[]",
      '[{"result":"PONG"}]',
      "\\0\\0\\0",
    ];
    let served = 0;
    const garbage = createServer((request, response) => {
      request.resume();
      served += 1;
      response.end(answers[served % answers.length]);
    });
    servers.push(garbage);
    await new Promise<void>((resolve) => garbage.listen(port, "127.0.0.1", resolve));
    const before = served;
    await scene.eventually("60 answers of garbage", () => served >= before + 60, {
      withinMs: 20_000,
    });
    const view = await scene.view();
    for (const node of view.nodes) {
      expect(["malformed", "relay-unreachable"]).toContain(node.vantages["relay:a"]?.class);
      expect(node.vantages["relay:a"]?.vote).not.toBe("up");
    }
    // Nobody but relay:a's machine is in doubt, so only the node beside it has two votes against it.
    expect(view.nodes.find(({ id }) => id === "b")).toMatchObject({ verdict: "up" });
  });
});
