/**
 * A wrong configuration is deployed: it is refused whole, every complaint is told, and the last good one
 * goes on watching. One that was never right runs nothing, and says why.
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
        { path: "GROUPS[0].quorum", given: "9", allowed: "at most the 3 vantages" },
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

describe("a configuration that was never right", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({ settings: { quorum: 9 }, settled: false });
  });
  afterAll(() => scene?.stop());

  it("nothing runs: 503 with every complaint, and cron does not fail", async () => {
    const complaint = { path: "GROUPS[0].quorum", given: "9", allowed: "at most the 3 vantages" };
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
