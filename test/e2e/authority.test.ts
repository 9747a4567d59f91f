/**
 * The authoritative route of the built Worker: with a token through the API, without one through a service binding
 * of another Worker, a crowd of both at the moment of a failover; and what KV, API and binding tell is what
 * docs/route.schema.json says. How many questions a crowd costs the Group is counted in test/workerd/route.test.ts.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isNewer, type Route } from "../../worker/core/route.ts";
import { complaintsOf, routeSchema } from "../support/json-schema.ts";
import { type Scene, startScene, tokens } from "../support/stack.ts";

const crowd = 150;

/** A busy machine takes seconds for one crowd. */
const patient = { timeout: 90_000 };

describe("the authoritative route", patient, () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({
      workers: [
        {
          config: {
            name: "reader",
            main: new URL("../support/route-reader.ts", import.meta.url).pathname,
            compatibility_date: "2026-10-01",
            services: [{ binding: "PICKET", service: "picket", entrypoint: "Routes" }],
          },
        },
      ],
    });
  });
  afterAll(() => scene?.stop());

  const fromApp = async (path: string, method = "GET") => {
    const reader = scene.harness.getWorker("reader");
    const response = await reader.fetch(`https://app.example${path}`, { method });
    return { status: response.status, body: await response.json() };
  };
  const path = "/v1/groups/cache/route";

  it("is the Group's own, by API and binding, and as KV has it; by each the schema says so", async () => {
    // A busy machine may change whom the route lists for reads in between.
    const own = await scene.eventually("the same from everywhere", async () => {
      await scene.published();
      const route = await scene.route();
      expect(await scene.api(path, { token: tokens.read })).toEqual({ status: 200, body: route });
      expect(await fromApp(path)).toEqual({ status: 200, body: route });
      const told = { kind: "told", value: route };
      expect(await fromApp("/rpc/cache")).toEqual({ status: 200, body: told });
      expect(await scene.kvRoute()).toEqual(route);
      return route;
    });
    expect(complaintsOf(routeSchema, own)).toEqual([]);
  });

  it("needs a token at the API; at the binding none, and there is nothing else there", async () => {
    for (const token of ["wrong", tokens.control("a"), tokens.data("a")])
      expect(await scene.api(path, { token })).toMatchObject({ status: 401 });
    for (const other of ["/v1/groups", "/v1/groups/cache", "/v1/groups/cache/events"])
      expect(await fromApp(other)).toMatchObject({ status: 404 });
    const { epoch } = await scene.route();
    expect(await fromApp("/v1/groups/cache/failover", "POST")).toMatchObject({ status: 404 });
    expect(await fromApp("/v1/groups/nobody/route")).toMatchObject({ status: 404 });
    expect(await scene.route()).toMatchObject({ epoch, primary: { id: "a" } });
  });

  it("a crowd asks while the primary dies: each is answered, none goes back, all see the new one", async () => {
    const before = await scene.route();
    await scene.server("a").kill();
    let last: Pick<Route, "epoch" | "rev"> = before;
    const wrong: unknown[] = [];
    const ask = async (): Promise<readonly { status: number; body: unknown }[]> => {
      const byToken = Array.from({ length: crowd }, () => scene.api(path, { token: tokens.read }));
      const { body } = await fromApp(`/crowd/cache?count=${crowd}`);
      return [...(await Promise.all(byToken)), ...(body as { status: number; body: unknown }[])];
    };
    const after = await scene.eventually(
      "a new primary in every answer",
      async () => {
        const answers = await ask();
        wrong.push(...answers.filter(({ status }) => status !== 200));
        const routes = answers.map(({ body }) => body as Route);
        wrong.push(...routes.filter((route) => isNewer(last, route)));
        last = routes.reduce((newest, route) => (isNewer(route, newest) ? route : newest), before);
        return routes.every(({ state, primary }) => state === "up" && primary?.id !== "a")
          ? routes[0]
          : null;
      },
      { withinMs: 60_000 },
    );
    expect(wrong).toEqual([]);
    expect(after.epoch).toBe(before.epoch + 1);
    expect(complaintsOf(routeSchema, after)).toEqual([]);
  });
});
