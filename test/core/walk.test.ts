/**
 * Random walks through the world, each from its seed: first anything may fail and nothing wrong may happen,
 * then everything works again and it must heal within a minute.
 *
 * A failure names its seed and tells what was done.
 */
import { expect, test } from "vitest";
import type { OutcomeKind } from "../../worker/core/types.ts";
import { createWorld, type World } from "../support/world.ts";

const SEEDS = 400;
const breakable = ["promote", "seal", "demote", "unseal", "kv"];
const outcomes: readonly OutcomeKind[] = ["unknown", "refused", "failed", "unreachable"];

test.each(Array.from({ length: SEEDS / 20 }, (_, at) => at * 20))("seeds from %i", (from) => {
  for (let seed = from; seed < from + 20; seed += 1) walk(seed);
});

function walk(seed: number): void {
  const random = randomFrom(seed);
  const pick = <T>(some: readonly T[]): T => some[Math.floor(random() * some.length)] as T;
  const ids = random() < 0.4 ? ["a", "b"] : ["a", "b", "c"];
  const world = createWorld({ ids, failoverRetryMs: 3000, primaryStartTimeoutMs: 5000 });
  const story: string[] = [];
  world.run(1500);
  for (let left = 3 + Math.floor(random() * 12); left > 0; left -= 1) {
    story.push(disturb(world, pick, pick(ids)));
    world.run(pick([5, 50, 250, 1000, 4000, 12_000]));
  }
  const told = `seed ${seed}: ${story.join(", ")}`;
  expectSafe(world, told);
  heal(world);
  world.run(60_000);
  expectHealed(world, told);
}

function disturb(world: World, pick: <T>(some: readonly T[]) => T, id: string): string {
  const others = world.config.nodes.map((node) => node.id).filter((each) => each !== id);
  const deeds: Readonly<Record<string, () => void>> = {
    [`kill ${id}`]: () => world.kill(id),
    [`hang ${id}`]: () => world.hang(id),
    [`start ${id}`]: () => world.node(id).life !== "up" && world.start(id),
    [`start ${id} as primary`]: () =>
      world.node(id).life === "dead" && world.start(id, { follows: null }),
    [`start ${id} as replica`]: () =>
      world.node(id).life === "dead" && world.start(id, { follows: pick(others) }),
    evict: () => world.evict(),
    failover: () => world.ask({ kind: "failover", id: "walk", to: pick([null, id]) }),
    [`stop relay ${id}`]: () => (world.relay(id).reach = false),
    [`start relay ${id}`]: () => (world.relay(id).reach = true),
    [`restart relay ${id}`]: () => (world.relay(id).boot += 1),
    "something fails": () => world.fail(pick(breakable), pick(outcomes)),
    "all mended": () => breakable.forEach(world.mend),
  };
  const deed = pick(Object.keys(deeds));
  deeds[deed]?.();
  return deed;
}

/** At most one candidate an epoch, at most one primary an epoch in anything published, no route that falls. */
function expectSafe(world: World, told: string): void {
  const candidates = new Map<number, string>();
  const published = new Map<number, string>();
  let last = { epoch: 0, rev: 0 };
  for (const action of world.actions) {
    if (action.kind === "promote") {
      expect(candidates.get(action.epoch) ?? action.node, told).toBe(action.node);
      candidates.set(action.epoch, action.node);
    }
    if (action.kind !== "publish") continue;
    const { epoch, rev, primary } = action.route;
    expect(epoch * 1e6 + rev, told).toBeGreaterThanOrEqual(last.epoch * 1e6 + last.rev);
    last = { epoch, rev };
    if (primary === null) continue;
    expect(published.get(epoch) ?? primary.id, told).toBe(primary.id);
    published.set(epoch, primary.id);
  }
}

function heal(world: World): void {
  for (const { id } of world.config.nodes) {
    world.relay(id).reach = true;
    if (world.node(id).life !== "up") world.start(id);
  }
  breakable.forEach(world.mend);
}

function expectHealed(world: World, told: string): void {
  const { saved } = world.state;
  const ids = world.config.nodes.map((node) => node.id);
  expect(world.primaries(), told).toEqual([saved.primary]);
  expect(saved, told).toMatchObject({ routeState: "up", phase: { kind: "watching" }, pending: [] });
  expect([...saved.readable].sort(), told).toEqual(ids.filter((id) => id !== saved.primary));
  expect(
    ids.filter((id) => world.node(id).minReplicas > 0),
    told,
  ).toEqual([]);
  expect(saved.published.kv?.key, told).toBe(`${saved.epoch}.${saved.rev}`);
  // Quiet: a look an interval, and nothing more.
  const before = world.decisions.length;
  world.run(10_000);
  expect(world.decisions.length - before, told).toBeLessThanOrEqual(11);
}

/** mulberry32: small, and the same on every machine. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
