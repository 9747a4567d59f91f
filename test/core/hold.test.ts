/** What holds an automatic failover, each kind told once, and what ends it; the brake over all groups. */
import { describe, expect, test } from "vitest";
import type { OperatorRequest } from "../../worker/core/state.ts";
import { createWorld, type World } from "../support/world.ts";

type Change = Parameters<typeof createWorld>[0];

const running = (change: Change = {}): World => {
  const world = createWorld(change);
  world.run(3000);
  return world;
};
const ask = (world: World, request: OperatorRequest) =>
  expect(world.ask(request)?.kind).toBe("accepted");
const pause = (world: World, forMs: number | null = null) =>
  ask(world, { id: "x", kind: "pause", reason: "maintenance", forMs });

/** A finished failover from a to b; then c alone is left to take over. */
function failedOver(change: Change = {}): World {
  const world = running({ graceMs: 0, failoverRetryMs: 0, ...change });
  world.kill("a");
  world.until("b", () => world.state.saved.primary === "b");
  world.until("over", () => world.state.saved.phase.kind === "watching");
  return world;
}

/** An attempt that was aborted because the primary answered again. */
function aborted(): World {
  const world = running();
  world.hang("a");
  world.until("fencing", () => world.state.saved.phase.kind === "fencing");
  world.start("a");
  world.until("over", () => world.state.saved.phase.kind === "watching");
  expect(world.state.saved.primary).toBe("a");
  return world;
}

describe("each kind is told once, with its reason, and ends", () => {
  type Case = {
    readonly kind: string;
    readonly prepare: () => World;
    /** The primary goes away. */
    readonly strike: (world: World) => void;
    readonly why: RegExp;
    /** What ends it; by then somebody else is the primary. */
    readonly end: (world: World) => void;
  };
  const cut = (world: World) => {
    world.relay("a").reach = false;
    for (const id of ["b", "c"]) world.relay(id).cut.add("a");
  };
  const cases: readonly Case[] = [
    {
      kind: "noquorum",
      prepare: () => running({ quorum: 1 }),
      strike: (world) => {
        for (const id of ["b", "c"]) world.relay(id).reach = false;
        world.kill("a");
      },
      why: /NOQUORUM: too few vantages answered/,
      end: (world) => (world.relay("b").reach = true),
    },
    {
      kind: "paused",
      prepare: () => {
        const world = running();
        pause(world);
        return world;
      },
      strike: (world) => world.kill("a"),
      why: /the group is paused: maintenance \(resume\)/,
      end: (world) => ask(world, { id: "x", kind: "resume" }),
    },
    {
      kind: "downtime",
      prepare: () => {
        const world = running();
        ask(world, { id: "x", kind: "downtime", node: "a", reason: "new disk", forMs: 3_600_000 });
        return world;
      },
      strike: (world) => world.kill("a"),
      why: /a is in downtime: new disk \(end the downtime\)/,
      end: (world) => ask(world, { id: "x", kind: "end-downtime", node: "a" }),
    },
    {
      kind: "unreachable",
      prepare: running,
      strike: cut,
      why: /b, c still hears from it: out of reach, not dead/,
      end: (world) => world.kill("a"),
    },
    {
      kind: "outage",
      prepare: running,
      strike: (world) => {
        for (const id of ["a", "b", "c"]) world.kill(id);
        world.run(3000);
        expect(world.told("+held").at(-1)?.text).toContain("and so is every other node");
        world.start("b");
        world.run(1000);
        expect(world.decisions.at(-1)?.because).toMatch(/it has \d+ ms more to return before/);
      },
      why: /and so is every other node/,
      end: (world) => world.run(world.config.primaryStartTimeoutMs),
    },
    {
      kind: "retry",
      prepare: aborted,
      strike: (world) => world.kill("a"),
      why: /the last attempt was aborted, the next one may begin in \d+ ms/,
      end: (world) => world.run(world.config.failoverRetryMs),
    },
    {
      kind: "cooldown",
      prepare: failedOver,
      strike: (world) => world.kill("b"),
      why: /cooldown: .* may begin in \d+ ms \(an acknowledgement lifts it\)/,
      end: (world) => world.run(world.config.cooldownMs),
    },
    {
      kind: "limit",
      prepare: () => failedOver({ maxFailoversPerHour: 1, cooldownMs: 0 }),
      strike: (world) => world.kill("b"),
      why: /1 failovers within an hour: no further one by itself \(an acknowledgement lifts it\)/,
      end: (world) => ask(world, { id: "x", kind: "acknowledge" }),
    },
  ];

  test.each(cases)("$kind", ({ kind, prepare, strike, why, end }) => {
    const world = prepare();
    const { primary, highestEpoch } = world.state.saved;
    const begun = world.events.length;
    strike(world);
    world.run(8000);
    const held = () =>
      world.events
        .slice(begun)
        .filter(({ name, data }) => name === "+held" && data.reason === kind);
    expect(held()).toHaveLength(1);
    expect(held()[0]?.text).toMatch(why);
    expect(world.state.saved).toMatchObject({ primary, highestEpoch });
    expect(world.decisions.at(-1)?.because).toContain(held()[0]?.text.split(";")[0]);
    end(world);
    world.until("somebody else", () => world.state.saved.primary !== primary, 20_000);
    expect(held()).toHaveLength(1);
    world.run(10_000);
    expect(world.state.sight.told.filter((mark) => mark.startsWith("held:"))).toEqual([]);
  });

  test("held for one reason and then for another: each is told, and its end once", () => {
    const world = running();
    pause(world);
    world.kill("a");
    world.run(5000);
    ask(world, { id: "x", kind: "downtime", node: "a", reason: "disk", forMs: 3000 });
    ask(world, { id: "x", kind: "resume" });
    world.run(10_000);
    expect(world.told("+held").map(({ data }) => data.reason)).toEqual(["paused", "downtime"]);
    expect(world.state.saved.primary).toBe("b");
  });

  test("nothing calls for a failover: nothing is held", () => {
    const world = running();
    pause(world);
    world.run(5000);
    expect(world.told("+held")).toEqual([]);
  });

  test("the primary comes back while it is held: the end is told, nobody is promoted", () => {
    const world = running();
    pause(world);
    world.hang("a");
    world.run(8000);
    world.start("a");
    world.run(3000);
    expect(world.told("-held")).toHaveLength(1);
    expect(world.state.saved).toMatchObject({ primary: "a", highestEpoch: 1 });
  });
});

describe("G4 a second failure right after a success", () => {
  test("is held by the cooldown, to the millisecond", () => {
    const world = failedOver();
    const [atMs = 0] = world.state.saved.failoversAtMs;
    world.kill("b");
    world.until("c", () => world.state.saved.phase.kind === "fencing", 90_000);
    expect(world.nowMs - atMs).toBeGreaterThanOrEqual(world.config.cooldownMs);
    expect(world.nowMs - atMs).toBeLessThan(world.config.cooldownMs + 1100);
  });

  test("an acknowledgement lifts it at once", () => {
    const world = failedOver();
    world.kill("b");
    world.run(3000);
    expect(world.told("+held")).toHaveLength(1);
    ask(world, { id: "x", kind: "acknowledge" });
    world.until("c", () => world.state.saved.primary === "c", 1000);
  });

  test("it survives an eviction", () => {
    const world = failedOver();
    world.kill("b");
    world.evict();
    world.run(10_000);
    expect(world.state.saved.primary).toBe("b");
    expect(world.told("+held").at(-1)?.data.reason).toBe("cooldown");
  });

  test("G27 what goes on in the same attempt is not held: the new primary dies before all follow it", () => {
    const world = running({ failoverRetryMs: 0, graceMs: 0 });
    world.fail("demote", "unreachable");
    world.kill("a");
    world.until("repointing", () => world.state.saved.phase.kind === "repointing");
    world.kill("b");
    world.mend("demote");
    world.until("c", () => world.state.saved.primary === "c", 10_000);
    expect(world.state.saved.epoch).toBe(3);
  });

  test("a failover by hand counts for nothing, and is not held", () => {
    const world = running();
    for (const to of ["b", "c", "a"]) {
      ask(world, { id: "x", kind: "failover", to });
      world.until(to, () => world.state.saved.primary === to);
      world.until("over", () => world.state.saved.phase.kind === "watching");
      world.run(1000);
    }
    expect(world.state.saved.failoversAtMs).toEqual([]);
  });
});

describe("at most so many an hour", () => {
  test("the count is of the last hour, and 0 is no limit", () => {
    const world = failedOver({ maxFailoversPerHour: 1, cooldownMs: 0 });
    world.start("a");
    world.run(10_000);
    world.kill("b");
    world.run(30_000);
    expect(world.state.saved.primary).toBe("b");
    world.configure({ maxFailoversPerHour: 0 });
    world.until("another", () => world.state.saved.primary !== "b", 10_000);
    world.start("b");
    world.run(5000);
    world.configure({ maxFailoversPerHour: 2 });
    world.run(3_600_000);
    world.kill(world.state.saved.primary ?? "");
    world.run(10_000);
    expect(world.state.saved.failoversAtMs).toHaveLength(1);
  });
});

describe("G17 pause", () => {
  test("no automatic action; a switch by hand works; resume judges anew", () => {
    const world = running();
    pause(world);
    world.kill("a");
    world.run(60_000);
    expect(world.actions.filter(({ kind }) => kind === "promote")).toEqual([]);
    ask(world, { id: "x", kind: "failover", to: "c" });
    world.run(10_000);
    expect(world.state.saved.primary).toBe("c");
    world.start("a", { follows: null });
    world.run(10_000);
    // Not sealed, not demoted: that would be an action by itself.
    expect(world.node("a")).toMatchObject({ role: "primary", minReplicas: 0 });
    ask(world, { id: "x", kind: "resume" });
    world.run(10_000);
    expect(world.node("a")).toMatchObject({ role: "replica", follows: "c" });
  });

  test("one that the Group began is ended, and what it sealed is given back", () => {
    const world = running({ fencing: "lease" });
    world.hang("a");
    world.until("fencing", () => world.state.saved.phase.kind === "fencing");
    pause(world);
    expect(world.told("-failover-abort-paused")).toHaveLength(1);
    world.start("a");
    world.run(5000);
    expect(world.node("a").minReplicas).toBe(0);
    expect(world.state.saved).toMatchObject({ primary: "a", phase: { kind: "watching" } });
  });

  test("a promotion that was sent is gone through with", () => {
    const world = running();
    world.kill("a");
    world.until("promoting", () => world.state.saved.phase.kind === "promoting");
    pause(world);
    world.run(5000);
    expect(world.state.saved.primary).toBe("b");
  });

  test("it ends by itself, and what waited begins", () => {
    const world = running();
    pause(world, 20_000);
    world.kill("a");
    world.run(15_000);
    expect(world.state.saved.primary).toBe("a");
    world.until("b", () => world.state.saved.primary === "b", 10_000);
  });
});

describe("G22 the brake over all groups", () => {
  test("refused: the attempt ends, nobody is promoted, the seal is given back, and it is tried again", () => {
    const world = running();
    world.fail("permit", "refused");
    world.node("a").life = "misconf";
    world.run(10_000);
    expect(world.told("-failover-abort-brake")).toHaveLength(1);
    expect(world.actions.filter(({ kind }) => kind === "promote")).toEqual([]);
    world.node("a").life = "up";
    world.run(3000);
    expect(world.node("a").minReplicas).toBe(0);
    world.mend("permit");
    world.kill("a");
    world.until("b", () => world.state.saved.primary === "b", world.config.failoverRetryMs + 5000);
  });

  test.each(["unknown", "failed", "unreachable"] as const)("%s: granted, and told", (kind) => {
    const world = running();
    world.fail("permit", kind);
    world.kill("a");
    world.until("b", () => world.state.saved.primary === "b");
    expect(world.told("+brake-unknown")).toHaveLength(1);
    // It is waited for as long as fence_wait, 300 ms, and no longer.
    const { tookMs } = world.state.saved.lastSwitch ?? {};
    expect(tookMs).toBeLessThan(400);
  });

  test("granted: nothing is told, and nothing is waited for", () => {
    const world = running();
    world.kill("a");
    world.until("b", () => world.state.saved.primary === "b");
    expect(world.told("+brake-unknown")).toEqual([]);
    expect(world.actions.filter(({ kind }) => kind === "permit")).toHaveLength(1);
  });

  test("nobody asks for what an operator wants", () => {
    const world = running();
    ask(world, { id: "x", kind: "failover", to: null });
    world.run(5000);
    expect(world.actions.filter(({ kind }) => kind === "permit")).toEqual([]);
  });

  test("a refusal that comes after the promotion was sent undoes nothing", () => {
    const world = running();
    world.fail("permit", "unknown");
    world.kill("a");
    world.until("promoting", () => world.state.saved.phase.kind === "promoting");
    world.run(5000);
    expect(world.state.saved.primary).toBe("b");
    expect(world.told("-failover-abort-brake")).toEqual([]);
  });
});
