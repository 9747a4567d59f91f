/** Active-active, beyond the stories: what is never done, what is kept, what one vantage cannot do. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { routeOf } from "../../worker/core/projection.ts";
import { readSaved } from "../../worker/core/saved.ts";
import type { GroupConfig, ObservationClass } from "../../worker/core/types.ts";
import { viewOf } from "../../worker/core/view.ts";
import { groupConfig, observation } from "../support/builders.ts";
import { createWorld, type World } from "../support/world.ts";

const regions = ["weur", "enam", "apac"];

/** Nodes a, b, … of these weights, seen by three regions; `relays`: and by a relay beside each. */
function active(weights: readonly number[], change: Partial<GroupConfig> = {}): World {
  const ids = ["a", "b", "c", "d"].slice(0, weights.length);
  const world = createWorld({
    ...{ ids, mode: "active-active", vantages: regions, relays: [] },
    ...{ failbackIntervalMs: 5000, failbackGraceMs: 2000, driftIntervalMs: 86_400_000 },
    ...change,
  });
  world.configure({
    nodes: world.config.nodes.map((node, at) => ({ ...node, weight: weights[at] ?? 1 })),
  });
  return world;
}
const used = ({ state }: World) => state.saved.primary;
const reasons = (world: World) => world.told("+switch-master").map(({ data }) => data.reason);
const everyoneSees = (world: World, node: string, kind: ObservationClass | null) => {
  for (const region of regions)
    if (kind === null) world.eye(region).lies.delete(node);
    else world.eye(region).lies.set(node, kind);
};

describe("the choice", () => {
  test.each([
    [[1, 3, 2], "b"],
    [[1, 1], "a"],
    [[0.5, 0.7], "b"],
  ])("C1 the heaviest, the earlier among equals: %o: %s", (weights, expected) => {
    const world = active(weights);
    world.run(2000);
    expect(used(world)).toBe(expected);
  });

  test.each([
    ["all", 0, true],
    ["all", 1, false],
    ["majority", 1, true],
    ["majority", 2, false],
    ["one", 2, true],
    ["one", 3, false],
  ] as const)("C2 initial policy %s with %i of three down: %s", (policy, down, chosen) => {
    const world = active([3, 2, 1], { initialHealthPolicy: policy });
    for (const id of ["a", "b", "c"].slice(0, down)) world.kill(id);
    world.run(10_000);
    expect(used(world) !== null).toBe(chosen);
  });

  test("C5 failback off: whoever is used stays", () => {
    const world = active([2, 1], { failbackIntervalMs: 0 });
    world.run(2000);
    world.kill("a");
    world.run(5000);
    world.start("a");
    world.run(100_000);
    expect(used(world)).toBe("b");
  });

  test("C6 lag-aware failback: one that is too far behind its peers is not gone back to", () => {
    const world = active([2, 1]);
    world.run(2000);
    world.kill("a");
    world.run(5000);
    everyoneSees(world, "a", "unavailable");
    world.start("a");
    world.run(30_000);
    expect(used(world)).toBe("b");
    everyoneSees(world, "a", null);
    world.run(10_000);
    expect(used(world)).toBe("a");
    expect(reasons(world)).toEqual(["automatic", "failback"]);
  });

  test.each(["auth", "tls", "dns", "policy", "closed", "malformed", "busy"] as const)(
    "C10 %s is no death: told, and nobody is left for it",
    (kind) => {
      const world = active([2, 1]);
      world.run(2000);
      everyoneSees(world, "a", kind);
      world.run(60_000);
      expect(used(world)).toBe("a");
      expect(world.told("+fault").length).toBe(3);
      // What no look more can explain is not asked for again and again.
      expect(world.decisions.length).toBeLessThan(120);
    },
  );

  test.each(["auth", "tls", "dns", "policy", "closed", "malformed", "relay-unreachable"] as const)(
    "C10 one that is not used and that everybody finds %s is not gone to, however heavy",
    (kind) => {
      const world = active([3, 2, 1]);
      world.run(2000);
      world.ask({ kind: "select", id: "1", node: "c", pinMs: null });
      everyoneSees(world, "a", kind);
      everyoneSees(world, "b", kind);
      world.run(60_000);
      expect(used(world)).toBe("c");
      everyoneSees(world, "b", null);
      world.run(20_000);
      expect(used(world)).toBe("b");
    },
  );

  test("two machines, a relay on each: the one that is left is used, though the other can see nobody", () => {
    const world = active([2, 1], {
      relays: groupConfig({ ids: ["a", "b"] }).relays,
      vantages: ["relay:a", "relay:b"],
      quorum: 2,
    });
    world.run(3000);
    world.kill("b");
    world.run(10_000);
    world.kill("a");
    world.relay("a").reach = false;
    world.run(10_000);
    world.start("b");
    world.run(10_000);
    expect(used(world)).toBe("b");
  });

  test("too few who look: nothing moves by itself, and a person may choose one that is seen up", () => {
    const world = active([2, 1], { vantages: ["weur", "enam"], quorum: 2 });
    world.run(3000);
    world.kill("b");
    world.run(10_000);
    world.kill("a");
    world.run(10_000);
    world.eye("enam").answers = false;
    world.start("b");
    world.run(20_000);
    expect(used(world)).toBe("a");
    expect(world.ask({ kind: "select", id: "1", node: "a", pinMs: null })?.kind).toBe("refused");
    expect(world.ask({ kind: "select", id: "2", node: "b", pinMs: null })?.kind).toBe("accepted");
    world.run(5000);
    expect(world.state.saved).toMatchObject({ primary: "b", routeState: "up" });
  });

  test("looks once a minute, and all forgotten in between: one that is back is healthy, and told once", () => {
    const world = active([2, 1], { checkIntervalMs: 60_000 });
    const minute = () => {
      world.evict();
      world.run(60_000);
    };
    minute();
    world.kill("a");
    for (let at = 0; at < 3; at += 1) minute();
    expect(used(world)).toBe("b");
    expect(world.told("+odown").length).toBe(1);
    world.start("a");
    for (let at = 0; at < 5; at += 1) minute();
    expect(used(world)).toBe("a");
  });

  test("a sealed one takes no writes", () => {
    const world = active([2, 1]);
    world.run(2000);
    world.node("a").minReplicas = 1_000_000;
    world.run(3000);
    expect(used(world)).toBe("b");
  });

  test("C21 a look of before the choice, and one of long ago, change nothing", () => {
    const world = active([2, 1]);
    world.run(2000);
    world.ask({ kind: "select", id: "1", node: "b", pinMs: 60_000 });
    const { epoch } = world.state.saved;
    const stale = regions.flatMap((region) =>
      [epoch - 1, epoch].map((each) =>
        observation(region, "b", {
          ...{ from: region, class: "refused", epoch: each, relay: null },
          atMs: each === epoch ? world.nowMs - 60_000 : world.nowMs,
        }),
      ),
    );
    const { steering } = world.state.saved;
    for (let at = 0; at < 5; at += 1) world.decide([], stale);
    expect(world.state.saved.steering).toEqual(steering);
  });

  test("C20 a choice of the one that is used is no switch", () => {
    const world = active([2, 1]);
    world.run(2000);
    const { epoch } = world.state.saved;
    expect(world.ask({ kind: "select", id: "1", node: "a", pinMs: null })?.kind).toBe("accepted");
    expect(world.told("+switch-master")).toEqual([]);
    expect(world.state.saved.epoch).toBe(epoch);
  });
});

describe("never", () => {
  const withRelays = () =>
    active([2, 1], {
      relays: groupConfig({ ids: ["a", "b"] }).relays,
      vantages: [...regions, "relay:a", "relay:b"],
    });

  test("a verb, whatever happens: nothing is promoted, sealed or told an epoch", () => {
    const world = withRelays();
    world.run(3000);
    world.relay("b").epoch = 7;
    world.kill("a");
    world.run(10_000);
    world.start("a");
    world.ask({ kind: "failover", id: "1", to: null });
    world.run(20_000);
    world.ask({ kind: "switchover", id: "2", to: "b", timeoutMs: null, force: false });
    world.run(2000);
    expect(used(world)).toBe("b");
    expect(world.actions.filter((action) => "relay" in action)).toEqual([]);
  });

  test("a row for a look in which nothing changed, also while a node is down", () => {
    const world = active([2, 1]);
    world.run(5000);
    const { saved } = world.state;
    world.run(60_000);
    expect(world.state.saved).toBe(saved);
    world.kill("b");
    world.run(10_000);
    const after = world.state.saved;
    world.run(60_000);
    expect(world.state.saved).toBe(after);
  });

  test("a replica to read at: what was written to one is elsewhere only later", () => {
    const world = active([2, 1]);
    world.run(5000);
    expect(routeOf(world.state.saved, world.config)).toMatchObject({
      ...{ mode: "active-active", state: "up", replicas: [] },
      primary: { id: "a" },
    });
  });

  test("one vantage of three decides nothing, whatever it says and when", () => {
    const classes = ["refused", "timeout", "unavailable", "loading", "misconf", "up"] as const;
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            node: fc.constantFrom("a", "b", "c"),
            says: fc.option(fc.constantFrom(...classes)),
            silent: fc.boolean(),
            forMs: fc.integer({ min: 100, max: 8000 }),
          }),
          { minLength: 1, maxLength: 8 },
        ),
        (steps) => {
          const liar = active([3, 2, 1]);
          liar.run(3000);
          for (const { node, says, silent, forMs } of steps) {
            const eye = liar.eye("enam");
            if (says === null) eye.lies.delete(node);
            else eye.lies.set(node, says);
            eye.answers = !silent;
            liar.run(forMs);
          }
          expect(liar.told("+switch-master")).toEqual([]);
          expect(used(liar)).toBe("a");
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe("the mode changes", () => {
  test("the primary is the one that is used, and the other way round", () => {
    const world = createWorld({ ids: ["a", "b"] });
    world.run(3000);
    expect(used(world)).toBe("a");
    world.configure({ mode: "active-active" });
    world.node("b").role = "primary";
    world.run(3000);
    expect(world.told("+switch-master")).toEqual([]);
    expect(used(world)).toBe("a");
    world.configure({ mode: "replication" });
    Object.assign(world.node("b"), { role: "replica", follows: "a" });
    world.run(3000);
    expect(world.state.saved).toMatchObject({ primary: "a", steering: null });
  });

  test("what the others hold is theirs alone: back in replication they are left alone", () => {
    const world = active([2, 1], {
      relays: groupConfig({ ids: ["a", "b"] }).relays,
      vantages: ["relay:a", "relay:b"],
    });
    world.run(3000);
    world.ask({ kind: "select", id: "1", node: "b", pinMs: null });
    world.ask({ kind: "select", id: "2", node: "a", pinMs: null });
    world.node("b").replicationId = "its own";
    world.configure({ mode: "replication" });
    world.run(30_000);
    expect(used(world)).toBe("a");
    expect(world.node("b").role).toBe("primary");
    expect(world.actions.filter(({ kind }) => kind === "demote")).toEqual([]);
    expect(world.told("+node-unknown").map(({ node }) => node)).toEqual(["b"]);
  });

  test("what is asked in the wrong mode is refused by name", () => {
    const world = createWorld({ ids: ["a", "b"] });
    world.run(3000);
    for (const request of [
      { kind: "select", id: "1", node: "b", pinMs: null },
      { kind: "unpin", id: "2" },
      { kind: "weight", id: "3", node: "a", weight: 2 },
      { kind: "remove-node", id: "4", node: "b" },
    ] as const)
      expect(world.ask(request)).toMatchObject({ kind: "refused", code: "MODE" });
  });

  test("a pin, weights and nodes survive an eviction, and the document is read as it was written", () => {
    const world = active([2, 1]);
    world.run(3000);
    world.ask({ kind: "select", id: "1", node: "b", pinMs: 600_000 });
    world.ask({ kind: "add-node", id: "2", node: world.spare("d") });
    world.ask({ kind: "weight", id: "3", node: "a", weight: 7 });
    world.run(3000);
    const { saved } = world.state;
    expect(readSaved(JSON.stringify(saved), saved.group)).toEqual({ ok: true, saved });
    world.evict();
    world.run(60_000);
    expect(world.state.saved.steering).toEqual(saved.steering);
    expect(world.state.saved.overlay).toEqual(saved.overlay);
    expect(used(world)).toBe("b");
  });
});

test("who sees what by which path is shown, and where the vantages run", () => {
  const world = createWorld({ ids: ["a", "b"], vantages: ["relay:a", "relay:b", "weur"] });
  world.eye("weur").whereabouts = { colo: "FRA", region: "weur" };
  world.run(3000);
  world.relay("a").cut.add("b");
  world.run(1000);
  const view = viewOf(world.state, world.config, "", world.nowMs);
  expect(view.vantages).toMatchObject([{ region: "weur", votes: true, colo: "FRA", failures: 0 }]);
  const paths = view.nodes[1]?.paths.map(({ from, vantage, class: kind }) => [from, vantage, kind]);
  expect(paths).toEqual([
    ["group", "relay:a", "timeout"],
    ["group", "relay:b", "up"],
    ["weur", "relay:a", "timeout"],
    ["weur", "relay:b", "up"],
    ["weur", "weur", "up"],
  ]);
  expect(view.discovered).toEqual([]);
});

describe("replicas that nobody configured", () => {
  const shown = (world: World) =>
    viewOf(world.state, world.config, "", world.nowMs).discovered.map(({ lines }) => lines);

  test("are shown with the lines that would configure them", () => {
    const world = createWorld({ ids: ["a", "b"] });
    world.shadow("d", "a");
    world.run(3000);
    expect(shown(world)).toEqual([
      '[[vars.GROUPS.nodes]]\nid = "10-0-0-4-6379"\nhost = "10.0.0.4"\nport = 6379',
    ]);
    expect(routeOf(world.state.saved, world.config).replicas.map(({ id }) => id)).toEqual(["b"]);
  });

  test("are told once, though the Group forgets between two looks", () => {
    const world = createWorld({ ids: ["a", "b"], vantages: ["relay:a", "relay:b", "weur"] });
    world.shadow("d", "a");
    world.eye("weur").whereabouts = { colo: "SYD", region: "oc" };
    for (let at = 0; at < 5; at += 1) {
      world.run(60_000);
      world.evict();
    }
    expect(world.told("+discovered").length).toBe(1);
    expect(world.told("+misplaced").length).toBe(1);
  });

  test("G23 behind NAT configured ones are named otherwise: as many as follow are those", () => {
    const world = createWorld({ ids: ["a", "b"] });
    world.run(1000);
    world.configure({
      nodes: world.config.nodes.map((node) =>
        node.id === "b" ? { ...node, host: "203.0.113.9", replicationHost: "203.0.113.9" } : node,
      ),
    });
    world.run(3000);
    expect(shown(world)).toEqual([]);
  });
});
