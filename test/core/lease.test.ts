/** The lease, the Group's side: who is granted one, when the last one has ended, and what waits for that. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  firstLease,
  grantLease,
  type Keeping,
  leaseEndMs,
  noteKeeper,
  whyUnleased,
} from "../../worker/core/lease.ts";
import { initialState } from "../../worker/core/saved.ts";
import type { Saved } from "../../worker/core/state.ts";
import type { GroupConfig } from "../../worker/core/types.ts";
import { groupConfig } from "../support/builders.ts";
import { createWorld, type World } from "../support/world.ts";

const config = groupConfig({ fencing: "lease" });
const nowMs = 1_000_000;
const saved: Saved = {
  ...initialState("cache").saved,
  epoch: 3,
  highestEpoch: 3,
  primary: "a",
  primaryRunId: "run-a",
  leases: { longestMs: 3000, untilMs: null },
};
/** The relay of one machine asks for a node on it. */
const grant = (by: Saved, relay: string, node: string, of = config) =>
  grantLease(by, of, { relay, node, runId: `run-${node}` }, nowMs);

describe("who is granted a lease", () => {
  type Case = readonly [string, Partial<Saved>, string, string, boolean, RegExp];
  const cases: readonly Case[] = [
    ["the relay on the primary's machine", {}, "a", "a", true, /a is the primary at epoch 3/],
    ["a relay elsewhere", {}, "b", "a", false, /relay b is not on the machine of a/],
    ["a relay that is none", {}, "x", "a", false, /relay x is not on the machine/],
    ["for a replica", {}, "b", "b", false, /a is the primary/],
    ["for a node that is none", {}, "a", "x", false, /not on the machine of x/],
    ["before there is a primary", { primary: null }, "a", "a", false, /nobody is the primary/],
    [
      "while a failover runs",
      { revokedAtMs: nowMs - 5 },
      "a",
      "a",
      false,
      /since 5 ms: a failover/,
    ],
    ["from the moment it was revoked", { revokedAtMs: nowMs }, "a", "a", false, /since 0 ms/],
  ];
  test.each(cases)("%s", (_, change, relay, node, granted, why) => {
    const given = grant({ ...saved, ...change }, relay, node);
    expect(given).toMatchObject({ granted, epoch: 3, enforced: true });
    expect(given.why).toMatch(why);
  });

  test.each(["none", "sealed"] as const)("with fencing %s nobody is", (fencing) => {
    const given = grant(saved, "a", "a", groupConfig({ fencing }));
    expect(given).toMatchObject({ granted: false, why: "this group has no leases" });
  });

  test("one that was restarted gets nothing before its data was judged", () => {
    const given = grant({ ...saved, primaryRunId: "before" }, "a", "a");
    expect(given.granted).toBe(false);
    expect(given.why).toMatch(/a was restarted, and its data is not judged yet/);
  });

  const rest = { reason: "rest", sinceMs: nowMs, untilMs: null };
  const failing = { revokedAtMs: nowMs - 1, paused: rest };
  test.each<readonly [string, Partial<Saved>, GroupConfig, boolean, boolean]>([
    ["paused", { paused: rest }, config, true, false],
    ["observed", {}, groupConfig({ fencing: "lease", observeOnly: true }), true, false],
    ["without leases", {}, groupConfig(), false, false],
    ["paused, and a failover runs that somebody asked for", failing, config, false, true],
    ["without leases, and one is waited for", { revokedAtMs: nowMs }, groupConfig(), false, true],
  ])("%s: what is enforced", (_, change, of, granted, enforced) => {
    expect(grant({ ...saved, ...change }, "a", "a", of)).toMatchObject({ granted, enforced });
  });

  test("never longer than what a failover waits for, whatever a deploy has just said", () => {
    const longer = groupConfig({ fencing: "lease", leaseMs: 9000 });
    expect(grant(saved, "a", "a", longer)).toMatchObject({ granted: true, leaseMs: 3000 });
    expect(firstLease(saved, longer, "b")).toEqual({ ms: 3000, promisers: ["a", "c"] });
    expect(firstLease(saved, groupConfig(), "b")).toBeNull();
    const undecided = { ...saved, leases: { longestMs: 0, untilMs: null } };
    expect(grant(undecided, "a", "a")).toMatchObject({ granted: false, enforced: true });
    expect(firstLease(undecided, config, "a")).toBeNull();
  });

  test("never two at once, whatever is asked", () => {
    const id = fc.constantFrom("a", "b", "c", "x");
    const asked = fc.array(fc.tuple(id, id), { minLength: 2, maxLength: 12 });
    fc.assert(
      fc.property(fc.constantFrom(null, "a", "b", "c"), asked, (primary, all) => {
        const by = { ...saved, primary, primaryRunId: `run-${primary}` };
        const granted = all.filter(([relay, node]) => grant(by, relay, node).granted);
        expect(new Set(granted.map(([, node]) => node)).size).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe("what is known of the relays that keep leases", () => {
  const asked: Keeping = { relay: "a", node: "a", runId: "run-a", leftMs: 0, promisers: null };
  const others = ["b", "c"];

  test("one that asked is known, with those who have to promise; the same again is no news", () => {
    const leases = noteKeeper(saved, config, { ...asked, promisers: others });
    expect(leases.keepers).toEqual({ a: others });
    const again = { ...asked, promisers: [...others] };
    expect(noteKeeper({ ...saved, leases }, config, again)).toBe(leases);
    expect(noteKeeper({ ...saved, leases }, config, asked).keepers).toEqual({ a: null });
  });

  test.each<readonly [string, Partial<Keeping>, GroupConfig]>([
    ["a relay elsewhere", { relay: "b" }, config],
    ["one that would stay open for longer than is waited for", { leftMs: 3001 }, config],
    ["while there are no leases", {}, groupConfig()],
  ])("%s says nothing", (_, change, of) => {
    expect(noteKeeper(saved, of, { ...asked, ...change })).toBe(saved.leases);
  });

  test("nothing is counted on before it asked, and before it knows of everyone who could take over", () => {
    const with_ = (keepers: Record<string, readonly string[] | null>) => ({
      ...saved,
      leases: { ...saved.leases, keepers },
    });
    expect(whyUnleased(saved, config, "a")).toMatch(/relay of a has never asked for its lease/);
    expect(whyUnleased(with_({ b: others }), config, "a")).toMatch(/never asked/);
    expect(whyUnleased(with_({ a: ["b"] }), config, "a")).toMatch(/not heard yet that relay c has/);
    expect(whyUnleased(with_({ a: others }), config, "a")).toBeNull();
    // Whoever knows of nobody asks nobody, and ends with its lease.
    expect(whyUnleased(with_({ a: null }), config, "a")).toBeNull();
    expect(whyUnleased(saved, groupConfig(), "a")).toBeNull();
  });

  test("a primary whose relay never asked is not replaced by the group itself, and is by an operator", () => {
    const world = createWorld({ fencing: "lease" });
    world.leaseless.add("a");
    world.run(3000);
    world.kill("a");
    world.relay("a").reach = false;
    world.run(20_000);
    expect(world.state.saved).toMatchObject({ primary: "a", highestEpoch: 1 });
    expect(world.told("+held")[0]?.data).toMatchObject({ reason: "unleased" });
    world.ask({ id: "o-1", kind: "failover", to: null });
    world.until("b is the primary", () => world.state.saved.primary === "b");
  });

  test("it is forgotten when the group does without leases for a while", () => {
    const world = createWorld({ fencing: "lease" });
    world.run(3000);
    expect(Object.keys(world.state.saved.leases.keepers ?? {})).toEqual(["a", "b", "c"]);
    world.configure({ fencing: "sealed" });
    world.run(10_000);
    expect(world.state.saved.leases).toEqual({ longestMs: 0, untilMs: null });
  });
});

describe("who opens a node, and who confirms that it is closed", () => {
  test("only the relay on its own machine opens it, and the lease goes along", () => {
    const world = createWorld({ fencing: "lease" });
    world.run(3000);
    world.relay("b").reach = false;
    world.kill("a");
    world.until("promoting", () => world.state.saved.phase.kind === "promoting");
    const opening = world.actions.filter(({ kind }) => kind === "promote" || kind === "unseal");
    // b is reached through a and c, but nobody there keeps its lease.
    expect(opening.at(-1)).toMatchObject({ node: "c", relay: "c" });
    expect(opening.at(-1)).toMatchObject({ lease: { ms: 3000, promisers: ["a", "b"] } });
  });

  test("a seal that another relay carried out does not end the wait", () => {
    const world = createWorld({ fencing: "lease" });
    world.run(3000);
    // Its own relay is silent: those of the others reach it, and seal it.
    world.relay("a").reach = false;
    world.ask({ id: "o-1", kind: "failover", to: null });
    world.until("fencing", () => world.state.saved.phase.kind === "fencing");
    const endMs = leaseEndMs(world.nowMs, world.config);
    world.until("sealed", () => world.node("a").minReplicas > 0);
    world.until("promoting", () => world.state.saved.phase.kind === "promoting");
    expect(world.nowMs).toBeGreaterThanOrEqual(endMs);
  });
});

describe("when the last lease has surely ended", () => {
  test("1.02 times its length and a second after it was revoked", () => {
    expect(leaseEndMs(nowMs, config)).toBe(nowMs + 4060);
    expect(leaseEndMs(nowMs, groupConfig({ leaseMs: 500 }))).toBe(nowMs + 1510);
    expect(leaseEndMs(nowMs, groupConfig({ leaseMs: 60_000 }))).toBe(nowMs + 62_200);
  });

  test("whatever the relay's clock does within two percent, and however long the grant was on its way", () => {
    const drawn = fc.record({
      leaseMs: fc.integer({ min: 500, max: 60_000 }),
      rate: fc.double({ min: 0.981, max: 1.02, noNaN: true }),
      /** How long before the revocation the relay asked: a grant runs from then. */
      askedBeforeMs: fc.integer({ min: 0, max: 60_000 }),
    });
    fc.assert(
      fc.property(drawn, ({ leaseMs, rate, askedBeforeMs }) => {
        const openUntilMs = nowMs - askedBeforeMs + leaseMs / rate;
        expect(openUntilMs).toBeLessThan(leaseEndMs(nowMs, groupConfig({ leaseMs })));
      }),
    );
  });
});

describe("fencing waits for the seal or for the end of the lease, never less, never longer than needed", () => {
  /** Brings a world to its first epoch, and kills what `deed` kills. */
  function failing(deed: (world: World) => void): World {
    const world = createWorld({ fencing: "lease" });
    world.run(3000);
    deed(world);
    return world;
  }
  const promotedAt = (world: World) => {
    world.until("promoting", () => world.state.saved.phase.kind === "promoting");
    return world.nowMs;
  };
  const asks = (world: World, id: string) => {
    const request = { relay: id, node: id, runId: world.node(id).runId };
    return grantLease(world.state.saved, world.config, request, world.nowMs).granted;
  };
  const begun = (world: World) => {
    world.until("fencing", () => world.state.saved.phase.kind === "fencing");
    return { atMs: world.nowMs, revokedAtMs: world.state.saved.revokedAtMs };
  };

  test("it is revoked in the same decision that begins, before anybody is fenced", () => {
    const world = failing((each) => each.kill("a"));
    const { atMs, revokedAtMs } = begun(world);
    expect(revokedAtMs).toBe(atMs);
    const [decision] = world.decisions.filter(({ actions }) =>
      actions.some(({ kind }) => kind === "seal"),
    );
    expect(decision?.state.saved.revokedAtMs).toBe(atMs);
  });

  test("the seal is confirmed: at once", () => {
    const world = failing((each) => {
      // It answers its relay, and counts as down all the same.
      each.node("a").life = "misconf";
    });
    const { atMs } = begun(world);
    expect(promotedAt(world) - atMs).toBeLessThan(500);
    expect(world.node("a").minReplicas).toBeGreaterThan(0);
  });

  test("the node is dead, and the relay that keeps its lease says so: at once", () => {
    const world = failing((each) => each.kill("a"));
    const { atMs } = begun(world);
    expect(promotedAt(world) - atMs).toBeLessThan(500);
    expect(world.told("+failover-state-select-slave")[0]?.data).toMatchObject({ sealed: ["a"] });
  });

  test("it hangs, and its relay ends it: at once then, not at the end of the lease", () => {
    const world = failing((each) => each.hang("a"));
    const { atMs } = begun(world);
    world.run(1000);
    world.kill("a");
    const endedMs = world.nowMs;
    const at = promotedAt(world);
    expect(at).toBeLessThan(leaseEndMs(atMs, world.config));
    expect(at - endedMs).toBeLessThan(2 * world.config.commandTimeoutMs);
  });

  test.each([
    [
      "dead, and its relay as well",
      (world: World) => {
        world.kill("a");
        world.relay("a").reach = false;
      },
    ],
    ["hung", (world: World) => world.hang("a")],
    [
      "its machine silent",
      (world: World) => {
        world.hang("a");
        world.relay("a").reach = false;
      },
    ],
  ] as const)("it is not confirmed, the node is %s: at the end of the lease", (_, deed) => {
    const world = failing(deed);
    const { atMs } = begun(world);
    const endMs = leaseEndMs(atMs, world.config);
    const at = promotedAt(world);
    expect(at).toBeGreaterThanOrEqual(endMs);
    expect(at - endMs).toBeLessThan(500);
    const sealed = world.told("+failover-state-select-slave")[0]?.data;
    expect(sealed).toMatchObject({ sealed: [], notSealed: ["a"], leaseRevokedAtMs: atMs });
  });

  test("a seal that comes late ends the wait", () => {
    const world = failing((each) => each.hang("a"));
    const { atMs } = begun(world);
    world.run(1500);
    expect(world.state.saved.phase.kind).toBe("fencing");
    world.start("a");
    const thawedMs = world.nowMs;
    world.until("it goes on", () => world.state.saved.phase.kind !== "fencing");
    // (A seal that was on its way when it thawed has its own deadline first.)
    expect(world.nowMs - thawedMs).toBeLessThan(2 * world.config.commandTimeoutMs);
    expect(world.nowMs).toBeLessThan(leaseEndMs(atMs, world.config));
    // It answers again, so nobody is promoted, and it takes writes again.
    world.run(2000);
    expect(world.state.saved).toMatchObject({ primary: "a", phase: { kind: "watching" } });
    expect(world.node("a").minReplicas).toBe(0);
  });

  test("the Group is evicted while it waits: what it wrote down counts, nothing begins anew", () => {
    const world = failing((each) => each.hang("a"));
    const { atMs } = begun(world);
    for (let round = 0; round < 20; round += 1) {
      world.run(100);
      world.evict();
    }
    const at = promotedAt(world);
    const endMs = leaseEndMs(atMs, world.config);
    expect(at).toBeGreaterThanOrEqual(endMs);
    expect(at - endMs).toBeLessThan(500);
  });

  test("granted again when the attempt is aborted", () => {
    const world = failing((each) => each.hang("a"));
    begun(world);
    world.start("a");
    world.until("over", () => world.state.saved.phase.kind === "watching");
    expect(world.state.saved).toMatchObject({ primary: "a", revokedAtMs: null });
    expect(asks(world, "a")).toBe(true);
  });

  test("granted to the new primary, and not to the old one, when it was seen", () => {
    const world = failing((each) => each.kill("a"));
    const both = () => [asks(world, "a"), asks(world, "b")];
    expect(both()).toEqual([true, false]);
    begun(world);
    expect(both()).toEqual([false, false]);
    promotedAt(world);
    // Its first lease comes with the verb, and is renewed from then on.
    expect(both()).toEqual([false, true]);
    world.until("seen", () => world.state.saved.primary === "b");
    expect(both()).toEqual([false, true]);
  });

  test.each([
    ["shorter", { leaseMs: 500 }],
    ["none at all", { fencing: "sealed" as const }],
  ] as const)(
    "a deploy makes leases %s: those that were granted before are waited for",
    (_, change) => {
      const world = failing((each) => each.configure(change));
      world.run(50);
      world.hang("a");
      const { atMs } = begun(world);
      expect(promotedAt(world)).toBeGreaterThanOrEqual(
        leaseEndMs(Math.min(atMs, 1_003_100), { leaseMs: 3000 }),
      );
    },
  );

  test("… and after that they are forgotten", () => {
    const world = failing((each) => each.configure({ leaseMs: 500 }));
    world.run(10_000);
    world.hang("a");
    const { atMs } = begun(world);
    const endMs = leaseEndMs(atMs, { leaseMs: 500 });
    const at = promotedAt(world);
    expect(at).toBeGreaterThanOrEqual(endMs);
    expect(at - endMs).toBeLessThan(500);
  });

  test("without a lease it is never waited past fence_wait", () => {
    const world = createWorld({ fencing: "sealed" });
    world.run(3000);
    world.hang("a");
    const { atMs, revokedAtMs } = begun(world);
    expect(revokedAtMs).toBeNull();
    expect(promotedAt(world) - atMs).toBeLessThan(world.config.fenceWaitMs + 200);
  });
});
