/**
 * A Group that slept: its memory is gone, and what it needs of it is on disk, or told by the relays that watched on.
 */
import { describe, expect, test } from "vitest";
import type { Observation } from "../../worker/core/types.ts";
import { createWorld, type World } from "../support/world.ts";

type Before = NonNullable<Observation["pushed"]>["before"];

/** A primary that takes more writes than its replicas receive, and that nobody looks at any more. */
function lagging(): { readonly world: World; readonly before: NonNullable<Before> } {
  const world = createWorld({ maxLagBytes: 1000, quiet: true });
  world.run(3000);
  for (const id of ["b", "c"]) world.node(id).lagging = true;
  world.node("a").offset += 300_000;
  world.settle();
  const facts = world.look().find(({ node }) => node === "a")?.facts;
  if (facts == null) throw new Error("a says nothing");
  const before = { facts, atMs: world.nowMs };
  world.kill("a");
  world.evict();
  world.jump(5000);
  return { world, before };
}

const refusedBy = (world: World, relay: string, before: Before, refusals = 3): Observation => ({
  ...{ vantage: `relay:${relay}`, from: "group", epoch: world.state.saved.epoch, node: "a" },
  ...{ class: "refused", detail: "nothing listens there", facts: null, relay: null },
  ...{ atMs: world.nowMs, tookMs: 1 },
  pushed: { news: true, looks: 3, refusals, sinceMs: world.nowMs - 200, before },
});

describe("the primary dies while the Group sleeps", () => {
  test("and its relays saw how far ahead it was: max_lag_bytes holds", () => {
    const { world, before } = lagging();
    world.push(["b", "c"].map((relay) => refusedBy(world, relay, before)));
    world.run(3000);
    expect(world.state.saved.primary).toBe("a");
    const [nobody] = world.told("-failover-abort-no-good-slave");
    expect(nobody?.text).toContain("is 300000 bytes behind the primary as last seen");
  });

  test("where that is allowed: what is lost is told, and for how long nobody saw it", () => {
    const { world, before } = lagging();
    world.configure({ maxLagBytes: 0 });
    world.push(["b", "c"].map((relay) => refusedBy(world, relay, before)));
    world.until("a switch", () => world.state.saved.primary !== "a");
    const { lostBytesAtLeast, unseenMs } = world.state.saved.lastSwitch ?? {};
    expect(lostBytesAtLeast).toBe(300_000);
    expect(unseenMs).toBeGreaterThanOrEqual(5000);
  });

  test("what one relay remembers is nothing against what another sees now", () => {
    const { world, before } = lagging();
    world.start("a");
    world.push([refusedBy(world, "b", before)]);
    world.run(100);
    const known = world.state.sight.nodes.a ?? {};
    expect(known["relay:b"]?.facts?.runId).toBe(world.node("a").runId);
    expect(world.state.saved.primary).toBe("a");
  });
});

test("a switch made by hand while the Group slept is told and adopted, not fought", () => {
  const world = createWorld();
  world.run(3000);
  world.evict();
  Object.assign(world.node("b"), { role: "primary", follows: null, brokenAtMs: null });
  world.run(world.config.adoptAfterMs / 2);
  // A second primary takes no writes, and keeps what it took.
  const verbs = world.actions.flatMap((action) => ("node" in action ? [action.kind] : []));
  expect(verbs).toEqual(["seal"]);
  for (const id of ["a", "c"])
    Object.assign(world.node(id), { role: "replica", follows: "b", brokenAtMs: world.nowMs });
  world.evict();
  world.run(2 * world.config.adoptAfterMs);
  expect(world.state.saved).toMatchObject({ primary: "b", epoch: 2 });
});

test("silence that ends with one refused connection is no row of refused ones", () => {
  const world = createWorld();
  world.run(3000);
  world.push(["a", "b"].map((relay) => refusedBy(world, relay, null, 1)));
  expect(world.told("+sdown")).toEqual([]);
});
