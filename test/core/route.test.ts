/** The routing table: its order, its schema, what it never holds. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { routeOf } from "../../worker/core/projection.ts";
import { isNewer, parseRoute } from "../../worker/core/route.ts";
import { initialState } from "../../worker/core/saved.ts";
import { groupConfig } from "../support/builders.ts";
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
