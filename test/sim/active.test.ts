/** The simulator's rules of vantages and of active-active groups: each is shown one breach, made by hand, and its lawful twin. */
import { beforeEach, describe, expect, test } from "vitest";
import { buildWorld } from "../../scripts/sim/build.ts";
import { checkActive, checkActiveSaved, checkWatched } from "../../scripts/sim/check/active.ts";
import { createChecks } from "../../scripts/sim/check/checks.ts";
import { type Ledger, lifeOf, newLedger, type Sighted } from "../../scripts/sim/check/ledger.ts";
import { note } from "../../scripts/sim/check/recount.ts";
import { checkFacts, checkStrangersOut } from "../../scripts/sim/check/vantages.ts";
import { runUntil } from "../../scripts/sim/queue.ts";
import { look } from "../../scripts/sim/world/look.ts";
import { questionsOf, regionsOf, reportsOf } from "../../scripts/sim/world/vantages.ts";
import { initialState } from "../../worker/core/saved.ts";
import type { Decision, OperatorRequest, Saved, Steering } from "../../worker/core/state.ts";
import { newMember, newState } from "../../worker/core/steering.ts";
import type { Action, GroupConfig, Observation } from "../../worker/core/types.ts";
import { facts, groupConfig, nodeConfig } from "../support/builders.ts";

const NOW = 1_000_000;
let ledger: Ledger;
let config: GroupConfig;

beforeEach(() => {
  ledger = newLedger();
  ledger.isActive = true;
  ledger.nowMs = NOW;
  config = weighed({});
  // Everybody was seen up.
  for (const id of ["a", "b", "c"])
    for (const seen of [ledger.active.upMs, ledger.active.seenMs]) seen.set(id, NOW - 60_000);
});

const weighed = (change: Partial<GroupConfig>): GroupConfig =>
  groupConfig({
    ...{ mode: "active-active", quorum: 2, failbackIntervalMs: 5000, failbackGraceMs: 5000 },
    nodes: [
      nodeConfig("a", { weight: 10 }),
      nodeConfig("b", { weight: 5 }),
      nodeConfig("c", { weight: 1 }),
    ],
    ...change,
  });

const rules = () => ledger.violations.map(({ rule }) => rule);

const steering = (change: Partial<Steering> = {}): Steering => ({
  ...newState([newMember("a", 10), newMember("b", 5), newMember("c", 1)], 0),
  active: "a",
  unavailable: null,
  ...change,
});

const saved = (change: Partial<Saved> = {}): Saved => ({
  ...initialState("cache").saved,
  ...{ epoch: 1, highestEpoch: 1, primary: "a", rev: 1, steering: steering() },
  ...change,
});

const cause = (to: string, why: "automatic" | "failback" | "manual"): Partial<Saved> => ({
  ...{ epoch: 2, highestEpoch: 2, primary: to, steering: steering({ active: to }) },
  lastSwitch: {
    ...{ epoch: 2, cause: why, from: "b", to, atMs: NOW, tookMs: 0 },
    ...{ lostBytesAtLeast: null, unseenMs: null, lostBytes: null },
  },
});

const decision = (after: Saved, more: Partial<Decision> = {}): Decision => ({
  state: { saved: after, sight: initialState("cache").sight },
  ...{ actions: [], events: [], replies: [], because: "it is so", wakeAtMs: NOW, crash: false },
  ...more,
});

type Asked = OperatorRequest extends infer R ? (R extends unknown ? Omit<R, "id"> : never) : never;

/** A decision is written; what people asked was accepted. */
function write(before: Saved, after: Saved, asked: readonly Asked[] = []): void {
  const requests = asked.map((each, at) => ({ ...each, id: `${at}` }) as OperatorRequest);
  const replies = requests.map(({ id }) => ({
    ...{ id, kind: "accepted" as const, epoch: 1, detail: "" },
  }));
  checkActiveSaved(ledger, {
    ...{ before, after, config, nowMs: NOW, first: false },
    decision: decision(after, { replies }),
    input: { observations: [], outcomes: [], requests },
  });
}

describe("who is used", () => {
  test("most saw it up since it was down, whoever chose it", () => {
    write(saved(), saved(cause("b", "automatic")));
    expect(rules()).toEqual([]);
    ledger.active.downMs.set("b", NOW - 1000);
    write(saved(), saved(cause("b", "manual")));
    expect(rules()).toEqual(["unhealthy"]);
  });

  test("at an epoch of its own", () => {
    write(saved(), saved({ ...cause("b", "automatic"), epoch: 1, highestEpoch: 1 }));
    expect(rules()).toContain("epochs-rise");
  });

  test("the first one when as many were seen up as the policy asks for", () => {
    config = weighed({ initialHealthPolicy: "majority" });
    ledger.active.upMs.delete("c");
    write(saved({ primary: null, epoch: 0 }), saved(cause("a", "automatic")));
    expect(rules()).toEqual([]);
    config = weighed({ initialHealthPolicy: "all" });
    write(saved({ primary: null, epoch: 0 }), saved(cause("a", "automatic")));
    expect(rules()).toEqual(["first"]);
  });
});

describe("failback", () => {
  const lighter = () => saved({ primary: "b", steering: steering({ active: "b" }) });
  const ago = (ms: number) => ({ atMs: NOW - ms, virtualMs: NOW - ms });

  test("to a heavier one, after interval and grace", () => {
    ledger.active.switched = ago(6000);
    ledger.active.failed.set("a", ago(6000));
    write(lighter(), saved(cause("a", "failback")));
    expect(rules()).toEqual([]);
  });

  test("not to one that weighs less, nor where it is off", () => {
    write(saved(), saved(cause("b", "failback")));
    expect(rules()).toEqual(["failback"]);
    config = weighed({ failbackIntervalMs: 0 });
    write(lighter(), saved(cause("a", "failback")));
    expect(rules()).toEqual(["failback", "failback"]);
  });

  test("not before the interval is over, by both clocks", () => {
    ledger.active.switched = { atMs: NOW - 4000, virtualMs: NOW - 6000 };
    write(lighter(), saved(cause("a", "failback")));
    expect(rules()).toEqual([]);
    ledger.active.switched = ago(4000);
    write(lighter(), saved(cause("a", "failback")));
    expect(rules()).toEqual(["failback"]);
  });

  test("not while a look at it failed within the grace", () => {
    ledger.active.failed.set("a", ago(4000));
    write(lighter(), saved(cause("a", "failback")));
    expect(rules()).toEqual(["failback"]);
  });
});

describe("what people said", () => {
  const pinned = (after: Partial<Saved> = {}) =>
    saved({ steering: steering({ pinnedUntilMs: NOW + 60_000 }), ...after });

  test("a pin is broken by nobody but a person, and not lost", () => {
    write(saved(), pinned(), [{ kind: "select", node: "a", pinMs: 60_000 }]);
    write(pinned(), saved(cause("b", "manual")), [{ kind: "select", node: "b", pinMs: null }]);
    expect(rules()).toEqual([]);
    write(saved(), pinned(), [{ kind: "select", node: "a", pinMs: 60_000 }]);
    write(pinned(), saved());
    expect(rules()).toEqual(["pin"]);
    write(pinned(), saved(cause("b", "automatic")));
    expect(rules()).toEqual(["pin", "pin"]);
  });

  test("weights and nodes stay as they were changed, until a deploy says something else", () => {
    const overlay = { weights: { b: { weight: 50, over: 5 } }, added: [], removed: [] };
    write(saved(), saved({ overlay }), [{ kind: "weight", node: "b", weight: 50 }]);
    expect(rules()).toEqual([]);
    write(saved({ overlay }), saved());
    expect(rules()).toEqual(["overlay"]);
    config = weighed({ nodes: config.nodes.map((node) => ({ ...node, weight: 7 })) });
    write(saved({ overlay }), saved());
    expect(rules()).toEqual(["overlay"]);
  });

  test("the last node is not taken out, and none that is used", () => {
    config = weighed({ nodes: [nodeConfig("a")] });
    const overlay = { weights: {}, added: [], removed: ["a"] };
    write(saved(), saved({ overlay }), [{ kind: "remove-node", node: "a" }]);
    expect(rules()).toEqual(["removed-in-use", "last-node"]);
  });
});

test("nobody is healthy: for now first, and for good after all attempts", () => {
  config = weighed({ failoverAttempts: 2, failoverDelayMs: 1000 });
  const since = (permanent: boolean) =>
    saved({ steering: steering({ unavailable: { sinceMs: NOW, permanent } }) });
  write(saved(), since(false));
  ledger.active.unavailable = { atMs: NOW - 2000, virtualMs: NOW - 2000 };
  write(since(false), since(true));
  expect(rules()).toEqual([]);
  write(saved(), since(true));
  expect(rules()).toEqual(["permanent"]);
});

describe("nothing is done to Redis, and one that is down is left", () => {
  const judge = (after: Saved, actions: readonly Action[] = []) =>
    checkActive(
      ledger,
      {
        ...{ before: saved(), config, nowMs: NOW, tilt: false, paused: false, clockJumped: false },
        state: { saved: saved(), sight: initialState("cache").sight },
        input: { observations: [], outcomes: [], requests: [] },
        decision: decision(after, { actions }),
        life: lifeOf(ledger, 1),
      },
      config,
    );

  /** Looks for a minute, one a second: a is refused, the others are up. */
  function show(kind: Observation["class"]): void {
    lifeOf(ledger, 1).streams.clear();
    for (let left = 60; left >= 0; left -= 1) {
      const atMs = NOW - left * 1000;
      ledger.nowMs = atMs;
      const looks = config.vantages.flatMap((vantage) =>
        config.nodes.map(({ id }): Sighted => {
          const bad = id === "a" && kind !== "up";
          const seen = { class: bad ? kind : ("up" as const), facts: null, relay: null };
          const of = { vantage, from: "group", epoch: 1, node: id, detail: "" };
          return { ...of, ...seen, atMs, tookMs: 10, virtualMs: atMs };
        }),
      );
      note(ledger, lifeOf(ledger, 1), looks, atMs);
      if (left === 59) judge(saved());
    }
    for (const id of ["b", "c"]) lifeOf(ledger, 1).soundSince.set(id, NOW - 60_000);
  }

  test("no verb is sent", () => {
    judge(saved(), [{ kind: "publish" } as Action]);
    expect(rules()).toEqual([]);
    judge(saved(), [{ kind: "seal", node: "b" } as Action]);
    expect(rules()).toEqual(["verb"]);
    checkWatched(ledger, ["b"], "replication");
    checkWatched(ledger, ["b"], "active-active");
    expect(rules()).toEqual(["verb", "verb"]);
  });

  test("one that is surely down is not used while another one is sound", () => {
    show("up");
    judge(saved());
    expect(rules()).toEqual([]);
    show("timeout");
    judge(saved({ steering: steering({ pinnedUntilMs: NOW + 1000 }) }));
    judge(saved(cause("b", "automatic")));
    expect(rules()).toEqual([]);
    judge(saved());
    expect(rules()).toEqual(["stays"]);
  });
});

describe("who only observes", () => {
  const ours = new Map([["10.0.0.1:6379", 1]]);
  const demote = (host: string) =>
    ({ kind: "demote", id: "1", node: "b", follow: { host, port: 6379 } }) as Action;

  test("nobody is named whom nobody configured, and nobody of ours told as unknown", () => {
    const told = (host: string) => ({
      ...{ atMs: NOW, name: "+discovered" as const, epoch: 1, node: "a", text: "" },
      data: { discovered: [{ host, port: 6379 }] },
    });
    const made = (host: string, known: string) => ({
      ...{ actions: [demote(host)], events: [told(known)] },
    });
    checkStrangersOut(ledger, made("10.0.0.1", "10.0.9.9"), config, ours);
    expect(rules()).toEqual([]);
    checkStrangersOut(ledger, made("10.0.9.9", "10.0.0.2"), config, ours);
    expect(rules()).toEqual(["stranger", "stranger"]);
  });

  test("who says what a node is, is heard", () => {
    const { sight } = initialState("cache");
    const belief = {
      ...{ class: "up" as const, detail: "", pushed: false, askedAtMs: NOW, atMs: NOW },
      ...{
        failures: 0,
        refusals: 0,
        refusedAtMs: null,
        successes: 1,
        drops: 0,
        firstBadAtMs: null,
      },
      ...{ cleanSinceMs: null, stuck: null, lastOkAtMs: NOW, facts: null, factsAtMs: null },
    };
    const both = { weur: belief, "relay:b": { ...belief, facts: facts(), factsAtMs: NOW } };
    const state = { saved: saved(), sight: { ...sight, nodes: { a: both } } };
    checkFacts(ledger, state, config, NOW);
    expect(rules()).toEqual([]);
  });

  test("a region that does not answer says that it failed, and of relays nothing", () => {
    const seeds = Array.from({ length: 60 }, (_, at) => at + 1).filter((at) => at % 5 !== 3);
    const found = seeds
      .map((seed) => buildWorld(seed, createChecks(false), false))
      .find((each) => each.regions.length > 0);
    if (found === undefined) throw new Error("no seed has a region with a vote");
    const [region] = regionsOf(found);
    const from = region?.name ?? "";
    expect(questionsOf(found).filter((each) => each.from === from).length).toBe(
      found.config.relays.length + 1,
    );
    found.regionBlind.add(from);
    let seen: readonly Observation[] = [];
    look(found, 0, found.config.nodes, (observations) => {
      seen = observations.filter((each) => each.from === from);
    });
    runUntil(found.queue, found.queue.nowMs + found.config.probeTimeoutMs + 1);
    expect(new Set(seen.map((each) => `${each.vantage} ${each.class}`))).toEqual(
      new Set([`${from} relay-unreachable`]),
    );
    expect(seen.length).toBe(found.config.nodes.length);
    expect(reportsOf(found).find(({ vantage }) => vantage === from)?.whereabouts).toBeNull();
  });
});
