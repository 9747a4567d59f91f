/** `parseRoute`, written by hand so that apps carry no library along, against the schema. */
import fc from "fast-check";
import * as v from "valibot";
import { expect, it } from "vitest";
import { parseRoute, type Route } from "../../worker/core/route.ts";
import { RouteSchema } from "../../worker/core/route-schema.ts";

const end = { id: "b", host: "10.0.0.2", port: 6379, tls: false, rest: "https://b.example.com" };
const good: Route = {
  v: 1,
  group: "cache",
  mode: "replication",
  epoch: 7,
  rev: 3,
  state: "up",
  hostname: null,
  primary: end,
  replicas: [{ ...end, id: "c", rest: null, readWeight: 0.5 }],
  updatedAt: "2026-11-20T12:00:00.000Z",
};

const anything = fc.oneof(
  fc.constantFrom<unknown>(1, 0, -1, 2, 65_536, 1.5, Number.NaN, "", "up", "down", "active-active"),
  fc.constantFrom<unknown>(null, undefined, true, [], {}, [null], [end], end),
  fc.anything(),
);
const places = ["", "primary.", "replicas.0."].flatMap((at) =>
  Object.keys(at === "" ? good : { ...end, readWeight: 1 }).map((key) => at + key),
);

function changed(place: string, value: unknown): unknown {
  type Fields = Record<string, unknown>;
  const route: Fields = structuredClone(good);
  const path = place.split(".");
  const last = path.pop() ?? "";
  const holder = path.reduce((at, key) => at[key] as Fields, route);
  if (value === undefined) delete holder[last];
  else holder[last] = value;
  return route;
}

const bySchema = (value: unknown) => {
  const parsed = v.safeParse(RouteSchema, value);
  return parsed.success ? parsed.output : null;
};

it("takes what the schema takes, to the letter, whatever stands in one place or another", () => {
  expect(parseRoute(good)).toEqual(good);
  expect(parseRoute({ ...good, later: 1, primary: { ...end, later: 1 } })).toEqual(good);
  const change = fc.tuple(fc.constantFrom(...places), anything);
  fc.assert(
    fc.property(change, ([place, value]) => {
      const route = changed(place, value);
      expect(parseRoute(route)).toEqual(bySchema(route));
    }),
    { numRuns: 3000 },
  );
  fc.assert(
    fc.property(fc.anything(), (value) => {
      expect(parseRoute(value)).toEqual(bySchema(value));
    }),
  );
});
