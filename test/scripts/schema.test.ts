/**
 * docs/route.schema.json says of any document what the code says of it; that it is true of the routes of a running
 * Group is asked in test/e2e/authority.test.ts.
 */
import { expect, it } from "vitest";
import { parseRoute } from "../../worker/core/route.ts";
import { routeTo } from "../contract/publisher.ts";
import { complaintsOf, routeSchema } from "../support/json-schema.ts";

const node = { id: "b", host: "10.0.0.2", port: 6379, tls: true, rest: "https://relay.example/b" };
const full = routeTo("10.0.0.1", 7, { replicas: [{ ...node, readWeight: 0.5 }] });

const right: readonly (readonly [string, unknown])[] = [
  ["with a replica", full],
  ["before the first primary", routeTo("", 0, { primary: null, hostname: null, rev: 0 })],
  ["failing over", { ...full, state: "failing-over" }],
  ["active-active", { ...full, mode: "active-active" }],
  ["with keys that nobody knows yet", { ...full, zone: "x", primary: { ...node, zone: "x" } }],
];

it.each(right)("a route %s is right", (_, value) => {
  expect(parseRoute(value)).not.toBeNull();
  expect(complaintsOf(routeSchema, value)).toEqual([]);
});

/** Each key of a full route, at any depth: gone, or of another type, or out of range. */
function* spoilt(value: unknown, path: readonly string[] = []): Generator<[string, unknown]> {
  const wrongs = [undefined, null, "", "x", -1, 1.5, 70_000, true, [], {}, 2];
  for (const wrong of wrongs) yield [`${path.join(".")}: ${JSON.stringify(wrong)}`, wrong];
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value))
    for (const [where, changed] of spoilt(inner, [...path, key])) {
      const copy = Array.isArray(value) ? [...value] : { ...value };
      Reflect.set(copy, key, changed);
      yield [where, JSON.parse(JSON.stringify(copy))];
    }
}

it("whatever is spoilt, schema and code agree", () => {
  const told = [...spoilt(full)].filter(([, value]) => value !== undefined);
  const wrong = told.filter(([where, value]) => {
    const [complaint] = complaintsOf(routeSchema, value);
    expect(parseRoute(value) === null, where).toBe(complaint !== undefined);
    return complaint !== undefined;
  });
  expect(told.length).toBeGreaterThan(250);
  expect(wrong.length).toBeGreaterThan(150);
});
