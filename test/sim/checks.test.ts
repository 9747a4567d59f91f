/** The rules of the simulator catch what breaks them: each is shown one breach, made by hand, and its lawful twin. */
import { beforeEach, describe, expect, test } from "vitest";
import { buildWorld } from "../../scripts/sim/build.ts";
import {
  checkActions,
  checkExecuted,
  checkSent,
  checkTaken,
} from "../../scripts/sim/check/actions.ts";
import { checkAttempts, type Judged } from "../../scripts/sim/check/attempts.ts";
import { createChecks } from "../../scripts/sim/check/checks.ts";
import { diverged, lostWrites, missing } from "../../scripts/sim/check/healed.ts";
import { type Ledger, lifeOf, newLedger, type Sighted } from "../../scripts/sim/check/ledger.ts";
import { count, note, rowAfter, surelyHeardBy } from "../../scripts/sim/check/recount.ts";
import { checkPublish, checkSaved } from "../../scripts/sim/check/routes.ts";
import { noteRoles, noteShown } from "../../scripts/sim/check/shown.ts";
import { checkState } from "../../scripts/sim/check/states.ts";
import { checkAcknowledged, checkOpened, checkWipe } from "../../scripts/sim/check/writes.ts";
import { heals } from "../../scripts/sim/episodes.ts";
import { append } from "../../scripts/sim/world/history.ts";
import { initialState } from "../../worker/core/saved.ts";
import type { Attempt, Decision, FailoverCause, Saved } from "../../worker/core/state.ts";
import type { Action, GroupConfig, Observation } from "../../worker/core/types.ts";
import { facts, groupConfig } from "../support/builders.ts";

const NOW = 1_000_000;
let ledger: Ledger;
let config: GroupConfig;

beforeEach(() => {
  ledger = newLedger();
  ledger.nowMs = 50_000;
  config = groupConfig();
});

const rules = () => ledger.violations.map(({ rule }) => rule);

const saved = (change: Partial<Saved> = {}): Saved => ({
  ...initialState("cache").saved,
  epoch: 1,
  highestEpoch: 1,
  primary: "a",
  rev: 1,
  ...change,
});

const attempt = (cause: FailoverCause, epoch = 2): Attempt => ({
  epoch,
  cause,
  target: null,
  from: "a",
  fence: ["a"],
  startedAtMs: NOW,
  untilMs: null,
  force: false,
  phases: [],
});

const fencing = (cause: FailoverCause, epoch = 2): Saved["phase"] => ({
  kind: "fencing",
  attempt: attempt(cause, epoch),
  sealed: [],
  deadlineMs: NOW + 300,
});

const promoting = (cause: FailoverCause): Saved["phase"] => ({
  kind: "promoting",
  attempt: attempt(cause),
  candidate: "b",
  sinceMs: NOW,
  sendUntilMs: NOW + 1000,
  deadlineMs: NOW + 4000,
  cost: { lostBytesAtLeast: null, unseenMs: null },
  answeredAtMs: null,
});

const decision = (
  after: Saved,
  actions: readonly Action[] = [],
  more: Partial<Decision> = {},
): Decision => ({
  state: { saved: after, sight: initialState("cache").sight },
  actions,
  events: [],
  replies: [],
  because: "it is so",
  wakeAtMs: NOW + 1000,
  crash: false,
  ...more,
});

const judged = (before: Saved, made: Decision, change: Partial<Judged> = {}): Judged => ({
  before,
  state: { saved: before, sight: initialState("cache").sight },
  input: { observations: [], outcomes: [], requests: [] },
  decision: made,
  config,
  nowMs: NOW,
  tilt: false,
  paused: false,
  clockJumped: false,
  life: lifeOf(ledger, 1),
  ...change,
});

const look = (vantage: string, node: string, change: Partial<Sighted> = {}): Sighted => ({
  vantage,
  from: "group",
  epoch: 1,
  node,
  class: "up",
  detail: "",
  atMs: NOW,
  tookMs: 10,
  facts: facts({ role: node === "a" ? "primary" : "replica" }),
  relay: null,
  virtualMs: ledger.nowMs,
  ...change,
});

/** Looks in a row, one a second, the last one now. */
function show(times: number, seen: (at: number) => readonly Observation[]): void {
  for (let left = times - 1; left >= 0; left -= 1) {
    const atMs = NOW - left * 1000;
    const looks = seen(atMs).map((each) => ({ ...each, atMs }));
    note(ledger, lifeOf(ledger, 1), looks, NOW);
  }
}

const refused = (vantage: string, node = "a") =>
  look(vantage, node, { class: "refused", facts: null });

const act = (kind: "promote" | "demote" | "seal", node: string, change: object = {}): Action =>
  ({
    id: `cache.${kind}.${node}`,
    kind,
    epoch: 2,
    deadlineMs: NOW + 1000,
    relay: node,
    stamp: { boot: "1", ms: 1 },
    primary: kind === "seal" ? null : "b",
    node,
    minReplicas: 0,
    bootSealed: false,
    follow: { host: "10.0.0.2", port: 6379 },
    ...change,
  }) as Action;

/** With every action pending, as it has to be. */
const pendingOf = (actions: readonly Action[]) =>
  actions.map(({ id, kind, epoch, deadlineMs }) => ({
    id,
    kind,
    about: "x",
    key: null,
    epoch,
    deadlineMs,
  }));

describe("votes, counted again", () => {
  test("a place could call a node down only after enough looks, or long enough", () => {
    show(2, () => [refused("relay:a"), refused("relay:b"), refused("relay:c")]);
    expect(count(lifeOf(ledger, 1), config, "a", NOW).down).toBe(0);
    show(3, () => [refused("relay:a"), refused("relay:b")]);
    expect(count(lifeOf(ledger, 1), config, "a", NOW)).toMatchObject({ down: 2, heard: 3 });
  });

  test("an observer that failed has no voice, but a silent relay speaks for its own machine", () => {
    const gone = (vantage: string) =>
      look(vantage, "a", { class: "relay-unreachable", facts: null });
    show(5, () => [gone("relay:a"), gone("relay:b")]);
    expect(count(lifeOf(ledger, 1), config, "a", NOW)).toEqual({ down: 1, up: 0, heard: 1 });
  });

  test("a look that comes late once more counts for nothing", () => {
    show(1, () => [look("relay:a", "a")]);
    note(ledger, lifeOf(ledger, 1), [{ ...refused("relay:a"), atMs: NOW - 5000 }], NOW);
    expect(count(lifeOf(ledger, 1), config, "a", NOW).up).toBe(1);
  });

  test("what a relay tells stands for the looks that it had, not for those that it claims", () => {
    const pushed = (row: Sighted["row"]) => {
      const claims = { news: true, looks: 9, refusals: 9, before: null, sinceMs: NOW - 60_000 };
      return ["relay:a", "relay:b"].map((each) => ({ ...refused(each), pushed: claims, row }));
    };
    show(1, () => pushed({ looks: 4, refused: 1, sinceMs: NOW - 500 }));
    expect(count(lifeOf(ledger, 1), config, "a", NOW).down).toBe(0);
    show(1, () => pushed({ looks: 4, refused: 3, sinceMs: NOW - 500 }));
    expect(count(lifeOf(ledger, 1), config, "a", NOW).down).toBe(2);
  });

  test("a row of bad looks ends with a good one, and of refusals with a silence", () => {
    const row = (...classes: string[]) =>
      classes.reduce<ReturnType<typeof rowAfter>>(
        (before, kind, at) => rowAfter(before, { class: kind, askedAtMs: at }),
        null,
      );
    expect(row("timeout", "refused", "closed", "refused")).toEqual({
      ...{ looks: 3, refused: 2, sinceMs: 0 },
    });
    expect(row("refused", "timeout")).toMatchObject({ looks: 2, refused: 0 });
    expect(row("refused", "up")).toBeNull();
  });

  test("replicas surely heard it, unless its own relay says that nobody is there", () => {
    const hears = (node: string) =>
      look("relay:b", node, {
        facts: facts({ lastIoMs: 0, replicaOf: { host: "10.0.0.1", port: 6379 } }),
      });
    const silent = (vantage: string) => look(vantage, "a", { class: "timeout", facts: null });
    show(6, () => [silent("relay:b"), hears("b")]);
    const heard = () => surelyHeardBy(lifeOf(ledger, 1), config, "a", "10.0.0.1:6379", NOW);
    expect(heard()).toEqual(["b"]);
    show(6, () => [silent("relay:b"), silent("relay:a"), hears("b")]);
    expect(heard()).toEqual([]);
  });
});

describe("failovers", () => {
  const begins = (cause: FailoverCause, change: Partial<Judged> = {}, before = saved()) =>
    checkAttempts(
      ledger,
      judged(before, decision(saved({ highestEpoch: 2, phase: fencing(cause) })), change),
    );
  const allDown = () =>
    show(4, () => ["relay:a", "relay:b", "relay:c"].map((vantage) => refused(vantage)));

  test("with a quorum one may begin", () => {
    allDown();
    begins("odown");
    expect(rules()).toEqual([]);
  });

  test("not without a quorum", () => {
    show(4, () => [refused("relay:a"), look("relay:b", "a"), look("relay:c", "a")]);
    begins("odown");
    expect(rules()).toContain("quorum");
  });

  test("not with too few vantages heard", () => {
    show(4, () => [refused("relay:a")]);
    begins("wiped");
    expect(rules()).toEqual(["quorum"]);
  });

  test("not paused, not in TILT, not observing, not in downtime", () => {
    allDown();
    begins("odown", { paused: true });
    begins("odown", { tilt: true });
    begins("odown", { config: { ...config, observeOnly: true } });
    begins("odown", {}, saved({ downtimes: { a: { reason: "x", untilMs: NOW + 1000 } } }));
    expect(rules()).toEqual(["paused", "tilt", "observing", "downtime"]);
  });

  test("a sealed primary is replaced only while the relay that could open it is silent", () => {
    const gone = () => look("relay:a", "a", { class: "relay-unreachable", facts: null });
    const shut = (minReplicasToWrite: number) =>
      look("relay:b", "a", { facts: facts({ role: "primary", minReplicasToWrite }) });
    show(2, () => [look("relay:c", "a"), gone(), shut(1_000_000)]);
    begins("sealed");
    expect(rules()).toEqual(["needless"]);
    ledger.violations.length = 0;
    ledger.lives.clear();
    show(5, () => [look("relay:c", "a"), gone(), shut(1_000_000)]);
    begins("sealed");
    expect(rules()).toEqual([]);
    show(5, () => [gone(), shut(0)]);
    begins("sealed");
    expect(rules()).toEqual(["needless"]);
  });

  test("nobody replaces it when its relay is back", () => {
    config = { ...config, fencing: "none" };
    ledger.electingSince.set(2, ledger.nowMs);
    const orders = () => {
      const before = saved({ phase: fencing("sealed") });
      const after = saved({ phase: promoting("sealed") });
      checkAttempts(ledger, judged(before, decision(after, [act("promote", "b")])));
    };
    const gone = () => look("relay:a", "a", { class: "relay-unreachable", facts: null });
    show(5, () => [gone(), look("relay:b", "b")]);
    orders();
    expect(rules()).toEqual([]);
    show(1, () => [look("relay:a", "a"), look("relay:b", "b")]);
    orders();
    expect(rules()).toEqual(["primary-up"]);
  });

  test("who is far behind what was seen of the primary is not promoted, nor is the loss made small", () => {
    const before = saved({ primaryRunId: "run-a", phase: fencing("odown") });
    const told = (offset: number) =>
      facts({ role: "primary", runId: "run-a", replicationId: "history", offset });
    const dead = (offset: number): Sighted => ({
      ...refused("relay:b"),
      pushed: {
        ...{ news: true, looks: 3, refusals: 3, sinceMs: NOW - 200 },
        before: { facts: told(offset), atMs: NOW - 300 },
      },
    });
    const orders = (lostBytesAtLeast: number | null) => {
      const phase = promoting("odown");
      const cost = { lostBytesAtLeast, unseenMs: 0 };
      const after = saved({ ...before, phase: { ...phase, cost } as Saved["phase"] });
      config = { ...config, maxLagBytes: 500 };
      checkAttempts(ledger, judged(before, decision(after, [act("promote", "b")])));
    };
    ledger.electingSince.set(2, ledger.nowMs);
    const replica = facts({ role: "replica", replicationId: "history", offset: 1000 });
    show(4, () => [
      refused("relay:a"),
      refused("relay:b"),
      look("relay:c", "b", { facts: replica }),
    ]);
    const shown = (offset: number) => {
      const input = { observations: [dead(offset)], outcomes: [], requests: [] };
      noteShown(lifeOf(ledger, 1), judged(before, decision(before), { input }));
    };
    shown(1400);
    orders(null);
    orders(400);
    expect(rules()).toEqual([]);
    shown(3000);
    orders(400);
    expect(rules()).toEqual(["lost-bytes", "unfit"]);
  });

  test("an operator's may, whatever was seen", () => {
    begins("operator", { paused: true });
    expect(rules()).toEqual([]);
  });

  test("not in the cooldown, not too often, not right after one that was aborted", () => {
    allDown();
    config = { ...config, cooldownMs: 5000, maxFailoversPerHour: 2, failoverRetryMs: 5000 };
    const ago = (ms: number) => ({ atMs: NOW - ms, virtualMs: ledger.nowMs - ms });
    ledger.failovers = [ago(10_000), ago(4000)];
    ledger.lastAborted = ago(4000);
    begins("odown");
    expect(rules()).toEqual(["cooldown", "hourly-limit", "retry-gap"]);
  });

  test("not at an epoch that was used", () => {
    allDown();
    ledger.highestSaved = 2;
    begins("odown");
    expect(rules()).toEqual(["epochs-rise"]);
  });

  test("nobody is promoted without a fresh look, nor though most see the primary up", () => {
    const orders = (observations: readonly Observation[]) =>
      checkAttempts(
        ledger,
        judged(
          saved({ phase: fencing("odown") }),
          decision(saved({ phase: promoting("odown") }), [act("promote", "b")]),
          {
            input: { observations, outcomes: [], requests: [] },
          },
        ),
      );
    ledger.electingSince.set(2, ledger.nowMs - 100);
    show(4, () => [
      refused("relay:a"),
      refused("relay:b"),
      refused("relay:c"),
      look("relay:b", "b"),
    ]);
    orders([look("relay:b", "b")]);
    expect(rules()).toEqual([]);
    ledger.electingSince.set(2, ledger.nowMs + 1);
    orders([look("relay:b", "b")]);
    expect(rules()).toEqual(["stale-election"]);
    ledger.violations.length = 0;
    ledger.electingSince.set(2, ledger.nowMs - 100);
    show(1, () => ["relay:a", "relay:b", "relay:c"].map((vantage) => look(vantage, "a")));
    orders([look("relay:b", "b")]);
    expect(rules()).toEqual(["primary-up"]);
  });

  test("nobody is promoted whom the Fleet refused, or under a lease that still runs", () => {
    config = { ...config, fencing: "lease", leaseMs: 3000 };
    ledger.electingSince.set(2, ledger.nowMs - 100);
    ledger.revokedSince.set(2, { atMs: ledger.nowMs - 1000, leaseMs: 3000 });
    ledger.refusedPermits.add(2);
    show(4, () => [
      refused("relay:a"),
      refused("relay:b"),
      refused("relay:c"),
      look("relay:b", "b"),
    ]);
    const orders = () =>
      checkAttempts(
        ledger,
        judged(
          saved({ phase: fencing("odown") }),
          decision(saved({ phase: promoting("odown") }), [act("promote", "b")]),
          {
            input: { observations: [look("relay:b", "b")], outcomes: [], requests: [] },
          },
        ),
      );
    orders();
    expect(rules()).toEqual(["brake", "lease"]);
    ledger.violations.length = 0;
    ledger.refusedPermits.clear();
    ledger.sealsConfirmed.set(2, new Set(["a"]));
    orders();
    expect(rules()).toEqual([]);
  });
});

describe("actions", () => {
  const sends = (
    actions: readonly Action[],
    after: Partial<Saved> = {},
    change: Partial<Judged> = {},
  ) =>
    checkActions(
      ledger,
      judged(saved(), decision(saved({ pending: pendingOf(actions), ...after }), actions), change),
    );

  test("an action is in the saved state, has an id of its own and a deadline", () => {
    sends([act("seal", "b")]);
    expect(rules()).toEqual([]);
    sends([act("seal", "b")], { pending: [] });
    ledger.usedIds.add("cache.seal.c");
    sends([act("seal", "c")]);
    sends([act("seal", "b", { deadlineMs: NOW })]);
    expect(rules()).toEqual(["unsaved-action", "action-id", "deadline"]);
  });

  test("a primary that takes writes is sealed before it is demoted, once the new one was seen", () => {
    config = groupConfig();
    const after = { primary: "b", epoch: 2 };
    show(1, () => [
      look("relay:a", "a"),
      look("relay:b", "b", { facts: facts({ role: "primary" }) }),
    ]);
    sends([act("demote", "a")], after);
    expect(rules()).toEqual(["quarantine"]);
    ledger.violations.length = 0;
    ledger.sealedSince.add("a");
    sends([act("demote", "a")], after);
    expect(rules()).toEqual([]);
    ledger.seenPrimary.delete("b");
    sends([act("demote", "a")], after);
    sends([act("demote", "b")], after);
    expect(rules()).toEqual(["demote-early", "quarantine", "demote", "demote-early"]);
  });

  test("what a person made a primary is let be for a while, whoever forgot that it was a replica", () => {
    config = { ...config, adoptAfterMs: 10_000 };
    ledger.sealedSince.add("b");
    ledger.seenPrimary.set("a", ledger.nowMs);
    const follow = { host: "10.0.0.1", port: 6379 };
    const demote = () => {
      sends([act("demote", "b", { id: `demote-${ledger.nowMs}`, primary: "a", follow })]);
      return rules();
    };
    const sees = (role: "primary" | "replica") => {
      const seen = look("relay:b", "b", { facts: facts({ role, runId: "run-b" }) });
      show(1, () => [seen]);
      const input = { observations: [seen], outcomes: [], requests: [] };
      noteRoles(ledger, judged(saved(), decision(saved()), { input }));
    };
    sees("primary");
    expect(demote()).toEqual([]);
    sees("replica");
    ledger.nowMs += 1000;
    sees("primary");
    ledger.nowMs += 1000;
    ledger.seenPrimary.set("a", ledger.nowMs);
    ledger.sealedSince.add("b");
    expect(demote()).toEqual(["foreign-fought"]);
    ledger.violations.length = 0;
    ledger.nowMs += 9000;
    ledger.seenPrimary.set("a", ledger.nowMs);
    expect(demote()).toEqual([]);
  });

  test("nobody is sealed as a stranger for what was seen before the last switch", () => {
    show(1, () => [look("relay:a", "a")]);
    ledger.switchedMs = ledger.nowMs + 1;
    sends([act("seal", "a")], { primary: "b", epoch: 2 });
    expect(rules()).toEqual(["stale-look"]);
    ledger.violations.length = 0;
    ledger.nowMs += 2;
    show(1, () => [look("relay:a", "a")]);
    sends([act("seal", "a")], { primary: "b", epoch: 2 });
    expect(rules()).toEqual([]);
  });

  test("nothing leaves before it is saved", () => {
    const seal = act("seal", "b");
    checkSent(ledger, saved(), seal);
    expect(rules()).toEqual(["acted-before-save"]);
    ledger.violations.length = 0;
    ledger.savedIds.add(seal.id);
    checkSent(ledger, saved(), seal);
    expect(rules()).toEqual([]);
  });

  test("a relay takes no lower epoch, no old stamp, and nothing before it was told", () => {
    const at = { relay: "b", boot: "1", clockMs: 1000, ttlMs: 2000 };
    const promote = act("promote", "b") as Parameters<typeof checkTaken>[2];
    checkTaken(ledger, at, promote);
    expect(rules()).toEqual(["untold"]);
    checkTaken(ledger, at, { ...promote, epoch: 1, primary: "a" });
    checkTaken(ledger, { ...at, clockMs: 5000 }, promote);
    checkTaken(ledger, { ...at, boot: "2" }, promote);
    expect(rules()).toEqual(["untold", "relay-epoch", "stamp", "stamp"]);
  });

  test("one epoch names one candidate, and no action takes effect twice", () => {
    const at = { relay: "b", boot: "1", clockMs: 1000, ttlMs: 2000 };
    const promote = act("promote", "b") as Parameters<typeof checkTaken>[2];
    ledger.relayEpochs.set("b", 1);
    checkTaken(ledger, at, promote);
    checkTaken(ledger, at, { ...promote, primary: "c" });
    checkExecuted(ledger, promote);
    checkExecuted(ledger, promote);
    expect(rules()).toEqual(["one-candidate", "action-twice"]);
  });
});

describe("what is stored and told", () => {
  const store = (after: Saved, before: Saved | null = saved()) =>
    checkSaved(ledger, before, decision(after), 3000);

  test("epochs and revisions never fall, and a primary was seen since it was told to be", () => {
    ledger.seenPrimary.set("a", 1000);
    store(saved({ epoch: 3, highestEpoch: 3 }), null);
    expect(rules()).toEqual([]);
    store(saved({ epoch: 2, highestEpoch: 3 }));
    expect(rules()).toEqual(["epoch-falls"]);
    ledger.ordered.set(4, 2000);
    ledger.seenPrimary.set("b", 1500);
    store(saved({ epoch: 4, highestEpoch: 4, primary: "b" }));
    expect(rules()).toEqual(["epoch-falls", "unseen-primary"]);
  });

  test("the group never forgets its primary", () => {
    ledger.seenPrimary.set("a", 1000);
    store(saved(), null);
    store(saved({ primary: null }));
    expect(rules()).toEqual(["route-lost"]);
  });

  test("a publisher is told one primary an epoch, and nothing older", () => {
    const primary = (id: string) => ({ id, host: "h", port: 1, tls: false, rest: null });
    const tell = (epoch: number, rev: number, id: string) =>
      checkPublish(ledger, {
        kind: "publish",
        to: "kv",
        route: { epoch, rev, primary: primary(id) },
      } as Parameters<typeof checkPublish>[1]);
    ledger.seenPrimary.set("a", 1).set("b", 1);
    tell(2, 1, "a");
    tell(2, 2, "a");
    expect(rules()).toEqual([]);
    tell(2, 1, "a");
    tell(2, 3, "b");
    tell(3, 1, "c");
    expect(rules()).toEqual(["route-falls", "one-primary", "unseen-primary"]);
  });
});

describe("the state", () => {
  test("stays small, wakes in time, says why, and answers who asked", () => {
    const request = { id: "r1", kind: "acknowledge" } as const;
    const many = pendingOf(Array.from({ length: 200 }, (_, at) => act("seal", `n${at}`)));
    checkState(
      ledger,
      judged(saved(), decision(saved({ pending: many }), [], { because: "", wakeAtMs: NOW - 1 }), {
        input: { observations: [], outcomes: [], requests: [request] },
      }),
    );
    expect(rules()).toEqual(["unbounded", "wake", "because", "reply"]);
  });

  test("a phase does not last for ever", () => {
    const life = lifeOf(ledger, 1);
    const before = saved({ phase: promoting("odown") });
    for (let seconds = 0; seconds < 60 && ledger.violations.length === 0; seconds += 1) {
      ledger.nowMs += 1000;
      checkState(ledger, judged(before, decision(before)));
      life.lastDecisionMs = ledger.nowMs;
    }
    expect(rules()).toEqual(["stuck-phase"]);
  });

  test("no belief grows younger", () => {
    const at = (askedAtMs: number) =>
      ({ a: { "relay:a": { askedAtMs, atMs: askedAtMs + 10 } } }) as never;
    const made = decision(saved());
    const sight = { ...made.state.sight, lastDecisionAtMs: NOW - 1000 };
    checkState(
      ledger,
      judged(
        saved(),
        { ...made, state: { saved: saved(), sight: { ...sight, nodes: at(NOW - 5000) } } },
        {
          state: { saved: saved(), sight: { ...sight, nodes: at(NOW - 1000) } },
        },
      ),
    );
    expect(rules()).toEqual(["stale-look"]);
  });
});

describe("data", () => {
  const whole = () => {
    const checks = createChecks(false);
    const world = buildWorld(6, checks, false);
    expect(heals(world, 60_000)).toBe(true);
    ledger = checks.ledger;
    return world;
  };

  test("a group that is whole misses nothing; a sealed primary, a second one, a stray write are seen", () => {
    const world = whole();
    const [a, b] = world.nodes;
    if (a === undefined || b === undefined) throw new Error("two nodes at least");
    expect([missing(world), diverged(world)]).toEqual([null, null]);
    a.minReplicas = 1_000_000;
    expect(missing(world)).toContain("sealed");
    a.minReplicas = 0;
    const { follow } = b;
    b.follow = null;
    expect(missing(world)).toBe("b is a primary too");
    b.follow = follow;
    append(b, 77_777);
    expect(diverged(world)).toBe("b holds what the primary does not");
  });

  test("an acknowledged write that nobody holds is lost", () => {
    const world = whole();
    ledger.acknowledged.set(77_777, ["a"]);
    expect(lostWrites(world, 77_777)).toBe(1);
  });

  test("under a lease nobody acknowledges after another was opened at a higher epoch", () => {
    const world = whole();
    const [a, b] = world.nodes;
    if (a === undefined || b === undefined) throw new Error("two nodes at least");
    world.config = { ...world.config, fencing: "lease" };
    a.namedEpoch = 1;
    ledger.nowMs += 1;
    checkAcknowledged(ledger, world, a, 1);
    expect(rules()).toEqual([]);
    checkOpened(ledger, b, 2);
    ledger.nowMs += 1;
    checkAcknowledged(ledger, world, a, 2);
    expect(rules()).toEqual(["two-primaries"]);
  });

  test("where nodes boot sealed nobody is wiped by one that came back empty", () => {
    const world = whole();
    const [a, b] = world.nodes;
    if (a === undefined || b === undefined) throw new Error("two nodes at least");
    world.config = { ...world.config, fencing: "sealed" };
    ledger.baseline ??= { runId: "r", keys: 1000, offset: 0, replicationId: "r", atMs: 0 };
    // Opened only now, after everybody was seen.
    ledger.knewBetter.clear();
    Object.assign(a, { length: 0, wiped: true, startedMs: 0 });
    checkWipe(ledger, world, a, b);
    expect(rules()).toEqual([]);
    checkOpened(ledger, a, 2);
    checkWipe(ledger, world, a, b);
    expect(rules()).toEqual(["wiped"]);
  });
});
