/** The document on disk: read as it was written, by this code or the one before; refused by name otherwise. */
import { describe, expect, test } from "vitest";
import { decide } from "../../worker/core/decide.ts";
import { freshSight, initialState, readSaved } from "../../worker/core/saved.ts";
import type { Saved } from "../../worker/core/state.ts";
import { createWorld } from "../support/world.ts";

const problemOf = (json: string, group = "cache") => {
  const read = readSaved(json, group);
  return read.ok ? null : read.problem;
};

/** A document of the version before, as that code wrote it. */
const head = { epoch: 2, cause: "odown", target: null, from: "a", fence: ["a"], startedAtMs: 900 };
const firstPhases = [
  { kind: "watching" },
  { kind: "fencing", attempt: head, deadlineMs: 1_000_300 },
  { kind: "electing", attempt: head, sinceMs: 999_000, deadlineMs: 1_001_300 },
  {
    kind: "promoting",
    attempt: head,
    candidate: "b",
    sinceMs: 999_000,
    sendUntilMs: 1_001_000,
    deadlineMs: 1_004_000,
  },
  { kind: "publishing", attempt: head, deadlineMs: 1_001_000 },
  { kind: "repointing", attempt: head, deadlineMs: 1_180_000 },
];
const first = (phase: unknown) => ({
  v: 1,
  group: "cache",
  epoch: 1,
  highestEpoch: 2,
  primary: "a",
  primaryRunId: "run-a-0",
  rev: 3,
  routeState: "up",
  readable: ["b", "c"],
  routeAtMs: 999_000,
  phase,
  pending: [
    { id: "cache.4", kind: "seal", about: "a", key: null, epoch: 2, deadlineMs: 1_000_500 },
  ],
  nextAction: 5,
  lastAttemptAtMs: 999_000,
  maybePromoted: [],
  outage: null,
  published: { kv: { key: "1.3", atMs: 900_000, failures: 0, nextAtMs: 0, problem: null } },
});

describe("version 2, its own", () => {
  test("every document of a failover with all that can happen reads back as it was", () => {
    const world = createWorld({ fencing: "lease" });
    world.run(2000);
    world.ask({ kind: "downtime", id: "x", node: "c", reason: "disk", forMs: 500 });
    world.ask({ kind: "switchover", id: "x", to: "b", timeoutMs: 500, force: false });
    world.run(2000);
    world.hang("b");
    world.run(10_000);
    world.ask({ kind: "pause", id: "x", reason: "rest", forMs: null });
    const kinds = new Set<string>();
    for (const { state } of world.decisions) {
      kinds.add(state.saved.phase.kind);
      const read = readSaved(JSON.stringify(state.saved), "cache");
      expect(read).toEqual({ ok: true, saved: state.saved });
    }
    expect(kinds).toEqual(
      new Set(["watching", "switching", ...firstPhases.map(({ kind }) => kind)]),
    );
  });

  test("a group that nothing is known of", () => {
    const { saved } = initialState("cache");
    expect(readSaved(JSON.stringify(saved), "cache")).toEqual({ ok: true, saved });
  });
});

describe("version 1, the one before", () => {
  test("what it knew is kept, what it did not know is nothing", () => {
    const read = readSaved(JSON.stringify(first({ kind: "watching" })), "cache");
    const fresh = initialState("cache").saved;
    expect(read).toEqual({
      ok: true,
      saved: {
        ...fresh,
        ...first({ kind: "watching" }),
        v: 2,
        published: {
          kv: {
            ...first({ kind: "watching" }).published.kv,
            tried: null,
            pausedUntilMs: 0,
            checkedAtMs: 0,
            lookAtMs: 0,
            drift: null,
            receipt: null,
          },
        },
        followed: ["b", "c"],
        members: ["a", "b", "c"].map((id) => ({ id, host: "", port: 0 })),
      },
    });
  });

  test.each(firstPhases)("in the middle of an attempt: $kind", (phase) => {
    const read = readSaved(JSON.stringify(first(phase)), "cache");
    if (!read.ok) return expect.fail(read.problem);
    expect(read.saved.phase).toMatchObject(phase);
    // The attempt goes on: whatever was missing in the document is missed by nobody.
    const world = createWorld();
    let state = { saved: read.saved, sight: freshSight };
    let nowMs = 1_000_000;
    for (let round = 0; round < 20; round += 1) {
      const input = { observations: world.look(), outcomes: [], requests: [] };
      const decision = decide(state, input, world.config, nowMs);
      expect(decision.because).not.toBe("");
      state = decision.state;
      nowMs += 1000;
      world.jump(1000);
    }
    expect(readSaved(JSON.stringify(state.saved), "cache").ok).toBe(true);
  });
});

describe("refused by name, never guessed", () => {
  const whole: Saved = initialState("cache").saved;
  const cases: readonly [string, string, RegExp][] = [
    ["not JSON", "{", /^the stored state is not JSON$/],
    ["nothing", "", /not JSON/],
    ["no document", "null", /version none/],
    ["a list", "[]", /version none/],
    [
      "no version",
      JSON.stringify({ ...whole, v: undefined }),
      /version none; this code reads 1 and 2/,
    ],
    ["a later version", JSON.stringify({ ...whole, v: 3 }), /version 3; this code reads 1 and 2/],
    ["a version of another kind", JSON.stringify({ ...whole, v: "2" }), /version "2"/],
    ["version 0", JSON.stringify({ ...whole, v: 0 }), /version 0/],
    ["another group's", JSON.stringify({ ...whole, group: "other" }), /that of group other/],
    ["an epoch that is none", JSON.stringify({ ...whole, epoch: -1 }), /not whole at epoch/],
    ["… nor a whole number", JSON.stringify({ ...whole, highestEpoch: 1.5 }), /at highestEpoch/],
    [
      "a phase that this code does not know",
      JSON.stringify({ ...whole, phase: { kind: "resting" } }),
      /at phase\.kind/,
    ],
    [
      "a pending action without an id",
      JSON.stringify({ ...whole, pending: [{}] }),
      /at pending\.0\.id/,
    ],
    ["a list that is none", JSON.stringify({ ...whole, readable: "b" }), /at readable/],
  ];
  test.each(cases)("%s", (_, json, why) => {
    expect(problemOf(json)).toMatch(why);
  });

  // What came later, and is empty for whoever was not told.
  const later = ["replicaRunIds", "notices", "failing", "lasting", "steering", "overlay"];
  test("what version 2 did not have from its beginning is filled", () => {
    const promoting = { kind: "promoting", attempt: {}, candidate: "b" };
    const rest = Object.fromEntries(Object.entries(whole).filter(([key]) => !later.includes(key)));
    expect(problemOf(JSON.stringify(rest))).toBeNull();
    expect(problemOf(JSON.stringify({ ...rest, phase: promoting }))).not.toMatch(/answeredAtMs/);
  });

  test.each(Object.keys(whole).filter((key) => !later.includes(key)))(
    "not whole: without %s",
    (key) => {
      const { [key as keyof Saved]: _, ...rest } = whole;
      const why = key === "v" ? "version none" : key;
      expect(problemOf(JSON.stringify(rest)) ?? "read").toContain(why);
    },
  );

  test.each(firstPhases.slice(1))("a phase without its parts: $kind", (phase) => {
    const json = JSON.stringify({ ...whole, phase: { kind: phase.kind } });
    expect(problemOf(json) ?? "read").toMatch(/not whole at phase/);
  });

  test("a document of the version before without one of its keys", () => {
    for (const key of Object.keys(first({ kind: "watching" }))) {
      const { [key as "v"]: _, ...rest } = first({ kind: "watching" });
      expect(problemOf(JSON.stringify(rest)), key).not.toBeNull();
    }
  });

  test("no problem repeats what stands in the document", () => {
    for (const value of ["hunter2", ["hunter2"], { hunter2: 1 }])
      expect(problemOf(JSON.stringify({ ...whole, epoch: value }))).not.toContain("hunter2");
  });
});
