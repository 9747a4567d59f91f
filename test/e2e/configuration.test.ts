/**
 * A wrong configuration is deployed: it is refused whole, every complaint is told, and the last good one
 * goes on watching. One that was never right runs nothing, and says why. A right one is in force at once:
 * published where it says something new, and without moving the primary.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must, type Scene, startScene, tokens } from "../support/stack.ts";

type Group = Scene["variables"]["GROUPS"][number] & Record<string, unknown>;

/** Another deploy: other variables, one secret set or not, the same storage. */
const deploy = (scene: Scene, vars: Record<string, unknown>, secret = tokens.data("c")) =>
  scene.harness.update((before) => ({
    ...before,
    workers: before.workers.map((worker) =>
      "configPath" in worker
        ? {
            ...worker,
            vars: JSON.parse(JSON.stringify(vars)),
            secrets: { ...worker.secrets, RELAY_C_DATA: secret },
          }
        : worker,
    ),
  }));

const configuration = async (scene: Scene) => {
  const { status, body } = await scene.api("/v1/groups");
  expect(status).toBe(200);
  return (body as { configuration: { source: string; keptAt: string; complaints: object[] } })
    .configuration;
};

describe("a wrong configuration after a good one", () => {
  let scene: Scene;
  let good: Group;
  beforeAll(async () => {
    scene = await startScene();
    good = must(scene.variables.GROUPS[0], "group");
  });
  afterAll(() => scene?.stop());

  const cases: readonly [string, (group: Group) => Record<string, unknown>, object[]][] = [
    [
      "how the parts fit together, and a secret that is not set",
      (group) => {
        const { hostname: _, ...rest } = group;
        return { GROUPS: [{ ...rest, quorum: 9, nodes: [...group.nodes, { ...group.nodes[0] }] }] };
      },
      [
        { path: "GROUPS[0].nodes", given: "id a more than once", allowed: "each id once" },
        {
          path: "GROUPS[0].quorum",
          given: "9",
          allowed: "at most the 3 vantages: relay:a, relay:b, relay:c",
        },
        {
          path: "GROUPS[0].relays[2].data_token_secret",
          given: "a secret that is not set",
          allowed: "set it first: wrangler secret put RELAY_C_DATA",
        },
        { path: "GROUPS[0].hostname", given: "nothing", allowed: "a host name, since dns is set" },
      ],
    ],
    [
      "no node, an unknown key, a number out of range",
      (group) => ({ GROUPS: [{ ...group, nodes: [], retries: 3, retry_ms: 1 }] }),
      [
        { path: "GROUPS[0].nodes", given: "[]", allowed: "at least one node" },
        {
          path: "GROUPS[0].retries",
          given: "an unknown key",
          allowed: "a key that docs/settings.md lists",
        },
        { path: "GROUPS[0].retry_ms", given: "1", allowed: "a whole number from 10 to 10000" },
      ],
    ],
    [
      "a variable that is too large",
      (group) => ({
        GROUPS: Array.from({ length: 8 }, (_, index) => ({
          ...group,
          name: `cache-${index}`,
          hostname: `cache-${index}.example.test`,
        })),
      }),
      [
        {
          path: "GROUPS",
          given: expect.stringMatching(/^\d+ bytes$/),
          allowed: expect.stringMatching(/^at most 5120 bytes; .*GROUPS_2/),
        },
      ],
    ],
  ];

  it.each(cases)(
    "%s: told with path, given and allowed; the last good one runs",
    async (_, bad, told) => {
      await deploy(scene, bad(good), "");
      scene.wake();
      const { source, keptAt, complaints } = await configuration(scene);
      expect(source).toBe("last-good");
      expect(Date.parse(keptAt)).toBeLessThanOrEqual(Date.now());
      expect(complaints).toEqual(expect.arrayContaining(told));
      expect(JSON.stringify(complaints)).not.toMatch(/token-of/);
      await scene.looks(2);
      expect(await scene.route()).toMatchObject({ state: "up", primary: { id: "a" } });
    },
  );

  it("a failover still works under the last good one, published and all", async () => {
    await scene.server("a").kill();
    await scene.eventually(
      "another primary",
      async () => (await scene.route()).primary?.id !== "a",
    );
    await scene.server("a").start();
    const primary = must((await scene.route()).primary, "primary").id;
    const { epoch } = await scene.steady(primary);
    await scene.eventually("KV", async () => (await scene.kvRoute())?.epoch === epoch);
  });

  it("a good one is deployed again: it is in force, and nobody complains", async () => {
    await deploy(scene, { GROUPS: [{ ...good, retry_ms: 40 }] });
    expect(await configuration(scene)).toEqual({
      source: "deployed",
      keptAt: null,
      complaints: [],
    });
  });

  it("a group is no longer configured: it is not found, its nodes are left alone, cron goes on", async () => {
    await deploy(scene, { GROUPS: [{ ...good, name: "other", hostname: "other.example.test" }] });
    const version = await scene.version();
    expect(await scene.api("/v1/groups/cache")).toMatchObject({ status: 404 });
    await scene.server("b").kill();
    scene.wake();
    await scene.eventually("the other group to look", async () => {
      const { status, body } = await scene.api("/v1/groups/other");
      return status === 200 && (body as { because: string }).because.includes("b did not answer");
    });
    expect(await scene.version()).toBe(version);
  });
});

describe("another right configuration", () => {
  let scene: Scene;
  let good: Group;
  beforeAll(async () => {
    scene = await startScene();
    await scene.published();
    good = must(scene.variables.GROUPS[0], "group");
  });
  afterAll(() => scene?.stop());

  const redeploy = (changed: Record<string, unknown>) =>
    deploy(scene, { GROUPS: [{ ...good, ...changed }] });
  const nodesWith = (id: string, changed: object) =>
    good.nodes.map((node) => (node.id === id ? { ...node, ...changed } : node));
  const failover = (body: object = {}) => scene.api("/v1/groups/cache/failover", { body });
  /** Nothing was moved, and no redis-server was told anything. */
  const unmoved = async (mark: number) => {
    expect((await scene.view()).epoch).toBe(1);
    const names = (await scene.events(mark)).map(({ name }) => name);
    expect(names.filter((name) => !["+route", "+published"].includes(name))).toEqual([]);
  };

  it("a name, a port, a TTL: route, KV and DNS say it, at the same epoch and without a failover", async () => {
    const [mark, before] = [await scene.mark(), await scene.route()];
    const changed = { hostname: "cache.moved.example.test", dns: { ...good.dns, ttl_s: 120 } };
    const port = scene.server("a").port;
    const nodes = nodesWith("a", { port: port === 7001 ? 7002 : 7001, replication_port: port });
    await redeploy({ ...changed, nodes });
    const after = await scene.eventually("the new name", async () => {
      const route = await scene.route();
      return route.hostname === changed.hostname && route;
    });
    expect(after).toMatchObject({
      epoch: before.epoch,
      primary: { id: "a", port: nodes[0]?.port },
    });
    expect(after.rev).toBeGreaterThan(before.rev);
    await scene.eventually("KV", async () => (await scene.kvRoute())?.rev === after.rev);
    expect(await scene.kvRoute()).toEqual(after);
    await scene.published();
    expect(await scene.resolved(changed.hostname)).toEqual(["127.0.0.1"]);
    const record = scene.cloudflare.records().find(({ name }) => name === changed.hostname);
    expect(record).toMatchObject({ ttl: 120 });
    await scene.looks(2);
    await unmoved(mark);
  });

  it("a relay of another address: the route says it", async () => {
    const moved = "http://localhost";
    const relays = good.relays.map((relay) =>
      relay.id === "c" ? { ...relay, url: relay.url.replace("http://127.0.0.1", moved) } : relay,
    );
    const mark = await scene.mark();
    await redeploy({ relays });
    await scene.eventually("the new address", async () => {
      const c = (await scene.kvRoute())?.replicas.find(({ id }) => id === "c");
      return c?.rest?.startsWith(moved);
    });
    await unmoved(mark);
  });

  it("P5 nobody may be promoted any more: an operator is refused, with the reason of each", async () => {
    const nodes = good.nodes.map((node) => ({ ...node, priority: node.id === "a" ? 1 : 0 }));
    await redeploy({ nodes });
    await scene.steady("a");
    await scene.published();
    const version = await scene.version();
    const { status, body } = await failover();
    expect({ status, body }).toMatchObject({
      status: 409,
      body: {
        code: "NOGOODSLAVE",
        reasons: ["b", "c"].map((node) => ({ node, reason: "has priority 0" })),
      },
    });
    expect(await failover({ to: "b" })).toMatchObject({
      status: 409,
      body: { code: "NOGOODSLAVE", reasons: [{ node: "b", reason: "has priority 0" }] },
    });
    expect(await scene.version()).toBe(version);
  });

  it("only observing: an operator is refused, and told what would make it possible", async () => {
    await redeploy({ observe_only: true });
    await scene.steady("a");
    const { status, body } = await failover();
    expect({ status, body }).toMatchObject({ status: 409, body: { code: "OBSERVING" } });
    expect((body as { detail: string }).detail).toMatch(/deploy it without observe_only/);
  });

  it("the primary is left out: it is kept, and told, until another one is primary", async () => {
    const mark = await scene.mark();
    await redeploy({
      nodes: good.nodes.filter(({ id }) => id !== "a"),
      relays: good.relays.map((relay) => (relay.id === "a" ? { ...relay, local: [] } : relay)),
    });
    const kept = await scene.event("+node-kept", mark, "a");
    expect(kept.text).toMatch(/move the primary first/);
    expect(await scene.steady("a")).toMatchObject({ epoch: 1, primary: { id: "a" } });
    const { nodes } = await scene.view();
    expect(nodes.find(({ id }) => id === "a")).toMatchObject({ verdict: "up", primary: true });
    expect(await scene.data("a", "SET", "kept", "1")).toEqual({ result: "OK" });

    expect(await failover({ to: "b" })).toMatchObject({ status: 202 });
    await scene.steady("b", ["c"]);
    expect((await scene.view()).nodes.map(({ id }) => id).sort()).toEqual(["b", "c"]);
    expect(await scene.data("b", "GET", "kept")).toEqual({ result: "1" });
    // Nobody watches it any more, and it takes no writes.
    expect(await scene.data("a", "SET", "kept", "2")).toMatchObject({
      error: expect.stringMatching(/^(NOREPLICAS|READONLY)/),
    });
    expect(await failover({ to: "a" })).toMatchObject({ status: 404 });
  });

  it("it is configured again, with data of its own: left alone until an operator says that it may be emptied", async () => {
    const mark = await scene.mark();
    await redeploy({});
    await scene.event("+node-unknown", mark, "a");
    await scene.looks(3);
    expect(await scene.facts("a")).toMatchObject({ role: "primary", keys: 1 });
    await scene.steady("b", ["c"]);
    const asked = await scene.api("/v1/groups/cache/acknowledge", { body: {} });
    expect(asked).toMatchObject({ status: 202 });
    await scene.event("-node-unknown", mark, "a");
    await scene.steady("b");
    expect(String(await scene.ask("a", ["GET", "kept"]))).toBe("1");
  });
});

describe("a configuration that was never right", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({ settings: { quorum: 9 }, settled: false });
  });
  afterAll(() => scene?.stop());

  it("nothing runs: 503 with every complaint, and cron does not fail", async () => {
    const complaint = {
      path: "GROUPS[0].quorum",
      given: "9",
      allowed: "at most the 3 vantages: relay:a, relay:b, relay:c",
    };
    for (const path of ["/v1/groups/cache", "/v1/groups/cache/route", "/v1/groups/none"])
      expect(await scene.api(path)).toMatchObject({
        status: 503,
        body: { title: "Service Unavailable", complaints: [complaint] },
      });
    expect(await configuration(scene)).toEqual({
      source: "none",
      keptAt: null,
      complaints: [complaint],
      problem: "no configuration was ever right: nothing runs",
    });
    expect((await scene.cron()).outcome).toBe("ok");
    const [stats] = await scene.ask("a", ["INFO", "commandstats"]);
    expect(String(stats)).not.toContain("cmdstat_config");
    expect(await scene.api("/v1/groups/cache", { token: "wrong" })).toMatchObject({ status: 401 });
  });
});
