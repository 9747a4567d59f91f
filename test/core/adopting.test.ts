/** Taking over a primary that Picket did not make: somebody else's switch is told, adopted, and never fought (G16). */
import { describe, expect, test } from "vitest";
import { grantLease } from "../../worker/core/lease.ts";
import { createWorld, type World } from "../support/world.ts";

function running(change: Parameters<typeof createWorld>[0] = {}): World {
  const world = createWorld(change);
  world.run(3000);
  return world;
}

/** What Sentinel, or a person, does: b is promoted, the others follow it. */
function switched(world: World, ...others: readonly string[]): void {
  Object.assign(world.node("b"), { role: "primary", follows: null, brokenAtMs: null });
  for (const id of others)
    Object.assign(world.node(id), { role: "replica", follows: "b", brokenAtMs: world.nowMs });
}
const verbs = (world: World) =>
  world.actions.flatMap((action) => ("node" in action ? [`${action.kind} ${action.node}`] : []));

describe("a clean switch", () => {
  test("is adopted when it has lasted, as the next epoch, and nobody is told to undo it", () => {
    const world = running();
    switched(world, "a", "c");
    world.run(world.config.adoptAfterMs - 100);
    expect(world.state.saved).toMatchObject({ primary: "a", epoch: 1 });
    expect(world.told("+role-change")).toHaveLength(1);
    world.run(2000);
    expect(world.state.saved).toMatchObject({ primary: "b", epoch: 2, routeState: "up" });
    expect(world.state.saved.lastSwitch).toMatchObject({ cause: "foreign", from: "a", to: "b" });
    expect(world.told("+failover-detected")).toHaveLength(1);
    expect(verbs(world)).toEqual([]);
  });

  test("replicas that still follow the old primary are brought along afterwards", () => {
    const world = running();
    switched(world, "a");
    world.run(20_000);
    expect(world.state.saved.primary).toBe("b");
    expect(world.node("c").follows).toBe("b");
  });

  test("taken back before that: nothing was", () => {
    const world = running();
    switched(world, "a", "c");
    world.run(5000);
    Object.assign(world.node("a"), { role: "primary", follows: null, brokenAtMs: null });
    for (const id of ["b", "c"])
      Object.assign(world.node(id), { role: "replica", follows: "a", brokenAtMs: world.nowMs });
    world.run(20_000);
    expect(world.state.saved).toMatchObject({ primary: "a", epoch: 1, routeState: "up" });
    expect(verbs(world)).toEqual([]);
  });

  test("G17 while paused it is not adopted; the end of the pause judges anew", () => {
    const world = running();
    world.ask({ id: "x", kind: "pause", reason: "hands off", forMs: null });
    switched(world, "a", "c");
    world.run(60_000);
    expect(world.state.saved).toMatchObject({ primary: "a", epoch: 1 });
    world.ask({ id: "x", kind: "resume" });
    world.run(2000);
    expect(world.state.saved).toMatchObject({ primary: "b", epoch: 2 });
    expect(verbs(world)).toEqual([]);
  });

  test("… where the old primary is dead nobody is waited for, but one look is not enough", () => {
    const world = running();
    world.ask({ id: "x", kind: "pause", reason: "a person does it", forMs: null });
    world.kill("a");
    switched(world, "c");
    world.run(10_000);
    expect(world.state.saved.primary).toBe("a");
    world.ask({ id: "x", kind: "resume" });
    world.until("b", () => world.state.saved.primary === "b", 2000);
    world.run(5000);
    expect(world.primaries()).toEqual(["b"]);
  });

  test("an eviction forgets since when, so it lasts anew", () => {
    const world = running();
    switched(world, "a", "c");
    world.run(8000);
    world.evict();
    world.run(8000);
    expect(world.state.saved.primary).toBe("a");
    world.run(4000);
    expect(world.state.saved.primary).toBe("b");
  });
});

describe("what is no clean switch", () => {
  test("G13 a second primary beside the first is a stranger: sealed at first sight, and never the primary", () => {
    const world = running();
    switched(world);
    world.run(5000);
    expect(verbs(world)[0]).toBe("seal b");
    expect(world.state.saved).toMatchObject({ primary: "a", epoch: 1 });
    world.run(30_000);
    expect(world.node("b")).toMatchObject({ role: "replica", follows: "a", minReplicas: 0 });
  });

  test("several others at once: nobody is adopted, an election settles it", () => {
    const world = running();
    for (const id of ["b", "c"])
      Object.assign(world.node(id), { role: "primary", follows: null, brokenAtMs: null });
    Object.assign(world.node("a"), { role: "replica", follows: "b" });
    world.run(20_000);
    expect(world.told("+failover-detected")).toEqual([]);
    expect(world.state.saved.lastSwitch).toMatchObject({ cause: "no-primary", from: "a" });
    expect(world.primaries()).toEqual([world.state.saved.primary]);
  });
});

test("under a lease a dead primary's relay is granted nothing while the switch is waited for", () => {
  const world = running({ fencing: "lease", leaseMs: 3000 });
  world.kill("a");
  switched(world, "c");
  world.until("the switch to be seen", () => world.state.saved.revokedAtMs !== null);
  const { runId } = world.node("a");
  const asked = { relay: "a", node: "a", runId };
  const grant = grantLease(world.state.saved, world.config, asked, world.nowMs);
  expect(grant).toMatchObject({ granted: false });
  const revokedAtMs = world.state.saved.revokedAtMs ?? 0;
  world.until("the adoption", () => world.state.saved.primary === "b");
  expect(world.nowMs - revokedAtMs).toBeGreaterThanOrEqual(3000);
  expect(world.state.saved.revokedAtMs).toBe(null);
});
