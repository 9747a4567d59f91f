/**
 * Random walks through the world, each from its seed: first anything may fail and nothing wrong may happen,
 * then everything works again and it must heal within a minute.
 *
 * A failure names its seed and tells what was done.
 */
import { expect, test } from "vitest";
import type { OperatorRequest } from "../../worker/core/state.ts";
import type { OutcomeKind } from "../../worker/core/types.ts";
import { createWorld, type World } from "../support/world.ts";

/** More of them by hand: WALKS=10000. */
const SEEDS = Number(process.env.WALKS ?? 400);
const breakable = ["promote", "seal", "demote", "unseal", "switchover", "permit", "kv"];
const outcomes: readonly OutcomeKind[] = ["unknown", "refused", "failed", "unreachable"];

test.each(Array.from({ length: SEEDS / 20 }, (_, at) => at * 20))("seeds from %i", (from) => {
  for (let seed = from; seed < from + 20; seed += 1) walk(seed);
});

function walk(seed: number): void {
  const random = randomFrom(seed);
  const pick = <T>(some: readonly T[]): T => some[Math.floor(random() * some.length)] as T;
  const ids = random() < 0.4 ? ["a", "b"] : ["a", "b", "c"];
  const fencing = pick(["none", "none", "sealed", "lease"] as const);
  const patience = { failoverRetryMs: 3000, primaryStartTimeoutMs: 5000, graceMs: 2000 };
  const world = createWorld({ ids, fencing, ...patience });
  const story: string[] = [fencing];
  world.run(1500);
  for (let left = 3 + Math.floor(random() * 12); left > 0; left -= 1) {
    story.push(disturb(world, pick, pick(ids)));
    world.run(pick([5, 50, 250, 1000, 4000, 12_000]));
  }
  const told = `seed ${seed}: ${story.join(", ")}`;
  expectSafe(world, told);
  heal(world);
  world.run(60_000);
  expectSafe(world, told);
  expectHealed(world, told);
}

function disturb(world: World, pick: <T>(some: readonly T[]) => T, id: string): string {
  const others = world.config.nodes.map((node) => node.id).filter((each) => each !== id);
  const dead = world.node(id).life === "dead";
  const deeds: Readonly<Record<string, () => void>> = {
    [`kill ${id}`]: () => world.kill(id),
    [`hang ${id}`]: () => world.hang(id),
    [`misconf ${id}`]: () => !dead && Object.assign(world.node(id), { life: "misconf" }),
    [`start ${id}`]: () => world.node(id).life !== "up" && world.start(id),
    [`start ${id} as primary`]: () => dead && world.start(id, { follows: null }),
    [`start ${id} as replica`]: () => dead && world.start(id, { follows: pick(others) }),
    [`start ${id} empty`]: () => dead && world.start(id, { empty: true }),
    [`write ${id}`]: () => world.write(id, 10),
    [`unlink ${id}`]: () => (world.node(id).unlinked = true),
    [`link ${id}`]: () => (world.node(id).unlinked = false),
    evict: () => world.evict(),
    [`stop relay ${id}`]: () => (world.relay(id).reach = false),
    [`start relay ${id}`]: () => (world.relay(id).reach = true),
    [`restart relay ${id}`]: () => (world.relay(id).boot += 1),
    [`cut relay ${id}`]: () => world.relay(id).cut.add(pick(world.config.nodes).id),
    "something fails": () => world.fail(pick(breakable), pick(outcomes)),
    "all mended": () => breakable.forEach(world.mend),
  };
  const requests = requestsAbout(id, pick);
  const deed = pick([...Object.keys(deeds), ...Object.keys(requests)]);
  deeds[deed]?.();
  const request = requests[deed];
  if (request === undefined) return deed;
  return `${deed} (${world.ask({ id: "walk", ...request } as OperatorRequest)?.kind})`;
}

type Asked = OperatorRequest extends infer R
  ? R extends { id: string }
    ? Omit<R, "id">
    : never
  : never;

/** Every button that an operator has, by what it says. */
function requestsAbout(
  id: string,
  pick: <T>(some: readonly T[]) => T,
): Readonly<Record<string, Asked>> {
  const to = pick([null, id]);
  const timeoutMs = pick([null, 300, 3000]);
  const forMs = pick([null, 1000, 10_000]);
  return {
    [`failover to ${to}`]: { kind: "failover", to },
    [`switchover to ${to}`]: { kind: "switchover", to, timeoutMs, force: false },
    [`switchover to ${to}, forced`]: { kind: "switchover", to, timeoutMs: 300, force: true },
    "abort the switchover": { kind: "abort-switchover" },
    pause: { kind: "pause", reason: "walk", forMs },
    resume: { kind: "resume" },
    [`downtime of ${id}`]: { kind: "downtime", node: id, reason: "walk", forMs: forMs ?? 1e6 },
    [`end of the downtime of ${id}`]: { kind: "end-downtime", node: id },
    acknowledge: { kind: "acknowledge" },
    reset: { kind: "reset" },
    "drill after the election": { kind: "drill", at: "after-election" },
    "drill after the promotion": { kind: "drill", at: "after-promotion" },
  };
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

/** Everything works again, and whatever an operator left behind is ended. */
function heal(world: World): void {
  for (const { id } of world.config.nodes) {
    world.relay(id).reach = true;
    world.relay(id).cut.clear();
    world.node(id).unlinked = false;
    if (world.node(id).life !== "up") world.start(id);
    world.ask({ id: "walk", kind: "end-downtime", node: id });
  }
  breakable.forEach(world.mend);
  for (const kind of ["resume", "acknowledge"] as const) world.ask({ id: "walk", kind });
}

function expectHealed(world: World, told: string): void {
  const { saved } = world.state;
  const ids = world.config.nodes.map((node) => node.id);
  expect(world.primaries(), told).toEqual([saved.primary]);
  expect(saved, told).toMatchObject({ routeState: "up", phase: { kind: "watching" }, pending: [] });
  expect([...saved.readable].sort(), told).toEqual(ids.filter((id) => id !== saved.primary));
  // Nodes that boot sealed stay so as replicas.
  const open = world.config.fencing === "none" ? ids : [saved.primary ?? ""];
  const sealed = open.filter((id) => world.node(id).minReplicas > 0);
  expect(sealed, told).toEqual([]);
  expect(saved, told).toMatchObject({ paused: null, downtimes: {}, revokedAtMs: null });
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
