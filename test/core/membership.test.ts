/** A new deploy says otherwise who belongs to the group, also in the middle of an attempt. */
import { describe, expect, test } from "vitest";
import { effectiveConfig, followConfig } from "../../worker/core/membership.ts";
import { initialState } from "../../worker/core/saved.ts";
import type { PhaseKind, Saved } from "../../worker/core/state.ts";
import type { NodeConfig } from "../../worker/core/types.ts";
import { groupConfig, nodeConfig } from "../support/builders.ts";
import { createWorld, type World } from "../support/world.ts";

function running(change: Parameters<typeof createWorld>[0] = {}): World {
  const world = createWorld(change);
  world.run(3000);
  return world;
}

/** A failover from a to b, in the given phase. */
function failing(phase: PhaseKind, change: Parameters<typeof createWorld>[0] = {}): World {
  const world = running(change);
  world.kill("a");
  world.until(phase, () => world.state.saved.phase.kind === phase);
  return world;
}

const without = (world: World, ...ids: readonly string[]) =>
  world.configure({ nodes: world.config.nodes.filter(({ id }) => !ids.includes(id)) });
const change = (world: World, id: string, to: Partial<NodeConfig>) =>
  world.configure({
    nodes: world.config.nodes.map((node) => (node.id === id ? { ...node, ...to } : node)),
    relays: world.config.relays.map((relay) => ({
      ...relay,
      local: relay.local.map((each) => (each === id ? (to.id ?? id) : each)),
    })),
  });
const nodesOf = (world: World) =>
  effectiveConfig(world.state.saved, world.config).nodes.map(({ id }) => id);

describe("the primary is removed", () => {
  test("it is kept as it was configured, told once, and goes on being the primary", () => {
    const world = running();
    without(world, "a");
    world.run(10_000);
    expect(world.told("+node-kept")).toMatchObject([{ node: "a" }]);
    expect(world.told("+node-kept")[0]?.text).toContain("move the primary first");
    expect(world.state.saved).toMatchObject({ primary: "a", routeState: "up" });
    expect(nodesOf(world).sort()).toEqual(["a", "b", "c"]);
    expect(world.actions.filter(({ kind }) => kind === "promote" || kind === "seal")).toEqual([]);
  });

  test("it is failed over like any other, and then it is gone", () => {
    const world = running();
    without(world, "a");
    world.run(2000);
    world.kill("a");
    world.run(20_000);
    expect(world.state.saved).toMatchObject({ primary: "b", phase: { kind: "watching" } });
    expect(nodesOf(world)).toEqual(["b", "c"]);
    expect(world.state.saved.keptNodes.map(({ id }) => id)).toEqual(["b"]);
  });

  test("an operator moves it, and then it is gone", () => {
    const world = running();
    without(world, "a");
    world.run(2000);
    const reply = world.ask({
      kind: "switchover",
      id: "x",
      to: "b",
      timeoutMs: null,
      force: false,
    });
    expect(reply?.kind).toBe("accepted");
    world.run(10_000);
    expect(world.state.saved.primary).toBe("b");
    expect(nodesOf(world)).toEqual(["b", "c"]);
  });

  test("the decision that lets it go forgets it: a deploy right after it finds a node that nobody knows", () => {
    const world = running();
    const { nodes } = world.config;
    without(world, "a");
    world.run(2000);
    world.ask({ kind: "failover", id: "x", to: "b" });
    const isGone = () => world.state.saved.phase.kind === "watching" && nodesOf(world).length === 2;
    world.until("the failover to be over", isGone);
    expect(world.state.saved.members.map(({ id }) => id)).not.toContain("a");
    world.configure({ nodes });
    world.run(3000);
    expect(world.told("+node-unknown")).toMatchObject([{ node: "a" }]);
  });

  test("all nodes but one: the last one stays as well", () => {
    const world = running();
    without(world, "a", "c");
    world.run(2000);
    expect(nodesOf(world).sort()).toEqual(["a", "b"]);
    expect(world.state.saved.readable).toEqual(["b"]);
  });

  test("it comes back into the configuration: nothing happened", () => {
    const world = running();
    const { nodes } = world.config;
    without(world, "a");
    world.run(3000);
    world.configure({ nodes });
    world.run(3000);
    expect(world.state.saved).toMatchObject({ primary: "a", epoch: 1, routeState: "up" });
  });
});

describe("the primary is renamed: the same address under a new id", () => {
  test("it goes on under its new name at the next epoch", () => {
    const world = running();
    const { epoch } = world.state.saved;
    change(world, "a", { id: "z" });
    world.run(5000);
    expect(world.state.saved).toMatchObject({ primary: "z", epoch: epoch + 1, routeState: "up" });
    expect(world.told("+node-renamed")).toMatchObject([{ node: "z", data: { from: "a" } }]);
    expect(nodesOf(world)).toEqual(["z", "b", "c"]);
    expect(world.told("+try-failover")).toEqual([]);
    expect(world.actions.some(({ kind }) => kind === "promote")).toBe(false);
  });

  test("… also when its old id now names another machine: the address is what it is", () => {
    const world = running();
    const swapped = groupConfig({
      nodes: [
        nodeConfig("z", { host: "10.0.0.1" }),
        nodeConfig("a", { host: "10.0.0.2" }),
        nodeConfig("c"),
      ],
    });
    expect(followConfig(world.state.saved, swapped)).toMatchObject({ primary: "z", epoch: 2 });
  });

  test("a new address under its id, and the old one is nobody's: it moved", () => {
    const world = running();
    const moved = groupConfig({
      nodes: [nodeConfig("a", { host: "10.0.0.9" }), nodeConfig("b"), nodeConfig("c")],
    });
    const saved = followConfig(world.state.saved, moved);
    expect(saved).toMatchObject({ primary: "a", epoch: 1 });
    expect(saved.keptNodes).toEqual([nodeConfig("a", { host: "10.0.0.9" })]);
  });

  test.each(["fencing", "electing", "promoting"] as const)(
    "in the middle of an attempt (%s): when it is over",
    (phase) => {
      const world = failing(phase);
      change(world, "a", { id: "z" });
      world.run(20_000);
      expect(world.state.saved).toMatchObject({ primary: "b", phase: { kind: "watching" } });
      world.start("a");
      world.run(10_000);
      expect(nodesOf(world)).toEqual(["z", "b", "c"]);
      expect(world.state.saved.readable).toContain("z");
    },
  );

  test("a new address under the same id: the route follows at once, nobody is promoted", () => {
    const world = running();
    const { rev } = world.state.saved;
    change(world, "a", { port: 7000 });
    world.run(50);
    world.run(2000);
    expect(world.state.saved.rev).toBeGreaterThan(rev);
    expect(world.state.saved.primary).toBe("a");
  });
});

describe("in the middle of a failover", () => {
  test("P11 the likely candidate is removed before the election: another one is chosen", () => {
    const world = failing("fencing");
    without(world, "b");
    world.run(20_000);
    expect(world.state.saved).toMatchObject({ primary: "c", epoch: 2 });
  });

  test("the candidate is removed when it was told to: it is gone through with, and kept", () => {
    const world = failing("promoting");
    without(world, "b");
    world.run(2000);
    expect(world.state.saved).toMatchObject({ primary: "b", epoch: 2 });
    expect(nodesOf(world).sort()).toEqual(["a", "b", "c"]);
    expect(world.told("+node-kept").map(({ node }) => node)).toEqual(["b"]);
  });

  test("… and its promotion is never seen: it is fenced all the same, and kept until another is primary", () => {
    const world = running();
    world.fail("promote", "unknown");
    world.kill("a");
    world.until("promoting", () => world.state.saved.phase.kind === "promoting");
    world.hang("b");
    world.run(200);
    without(world, "b");
    world.mend("promote");
    world.until("fenced", () => world.state.saved.highestEpoch === 3);
    const fenced = world.actions.filter(({ kind, epoch }) => kind === "seal" && epoch === 3);
    expect(fenced).toMatchObject([{ node: "a" }, { node: "b" }]);
    expect(nodesOf(world)).toContain("b");
    world.run(10_000);
    // Another one is in force: who was removed is nobody's business now.
    expect(world.state.saved.primary).toBe("c");
    expect(nodesOf(world)).toEqual(["a", "c"]);
  });

  test("priorities change before the election: the new ones count", () => {
    const world = failing("fencing");
    change(world, "b", { priority: 200 });
    world.run(20_000);
    expect(world.state.saved.primary).toBe("c");
  });

  test("the candidate's priority becomes 0 when it was told to: too late, it stays", () => {
    const world = failing("promoting");
    change(world, "b", { priority: 0 });
    world.run(20_000);
    expect(world.state.saved.primary).toBe("b");
  });

  test.each(["fencing", "electing", "promoting", "publishing", "repointing"] as const)(
    "a node is added while %s: it is seen, and brought under the new primary",
    (phase) => {
      const world = running({ ids: ["a", "b", "c", "d"] });
      const { nodes } = world.config;
      without(world, "d");
      world.run(2000);
      world.kill("a");
      world.until(phase, () => world.state.saved.phase.kind === phase);
      world.configure({ nodes });
      world.run(30_000);
      expect(world.state.saved).toMatchObject({ primary: "b", phase: { kind: "watching" } });
      expect(world.node("d")).toMatchObject({ role: "replica", follows: "b" });
      expect(world.state.saved.readable).toEqual(["c", "d"]);
    },
  );

  test.each(["fencing", "electing", "promoting"] as const)(
    "the relay beside the candidate is removed while %s: another one acts for it",
    (phase) => {
      const world = failing(phase);
      world.configure({
        relays: world.config.relays.filter(({ id }) => id !== "b"),
        vantages: ["relay:a", "relay:c"],
        quorum: 2,
      });
      world.run(20_000);
      expect(world.state.saved.phase.kind).toBe("watching");
      const promoted = world.actions.filter((action) => action.kind === "promote");
      expect(world.state.saved.primary).toBe("b");
      if (phase !== "promoting") expect(promoted.at(-1)?.relay).not.toBe("b");
    },
  );

  test("settings change: the deadline that was set holds, the next one is by the new ones", () => {
    const world = running();
    world.fail("promote", "unreachable");
    world.kill("a");
    world.until("promoting", () => world.state.saved.phase.kind === "promoting");
    const { phase } = world.state.saved;
    world.configure({ promoteTimeoutMs: 60_000 });
    world.run(100);
    const after = world.state.saved.phase;
    if (phase.kind !== "promoting" || after.kind !== "promoting") return expect.fail("left");
    expect(after.deadlineMs).toBe(phase.deadlineMs);
  });
});

describe("beside all that", () => {
  test("a replica is removed: it takes no reads, and is nobody's business any more", () => {
    const world = running();
    without(world, "c");
    world.run(3000);
    expect(world.state.saved.readable).toEqual(["b"]);
    expect(nodesOf(world)).toEqual(["a", "b"]);
    expect(world.told("+node-kept")).toEqual([]);
    expect(Object.keys(world.state.sight.nodes)).toEqual(["a", "b"]);
  });

  test("a downtime of a node that is removed ends", () => {
    const world = running();
    world.ask({ kind: "downtime", id: "x", node: "c", reason: "disk", forMs: 1e6 });
    without(world, "c");
    world.run(2000);
    expect(world.state.saved.downtimes).toEqual({});
    expect(world.told("-downtime")[0]?.text).toContain("no longer configured");
  });

  /** d runs, with data of its own, and is configured by a slip of the pen. */
  function slipped(keys: number): World {
    const world = createWorld({ ids: ["a", "b", "c", "d"] });
    const { nodes } = world.config;
    without(world, "d");
    Object.assign(world.node("d"), { role: "primary", follows: null, keys, replicationId: "own" });
    world.run(5000);
    world.configure({ nodes });
    world.run(15_000);
    return world;
  }

  test("a node with data that nobody ever saw as a part of the group is left alone", () => {
    const world = slipped(50);
    expect(world.node("d")).toMatchObject({ role: "primary", keys: 50, minReplicas: 0 });
    expect(world.actions.filter((action) => "node" in action && action.node === "d")).toEqual([]);
    expect(world.state.saved).toMatchObject({ primary: "a", routeState: "up" });
  });

  test("an empty one is brought under the primary", () => {
    expect(slipped(0).node("d")).toMatchObject({ role: "replica", follows: "a" });
  });

  test("nothing changed: the same document, the same configuration", () => {
    const config = groupConfig();
    const saved: Saved = {
      ...initialState("cache").saved,
      primary: "a",
      keptNodes: [nodeConfig("a")],
    };
    expect(followConfig(saved, config)).toBe(saved);
    expect(effectiveConfig(saved, config)).toBe(config);
  });

  test("every setting of a kept node is the last one that was configured", () => {
    const saved: Saved = { ...initialState("cache").saved, primary: "a" };
    const first = followConfig(saved, groupConfig());
    const config = groupConfig({ nodes: [nodeConfig("a", { priority: 7, zone: "z" })] });
    const second = followConfig(first, config);
    expect(second.keptNodes).toEqual(config.nodes);
    expect(followConfig(second, groupConfig({ nodes: [] })).keptNodes).toEqual(config.nodes);
  });
});
