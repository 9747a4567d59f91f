/** Active-active: how many have to agree before the node in use is left, and what happens while they cannot. */
import { describe, expect, test } from "vitest";
import { createWorld, type World } from "../support/world.ts";

/** Two nodes, the heavier one in use, and these regions looking. */
function lookedAtBy(...regions: readonly string[]): World {
  const world = createWorld({
    ...{ ids: ["a", "b"], mode: "active-active", vantages: regions, relays: [] },
    driftIntervalMs: 86_400_000,
  });
  world.configure({
    nodes: world.config.nodes.map((node) => ({ ...node, weight: node.id === "a" ? 2 : 1 })),
  });
  world.run(3000);
  expect(used(world)).toBe("a");
  return world;
}
const used = ({ state }: World) => state.saved.primary;
const sees = (world: World, regions: readonly string[], kind: "refused" | "timeout") => {
  for (const region of regions) world.eye(region).lies.set("a", kind);
  world.run(10_000);
  return used(world);
};

describe("who agrees", () => {
  test("F8 a single observer decides alone", () => {
    expect(sees(lookedAtBy("weur"), ["weur"], "timeout")).toBe("b");
  });

  test("F8 a majority of three is left for, a minority is not", () => {
    expect(sees(lookedAtBy("weur", "enam", "apac"), ["enam"], "refused")).toBe("a");
    expect(sees(lookedAtBy("weur", "enam", "apac"), ["enam", "apac"], "refused")).toBe("b");
  });

  test("F8 a tie is no majority: it can be used, and is", () => {
    const world = lookedAtBy("weur", "enam", "apac", "oc");
    expect(sees(world, ["enam", "apac"], "refused")).toBe("a");
    expect(world.told("+switch-master")).toEqual([]);
    expect(world.told("+unavailable")).toEqual([]);
  });

  test("F8 all of them", () => {
    expect(sees(lookedAtBy("weur", "enam"), ["weur", "enam"], "timeout")).toBe("b");
  });
});

describe("F9 most of those who have to look are silent", () => {
  const blind = (world: World, answer: boolean) => {
    for (const region of ["enam", "apac"]) world.eye(region).answers = answer;
  };

  test("the node in use dies: nothing happens, until they look again", () => {
    const world = lookedAtBy("weur", "enam", "apac");
    blind(world, false);
    world.run(5000);
    world.kill("a");
    world.run(20_000);
    expect(used(world)).toBe("a");
    for (const name of ["+switch-master", "+unavailable", "+odown"] as const)
      expect(world.told(name)).toEqual([]);
    expect(world.told("+vantage-fault").map(({ data }) => data.vantage)).toEqual(["enam", "apac"]);
    blind(world, true);
    world.run(10_000);
    expect(used(world)).toBe("b");
    expect(world.told("+switch-master").map(({ data }) => data.reason)).toEqual(["automatic"]);
  });

  test("nobody is chosen at the start", () => {
    const world = createWorld({
      ...{ ids: ["a", "b"], mode: "active-active", vantages: ["weur", "enam", "apac"], relays: [] },
    });
    blind(world, false);
    world.run(20_000);
    expect(used(world)).toBe(null);
    blind(world, true);
    world.run(5000);
    expect(used(world)).toBe("a");
  });
});
