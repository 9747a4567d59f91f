/**
 * One node, several addresses: by name or by number, one for apps, one to replicate from, one to look at; and a
 * replica that nobody configured, which has only the address that its primary sees.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseConfig } from "../../worker/core/config.ts";
import { must, type Scene, startScene } from "../support/stack.ts";

/** Where relays look; nobody else knows these. */
const LOOKED_AT = "127.0.0.3";
const BEHIND_NAT = "127.0.0.2";

describe("nodes with addresses of several kinds", { timeout: 60_000 }, () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({
      ids: ["a", "b", "c", "d"],
      replicate: false,
      settled: false,
      redisArgs: () => [
        ...["--bind", "127.0.0.1", BEHIND_NAT, LOOKED_AT],
        ...["--replica-announce-ip", "localhost"],
      ],
      reach: (_, __, { port }) => ({ host: LOOKED_AT, port }),
      hostOf: () => "127.0.0.1",
      nodeOf: (id) => (id === "d" ? null : { host: "localhost" }),
      // Else whom nobody configured is seen at the next cron.
      settings: { quiet: false },
    });
    for (const id of ["b", "c"]) await follow(id, "a", "localhost");
    await scene.steady("a", ["b", "c"]);
  });
  afterAll(() => scene?.stop());

  const follow = (id: string, primary: string, host: string) =>
    scene.ask(id, ["REPLICAOF", host, String(scene.server(primary).port)]);
  const hosts = async () => {
    const { primary, replicas } = await scene.route();
    return [primary, ...replicas].map((each) => each?.host);
  };
  /** Whom a replica follows, in its own words. */
  const source = async (id: string) => must(await scene.facts(id), "facts").replicaOf?.host;
  /** The same storage, the nodes known otherwise. */
  const deploy = (node: Record<string, unknown>) => {
    const group = must(scene.variables.GROUPS[0], "group");
    const nodes = group.nodes.map((each) => ({ ...each, ...node }));
    const vars = JSON.parse(JSON.stringify({ ...scene.variables, GROUPS: [{ ...group, nodes }] }));
    return scene.harness.update((before) => ({
      ...before,
      workers: before.workers.map((each) => ("configPath" in each ? { ...each, vars } : each)),
    }));
  };

  it("S08 names are configured and announced: the route carries them, and the failover goes by them", async () => {
    expect(await hosts()).toEqual(["localhost", "localhost", "localhost"]);
    const mark = await scene.mark();
    await scene.server("a").kill();
    const { data } = await scene.event("+switch-master", mark);
    const primary = String(data.to);
    const other = primary === "b" ? "c" : "b";
    await scene.steady(primary, [other]);
    expect(await source(other)).toBe("localhost");
    await scene.server("a").start();
    await scene.steady(primary, ["a", other].sort());
    expect(await source("a")).toBe("localhost");
    expect(await hosts()).toEqual(["localhost", "localhost", "localhost"]);
  });

  it("S08 G23 back to addresses, one for each purpose: everyone follows by the second, apps are told the first", async () => {
    const before = await scene.route();
    const primary = must(before.primary, "primary").id;
    for (const id of ["a", "b", "c"])
      await scene.ask(
        id,
        ["CONFIG", "SET", "replica-announce-ip", BEHIND_NAT],
        ["CONFIG", "REWRITE"],
      );
    await deploy({ host: "127.0.0.1", replication_host: BEHIND_NAT });
    scene.wake();
    const replicas = ["a", "b", "c"].filter((id) => id !== primary);
    await scene.eventually("everyone to follow by the other address", async () => {
      for (const id of replicas) if ((await source(id)) !== BEHIND_NAT) return false;
      return true;
    });
    await scene.steady(primary, replicas);
    expect(await hosts()).toEqual(["127.0.0.1", "127.0.0.1", "127.0.0.1"]);
    expect((await scene.route()).epoch).toBe(before.epoch);
  });

  it("G23 where looks, replication and apps go to three addresses, a failover works by each", async () => {
    const before = must((await scene.route()).primary, "primary").id;
    const mark = await scene.mark();
    await scene.server(before).kill();
    const { data } = await scene.event("+switch-master", mark);
    const primary = String(data.to);
    const other = must(
      ["a", "b", "c"].find((id) => id !== primary && id !== before),
      "other",
    );
    await scene.steady(primary, [other]);
    expect(await source(other)).toBe(BEHIND_NAT);
    expect(await hosts()).toEqual(["127.0.0.1", "127.0.0.1"]);
    await scene.server(before).start();
    await scene.steady(primary, [before, other].sort());
    expect((await scene.view()).discovered).toEqual([]);
  });

  it("a replica that nobody configured is shown with the lines that would, and is never routed to", async () => {
    const primary = must((await scene.route()).primary, "primary").id;
    await scene.ask("d", ["CONFIG", "SET", "replica-announce-ip", "127.0.0.1"]);
    const mark = await scene.mark();
    await follow("d", primary, BEHIND_NAT);
    const { data } = await scene.event("+discovered", mark);
    expect(data.discovered).toEqual([
      { host: "127.0.0.1", port: scene.server("d").port, lines: expect.any(String) },
    ]);
    const { discovered, candidates } = await scene.view();
    expect(discovered).toEqual(data.discovered);
    const [found] = discovered;
    expect(found?.lines.split("\n")).toEqual([
      "[[vars.GROUPS.nodes]]",
      `id = "127-0-0-1-${scene.server("d").port}"`,
      'host = "127.0.0.1"',
      `port = ${scene.server("d").port}`,
    ]);
    const group = must(scene.variables.GROUPS[0], "group");
    const vars = { GROUPS: [{ ...group, nodes: [...group.nodes, tableOf(found?.lines ?? "")] }] };
    expect(parseConfig(vars, () => true)).toMatchObject({ ok: true });
    const { replicas } = await scene.route();
    expect(replicas.map(({ id }) => id)).not.toContain("d");
    expect(replicas.map(({ port }) => port)).not.toContain(scene.server("d").port);
    expect(candidates.toSorted()).toEqual(["a", "b", "c"].filter((id) => id !== primary));
    await scene.ask("d", ["REPLICAOF", "NO", "ONE"]);
    await scene.event("-discovered", mark);
  });
});

/** The lines of one table, as TOML has them, which here is JSON. */
function tableOf(lines: string): Record<string, unknown> {
  const [, ...pairs] = lines.split("\n");
  return Object.fromEntries(
    pairs.map((pair) => {
      const [key = "", value = ""] = pair.split(" = ");
      return [key, JSON.parse(value)];
    }),
  );
}
