/** The routing table: its order, its schema, what it never holds. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { routeOf } from "../../worker/core/projection.ts";
import { isNewer, parseRoute } from "../../worker/core/route.ts";
import { initialState } from "../../worker/core/saved.ts";
import { groupConfig, nodeConfig } from "../support/builders.ts";
import { createWorld } from "../support/world.ts";

const at = fc.record({ epoch: fc.nat(5), rev: fc.nat(5) });

test("I2 (epoch, rev) is a strict order: nothing is newer both ways, and nothing newer than itself", () => {
  fc.assert(
    fc.property(at, at, (a, b) => {
      const same = a.epoch === b.epoch && a.rev === b.rev;
      expect(isNewer(a, b) || isNewer(b, a)).toBe(!same);
      expect(isNewer(a, b) && isNewer(b, a)).toBe(false);
      expect(isNewer(a, b)).toBe(a.epoch * 100 + a.rev > b.epoch * 100 + b.rev);
    }),
  );
  expect(isNewer({ epoch: 0, rev: 0 }, null)).toBe(true);
});

test("a route made from state is a route, and holds no secret's name", () => {
  const world = createWorld();
  world.run(3000);
  const route = routeOf(world.state.saved, world.config);
  expect(parseRoute(JSON.parse(JSON.stringify(route)))).toEqual(route);
  expect(route.primary?.rest).toBe("https://relay-a.example.com/nodes/a");
  expect(route.replicas.map((each) => each.id)).toEqual(["b", "c"]);
  expect(JSON.stringify(route)).not.toMatch(/CONTROL|DATA|token/i);
});

const upstash = (id: string) =>
  ({ transport: "upstash", url: `https://${id}.upstash.io`, tokenSecret: "TOKEN" }) as const;

test("active-active: the node in use is the route's primary, and nobody else is to be read from", () => {
  const nodes = ["a", "b"].map((id) => nodeConfig(id, { probe: upstash(id) }));
  const config = groupConfig({ mode: "active-active", relays: [], vantages: ["weur"], nodes });
  const saved = { ...initialState("cache").saved, primary: "b", readable: ["a"], epoch: 3, rev: 2 };
  const route = routeOf(saved, config);
  expect(parseRoute(JSON.parse(JSON.stringify(route)))).toEqual(route);
  expect(route).toMatchObject({
    mode: "active-active",
    primary: { id: "b", host: "10.0.0.2", rest: "https://b.upstash.io" },
    replicas: [],
  });
});

test("where apps speak REST to a node: as configured, else its relay, else where it is looked at", () => {
  const probed = nodeConfig("a", { probe: upstash("a") });
  const named = { ...probed, restUrl: "https://rest.example.com" };
  const restOf = (node: typeof probed, relays = groupConfig().relays) =>
    routeOf(
      { ...initialState("cache").saved, primary: "a" },
      groupConfig({ mode: "active-active", relays, nodes: [node] }),
    ).primary?.rest;
  expect(restOf(named)).toBe("https://rest.example.com");
  expect(restOf(probed)).toBe("https://relay-a.example.com/nodes/a");
  expect(restOf(probed, [])).toBe("https://a.upstash.io");
  expect(restOf(nodeConfig("a"), [])).toBe(null);
});

test("before the first primary there is a route that names nobody", () => {
  const route = routeOf(initialState("cache").saved, groupConfig());
  expect(parseRoute(route)).toMatchObject({ epoch: 0, primary: null, state: "down" });
});

test("anything else is no route", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(parseRoute(value)).toBeNull();
    }),
  );
});
