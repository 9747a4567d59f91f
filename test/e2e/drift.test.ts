/**
 * DNS that somebody changes by hand, and the name of the replicas: noticed on the slow beat, told, and set right,
 * with the answers of a real DNS server.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must, type Scene, startScene, tokens } from "../support/stack.ts";

const hosts: Record<string, string> = { a: "127.0.0.31", b: "127.0.0.32", c: "127.0.0.33" };
const replicas = "ro.example.test";

/** What a person does in the dashboard: every field as it was but for one. */
async function byHand({ cloudflare }: Scene, name: string, change: Record<string, unknown>) {
  const record = must(
    cloudflare.records().find((each) => each.name === name),
    name,
  );
  const response = await fetch(
    `${cloudflare.apiUrl}/zones/${cloudflare.zoneId}/dns_records/${record.id}`,
    {
      method: "PATCH",
      headers: {
        authorization: `Bearer ${tokens.cloudflare}`,
        "content-type": "application/json",
      },
      body: JSON.stringify(change),
    },
  );
  expect(response.status, await response.text()).toBe(200);
}

const sorted = async (scene: Scene, name: string) => (await scene.resolved(name)).sort();

describe("what DNS holds is kept right", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({
      hostOf: (id) => must(hosts[id], id),
      settings: { replica_hostname: replicas, drift_interval_ms: 1000, quiet: false },
    });
    await scene.published();
  });
  afterAll(() => scene?.stop());

  it("the replicas have a name, with a record for each that takes reads", () =>
    scene.eventually(
      "b and c",
      async () => (await sorted(scene, replicas)).join() === `${hosts.b},${hosts.c}`,
    ));

  it("G18 a record that is changed by hand is told, and set right", async () => {
    const mark = await scene.mark();
    await byHand(scene, "cache.example.test", { content: "192.0.2.99" });
    const { text } = await scene.event("+drift", mark);
    expect(text).toContain("192.0.2.99");
    await scene.eventually("a again", async () => (await scene.resolved()).join() === hosts.a);
    expect((await scene.view()).epoch).toBe(1);
  });

  it("one of several is set right as well", async () => {
    const mark = await scene.mark();
    await byHand(scene, replicas, { content: "192.0.2.98" });
    await scene.event("+drift", mark);
    await scene.eventually(
      "b and c",
      async () => (await sorted(scene, replicas)).join() === `${hosts.b},${hosts.c}`,
    );
  });

  it("a replica that dies leaves the name, and without any the primary stands there", async () => {
    await scene.server("c").stop();
    await scene.eventually(
      "b alone",
      async () => (await sorted(scene, replicas)).join() === hosts.b,
    );
    await scene.server("b").stop();
    await scene.eventually(
      "a alone",
      async () => (await sorted(scene, replicas)).join() === hosts.a,
    );
    expect(await scene.resolved()).toEqual([hosts.a]);
  });
});

describe('drift = "report"', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({
      ids: ["a", "b"],
      settings: { drift: "report", drift_interval_ms: 1000, quiet: false },
    });
    await scene.published();
  });
  afterAll(() => scene?.stop());

  it("is told once, left alone, and told when it is gone; a failover writes the record all the same", async () => {
    const mark = await scene.mark();
    await byHand(scene, "cache.example.test", { content: "192.0.2.99" });
    await scene.event("+drift", mark);
    await scene.looks(6);
    expect(await scene.resolved()).toEqual(["192.0.2.99"]);
    const told = (await scene.events(mark)).filter(({ name }) => name === "+drift");
    expect(told).toHaveLength(1);
    expect((await scene.view()).publishers.dns?.drift).toContain("192.0.2.99");
    await scene.api("/v1/groups/cache/failover", { body: { to: "b" } });
    await scene.eventually(
      "the new primary",
      async () => (await scene.resolved())[0] !== "192.0.2.99",
    );
    await scene.event("-drift", mark);
  });
});
