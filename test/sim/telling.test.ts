/** What publishers and webhooks do in the simulated world, and the rules about telling them: a breach, and its lawful twin. */
import { beforeEach, describe, expect, test } from "vitest";
import { buildWorld } from "../../scripts/sim/build.ts";
import { checkApart } from "../../scripts/sim/check/apart.ts";
import { createChecks } from "../../scripts/sim/check/checks.ts";
import { missing } from "../../scripts/sim/check/healed.ts";
import { type Ledger, newLedger } from "../../scripts/sim/check/ledger.ts";
import { savingOf } from "../../scripts/sim/check/saving.ts";
import { checkTelling } from "../../scripts/sim/check/telling.ts";
import { heals } from "../../scripts/sim/episodes.ts";
import { anotherRoute } from "../../scripts/sim/faults/telling.ts";
import { mend } from "../../scripts/sim/mend.ts";
import { runUntil } from "../../scripts/sim/queue.ts";
import { randomFrom } from "../../scripts/sim/random.ts";
import { perform } from "../../scripts/sim/world/acting.ts";
import { groupNow } from "../../scripts/sim/world/clock.ts";
import { currentInstance } from "../../scripts/sim/world/group.ts";
import { changeByHand, type Publisher } from "../../scripts/sim/world/publishers.ts";
import type { World } from "../../scripts/sim/world/types.ts";
import type { Receiver } from "../../scripts/sim/world/webhooks.ts";
import { decide } from "../../worker/core/decide.ts";
import { routeOf } from "../../worker/core/projection.ts";
import type { Route } from "../../worker/core/route.ts";
import { initialState } from "../../worker/core/saved.ts";
import type { Pending, Saved } from "../../worker/core/state.ts";
import type { GroupConfig, Outcome, PublishAction } from "../../worker/core/types.ts";
import { groupConfig } from "../support/builders.ts";

const dns: GroupConfig["dns"] = {
  ...{ provider: "cloudflare", zoneId: "z", tokenSecret: "DNS" },
  ...{ ttlS: 60, apiUrl: "https://api.example.com" },
};
const order = (change: Partial<PublishAction> = {}): PublishAction => ({
  ...{ id: "1", kind: "publish", to: "kv", key: "1.1", epoch: 1, deadlineMs: 0 },
  ...{ route: {} as Route, beat: null, receipt: null },
  ...change,
});

describe("the world", () => {
  let world: World;
  let route: Route;
  /** A group that is whole, and told by nobody but the test. */
  beforeEach(() => {
    world = buildWorld(6, createChecks(false), false);
    world.config = {
      ...world.config,
      ...{ dns, replicaHostname: "read.example.com", drift: "repair" },
      webhooks: [{ name: "pager", url: "https://p.example.com", signingSecret: "S", events: [] }],
    };
    Object.assign(world, { firstConfig: world.config });
    expect(heals(world, 60_000)).toBe(true);
    const { saved } = world.storage;
    if (saved === null) throw new Error("something is saved");
    route = routeOf(saved, world.config);
  });

  const publisher = (name: string): Publisher => {
    const found = world.publishers.get(name);
    if (found === undefined) throw new Error(name);
    return found;
  };

  let sent = 0;
  function told(what: Partial<PublishAction>): Outcome | null {
    let heard: Outcome | null = null;
    // Nobody else tells anything.
    world.queue.heap.length = 0;
    sent += 1;
    const action = order({ id: `test.${sent}`, deadlineMs: groupNow(world) + 5000, ...what });
    world.checks.ledger.savedIds.add(action.id);
    perform(world, { ...action, route }, (outcome) => {
      heard = outcome;
    });
    runUntil(world.queue, world.queue.nowMs + 5001);
    return heard;
  }

  test("what somebody changed by hand is missing until it is right", () => {
    expect(missing(world)).toBeNull();
    for (const name of ["kv", "dns", "dns-replicas"]) {
      const { own } = publisher(name);
      if (own === null) throw new Error(name);
      changeByHand(world, publisher(name), { ...own, primary: null, replicas: [], rev: 0 });
      expect([publisher(name).byHand, missing(world)]).toEqual([
        true,
        expect.stringContaining(`${name} holds`),
      ]);
      changeByHand(world, publisher(name), own);
      expect(missing(world)).toBeNull();
    }
    expect(anotherRoute(route, randomFrom(1))).not.toEqual(route);
  });

  test("a slow look tells what stands there, and sets right only what it is told to", () => {
    changeByHand(world, publisher("dns"), null);
    expect(told({ to: "dns", beat: "report" })).toMatchObject({ kind: "done", drift: "nothing" });
    expect(publisher("dns").byHand).toBe(true);
    expect(told({ to: "dns", beat: "repair" })).toMatchObject({ kind: "done", drift: "nothing" });
    expect(publisher("dns")).toMatchObject({ byHand: false, route });
    expect(told({ to: "dns", beat: "repair" })).not.toHaveProperty("drift");
  });

  test("a slow provider takes a change first, and is done when it is asked again", () => {
    Object.assign(publisher("dns"), { slowMs: 8000, route: null });
    const first = told({ to: "dns" });
    expect(first).toMatchObject({ kind: "unknown", receipt: "change-1" });
    const again = { to: "dns", receipt: "change-1" };
    expect(told(again)).toMatchObject({ kind: "unknown", receipt: "change-1" });
    expect(told(again)).toMatchObject({ kind: "done" });
  });

  test("one that fails may ask for time; one that is silent is heard by nobody", () => {
    Object.assign(publisher("kv"), { fails: true, asksMs: 9000 });
    expect(told({})).toMatchObject({ kind: "failed", retryAtMs: expect.any(Number) });
    Object.assign(publisher("kv"), { fails: false, silent: true });
    expect(told({})).toMatchObject({ kind: "unknown" });
  });

  test.each([
    ["takes", "done", true],
    ["loses", "unknown", true],
    ["hangs", "unknown", false],
    ["fails", "failed", false],
    ["asks", "failed", false],
    ["gone", "refused", false],
    ["refuses", "unreachable", false],
  ] as const)("a webhook that %s", (way, kind, took) => {
    const receiver: Receiver = {
      name: "pager",
      way,
      asksMs: 1000,
      saidGone: false,
      toldMs: 0,
      took: new Set(),
    };
    Object.assign(world, { receivers: new Map([["pager", receiver]]) });
    const event = { atMs: 0, name: "+odown", epoch: 1, node: "a", text: "", data: {} } as const;
    world.checks.ledger.notices.ids.set("n1", "+odown 1 a: ");
    world.checks.ledger.savedIds.add("x");
    let heard: Outcome | null = null;
    const deadlineMs = groupNow(world) + 1000;
    perform(
      world,
      { id: "x", kind: "notify", to: "pager", notice: "n1", event, epoch: 1, deadlineMs },
      (outcome) => {
        heard = outcome;
      },
    );
    runUntil(world.queue, world.queue.nowMs + 1001);
    expect(heard).toMatchObject({ kind });
    expect(receiver.took.has("n1")).toBe(took);
    expect(world.checks.ledger.violations).toEqual([]);
  });

  test("who changed something by hand puts it back where the Group is only to tell", () => {
    changeByHand(world, publisher("dns"), null);
    mend(world);
    expect(publisher("dns").byHand).toBe(true);
    Object.assign(world, { firstConfig: { ...world.config, drift: "report" } });
    mend(world);
    expect(publisher("dns").byHand).toBe(false);
  });

  test("a decision that knows publishers and webhooks is the same as one that knows none", () => {
    const group = currentInstance(world);
    if (group === null) throw new Error("a Group runs");
    const input = { observations: [], outcomes: [], requests: [] };
    const nowMs = groupNow(world);
    const decision = decide(group.state, input, world.config, nowMs);
    const { ledger } = world.checks;
    const check = (saved: Partial<Saved>) => {
      const state = { ...decision.state, saved: { ...decision.state.saved, ...saved } };
      const made = { state: group.state, input, decision: { ...decision, state } };
      checkApart(ledger, made, world.config, nowMs);
    };
    check({});
    expect(ledger.violations).toEqual([]);
    check({ highestEpoch: 99 });
    expect(ledger.violations.map(({ rule }) => rule)).toEqual(["held-up"]);
  });
});

describe("the rules about publishers", () => {
  let ledger: Ledger;
  let nowMs: number;
  beforeEach(() => {
    ledger = newLedger();
    ledger.nowMs = 50_000;
    nowMs = 1_000_000;
  });
  const rules = () => ledger.violations.map(({ rule }) => rule);
  function pass(ms: number): void {
    nowMs += ms;
    ledger.nowMs += ms;
  }
  const pendingOf = (change: Partial<Pending> = {}): Pending => ({
    ...{ id: "1", kind: "publish", about: "kv", key: "1.1", epoch: 1, deadlineMs: 0 },
    ...change,
  });

  type Step = {
    readonly before?: Partial<Saved>;
    readonly after?: Partial<Saved>;
    readonly outcome?: Partial<Outcome>;
    readonly actions?: readonly PublishAction[];
    readonly config?: Partial<GroupConfig>;
    /** A publisher whose drift is told; it was changed by hand, or was not. */
    readonly drift?: boolean;
  };

  function step({ before, after, outcome, actions = [], config, drift }: Step): void {
    const { saved, sight } = initialState("cache");
    const from = { ...saved, routeState: "up" as const, ...before };
    const state = { saved: from, sight: { ...sight, lastDecisionAtMs: nowMs - 1000 } };
    const event = { atMs: nowMs, name: "+drift", epoch: 1, node: null, text: "it held another" };
    const decision = {
      ...{ actions, replies: [], because: "it is so", wakeAtMs: nowMs, crash: false },
      state: { ...state, saved: { ...from, ...after } },
      events: drift === undefined ? [] : [{ ...event, data: { publisher: "kv" } } as never],
    };
    const heard = { action: "1", kind: "done", detail: "", atMs: nowMs, ...outcome } as const;
    const input = {
      ...{ observations: [], requests: [] },
      outcomes: outcome === undefined ? [] : [heard],
    };
    const deployed = groupConfig({ drift: "repair", driftIntervalMs: 10_000, ...config });
    checkTelling(ledger, savingOf(from, state, decision, input, deployed, nowMs), () => ({
      byHand: drift === true,
      rightAgainMs: null,
    }));
  }
  const holds = (key: string) => ({ kv: { key } }) as unknown as Saved["published"];
  /** KV says what became of an order. */
  const ended = (outcome: Partial<Outcome>, change: Partial<Pending> = {}, to = "kv") =>
    step({
      before: { pending: [pendingOf({ about: to, ...change })] },
      after: { pending: [] },
      outcome,
    });
  const look = (change: Partial<PublishAction> = {}, more: Step = {}) =>
    step({ actions: [order({ beat: "repair", ...change })], ...more });

  test("what is believed to be written was said to be", () => {
    const before = { pending: [pendingOf()] };
    step({ before, after: { pending: [], published: holds("1.1") }, outcome: {} });
    expect(rules()).toEqual([]);
    const receipt = { kind: "unknown", receipt: "r" } as const;
    step({ before, after: { pending: [], published: holds("1.1") }, outcome: receipt });
    expect(rules()).toEqual(["told-early"]);
  });

  test("what was written is not written once more, unless another write was begun", () => {
    ended({}, {}, "dns");
    ended({ kind: "unknown" }, { key: "1.2" }, "dns");
    step({ actions: [order({ to: "dns" })] });
    expect(rules()).toEqual([]);
    ended({}, {}, "dns");
    step({ actions: [order({ to: "dns" })] });
    expect(rules()).toEqual(["needless-write"]);
  });

  test("a receipt is of the route that it is asked for with", () => {
    ended({ kind: "unknown", receipt: "r" });
    step({ actions: [order({ receipt: "r" })] });
    expect(rules()).toEqual([]);
    step({ actions: [order({ receipt: "r", key: "1.2" })] });
    step({ actions: [order({ receipt: "another" })] });
    expect(rules()).toEqual(["receipt", "receipt"]);
  });

  test("nobody is called before the time that he asked for", () => {
    ended({ kind: "failed", retryAtMs: nowMs + 5000 });
    pass(4000);
    step({ actions: [order()] });
    expect(rules()).toEqual(["publish-soon"]);
    ledger.violations.length = 0;
    pass(1000);
    step({ actions: [order()] });
    expect(rules()).toEqual([]);
  });

  test("what was taken is not asked for before its time, and holds up no other route", () => {
    ended({ kind: "unknown", receipt: "r", retryAtMs: nowMs + 5000 });
    step({ actions: [order({ key: "1.2" })] });
    expect(rules()).toEqual([]);
    step({ actions: [order({ receipt: "r" })] });
    expect(rules()).toEqual(["publish-soon"]);
  });

  test("a look that is asked to wait holds up no write, and a write holds up looks", () => {
    ended({ kind: "failed", retryAtMs: nowMs + 5000 }, { beat: true });
    step({ actions: [order({ key: "1.2" })] });
    expect(rules()).toEqual([]);
    ended({ kind: "failed", retryAtMs: nowMs + 5000 });
    step({ actions: [order({ key: "1.2" })] });
    look();
    expect(rules()).toContain("publish-soon");
  });

  test("a slow look is for quiet times, at what was written, as the configuration says", () => {
    ended({});
    pass(120_000);
    look();
    expect(rules()).toEqual([]);
    look({}, { after: { phase: { kind: "fencing" } as Saved["phase"] } });
    look({}, { after: { routeState: "down" } });
    look({ key: "1.2" });
    look({ beat: "report" });
    expect(rules()).toEqual(["look-busy", "look-busy", "drift", "drift"]);
  });

  test("a slow look comes no sooner than the interval, and at KV 120 s after it was written", () => {
    ended({});
    ended({}, {}, "dns");
    pass(11_000);
    look({ to: "dns" });
    expect(rules()).toEqual([]);
    look();
    expect(rules()).toEqual(["look-soon"]);
    ended({}, { beat: true }, "dns");
    pass(9000);
    look({ to: "dns" });
    expect(rules()).toEqual(["look-soon", "look-soon"]);
  });

  test("after a look that set something right it counts as written", () => {
    ended({});
    pass(120_000);
    ended({ drift: "another" }, { beat: true });
    pass(60_000);
    look();
    expect(rules()).toEqual(["look-soon"]);
  });

  test("drift is told only of what somebody changed", () => {
    step({ drift: true });
    expect(rules()).toEqual([]);
    step({ drift: false });
    expect(rules()).toEqual(["drift-untrue"]);
  });
});
