/** Webhooks: who is told of what, how many tries at once and when, and what becomes of one that fails. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type EventName, eventNames } from "../../worker/core/events.ts";
import type { NotifyAction, WebhookConfig } from "../../worker/core/types.ts";
import { createWorld, type World } from "../support/world.ts";

const hook = (name: string, events: readonly EventName[] = eventNames): WebhookConfig => ({
  name,
  url: `https://${name}.example.com`,
  signingSecret: "SIGN",
  events: events.filter((each) => !each.startsWith("-webhook")),
});
const told = (world: World, to?: string): readonly NotifyAction[] =>
  world.actions.flatMap((each) =>
    each.kind === "notify" && (to === undefined || each.to === to) ? [each] : [],
  );

/** A failover from a to b is over. */
function failedOver(webhooks: readonly WebhookConfig[], before: (world: World) => void): World {
  const world = createWorld({ webhooks });
  world.run(3000);
  before(world);
  world.kill("a");
  world.until("b", () => world.state.saved.primary === "b");
  world.until("over", () => world.state.saved.phase.kind === "watching");
  return world;
}

test("every event that was chosen is told once, in its order; others are not", () => {
  const chosen: readonly EventName[] = ["+odown", "+switch-master", "+failover-end"];
  const world = failedOver([hook("pager", chosen)], () => {});
  world.run(1000);
  expect(told(world).map(({ event }) => event.name)).toEqual(chosen);
  expect(world.state.saved.notices).toEqual([]);
});

test("two webhooks are told of one event under one id, and another event has another", () => {
  const world = failedOver(
    [hook("pager", ["+odown", "+switch-master"]), hook("chat", ["+switch-master"])],
    () => {},
  );
  world.run(1000);
  const ids = (to: string) => told(world, to).map(({ notice }) => notice);
  expect(ids("pager")).toHaveLength(2);
  expect(ids("pager")).toContain(ids("chat")[0]);
  expect(new Set(ids("pager")).size).toBe(2);
});

test("G25 one that fails holds up nothing: the same failover, step by step, with it and without", () => {
  const story = (webhooks: readonly WebhookConfig[]) => {
    const world = failedOver(webhooks, (each) => each.fail("pager", "unknown"));
    const fromMs = world.told("+odown")[0]?.atMs ?? 0;
    return world.events
      .filter(({ name, atMs }) => !name.startsWith("-webhook") && atMs >= fromMs)
      .map(({ atMs, name, node }) => `${atMs - fromMs} ${name} ${node}`);
  };
  expect(story([hook("pager")])).toEqual(story([]));
});

test("none begins while a primary is being replaced", () => {
  const world = createWorld({ webhooks: [hook("pager")] });
  world.run(3000);
  world.kill("a");
  world.until("b", () => world.state.saved.primary === "b");
  for (const { actions, state } of world.decisions)
    if (actions.some(({ kind }) => kind === "notify"))
      expect(["watching", "publishing", "repointing"]).toContain(state.saved.phase.kind);
});

test("one try at a time a webhook, two a group, one while the primary is suspected; those that work go first", () => {
  const names = ["one", "two", "three"];
  let before = 0;
  const world = failedOver(
    names.map((name) => hook(name)),
    (each) => {
      before = told(each, "one").length;
      each.fail("one", "unknown");
      each.fail("two", "failed");
    },
  );
  world.run(60_000);
  for (const { state } of world.decisions) {
    const under = state.saved.pending.filter(({ kind }) => kind === "notify");
    expect(under.length).toBeLessThanOrEqual(2);
    expect(new Set(under.map(({ about }) => about)).size).toBe(under.length);
  }
  // One that hangs, or fails, is asked once in 30 s; the third has been told all of it meanwhile.
  expect(told(world, "one").length - before).toBeLessThanOrEqual(3);
  expect(told(world, "two").length - before).toBeLessThanOrEqual(3);
  expect(world.state.saved.notices.filter(({ to }) => to === "three")).toEqual([]);
});

describe("a try that fails", () => {
  const failing = (kind: "failed" | "unknown" | "unreachable" | "refused") =>
    failedOver([hook("pager", ["+switch-master"])], (world) => {
      world.fail("pager", kind);
      world.configure({ checkIntervalMs: 10_000 });
    });
  const notice = (world: World) => world.state.saved.notices[0];

  test("is repeated after 30 s, doubled each time, a quarter more or less; ten tries in all", () => {
    const world = failing("failed");
    for (let tries = 1; tries < 10; tries += 1) {
      world.until(`try ${tries}`, () => notice(world)?.tries === tries, 20_000_000);
      const waitMs = (notice(world)?.nextAtMs ?? 0) - world.nowMs;
      const fullMs = 30_000 * 2 ** (tries - 1);
      expect(waitMs).toBeGreaterThanOrEqual(0.75 * fullMs - 10);
      expect(waitMs).toBeLessThanOrEqual(1.25 * fullMs);
    }
    world.until("given up", () => notice(world) === undefined, 20_000_000);
    expect(told(world)).toHaveLength(10);
    expect(new Set(told(world).map(({ notice: id }) => id)).size).toBe(1);
    expect(world.told("-webhook-failed")).toHaveLength(1);
    expect(world.told("-webhook-gave-up")).toHaveLength(1);
  });

  test("waits for as long as it is asked to, and so does what else its webhook is to be told", () => {
    const world = failedOver([hook("pager")], (each) => each.retryAfter.set("pager", 3_600_000));
    world.run(1000);
    const before = told(world).length;
    world.run(3_000_000);
    expect(told(world).length).toBe(before);
    expect(world.state.saved.notices.length).toBeGreaterThan(10);
  });

  test("of one that is gone for good is the last, and what else it was to be told is given up", () => {
    let before = 0;
    const world = failedOver([hook("pager")], (each) => {
      before = told(each).length;
      each.fail("pager", "refused");
    });
    world.run(3_700_000);
    expect(world.state.saved.notices).toEqual([]);
    // Once when it began, and once more an hour later.
    expect(told(world).length - before).toBe(2);
    expect(world.told("-webhook-gave-up").length).toBe(2);
  });

  test("is told again after it has worked meanwhile", () => {
    const world = failing("failed");
    world.mend("pager");
    world.run(60_000);
    world.fail("pager", "failed");
    world.ask({ id: "x", kind: "failover", to: "c" });
    world.run(10_000);
    expect(world.told("-webhook-failed")).toHaveLength(2);
  });

  test("many groups do not come back at once", () => {
    const waits = ["a1", "b2", "c3", "d4", "e5", "f6"].map((name) => {
      const world = createWorld({ name, webhooks: [hook("pager", ["+monitor"])] });
      world.fail("pager", "failed");
      world.until("tried", () => notice(world)?.tries === 1);
      return (notice(world)?.nextAtMs ?? 0) - world.nowMs;
    });
    expect(new Set(waits).size).toBeGreaterThan(3);
  });
});

test("what was under way when the Group died is tried again at once, and not counted", () => {
  const world = failedOver([hook("pager", ["+switch-master"])], (each) =>
    each.fail("pager", "unknown"),
  );
  expect(world.state.saved.pending.map(({ kind }) => kind)).toContain("notify");
  world.evict();
  world.mend("pager");
  world.run(100);
  expect(told(world)).toHaveLength(2);
  expect(world.state.saved.notices).toEqual([]);
});

test("what waits is told as it was told at first, though the clock goes back meanwhile", () => {
  const world = failedOver([hook("pager", ["+switch-master"])], (each) =>
    each.fail("pager", "failed"),
  );
  world.run(1000);
  const before = world.state.saved.notices[0]?.event;
  world.jump(-600_000);
  world.run(40_000);
  expect(world.told("+tilt").length).toBeGreaterThan(0);
  expect(world.state.saved.notices[0]?.event).toEqual(before);
});

test("a webhook that is taken out of the configuration is told nothing more", () => {
  const world = failedOver([hook("pager")], (each) => each.fail("pager", "failed"));
  world.run(1000);
  expect(world.state.saved.notices.length).toBeGreaterThan(0);
  world.configure({ webhooks: [] });
  world.run(5000);
  expect(world.state.saved.notices).toEqual([]);
  expect(world.told("-webhook-gave-up")).toHaveLength(1);
});

test("at most a hundred wait for each webhook: the oldest go first, and each is told by its name", () => {
  const world = createWorld({ webhooks: [hook("pager"), hook("chat", ["+odown"])] });
  world.fail("pager", "failed");
  world.run(2000);
  for (let count = 0; count < 60; count += 1) {
    world.ask({ id: "x", kind: "pause", reason: "x", forMs: null });
    world.ask({ id: "x", kind: "resume" });
  }
  const { notices } = world.state.saved;
  expect(notices).toHaveLength(100);
  expect(notices.at(-1)?.event.name).toBe("-pause");
  const dropped = world.told("-webhook-gave-up").flatMap(({ data }) => data.notices as unknown[]);
  expect(dropped.length + notices.length).toBe(new Set(world.told("+pause")).size * 2 + 5);
});

test("eight webhooks with every event of a failover: none loses any", () => {
  const names = ["a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8"];
  const world = failedOver(
    names.map((name) => hook(name)),
    () => {},
  );
  world.run(20_000);
  expect(world.told("-webhook-gave-up")).toEqual([]);
  const count = told(world, "a1").length;
  for (const name of names) expect(told(world, name)).toHaveLength(count);
});

test("webhooks are told nothing of webhooks", () => {
  const world = failedOver([hook("pager"), hook("chat")], (each) => {
    each.fail("pager", "refused");
    each.fail("chat", "refused");
  });
  world.run(100_000);
  expect(world.told("-webhook-gave-up").length).toBeGreaterThan(0);
  expect(told(world).filter(({ event }) => event.name.startsWith("-webhook"))).toEqual([]);
});

test("whatever fails and whenever: what was chosen is taken, waits, or was told to be given up", () => {
  const kinds = fc.constantFrom("done", "failed", "unknown", "unreachable", "refused" as const);
  fc.assert(
    fc.property(fc.array(kinds, { minLength: 1, maxLength: 12 }), fc.nat(3), (become, evictAt) => {
      const world = createWorld({
        webhooks: [hook("pager", ["+pause", "-pause"])],
        checkIntervalMs: 20_000,
      });
      world.run(30_000);
      become.forEach((kind, at) => {
        if (kind === "done") world.mend("pager");
        else world.fail("pager", kind);
        world.ask({ id: "x", kind: "pause", reason: "x", forMs: null });
        world.ask({ id: "x", kind: "resume" });
        if (at % 4 === evictAt) world.evict();
        world.run(40_000);
      });
      world.mend("pager");
      world.until("all told", () => world.state.saved.notices.length === 0, 20_000_000);
      const chosen = [...world.told("+pause"), ...world.told("-pause")].length;
      const dropped = world
        .told("-webhook-gave-up")
        .flatMap(({ data }) => data.notices as { readonly id: string }[]);
      const ids = [...told(world).map(({ notice }) => notice), ...dropped.map(({ id }) => id)];
      expect(new Set(ids).size).toBe(chosen);
      expect(world.state.saved.notices).toEqual([]);
    }),
    { numRuns: 20 },
  );
});
