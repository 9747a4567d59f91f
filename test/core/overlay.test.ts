/** What people changed at run time, and which deploy overtakes it: one line a case. */
import { describe, expect, test } from "vitest";
import { keepOverlay, noOverlay, overlaid } from "../../worker/core/overlay.ts";
import { initialState } from "../../worker/core/saved.ts";
import type { Overlay } from "../../worker/core/state.ts";
import { viewOf } from "../../worker/core/view.ts";
import { groupConfig, nodeConfig } from "../support/builders.ts";
import { createWorld } from "../support/world.ts";

/** Nodes of these weights, as deployed. */
const deployed = (weights: Readonly<Record<string, number>>) =>
  groupConfig({
    mode: "active-active",
    nodes: Object.entries(weights).map(([id, weight]) => nodeConfig(id, { weight })),
  });
const savedWith = (overlay: Partial<Overlay>) => ({
  ...initialState("cache").saved,
  overlay: { ...noOverlay, ...overlay },
});
/** Who there is, and how heavy, after a deploy of these weights. */
const after = (overlay: Partial<Overlay>, weights: Readonly<Record<string, number>>) => {
  const config = deployed(weights);
  const { nodes } = overlaid(keepOverlay(savedWith(overlay), config), config);
  return nodes.map(({ id, weight }) => `${id} ${weight}`).join();
};

const heavier = { weights: { b: { weight: 5, over: 1 } } };
const added = { added: [nodeConfig("d", { weight: 3 })] };
const both = { ...added, weights: { d: { weight: 9, over: 3 } } };
const removed = { removed: ["b"] };

describe("a deploy", () => {
  test.each<[string, Partial<Overlay>, Readonly<Record<string, number>>, string]>([
    ["of the same leaves a weight", heavier, { a: 1, b: 1 }, "a 1,b 5"],
    ["of something about another node too", heavier, { a: 2, b: 1, c: 1 }, "a 2,b 5,c 1"],
    ["of another weight overtakes it", heavier, { a: 1, b: 2 }, "a 1,b 2"],
    ["without the node forgets its weight", heavier, { a: 1 }, "a 1"],
    ["of the same leaves an added node", added, { a: 1, b: 1 }, "a 1,b 1,d 3"],
    ["that has the added node overtakes it", added, { a: 1, d: 1 }, "a 1,d 1"],
    ["leaves what the added one was weighed", both, { a: 1 }, "a 1,d 9"],
    ["of the same leaves one out that was taken out", removed, { a: 1, b: 1 }, "a 1"],
    ["without it forgets that", removed, { a: 1 }, "a 1"],
  ])("%s", (_, overlay, weights, expected) => {
    expect(after(overlay, weights)).toBe(expected);
  });

  test("one that was taken out, and that a deploy had not, is a new one afterwards", () => {
    const without = keepOverlay(savedWith(removed), deployed({ a: 1 }));
    expect(without.overlay).toEqual(noOverlay);
    const config = deployed({ a: 1, b: 1 });
    expect(overlaid(keepOverlay(without, config), config)).toBe(config);
  });

  test("of the other mode forgets all of it", () => {
    const saved = savedWith({ ...heavier, ...added });
    expect(keepOverlay(saved, groupConfig())).toMatchObject({ overlay: noOverlay, steering: null });
  });

  test("that changes nothing changes nothing, not even the document", () => {
    const saved = savedWith({ ...heavier, ...added });
    expect(keepOverlay(saved, deployed({ a: 1, b: 1 }))).toBe(saved);
  });
});

test("who was added is shown by its id: the address by which it is looked at may be secret", () => {
  const world = createWorld({ ids: ["a"], mode: "active-active", vantages: ["weur"], relays: [] });
  world.run(3000);
  const look = { expectStatus: 200, expectBody: null, timeoutMs: 0 };
  const user = { username: null, passwordSecret: null };
  const url = "https://health.example.com/?key=hunter2";
  const probe = { transport: "custom", url, ...look, ...user } as const;
  world.ask({ kind: "add-node", id: "1", node: { ...world.spare("d"), probe } });
  world.run(3000);
  const view = viewOf(world.state, world.config, "", world.nowMs);
  expect(view.nodes.map(({ id }) => id)).toEqual(["a", "d"]);
  expect(view.steering).toMatchObject({ overlay: { added: ["d"] } });
  expect(JSON.stringify([view, world.events])).not.toContain("hunter2");
});

test("a group has at most 32 nodes, also at run time", () => {
  const world = createWorld({
    ids: ["a", "b"],
    mode: "active-active",
    vantages: ["weur"],
    relays: [],
  });
  world.run(3000);
  const add = (at: number) => {
    const node = { ...world.spare(`n${at}`), host: `10.0.1.${at}` };
    return world.ask({ kind: "add-node", id: String(at), node });
  };
  for (let at = 1; at <= 30; at += 1) expect(add(at)).toMatchObject({ kind: "accepted" });
  expect(add(31)).toMatchObject({ kind: "refused", code: "NOTREADY" });
  expect(add(30)).toMatchObject({ kind: "refused", code: "EXISTS" });
});
