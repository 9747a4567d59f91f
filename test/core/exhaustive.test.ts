/**
 * Every phase x verdict of three nodes x role of three nodes x outcome: nothing throws, and what must never
 * happen does not (design.md section 11, as far as its phases exist).
 */
import { expect, test } from "vitest";
import { decide, freshSight, initialState } from "../../worker/core/decide.ts";
import { absorb } from "../../worker/core/health.ts";
import type { Attempt, Decision, Phase, State } from "../../worker/core/state.ts";
import type { NodeFacts, Observation, Outcome, OutcomeKind } from "../../worker/core/types.ts";
import { facts, groupConfig, observation } from "../support/builders.ts";
import { deepFreeze } from "../support/world.ts";

const nowMs = 1_000_000;
const config = groupConfig();
const ids = config.nodes.map((node) => node.id);

const verdicts = ["up", "down", "unreachable", "unknown"] as const;
const roles = ["primary", "replica of a", "other"] as const;
const outcomes: readonly (OutcomeKind | null)[] = [
  "done",
  "refused",
  "failed",
  "unreachable",
  "unknown",
];

const attempt: Attempt = {
  epoch: 2,
  cause: "odown",
  target: null,
  from: "a",
  fence: ["a"],
  startedAtMs: nowMs - 1000,
};
const deadlineMs = nowMs + 1000;
const phases: readonly Phase[] = [
  { kind: "watching" },
  { kind: "fencing", attempt, deadlineMs },
  { kind: "electing", attempt, sinceMs: nowMs - 10, deadlineMs },
  {
    kind: "promoting",
    attempt,
    candidate: "b",
    sinceMs: nowMs - 10,
    sendUntilMs: deadlineMs,
    deadlineMs,
  },
  { kind: "publishing", attempt, deadlineMs },
  { kind: "repointing", attempt, deadlineMs },
];

function stateIn(phase: Phase): State {
  const after = phase.kind === "publishing" || phase.kind === "repointing";
  const kind = phase.kind === "promoting" ? "promote" : "seal";
  const about = phase.kind === "promoting" ? "b" : "a";
  return {
    saved: {
      ...initialState("cache").saved,
      epoch: after ? 2 : 1,
      highestEpoch: phase.kind === "watching" ? 1 : 2,
      primary: after ? "b" : "a",
      primaryRunId: after ? "run-b" : "run-a",
      rev: 3,
      routeState: "up",
      readable: ["c"],
      phase,
      pending: [{ id: "cache.1", kind, about, key: null, epoch: 2, deadlineMs }],
      nextAction: 2,
      maybePromoted: phase.kind === "promoting" ? ["b"] : [],
      published: { kv: { key: "1.3", atMs: 0, failures: 0, nextAtMs: 0, problem: null } },
    },
    sight: freshSight,
  };
}

function factsAbout(id: string, role: (typeof roles)[number]): NodeFacts {
  const runId = `run-${id}`;
  if (role === "primary") return facts({ runId, role: "primary", replicaOf: null });
  const host = role === "other" ? "10.9.9.9" : "10.0.0.1";
  return facts({ runId, replicaOf: { host, port: 6379 } });
}

/** What every relay sees of one node, `times` looks in a row. */
function lookAt(id: string, verdict: string, role: (typeof roles)[number]): readonly Observation[] {
  const kind = verdict === "up" ? "up" : verdict === "down" ? "refused" : "relay-unreachable";
  const about = verdict === "up" ? factsAbout(id, role) : null;
  if (verdict === "unknown") return [];
  return config.vantages.map((vantage) =>
    observation(vantage, id, {
      class: kind,
      facts: about,
      atMs: nowMs,
      relay: kind === "relay-unreachable" ? null : { stamp: { boot: "1", ms: nowMs }, epoch: 1 },
    }),
  );
}

test("6 phases x 4^3 verdicts x 3^3 roles x 5 outcomes", () => {
  let cases = 0;
  for (const phase of phases) {
    const begun = stateIn(phase);
    for (const seen of product(verdicts))
      for (const said of product(roles)) {
        const look = ids.flatMap((id, at) => lookAt(id, seen[at] ?? "", said[at] ?? "other"));
        // Twice seen before: with this look a refused node is down, as max_failures wants.
        let sight = absorb(begun.sight, look, config, nowMs);
        sight = absorb(sight, look, config, nowMs);
        const state = deepFreeze({ saved: begun.saved, sight });
        for (const kind of outcomes) {
          cases += 1;
          const outcome: Outcome[] =
            kind === null ? [] : [{ action: "cache.1", kind, detail: "", atMs: nowMs }];
          const input = deepFreeze({ observations: look, outcomes: outcome, requests: [] });
          const decision = decide(state, input, config, nowMs);
          const broken = violation(state, decision, seen, said);
          if (broken !== null)
            expect.fail(`${broken} in ${phase.kind}, seen ${seen}, said ${said}, ${kind}`);
        }
      }
  }
  expect(cases).toBe(6 * 64 * 27 * 5);
});

/** What must never happen, in words; null when nothing of it did. */
function violation(
  { saved: before }: State,
  { state, actions, because, wakeAtMs }: Decision,
  seen: readonly string[],
  said: readonly string[],
): string | null {
  const { saved } = state;
  const sawPrimary = (id: string | null) => {
    const at = ids.indexOf(id ?? "");
    return seen[at] === "up" && said[at] === "primary";
  };
  if (because === "") return "no because";
  if (wakeAtMs < nowMs) return "wakes in the past";
  if (saved.epoch < before.epoch || saved.highestEpoch < before.highestEpoch) return "epoch fell";
  if (saved.epoch === before.epoch && saved.rev < before.rev) return "rev fell";
  if (saved.epoch > saved.highestEpoch) return "an epoch in force that was never begun";
  if (saved.primary !== before.primary) {
    if (before.phase.kind !== "promoting") return "a primary was changed outside promoting";
    if (saved.epoch <= before.epoch) return "a primary was changed without a new epoch";
    if (!sawPrimary(saved.primary)) return "a primary was published that nobody saw as primary";
  }
  for (const action of actions) {
    if (!saved.pending.some((each) => each.id === action.id)) return "act before save";
    if (action.kind === "publish") {
      if (action.route.primary?.id !== saved.primary) return "published somebody else";
      continue;
    }
    if (action.epoch < saved.epoch) return "a verb at a lower epoch";
    if (action.kind === "promote") {
      const named = saved.phase.kind === "promoting" ? saved.phase.candidate : saved.primary;
      if (action.node !== named) return "promoted another than the one that its epoch names";
      if (action.primary !== action.node) return "a promotion that names somebody else";
    }
    if (action.kind === "demote") {
      if (action.node === saved.primary) return "demoted the primary in force";
      if (!sawPrimary(saved.primary)) return "demoted while the primary was not seen as primary";
    }
    if (action.kind === "seal" && action.node === saved.primary && saved.phase.kind === "watching")
      return "sealed the primary in force";
  }
  const promotions = actions.filter((action) => action.kind === "promote");
  if (promotions.length > 1) return "two promotions in one decision";
  const aborted =
    (before.phase.kind === "fencing" || before.phase.kind === "electing") &&
    saved.phase.kind === "watching";
  if (aborted && seen[0] !== "unknown" && seen[0] !== "unreachable")
    if (!actions.some((action) => action.kind === "unseal" && action.node === "a"))
      return "an abort that does not unseal";
  if (before.phase.kind === "promoting" && saved.phase.kind === "watching")
    return "a promotion that was sent was aborted";
  return null;
}

function product<T>(values: readonly T[]): readonly (readonly [T, T, T])[] {
  return values.flatMap((x) => values.flatMap((y) => values.map((z) => [x, y, z] as const)));
}
