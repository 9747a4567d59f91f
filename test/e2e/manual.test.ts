/**
 * What an operator sees and does: a failover by hand, the refusals, and the shapes of the API.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseRoute } from "../../worker/core/route.ts";
import { must, type Scene, startScene } from "../support/stack.ts";

describe("an operator of three nodes", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene();
  });
  afterAll(() => scene?.stop());

  /** Both replicas were seen good for often enough. */
  const electable = () =>
    scene.eventually("two candidates", async () => (await scene.view()).candidates.length === 2);

  it("S00.6 GET /v1/groups lists every group in a line, and which configuration runs", async () => {
    const { status, body } = await scene.api("/v1/groups");
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        configuration: { source: "deployed", keptAt: null, complaints: [] },
        groups: [
          {
            name: "cache",
            phase: "watching",
            epoch: 1,
            rev: expect.any(Number),
            state: "up",
            primary: "a",
            because: expect.stringMatching(/^a is up as primary: 3 of 3 vantages see it/),
          },
        ],
      },
    });
  });

  it("GET /v1/groups/:group tells every node as every vantage sees it", async () => {
    const view = await scene.view();
    expect(view).toMatchObject({
      name: "cache",
      mode: "replication",
      phase: "watching",
      quorum: 2,
    });
    expect(view).toMatchObject({ epoch: 1, primary: "a", state: "up", dropped: 0 });
    expect(view.because).not.toBe("");
    expect(Object.keys(view.publishers).sort()).toEqual(["dns", "kv"]);
    for (const node of view.nodes) {
      const role = node.id === "a" ? "primary" : "replica";
      expect(node).toMatchObject({ class: "up", verdict: "up", role, sealed: false });
      expect(node).toMatchObject({ host: "127.0.0.1", port: scene.server(node.id).port });
      expect(node.offset).toBeGreaterThanOrEqual(0);
      expect(node.lagBytes).toBeGreaterThanOrEqual(0);
      expect(Object.keys(node.vantages)).toEqual(["relay:a", "relay:b", "relay:c"]);
      for (const seen of Object.values(node.vantages))
        expect(seen).toMatchObject({ vote: "up", class: "up", detail: "PONG", failures: 0 });
    }
  });

  it("the route is of the one schema, and reading needs only the read token", async () => {
    const { status, body } = await scene.api("/v1/groups/cache/route", {
      token: "read-token-of-the-demo",
    });
    expect(status).toBe(200);
    expect(parseRoute(body)).toEqual(body);
    expect(JSON.stringify(body)).not.toMatch(/token/i);
  });

  it("events are numbered, and paged by number", async () => {
    const all = await scene.events();
    expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => index + 1));
    const monitor = all.find(({ name }) => name === "+monitor");
    expect(monitor).toMatchObject({ node: "a", epoch: 1, data: {} });
    for (const { atMs, text } of all) {
      expect(atMs).toBeLessThanOrEqual(Date.now());
      expect(text).not.toBe("");
    }
    const { body } = await scene.api("/v1/groups/cache/events?after=1&limit=1");
    expect(body).toMatchObject({ events: [all[1]], oldest: 1 });
  });

  it("S05.1 a failover by hand works; a second call while it runs is refused with INPROG", async () => {
    const failover = () => scene.api("/v1/groups/cache/failover", { method: "POST", body: {} });
    const answers = await Promise.all([failover(), failover(), failover()]);
    const accepted = answers.filter(({ status }) => status === 202);
    expect(accepted.map(({ body }) => body)).toMatchObject([{ accepted: true, epoch: 2 }]);
    for (const { status, body } of answers.filter((each) => !accepted.includes(each)))
      expect({ status, ...(body as object) }).toMatchObject({ status: 409, code: "INPROG" });
    await scene.eventually(
      "another primary",
      async () => (await scene.route()).primary?.id !== "a",
    );
  });

  it("S05.2 the new one is primary, replicas follow it, the old one was demoted", async () => {
    const primary = must((await scene.route()).primary, "primary").id;
    const { epoch } = await scene.steady(primary);
    expect(epoch).toBe(2);
    expect(await scene.facts("a")).toMatchObject({ role: "replica", linkUp: true });
  });

  it("a named replica is promoted; the one in force is refused; writes are kept", async () => {
    const before = must((await scene.route()).primary, "primary").id;
    expect(await scene.data(before, "SET", "kept", "yes")).toEqual({ result: "OK" });
    const target = before === "c" ? "b" : "c";
    const asked = await scene.api("/v1/groups/cache/failover", { body: { to: target } });
    expect(asked).toMatchObject({ status: 202, body: { accepted: true, epoch: 3 } });
    await scene.steady(target);
    expect(await scene.data(target, "GET", "kept")).toEqual({ result: "yes" });
    const again = await scene.api("/v1/groups/cache/failover", { body: { to: target } });
    expect(again).toMatchObject({ status: 409, body: { code: "ISPRIMARY" } });
  });

  it("NOGOODSLAVE: with every replica dead it is refused, each with its reason, and nothing changes", async () => {
    const { primary, replicas, epoch } = await scene.route();
    for (const { id } of replicas) await scene.server(id).kill();
    await scene.steady(must(primary, "primary").id, []);
    await scene.published();
    const before = await scene.version();
    const { status, body } = await scene.api("/v1/groups/cache/failover", { body: {} });
    expect(status).toBe(409);
    expect(body).toMatchObject({
      code: "NOGOODSLAVE",
      reasons: replicas.map(({ id }) => ({
        node: id,
        reason: expect.any(String),
      })),
    });
    expect(await scene.version()).toBe(before);
    expect((await scene.route()).epoch).toBe(epoch);
    expect(await scene.data(must(primary, "primary").id, "SET", "still", "1")).toEqual({
      result: "OK",
    });
    for (const { id } of replicas) await scene.server(id).start();
    await scene.steady(must(primary, "primary").id);
  });

  it("the primary lives and cannot be sealed: nothing is forced on it, and it takes writes as before", async () => {
    const { primary, epoch } = await scene.route();
    const id = must(primary, "primary").id;
    const mark = await scene.mark();
    await electable();
    await scene.ask(id, ["ACL", "SETUSER", "default", "-config|set"]);
    const asked = await scene.api("/v1/groups/cache/failover", { body: {} });
    expect(asked.status).toBe(202);
    const ended = await scene
      .event("-failover-abort-not-sealed", mark, id)
      .finally(() => scene.ask(id, ["ACL", "SETUSER", "default", "+config|set"]));
    expect(ended.text).toMatch(/nothing is forced on it/);
    const refused = await scene.event("-sealed", mark, id);
    expect(refused.text).toContain("NOPERM");
    const after = await scene.steady(id);
    expect(after.epoch).toBe(epoch + 1);
    const names = (await scene.events(mark)).map(({ name }) => name);
    expect(names).not.toContain("+selected-slave");
    expect(await scene.facts(id)).toMatchObject({ role: "primary", minReplicasToWrite: 0 });
    expect(await scene.data(id, "SET", "as-before", "1")).toEqual({ result: "OK" });
  });

  it("the same when it can be sealed again: it moves, and nothing written meanwhile is lost", async () => {
    await electable();
    const before = must((await scene.route()).primary, "primary").id;
    const asked = await scene.api("/v1/groups/cache/failover", { body: {} });
    expect(asked.status).toBe(202);
    const after = await scene.eventually("another primary", async () => {
      const { state, primary } = await scene.route();
      return state === "up" && primary !== null && primary.id !== before && primary.id;
    });
    await scene.steady(after);
    expect(await scene.data(after, "GET", "as-before")).toEqual({ result: "1" });
  });
});
