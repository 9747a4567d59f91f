/**
 * The first start of a group whose nodes do not agree: nothing is touched until an operator names a primary.
 */
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must, type Scene, startScene } from "../support/stack.ts";

describe("three nodes that nobody ever settled", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({ replicate: false, settled: false });
  });
  afterAll(() => scene?.stop());

  const because = (pattern: RegExp) =>
    scene.eventually(`because: ${pattern}`, async () => pattern.test((await scene.view()).because));
  const verbs = async () => {
    const journals = scene.ids.map((id) => readFile(scene.relay(id).stateFile, "utf8"));
    return (await Promise.all(journals)).flatMap((text) => JSON.parse(text).actions);
  };
  const untouched = async () => {
    await scene.looks(5, { at: "a" });
    expect(await verbs()).toEqual([]);
    expect(await scene.route()).toMatchObject({
      epoch: 0,
      state: "down",
      primary: null,
      replicas: [],
    });
    expect(await scene.resolved()).toEqual([]);
  };

  it("F7 several primaries: nothing is touched, and because says so", async () => {
    await because(/a, b, c of the nodes say they are primary.*bootstrap settles it/);
    await untouched();
    for (const id of scene.ids) expect(await scene.facts(id)).toMatchObject({ role: "primary" });
    expect((await scene.kvRoute())?.primary).toBeNull();
    const asked = await scene.api("/v1/groups/cache/failover", { body: {} });
    expect(asked).toMatchObject({ status: 409, body: { code: "NOTREADY" } });
  });

  it("F7 no primary: nothing is touched", async () => {
    // A ring: whatever mixture of before and after a look meets, it is never a sane replication.
    for (const [id, leader] of ["ab", "bc", "ca"].map((pair) => [...pair])) {
      const port = String(scene.server(must(leader, "leader")).port);
      await scene.ask(must(id, "id"), ["REPLICAOF", "127.0.0.1", port]);
    }
    await because(/none of the nodes say they are primary/);
    await untouched();
  });

  it("F7 one primary that not everyone follows: nothing is touched", async () => {
    await scene.ask("a", ["REPLICAOF", "NO", "ONE"]);
    await because(/b do not follow a/);
    await untouched();
  });

  it("F7 a node that does not answer: nothing is touched", async () => {
    await scene.server("c").kill();
    await because(/c did not answer/);
    await untouched();
    const asked = await scene.api("/v1/groups/cache/bootstrap", { body: { primary: "c" } });
    expect(asked).toMatchObject({ status: 409, body: { code: "NOTREADY" } });
    await untouched();
  });

  it("POST bootstrap settles it, also for the node that comes later; a second one is refused", async () => {
    const asked = await scene.api("/v1/groups/cache/bootstrap", { body: { primary: "b" } });
    expect(asked).toMatchObject({ status: 202, body: { accepted: true, epoch: 1 } });
    await scene.steady("b", ["a"]);
    await scene.server("c").start();
    const { epoch } = await scene.steady("b");
    expect(epoch).toBe(1);
    const again = await scene.api("/v1/groups/cache/bootstrap", { body: { primary: "a" } });
    expect(again).toMatchObject({ status: 409, body: { code: "BOOTSTRAPPED" } });
    expect(await scene.data("b", "SET", "k", "v")).toEqual({ result: "OK" });
  });
});
