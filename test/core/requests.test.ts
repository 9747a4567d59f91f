/**
 * What operators ask for: every request that can be done is done, and every one that cannot says why and what
 * would make it possible, and changes nothing.
 */
import { describe, expect, test } from "vitest";
import { decide } from "../../worker/core/decide.ts";
import type {
  Decision,
  Input,
  OperatorRequest,
  PhaseKind,
  RefusalCode,
} from "../../worker/core/state.ts";
import { createWorld, type World } from "../support/world.ts";

type Asked = OperatorRequest extends infer R
  ? R extends { id: string }
    ? Omit<R, "id">
    : never
  : never;
type Change = Parameters<typeof createWorld>[0];

const failover = (to: string | null = null): Asked => ({ kind: "failover", to });
const switchover = (to: string | null = null): Asked => ({
  kind: "switchover",
  to,
  timeoutMs: null,
  force: false,
});
const bootstrap = (primary: string): Asked => ({ kind: "bootstrap", primary });
const pause: Asked = { kind: "pause", reason: "maintenance", forMs: null };
const downtime = (node: string): Asked => ({ kind: "downtime", node, reason: "disk", forMs: 5000 });

function running(change: Change = {}, deed: (world: World) => void = () => {}): World {
  const world = createWorld(change);
  world.run(3000);
  deed(world);
  return world;
}

/** Several nodes that follow nobody: no primary can be found. */
const unsettled = (deed: (world: World) => void = () => {}) => {
  const world = createWorld();
  for (const id of ["a", "b", "c"])
    Object.assign(world.node(id), { role: "primary", follows: null });
  world.run(2000);
  deed(world);
  return world;
};

/** In a phase of a failover from a. */
function failing(phase: PhaseKind): World {
  const world = running({}, (each) => each.kill("a"));
  world.until(phase, () => world.state.saved.phase.kind === phase);
  return world;
}

/** A hand-over from a to b that does not come to an end by itself. */
function switching(): World {
  const world = running();
  world.node("b").lagging = true;
  world.write("a", 10);
  world.ask({ id: "x", ...switchover("b") });
  return world;
}

const none: Input = { observations: [], outcomes: [], requests: [] };
/** One decision with a request and the same one without, a moment after the last. */
function asked(
  world: World,
  request: Asked,
): { readonly with: Decision; readonly without: Decision } {
  const input = { ...none, observations: world.look() };
  const atMs = world.nowMs;
  const requests = [{ id: "x", ...request } as OperatorRequest];
  return {
    with: decide(world.state, { ...input, requests }, world.config, atMs),
    without: decide(world.state, input, world.config, atMs),
  };
}

const tilted = (world: World) => world.jump(-5000);
const silent = (world: World, id: string) => {
  world.kill(id);
  world.run(3000);
};

describe("refused: the code, why, and what would make it possible; nothing is changed", () => {
  type Case = readonly [string, () => World, Asked, RefusalCode, RegExp];
  const observing = () => running({ observeOnly: true });
  const deploy = /deploy it without observe_only/;
  const later = /clock went back: nothing is done for 30 seconds/;
  const over = /in progress: \w+ at epoch 2; ask again when it is over/;
  const first = /no primary yet: POST .*bootstrap names one/;
  const cases: readonly Case[] = [
    ["failover, observing only", observing, failover(), "OBSERVING", deploy],
    ["failover in TILT", () => running({}, tilted), failover(), "NOTREADY", later],
    ["failover while fencing", () => failing("fencing"), failover(), "INPROG", over],
    ["S05.1 failover while electing", () => failing("electing"), failover("c"), "INPROG", over],
    ["failover while promoting", () => failing("promoting"), failover("c"), "INPROG", over],
    ["failover while repointing", () => failing("repointing"), failover("c"), "INPROG", over],
    ["failover while switching", switching, failover(), "INPROG", over],
    ["failover before the first primary", () => unsettled(), failover(), "NOTREADY", first],
    [
      "F11 failover to the primary",
      () => running(),
      failover("a"),
      "ISPRIMARY",
      /a is the primary/,
    ],
    [
      "P10 failover with nobody left",
      () =>
        running({}, (world) => {
          world.node("b").priority = 0;
          silent(world, "c");
        }),
      failover(),
      "NOGOODSLAVE",
      /to promote: b has priority 0; c is subjectively down/,
    ],
    [
      "F11 failover to one that cannot be promoted",
      () => running({}, (world) => (world.node("b").priority = 0)),
      failover("b"),
      "NOGOODSLAVE",
      /to promote: b has priority 0$/,
    ],
    [
      "F11 failover to a node that is none",
      () => running(),
      failover("x"),
      "NOGOODSLAVE",
      /no node x in this group: a, b, c/,
    ],

    ["switchover, observing only", observing, switchover(), "OBSERVING", deploy],
    ["switchover in TILT", () => running({}, tilted), switchover(), "NOTREADY", later],
    ["switchover while electing", () => failing("electing"), switchover("c"), "INPROG", over],
    ["switchover while switching", switching, switchover("c"), "INPROG", over],
    ["switchover before the first primary", () => unsettled(), switchover(), "NOTREADY", first],
    [
      "W3 switchover to the primary",
      () => running(),
      switchover("a"),
      "ISPRIMARY",
      /a is the primary/,
    ],
    [
      "switchover from a primary that does not answer",
      () =>
        running({ failoverRetryMs: 0 }, (world) => {
          world.ask({ id: "x", ...pause });
          silent(world, "a");
        }),
      switchover("b"),
      "NOTREADY",
      /a does not answer as a primary: POST failover promotes without it/,
    ],
    [
      "switchover from a primary that says it is a replica",
      () =>
        running({}, (world) => {
          Object.assign(world.node("a"), { role: "replica", follows: "b" });
          world.run(50);
          world.run(1000);
        }),
      switchover("b"),
      "NOTREADY",
      /a does not answer as a primary/,
    ],
    [
      "switchover while it hands over at somebody else's word",
      () =>
        running({}, (world) => {
          world.node("b").lagging = true;
          world.write("a", 10);
          world.node("a").handsTo = { id: "b", untilMs: world.nowMs + 60_000 };
          world.run(1100);
        }),
      switchover("c"),
      "INPROG",
      /a is handing over already, .*; ask again/,
    ],
    [
      "W1 switchover without a replica that is linked",
      () =>
        running({}, (world) => {
          for (const id of ["b", "c"]) world.node(id).unlinked = true;
          world.run(2000);
        }),
      switchover(),
      "NOGOODSLAVE",
      /without loss: b has no link to the primary: it could not catch up; c has no link/,
    ],
    [
      "W1 switchover to one that is not",
      () =>
        running({}, (world) => {
          world.node("b").unlinked = true;
          world.run(2000);
        }),
      switchover("b"),
      "NOGOODSLAVE",
      /b has no link to the primary/,
    ],
    [
      "W2 switchover to a node that is none",
      () => running(),
      switchover("x"),
      "NOGOODSLAVE",
      /no node x/,
    ],

    [
      "bootstrap, observing only",
      () => {
        const world = createWorld({ observeOnly: true });
        world.node("a").role = "replica";
        world.run(2000);
        return world;
      },
      bootstrap("a"),
      "OBSERVING",
      deploy,
    ],
    ["bootstrap in TILT", () => unsettled(tilted), bootstrap("a"), "NOTREADY", later],
    [
      "bootstrap while one is under way",
      () => unsettled((world) => void world.ask({ id: "x", ...bootstrap("a") })),
      bootstrap("b"),
      "INPROG",
      /in progress: \w+ at epoch 1; ask again when it is over/,
    ],
    [
      "bootstrap of a group that has a primary",
      () => running(),
      bootstrap("b"),
      "BOOTSTRAPPED",
      /has a primary: a, at epoch 1; POST failover or switchover moves it/,
    ],
    [
      "bootstrap of a node that does not answer",
      () => unsettled((world) => silent(world, "b")),
      bootstrap("b"),
      "NOTREADY",
      /b does not answer: it must be up to become primary/,
    ],
    [
      "bootstrap of one that cannot be promoted",
      () =>
        unsettled((world) => {
          world.node("b").priority = 0;
          world.run(1100);
        }),
      bootstrap("b"),
      "NOGOODSLAVE",
      /b cannot be promoted: b has priority 0/,
    ],

    [
      "W7 abort with nothing under way",
      () => running(),
      { kind: "abort-switchover" },
      "NOTHING",
      /no switchover is under way/,
    ],
    [
      "abort of a failover",
      () => failing("electing"),
      { kind: "abort-switchover" },
      "NOTHING",
      /no switchover/,
    ],
    [
      "W7 abort of one that is called off",
      () => {
        const world = switching();
        world.fail("abort-switchover", "unknown");
        world.ask({ id: "x", kind: "abort-switchover" });
        return world;
      },
      { kind: "abort-switchover" },
      "NOTHING",
      /called off already: an operator ended it/,
    ],
    [
      "G17 resume of what is not paused",
      () => running(),
      { kind: "resume" },
      "NOTHING",
      /not paused/,
    ],
    [
      "downtime of a node that is none",
      () => running(),
      downtime("x"),
      "NOTREADY",
      /no node x in this group: a, b, c/,
    ],
    [
      "end of a downtime that is none",
      () => running(),
      { kind: "end-downtime", node: "b" },
      "NOTHING",
      /b is in no downtime/,
    ],
    [
      "… of a node that is none",
      () => running(),
      { kind: "end-downtime", node: "x" },
      "NOTHING",
      /x is in no downtime/,
    ],
    [
      "acknowledgement of nothing",
      () => running(),
      { kind: "acknowledge" },
      "NOTHING",
      /nothing to acknowledge/,
    ],
    [
      "reset while promoting",
      () => failing("promoting"),
      { kind: "reset" },
      "INPROG",
      /b was told to become primary: .* ask again when it is over/,
    ],
    [
      "reset while switching",
      switching,
      { kind: "reset" },
      "INPROG",
      /b was told to become primary/,
    ],
  ];

  /** The reasons stand beside the detail; for people they are one text. */
  test.each(cases)("%s", (_, prepare, request, code, why) => {
    const given = asked(prepare(), request);
    const [reply] = given.with.replies;
    if (reply?.kind !== "refused") return expect.fail(`accepted: ${reply?.detail}`);
    expect(reply).toMatchObject({ id: "x", code });
    const reasons = reply.reasons.map(({ node, reason }) => `${node} ${reason}`).join("; ");
    expect(reasons === "" ? reply.detail : `${reply.detail}: ${reasons}`).toMatch(why);
    expect(given.with.state.saved).toEqual(given.without.state.saved);
    expect(given.with.state.sight).toEqual(given.without.state.sight);
    expect(given.with.actions).toEqual(given.without.actions);
    expect(given.with.events).toEqual(given.without.events);
  });

  test("every request and every code is among them", () => {
    const kinds = ["failover", "switchover", "bootstrap", "abort-switchover", "resume", "downtime"];
    // A pause and a drill are never refused.
    const all = [...kinds, "end-downtime", "acknowledge", "reset"];
    expect(new Set(cases.map(([, , { kind }]) => kind))).toEqual(new Set(all));
    const codes: readonly RefusalCode[] = [
      ...(["INPROG", "NOGOODSLAVE", "NOTREADY", "ISPRIMARY"] as const),
      ...(["BOOTSTRAPPED", "OBSERVING", "NOTHING"] as const),
    ];
    expect(new Set(cases.map(([, , , code]) => code))).toEqual(new Set(codes));
  });
});

describe("accepted: the epoch, and what follows", () => {
  const reply = (world: World, request: Asked) =>
    world.ask({ id: "x", ...request } as OperatorRequest);
  const yes = (world: World, request: Asked) =>
    expect(reply(world, request)).toMatchObject({ kind: "accepted", id: "x" });

  test("S05.1 failover: the best one, at the next epoch", () => {
    const world = running();
    expect(reply(world, failover())).toMatchObject({
      kind: "accepted",
      epoch: 2,
      detail: "b is the best candidate now; the election looks once more",
    });
    world.run(10_000);
    expect(world.state.saved).toMatchObject({ primary: "b", epoch: 2 });
    expect(world.primaries()).toEqual(["b"]);
  });

  test("S05.2 failover to one that is not the best: what speaks against its data is the operator's to judge", () => {
    const world = running();
    world.node("c").priority = 300;
    yes(world, failover("c"));
    world.run(10_000);
    expect(world.state.saved.primary).toBe("c");
  });

  test("failover with a primary that lives and cannot be sealed: nothing is forced on it", () => {
    const world = running();
    world.fail("seal", "refused");
    yes(world, failover("b"));
    world.run(5000);
    expect(world.told("-failover-abort-not-sealed")).toHaveLength(1);
    expect(world.state.saved).toMatchObject({
      primary: "a",
      epoch: 2,
      phase: { kind: "watching" },
    });
    expect(world.primaries()).toEqual(["a"]);
  });

  test("failover waits for what the sealed primary still has for its replica", () => {
    const world = running();
    world.node("b").lagging = true;
    world.write("a", 10);
    yes(world, failover("b"));
    world.run(200);
    expect(world.state.saved.phase.kind).toBe("electing");
    world.node("b").lagging = false;
    world.run(5000);
    expect(world.state.saved.primary).toBe("b");
    expect(world.node("b").offset).toBe(1100);
  });

  test("F7 bootstrap: the one that was named, and all others follow it", () => {
    const world = unsettled();
    yes(world, bootstrap("b"));
    world.run(20_000);
    expect(world.state.saved).toMatchObject({ primary: "b", phase: { kind: "watching" } });
    expect(world.primaries()).toEqual(["b"]);
  });

  test("two at once: one is done, the other told so", () => {
    const world = running();
    const requests = [
      { id: "1", ...failover("b") },
      { id: "2", ...failover("c") },
    ] as readonly OperatorRequest[];
    const { replies, actions } = decide(
      world.state,
      { ...none, observations: world.look(), requests },
      world.config,
      world.nowMs + 1,
    );
    expect(replies).toMatchObject([
      { id: "1", kind: "accepted" },
      { id: "2", kind: "refused", code: "INPROG" },
    ]);
    expect(actions.filter(({ kind }) => kind === "seal")).toHaveLength(1);
  });

  test("pause: for ever, for a time, and again with another reason", () => {
    const world = running();
    expect(reply(world, pause)?.detail).toContain("until it is resumed");
    yes(world, { kind: "pause", reason: "other", forMs: 2000 });
    expect(world.state.saved.paused).toMatchObject({ reason: "other" });
    world.run(3000);
    expect(world.state.saved.paused).toBeNull();
    expect(world.told("-pause")[0]?.text).toContain("the pause is over");
  });

  test("downtime: until its end, or until it is ended", () => {
    const world = running();
    yes(world, downtime("c"));
    expect(world.state.saved.readable).toEqual(["b"]);
    yes(world, { kind: "end-downtime", node: "c" });
    world.run(3000);
    expect(world.state.saved.readable).toEqual(["b", "c"]);
    yes(world, downtime("b"));
    world.run(6000);
    expect(world.state.saved.downtimes).toEqual({});
    expect(world.told("-downtime").map(({ text }) => text)).toEqual([
      "the downtime of c is over: an operator ended it",
      "the downtime of b is over: its time is over",
    ]);
  });

  test("acknowledge lifts the count of failovers", () => {
    const world = running();
    world.kill("a");
    world.run(10_000);
    expect(world.state.saved.failoversAtMs).toHaveLength(1);
    expect(reply(world, { kind: "acknowledge" })?.detail).toContain("1 failovers");
    expect(world.state.saved.failoversAtMs).toEqual([]);
  });

  test("reset ends an attempt that promoted nobody, and what was believed is forgotten", () => {
    const world = running({ fencing: "lease" });
    world.hang("a");
    world.until("fencing", () => world.state.saved.phase.kind === "fencing");
    yes(world, { kind: "reset" });
    expect(world.state.saved).toMatchObject({ phase: { kind: "watching" }, lastAttemptAtMs: null });
    expect(world.told("+reset-master")).toHaveLength(1);
    expect(world.told("-sdown")).toEqual([]);
  });

  test("reset does not shorten TILT", () => {
    const world = running({}, tilted);
    yes(world, { kind: "reset" });
    world.kill("a");
    world.run(20_000);
    expect(world.state.saved.primary).toBe("a");
    world.run(40_000);
    expect(world.state.saved.primary).toBe("b");
  });

  test("F11, G17 a failover by hand is not held by a pause, a cooldown, a limit or the brake", () => {
    const world = running({ maxFailoversPerHour: 1 });
    world.kill("a");
    world.run(10_000);
    world.fail("permit", "refused");
    yes(world, pause);
    yes(world, failover("c"));
    world.run(10_000);
    expect(world.state.saved.primary).toBe("c");
  });

  test("S05.3 drill: the next failover dies where it was named, once, and is finished all the same", () => {
    for (const at of ["after-election", "after-promotion"] as const) {
      const world = running();
      yes(world, { kind: "drill", at });
      world.run(2000);
      expect(world.decisions.some(({ crash }) => crash)).toBe(false);
      world.kill("a");
      world.run(20_000);
      expect(world.decisions.filter(({ crash }) => crash)).toHaveLength(1);
      expect(world.state.saved).toMatchObject({ primary: "b", drill: null });
      expect(world.state.saved.phase.kind).toBe("watching");
    }
  });
});
