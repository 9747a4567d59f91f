/** G7: a primary that comes back without its data is judged by its keys before it counts as the primary again. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decide } from "../../worker/core/decide.ts";
import { startDraft } from "../../worker/core/draft.ts";
import { freshSight, initialState } from "../../worker/core/saved.ts";
import { absorb } from "../../worker/core/sight.ts";
import type { State } from "../../worker/core/state.ts";
import type { NodeFacts, Observation } from "../../worker/core/types.ts";
import { noteRestart, wipeOf } from "../../worker/core/wipe.ts";
import { facts, groupConfig, observation } from "../support/builders.ts";
import { createWorld, type World } from "../support/world.ts";

const BEGIN = 1_000_000;
const config = groupConfig();

/** What is known of a, b and c; null: it does not answer. */
type Says = Readonly<Record<string, Partial<NodeFacts> | null>>;
const was = {
  runId: "before",
  keys: 100,
  offset: 1000,
  replicationId: "r",
  atMs: BEGIN - 60_000,
};

function stateBy(says: Says, atMs = BEGIN, before: State["sight"] = freshSight): State {
  const look = config.nodes.flatMap(({ id }) =>
    config.vantages.map((vantage): Observation => {
      const said = says[id] ?? null;
      const role = id === "a" ? ("primary" as const) : ("replica" as const);
      const about = said === null ? null : facts({ runId: `run-${id}`, role, keys: 100, ...said });
      return observation(vantage, id, { class: about ? "up" : "timeout", facts: about, atMs });
    }),
  );
  const saved = {
    ...initialState("cache").saved,
    epoch: 1,
    highestEpoch: 1,
    primary: "a",
    primaryRunId: "before",
    baseline: was,
  };
  return { saved, sight: absorb(before, look, config, { inForce: 1, highest: 1 }, atMs) };
}

/** The verdict at the second of two looks, `apartMs` apart, that say the same. */
function judged(says: Says, apartMs = 1000, change: Partial<State["saved"]> = {}) {
  const first = startDraft(stateBy(says), config, BEGIN);
  noteRestart(first);
  const atMs = BEGIN + apartMs;
  const second = stateBy(says, atMs, first.sight);
  return wipeOf(startDraft({ ...second, saved: { ...second.saved, ...change } }, config, atMs));
}

describe("by its keys, never by its offset", () => {
  type Case = readonly [string, Says, "kept" | "wiped" | "waiting", Partial<State["saved"]>?];
  const others: Says = { b: {}, c: {} };
  const cases: readonly Case[] = [
    ["not restarted, whatever it holds", { a: { runId: "before", keys: 0 }, ...others }, "kept"],
    ["restarted with all of it", { a: { keys: 100 }, ...others }, "kept"],
    ["… though its offset began anew", { a: { keys: 100, offset: 0 }, ...others }, "kept"],
    ["restarted with a tenth of it", { a: { keys: 10 }, ...others }, "kept"],
    ["with less than a tenth, and a replica holds more", { a: { keys: 9 }, ...others }, "wiped"],
    [
      "… though its offset is larger than ever",
      { a: { keys: 9, offset: 1e9 }, ...others },
      "wiped",
    ],
    [
      "empty, and one replica holds a single key",
      { a: { keys: 0 }, b: { keys: 1 }, c: { keys: 0 } },
      "wiped",
    ],
    [
      "empty, and so is everybody: emptied on purpose",
      { a: { keys: 0 }, b: { keys: 0 }, c: { keys: 0 } },
      "kept",
    ],
    ["it loads its data", { a: { keys: 0, loading: true }, ...others }, "waiting"],
    ["it was not seen", { a: null, ...others }, "waiting"],
    [
      "empty, and who may hold its data was not seen",
      { a: { keys: 0 }, b: { keys: 0 }, c: null },
      "waiting",
    ],
    ["… but somebody who does was", { a: { keys: 0 }, b: {}, c: null }, "wiped"],
    ["nobody noted what it held", { a: { keys: 0 }, ...others }, "wiped", { baseline: null }],
    [
      "… and nobody holds anything",
      { a: { keys: 0 }, b: { keys: 0 }, c: { keys: 0 } },
      "kept",
      { baseline: null },
    ],
    [
      "its file says that it is a replica, and it is empty",
      { a: { role: "replica", keys: 0 }, ...others },
      "wiped",
    ],
    [
      "what was noted is from when it held nothing",
      { a: { keys: 0 }, ...others },
      "wiped",
      { baseline: { ...was, keys: 0 } },
    ],
    [
      "… and who copied it was not seen",
      { a: { keys: 0 }, b: null, c: null },
      "waiting",
      { baseline: { ...was, keys: 0 } },
    ],
    [
      "who holds more never followed it",
      { a: { keys: 50 }, b: { keys: 1000, replicaOf: { host: "10.9.9.9", port: 6379 } }, c: null },
      "kept",
    ],
  ];
  for (const [what, says, kind, change] of cases)
    test(what, () => expect(judged(says, 1000, change)).toMatchObject({ kind }));

  test("one look proves nothing: the next has to say the same", () => {
    const says = { a: { keys: 0 }, b: {}, c: {} };
    expect(judged(says, 0)).toMatchObject({ kind: "waiting" });
    expect(judged(says, 1)).toMatchObject({ kind: "wiped" });
  });

  test("it waits for nodes that were not seen, but not for ever", () => {
    const says = { a: { keys: 0 }, b: { keys: 0 }, c: null };
    expect(judged(says, config.primaryStartTimeoutMs - 1).kind).toBe("waiting");
    expect(judged(says, config.primaryStartTimeoutMs)).toMatchObject({
      kind: "kept",
      why: "it holds 0 keys, and nobody holds more",
    });
  });

  test("the evidence: what it holds, what it held, what the others hold", () => {
    expect(judged({ a: { keys: 3 }, b: { keys: 90 }, c: null }).evidence).toEqual({
      keys: 3,
      keysBefore: 100,
      others: [
        { id: "b", keys: 90 },
        { id: "c", keys: null },
      ],
    });
  });

  test("no offset, history or link changes the verdict", () => {
    const noise = fc.record({
      offset: fc.nat(1e9),
      replicationId: fc.constantFrom("r", "other", ""),
      linkUp: fc.boolean(),
      linkDownMs: fc.option(fc.nat(1e6)),
    });
    const keys = fc.record({ a: fc.nat(120), b: fc.nat(120), c: fc.nat(120) });
    fc.assert(
      fc.property(keys, noise, noise, (held, mine, theirs) => {
        const { kind } = judged({
          a: { ...mine, keys: held.a },
          b: { ...theirs, keys: held.b },
          c: { keys: held.c },
        });
        const most = Math.max(held.b, held.c);
        const wiped = held.a < Math.max(100, most) * 0.1 && most > held.a;
        expect(kind).toBe(wiped ? "wiped" : "kept");
      }),
    );
  });
});

describe("what follows", () => {
  function running(change: Parameters<typeof createWorld>[0] = {}): World {
    const world = createWorld({ fencing: "sealed", ...change });
    world.run(3000);
    expect(world.state.saved.baseline).toMatchObject({ keys: 100 });
    return world;
  }
  /** Killed and started at once, before anybody saw it down. */
  const restart = (world: World, as: Parameters<World["start"]>[1]) => {
    world.kill("a");
    world.start("a", as);
  };

  test("wiped: sealed until judged, nobody copies it, and a replica takes over with the data", () => {
    const world = running();
    restart(world, { empty: true });
    world.run(20_000);
    expect(world.told("+wiped")).toHaveLength(1);
    expect(world.told("+try-failover")).toMatchObject([{ data: { cause: "wiped", keys: 0 } }]);
    expect(world.told("+unseal").filter(({ node }) => node === "a")).toEqual([]);
    expect(world.state.saved).toMatchObject({ primary: "b", phase: { kind: "watching" } });
    expect(["a", "b", "c"].map((id) => world.node(id).keys)).toEqual([100, 100, 100]);
  });

  test("restarted with its data: judged, unsealed, and the primary again", () => {
    const world = running();
    restart(world, {});
    world.run(5000);
    expect(world.told("+reboot")).toHaveLength(1);
    expect(world.told("+unseal")).toMatchObject([{ node: "a" }]);
    expect(world.state.saved).toMatchObject({ primary: "a", epoch: 1 });
    expect(world.node("a").minReplicas).toBe(0);
  });

  test("the replicas are emptied as well: it is what it is", () => {
    const world = running();
    for (const id of ["b", "c"]) world.node(id).keys = 0;
    restart(world, { empty: true });
    world.run(5000);
    expect(world.told("+wiped")).toEqual([]);
    expect(world.state.saved).toMatchObject({ primary: "a", epoch: 1 });
    expect(world.node("a").minReplicas).toBe(0);
  });

  test("nobody who holds more is seen: sealed while it waits, then taken as it is", () => {
    const world = running();
    for (const id of ["b", "c"]) world.kill(id);
    world.run(5000);
    restart(world, { empty: true });
    world.run(world.config.primaryStartTimeoutMs - 1000);
    expect(world.node("a").minReplicas).toBeGreaterThan(0);
    world.run(5000);
    expect(world.node("a").minReplicas).toBe(0);
    expect(world.state.saved).toMatchObject({ primary: "a" });
  });

  test("… one who does comes back meanwhile: it takes over", () => {
    const world = running({ graceMs: 0 });
    for (const id of ["b", "c"]) world.kill(id);
    world.run(5000);
    restart(world, { empty: true });
    world.run(10_000);
    world.start("b");
    world.run(20_000);
    expect(world.state.saved.primary).toBe("b");
    expect(world.node("b").keys).toBe(100);
  });

  test("acknowledged: an operator takes it as it is", () => {
    const world = running();
    world.ask({ id: "x", kind: "pause", reason: "reload", forMs: null });
    restart(world, { empty: true });
    world.run(5000);
    expect(world.told("+held").at(-1)?.data.reason).toBe("paused");
    expect(world.ask({ id: "x", kind: "acknowledge" })).toMatchObject({ kind: "accepted" });
    world.ask({ id: "x", kind: "resume" });
    world.run(10_000);
    expect(world.state.saved).toMatchObject({ primary: "a", epoch: 1 });
    expect(world.node("a").minReplicas).toBe(0);
  });

  test("its file says that it is a replica, and it is empty: not promoted again, another takes over", () => {
    const says: Says = { a: { role: "replica", keys: 0 }, b: {}, c: {} };
    let state = stateBy(says);
    for (let look = 1; look < 5; look += 1) {
      const atMs = BEGIN + look * 1000;
      const observations = config.nodes.flatMap(({ id }) =>
        config.vantages.map((vantage) => {
          const about = facts({ runId: `run-${id}`, keys: 100, ...says[id] });
          const relay = { stamp: { boot: "1", ms: atMs }, epoch: 1 };
          return observation(vantage, id, { facts: about, atMs, relay });
        }),
      );
      const input = { observations, outcomes: [], requests: [] };
      const decision = decide(state, input, config, atMs);
      expect(
        decision.actions.filter((each) => each.kind === "promote" && each.node === "a"),
      ).toEqual([]);
      state = decision.state;
    }
    const { phase } = state.saved;
    expect(phase.kind === "watching" ? null : phase.attempt.cause).toBe("wiped");
  });

  test("keys that come and go while it runs are no wipe", () => {
    const world = running();
    world.node("a").keys = 0;
    world.run(120_000);
    expect(world.told("+wiped")).toEqual([]);
    expect(world.state.saved.baseline?.keys).toBe(0);
  });

  test("the baseline is written at most once a minute", () => {
    const world = running();
    const written = new Set([world.state.saved.baseline]);
    for (let second = 0; second < 600; second += 1) {
      world.write("a", 1);
      world.run(1000);
      written.add(world.state.saved.baseline);
    }
    expect(written.size).toBeLessThanOrEqual(11);
  });
});

test.each(["fencing", "electing"] as const)(
  "it comes back empty while an attempt is %s: that ends, and the next one does not wait for its retry gap",
  (phase) => {
    const world = createWorld({ fencing: "sealed", failoverRetryMs: 20_000 });
    world.run(3000);
    world.kill("a");
    world.until(phase, () => world.state.saved.phase.kind === phase);
    world.start("a", { empty: true });
    world.until("another primary", () => world.state.saved.primary !== "a", 10_000);
    expect(world.node(world.state.saved.primary ?? "").keys).toBe(100);
  },
);
