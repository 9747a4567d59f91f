/** Each event has a story that tells it, and each phase a deadline by which it is left, whatever is seen. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decide } from "../../worker/core/decide.ts";
import { eventNames } from "../../worker/core/events.ts";
import { SEALED } from "../../worker/core/facts.ts";
import { leaseEndMs } from "../../worker/core/lease.ts";
import type { Phase, PhaseKind, State } from "../../worker/core/state.ts";
import type {
  GroupConfig,
  Observation,
  ObservationClass,
  Outcome,
  OutcomeKind,
} from "../../worker/core/types.ts";
import { facts, observation } from "../support/builders.ts";
import { createWorld, type World } from "../support/world.ts";

const folder = join(import.meta.dirname, "../scenarios");
/** What the stories tell, without the scripts that make them. */
const stories = readdirSync(folder)
  .filter((name) => name.endsWith(".txt"))
  .map((name) => readFileSync(join(folder, name), "utf8").split("\n----\n")[1] ?? "");
const told = new Set(
  stories.flatMap((story) =>
    [...story.matchAll(/^ *\d+\.\d{3} {2}(\S+)/gm)].map((match) => match[1]),
  ),
);

test.each(eventNames)("%s is told in a golden story", (name) => {
  expect(told.has(name), `write a scenario in test/scenarios that tells ${name}`).toBe(true);
});

test("no story tells what is no event", () => {
  const names: readonly string[] = eventNames;
  expect([...told].filter((name) => name === undefined || !names.includes(name))).toEqual([]);
  expect(new Set(eventNames).size).toBe(eventNames.length);
});

type Begun = Exclude<Phase, { kind: "watching" }>;

/** How each phase is come to, and until when it may last at the most. A new phase does not compile without. */
const begun: Readonly<
  Record<
    Exclude<PhaseKind, "watching">,
    { readonly into: (world: World) => void; readonly lastsUntilMs: (world: World) => number }
  >
> = {
  fencing: {
    into: (world) => world.hang("a"),
    // Under a lease it waits for its end.
    lastsUntilMs: ({ state, config }) => leaseEndMs(state.saved.revokedAtMs ?? 0, config),
  },
  electing: { into: (world) => world.kill("a"), lastsUntilMs: deadlineOf },
  switching: {
    into: (world) => {
      world.node("b").lagging = true;
      world.write("a", 10);
      world.ask({ id: "x", kind: "switchover", to: "b", timeoutMs: 3000, force: false });
    },
    // Past its deadline it is called off, and that is not waited for without end either.
    lastsUntilMs: ({ state, config }) => {
      const { phase } = state.saved;
      const calledOff = config.commandTtlMs + 2 * config.commandTimeoutMs;
      return phase.kind === "switching" ? phase.deadlineMs + calledOff : 0;
    },
  },
  promoting: {
    into: (world) => {
      world.fail("promote", "unknown");
      world.kill("a");
    },
    lastsUntilMs: deadlineOf,
  },
  publishing: { into: (world) => world.kill("a"), lastsUntilMs: deadlineOf },
  repointing: {
    into: (world) => {
      world.fail("demote", "failed");
      world.kill("a");
    },
    lastsUntilMs: deadlineOf,
  },
};

function deadlineOf({ state }: World): number {
  const { phase } = state.saved;
  return phase.kind === "watching" ? 0 : phase.deadlineMs;
}

/** What becomes of the world while a phase lasts: looks and outcomes, drawn from a seed. */
type Fate = {
  readonly looks: (config: GroupConfig, epoch: number, nowMs: number) => readonly Observation[];
  readonly outcome: () => OutcomeKind | null;
};

const classes: readonly ObservationClass[] = [
  ...(["up", "refused", "timeout", "closed", "loading", "busy", "misconf", "wrong-role"] as const),
  ...(["switching", "policy", "auth", "tls", "dns", "relay-unreachable", "malformed"] as const),
];

const all =
  (kind: ObservationClass): Fate["looks"] =>
  (config, epoch, atMs) =>
    config.vantages.flatMap((vantage) =>
      config.nodes.map(({ id }) => observation(vantage, id, { class: kind, atMs, epoch })),
    );

const fates: readonly (readonly [string, Fate])[] = [
  ["nobody looks at all", { looks: () => [], outcome: () => null }],
  ["no relay answers", { looks: all("relay-unreachable"), outcome: () => "unreachable" }],
  ["every node is silent", { looks: all("timeout"), outcome: () => "unknown" }],
  ["every node refuses, and every verb", { looks: all("refused"), outcome: () => "refused" }],
  ["every node loads, and every verb fails", { looks: all("loading"), outcome: () => "failed" }],
  ["no outcome ever comes", { looks: all("refused"), outcome: () => null }],
];

function randomFate(seed: number): Fate {
  let state = seed;
  const below = (count: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * count);
  };
  const pick = <T>(some: readonly T[]): T => some[below(some.length)] as T;
  const about = (id: string) =>
    facts({
      runId: `run-${id}-${below(2)}`,
      role: pick(["primary", "replica", "replica"] as const),
      replicaOf: { host: `10.0.0.${1 + below(4)}`, port: 6379 },
      linkUp: below(2) === 0,
      syncing: below(5) === 0,
      loading: below(5) === 0,
      switching: below(5) === 0,
      lastIoMs: pick([null, 0, 1000, 60_000]),
      keys: below(200),
      offset: below(2000),
      minReplicasToWrite: pick([0, SEALED]),
    });
  return {
    looks: (config, epoch, atMs) =>
      config.vantages.flatMap((vantage) =>
        config.nodes.flatMap(({ id }) => {
          const kind = below(3) === 0 ? pick(classes) : "up";
          const spoke = ["up", "loading", "misconf", "switching"].includes(kind);
          const change = { class: kind, facts: spoke ? about(id) : null, atMs, epoch };
          return below(10) === 0 ? [] : [observation(vantage, id, change)];
        }),
      ),
    outcome: () => pick(["done", "refused", "failed", "unreachable", "unknown", null] as const),
  };
}

/** When the phase is left; the host wakes when it is told to, and never before. */
function leftAtMs(world: World, fate: Fate, giveUpMs: number): number {
  const { phase } = world.state.saved;
  if (phase.kind === "watching") throw new Error("in no phase");
  let { state, nowMs }: { state: State; nowMs: number } = world;
  let outcomes: Outcome[] = [];
  while (nowMs <= giveUpMs) {
    const observations = fate.looks(world.config, state.saved.epoch, nowMs);
    const input = { observations, outcomes, requests: [] };
    const decision = decide(state, input, world.config, nowMs);
    state = decision.state;
    const now = state.saved.phase;
    if (now.kind !== phase.kind || now.attempt.epoch !== phase.attempt.epoch) return nowMs;
    nowMs = Math.max(nowMs + 1, decision.wakeAtMs);
    outcomes = decision.actions.flatMap(({ id }) => {
      const kind = fate.outcome();
      return kind === null ? [] : [{ action: id, kind, detail: kind, atMs: nowMs }];
    });
  }
  return Number.POSITIVE_INFINITY;
}

describe.each(Object.keys(begun) as readonly Begun["kind"][])(
  "%s is left by its deadline",
  (kind) => {
    const { into, lastsUntilMs } = begun[kind];
    function entered(): World {
      const fencing = kind === "fencing" ? "lease" : "none";
      const world = createWorld({ fencing, failoverTimeoutMs: 30_000 });
      world.run(3000);
      into(world);
      world.until(kind, () => world.state.saved.phase.kind === kind);
      return world;
    }
    function expectLeft(fate: Fate): void {
      const world = entered();
      const untilMs = lastsUntilMs(world);
      expect(untilMs).toBeGreaterThan(world.nowMs);
      // The wake that finds it over is at most one look after it.
      const latestMs = untilMs + world.config.checkIntervalMs;
      expect(leftAtMs(world, fate, latestMs + 60_000)).toBeLessThanOrEqual(latestMs);
    }

    test("it has one", () => {
      expect(deadlineOf(entered())).toBeGreaterThan(0);
    });
    test.each(fates)("%s", (_, fate) => expectLeft(fate));
    test("whatever is seen, and whatever becomes of what is done", () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 1_000_000 }), (seed) => expectLeft(randomFate(seed))),
        { numRuns: 100 },
      );
    });
  },
);

test("fencing: a failover by hand whose seal nobody hears of, while the primary lives", () => {
  const world = createWorld();
  world.run(3000);
  world.fail("seal", "unknown");
  world.ask({ id: "x", kind: "failover", to: "b" });
  const endMs = deadlineOf(world) + 3 * world.config.commandTimeoutMs;
  world.until("left", () => world.state.saved.phase.kind !== "fencing", 60_000);
  expect(world.nowMs).toBeLessThanOrEqual(endMs);
  world.run(10_000);
  // One alone takes writes, whoever it is.
  const { primary } = world.state.saved;
  expect(world.primaries()).toEqual([primary]);
  expect(world.write(primary ?? "", 1)).toBe(true);
});
