/**
 * Two groups lose their primaries at the same moment, and the brake lets one failover begin: whichever asked first. The
 * other keeps its primary, is told why, and moves by an operator's word, whom no brake holds.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Route } from "../../worker/core/route.ts";
import type { GroupView } from "../../worker/core/view.ts";
import type { LoggedEvent } from "../../worker/env.ts";
import { must, type Scene, startScene } from "../support/stack.ts";

const groups: Readonly<Record<string, readonly [string, string]>> = {
  cache: ["a", "b"],
  other: ["c", "d"],
};

describe("the brake over all groups", { timeout: 90_000 }, () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({
      ids: ["a", "b", "c", "d"],
      replicate: false,
      push: false,
      settled: false,
      nodeOf: (id) => (["a", "b"].includes(id) ? {} : null),
    });
    const [cache] = scene.variables.GROUPS;
    const { dns, hostname, ...rest } = must(cache, "group");
    const other = {
      ...rest,
      name: "other",
      nodes: ["c", "d"].map((id) => ({
        id,
        host: scene.server(id).host,
        port: scene.server(id).port,
      })),
      relays: ["c", "d"].map((id) => ({
        ...{ id, url: scene.relay(id).url, local: [id] },
        control_token_secret: `RELAY_${id.toUpperCase()}_CONTROL`,
        data_token_secret: `RELAY_${id.toUpperCase()}_DATA`,
      })),
    };
    const vars = { GROUPS: [rest, other], BRAKE: { max_failovers: 1, window_ms: 3_600_000 } };
    await scene.harness.update((before) => ({
      ...before,
      workers: before.workers.map((each) =>
        "configPath" in each
          ? { ...each, vars: { ...each.vars, ...JSON.parse(JSON.stringify(vars)) } }
          : each,
      ),
    }));
    for (const [primary, replica] of Object.values(groups)) {
      const { host, port } = scene.server(primary);
      await scene.ask(replica, ["REPLICAOF", host, String(port)]);
    }
    scene.wake();
    for (const [group, [primary, replica]] of Object.entries(groups))
      await scene.eventually(
        `${group} to be watched`,
        async () => {
          const { state, primary: named, replicas } = await route(group);
          return state === "up" && named?.id === primary && replicas[0]?.id === replica;
        },
        { withinMs: 30_000 },
      );
  });
  afterAll(() => scene?.stop());

  const get = async <T>(path: string): Promise<T> => {
    const { status, body } = await scene.api(`/v1/groups/${path}`);
    expect(status, JSON.stringify(body)).toBe(200);
    return body as T;
  };
  const route = (group: string) => get<Route>(`${group}/route`);
  const events = async (group: string) =>
    (await get<{ events: LoggedEvent[] }>(`${group}/events?limit=500`)).events;
  const told = async (group: string, name: string) =>
    (await events(group)).some((each) => each.name === name);

  it("G22 two primaries die at once: one failover begins, the other is held by the brake, and an operator's is not", async () => {
    await Promise.all(["a", "c"].map((id) => scene.server(id).kill()));
    const [moved, held] = await scene.eventually(
      "one to be replaced and one to be held",
      async () => {
        for (const [one, two] of [
          ["cache", "other"],
          ["other", "cache"],
        ] as const)
          if ((await told(one, "+switch-master")) && (await told(two, "-failover-abort-brake")))
            return [one, two] as const;
        return null;
      },
      { withinMs: 30_000 },
    );
    expect(await route(moved)).toMatchObject({ primary: { id: must(groups[moved], moved)[1] } });
    const [primary, replica] = must(groups[held], held);
    expect(await told(held, "+switch-master")).toBe(false);
    expect(await get<GroupView>(held)).toMatchObject({ primary });
    expect(await scene.facts(replica)).toMatchObject({ role: "replica" });
    const reason = (await events(held)).find(({ name }) => name === "-failover-abort-brake");
    expect(reason?.text).toMatch(/the brake is on/);

    await scene.eventually("an operator's word to be taken", async () => {
      const { status } = await scene.api(`/v1/groups/${held}/failover`, { body: { to: replica } });
      return status === 202;
    });
    await scene.eventually("the held one to be replaced", async () => {
      const { state, primary: named } = await route(held);
      return state === "up" && named?.id === replica;
    });
    expect(await scene.facts(replica)).toMatchObject({ role: "primary" });
  });
});
