/**
 * Every phase x verdict of three nodes x role of three nodes x outcome x lease held or not: nothing throws,
 * and what must never happen does not (design.md section 11). Smaller products beside it: every cause, every
 * reason to stand still, and a whole lease.
 */
import { expect, test } from "vitest";
import { decide } from "../../worker/core/decide.ts";
import { SEALED } from "../../worker/core/facts.ts";
import { isAutomatic } from "../../worker/core/failover.ts";
import { leaseEndMs } from "../../worker/core/lease.ts";
import { nothingPublished } from "../../worker/core/publishing.ts";
import { freshSight, initialState } from "../../worker/core/saved.ts";
import { absorb } from "../../worker/core/sight.ts";
import type { Attempt, Decision, FailoverCause, Phase, State } from "../../worker/core/state.ts";
import type {
  Action,
  GroupConfig,
  NodeFacts,
  Observation,
  ObservationClass,
  Outcome,
  OutcomeKind,
} from "../../worker/core/types.ts";
import { facts, groupConfig, observation } from "../support/builders.ts";
import { deepFreeze } from "../support/world.ts";

const nowMs = 1_000_000;
const open = groupConfig();
const leased = groupConfig({ fencing: "lease" });
const ids = open.nodes.map((node) => node.id);

/** unreachable: nobody reaches its machine, its replicas may; unknown: it answers, and says nothing of itself. */
const verdicts = ["up", "down", "unreachable", "unknown"] as const;
type Seen = (typeof verdicts)[number];
/** other: a replica of somebody who is no node of the group. */
const roles = ["primary", "replica of it", "other"] as const;
type Said = (typeof roles)[number];
const outcomes: readonly OutcomeKind[] = ["done", "refused", "failed", "unreachable", "unknown"];

/** One row of a product: what is seen of a, b and c, and what they say of themselves. */
type Scene = {
  readonly seen: readonly Seen[];
  readonly said: readonly Said[];
  readonly look: readonly Observation[];
  readonly sight: State["sight"];
};

const attemptFor = (cause: FailoverCause): Attempt => ({
  epoch: 2,
  cause,
  target: cause === "operator" || cause === "switchover" ? "b" : null,
  from: "a",
  fence: ["a"],
  startedAtMs: nowMs - 1000,
  untilMs: null,
  force: false,
  phases: [],
});

/** Every phase with its deadline. */
function phasesOf(cause: FailoverCause, deadlineMs: number): readonly Phase[] {
  const attempt = attemptFor(cause);
  const cost = { lostBytesAtLeast: null, unseenMs: null };
  const sent = { candidate: "b", sinceMs: nowMs - 10 };
  return [
    { kind: "watching" },
    { kind: "fencing", attempt, sealed: [], deadlineMs },
    { kind: "electing", attempt, sinceMs: nowMs - 10, deadlineMs },
    {
      kind: "switching",
      attempt,
      ...sent,
      deadlineMs,
      giveUpAtMs: deadlineMs + 1,
      acceptedAtMs: null,
      calledOff: null,
    },
    {
      kind: "promoting",
      attempt,
      ...sent,
      sendUntilMs: deadlineMs,
      deadlineMs,
      cost,
      answeredAtMs: null,
    },
    { kind: "publishing", attempt, deadlineMs },
    { kind: "repointing", attempt, deadlineMs },
  ];
}
const early = nowMs + 1000;
const late = nowMs;
const notYetPromoting = phasesOf("odown", early).filter(({ kind }) =>
  /watch|fenc|elect/.test(kind),
);

const begun: readonly Phase["kind"][] = ["fencing", "electing", "switching", "promoting"];
const pendingIn = {
  watching: ["demote", "c"],
  fencing: ["seal", "a"],
  electing: ["permit", "fleet"],
  switching: ["switchover", "a"],
  promoting: ["promote", "b"],
  publishing: ["publish", "kv"],
  repointing: ["demote", "a"],
} as const;

function savedIn(phase: Phase, config: GroupConfig): State["saved"] {
  const after = phase.kind === "publishing" || phase.kind === "repointing";
  const sent = phase.kind === "promoting" || phase.kind === "switching";
  const [kind, about] = pendingIn[phase.kind];
  const revoked = config.fencing === "lease" && begun.includes(phase.kind);
  return deepFreeze({
    ...initialState("cache").saved,
    epoch: after ? 2 : 1,
    highestEpoch: phase.kind === "watching" ? 1 : 2,
    primary: after ? "b" : "a",
    primaryRunId: after ? "run-b" : "run-a",
    keptNodes: open.nodes.filter(({ id }) => id === (after ? "b" : "a") || (sent && id === "b")),
    rev: 3,
    routeState: "up" as const,
    readable: ["c"],
    followed: ["b", "c"],
    lastAttemptAtMs: phase.kind === "watching" || after ? null : nowMs - 1000,
    phase,
    pending: [{ id: "cache.1", kind, about, key: about, epoch: 2, deadlineMs: nowMs + 1000 }],
    nextAction: 2,
    maybePromoted: sent ? ["b"] : [],
    published: { kv: { ...nothingPublished, key: "1.3" } },
    leases:
      config.fencing === "lease"
        ? { longestMs: config.leaseMs, untilMs: null, keepers: { a: ["b", "c"], b: ["a", "c"] } }
        : { longestMs: 0, untilMs: null },
    revokedAtMs: revoked ? nowMs - 1 : null,
  });
}

function factsAbout(id: string, said: Said, it: string): NodeFacts {
  const runId = `run-${id}`;
  // The primary that is replaced took the seal.
  const minReplicasToWrite = id === it && it === "a" ? SEALED : 0;
  if (said === "primary")
    return facts({ runId, role: "primary", replicaOf: null, minReplicasToWrite });
  // One that would follow itself follows the next one: a hand-over that is done, or a cycle.
  const followed = it === id ? (id === "a" ? "b" : "a") : it;
  const host = said === "other" ? "10.9.9.9" : `10.0.0.${ids.indexOf(followed) + 1}`;
  return facts({ runId, replicaOf: { host, port: 6379 } });
}

/** What every relay sees of every node at one moment; through a machine that nobody reaches, nothing. */
function lookAt(
  seen: readonly Seen[],
  said: readonly Said[],
  it: string,
  atMs: number,
  epoch: number,
) {
  return ids.flatMap((node, at) =>
    ids.flatMap((through, from): readonly Observation[] => {
      const verdict = seen[at] ?? "unknown";
      const blind = seen[from] === "unreachable";
      const kind: ObservationClass = blind
        ? "relay-unreachable"
        : ({ up: "up", down: "refused", unreachable: "timeout", unknown: "auth" } as const)[
            verdict
          ];
      return [
        observation(`relay:${through}`, node, {
          class: kind,
          facts: kind === "up" ? factsAbout(node, said[at] ?? "other", it) : null,
          atMs,
          epoch,
          relay: blind ? null : { stamp: { boot: "1", ms: atMs }, epoch: 1 },
        }),
      ];
    }),
  );
}

/** Long enough that whoever is refused or silent is down with the next look. */
function sceneOf(seen: readonly Seen[], said: readonly Said[], it: string): Scene {
  let { sight } = { sight: freshSight };
  for (const atMs of [nowMs - 3000, nowMs - 2000, nowMs - 1000])
    sight = absorb(sight, lookAt(seen, said, it, atMs, 2), open, { inForce: 1, highest: 2 }, atMs);
  const look = lookAt(seen, said, it, nowMs, 2);
  return deepFreeze({ seen, said, look, sight: { ...sight, lastDecisionAtMs: nowMs - 1000 } });
}

const product = <T>(values: readonly T[]): readonly (readonly [T, T, T])[] =>
  values.flatMap((x) => values.flatMap((y) => values.map((z) => [x, y, z] as const)));

const scenes = (it: string) =>
  product(verdicts).flatMap((seen) => product(roles).map((said) => sceneOf(seen, said, it)));
/** By the primary in force. */
const all = { a: scenes("a"), b: scenes("b") };
const scenesIn = ({ kind }: Phase) =>
  kind === "publishing" || kind === "repointing" ? all.b : all.a;

/** One decision; fails with the whole row when it breaks a rule. */
function tried(
  saved: State["saved"],
  scene: Scene,
  config: GroupConfig,
  kind: OutcomeKind | null,
  atMs = nowMs,
): Decision {
  const state = { saved, sight: scene.sight };
  const said: Outcome[] = kind === null ? [] : [{ action: "cache.1", kind, detail: "", atMs }];
  const input = { observations: scene.look, outcomes: said, requests: [] };
  const decision = decide(state, input, config, atMs);
  const broken = violation(state, decision, scene, config, atMs);
  if (broken !== null) fail(broken, saved, scene, config, kind);
  return decision;
}

function fail(
  why: string,
  { phase }: State["saved"],
  { seen, said }: Scene,
  { fencing }: GroupConfig,
  kind: OutcomeKind | null = null,
): never {
  const cause = phase.kind === "watching" ? "" : ` for ${phase.attempt.cause}`;
  return expect.fail(
    `${why}: ${phase.kind}${cause}, seen ${seen}, said ${said}, ${kind}, fencing ${fencing}`,
  );
}

test("7 phases x 4^3 verdicts x 3^3 roles x 5 outcomes x lease or not", () => {
  let cases = 0;
  for (const config of [open, leased])
    for (const phase of phasesOf("odown", early)) {
      const saved = savedIn(phase, config);
      for (const scene of scenesIn(phase))
        for (const kind of outcomes) {
          cases += 1;
          tried(saved, scene, config, kind);
        }
    }
  expect(cases).toBe(7 * 64 * 27 * 5 * 2);
}, 180_000);

test("the same past every deadline", () => {
  for (const config of [open, leased])
    for (const phase of phasesOf("odown", late)) {
      const saved = savedIn(phase, config);
      for (const scene of scenesIn(phase)) tried(saved, scene, config, null);
    }
});

test("every other cause of an attempt, while it may still be given up", () => {
  const causes = [
    "operator",
    "switchover",
    "promotion-lost",
    "wiped",
    "no-primary",
    "sealed",
  ] as const;
  for (const cause of causes)
    for (const deadlineMs of [early, late])
      for (const phase of phasesOf(cause, deadlineMs).filter(({ kind }) => begun.includes(kind))) {
        const saved = savedIn(phase, open);
        for (const scene of scenesIn(phase)) tried(saved, scene, open, null);
      }
});

const promotes = (actions: readonly Action[]) => actions.some(({ kind }) => kind === "promote");

test("paused: nothing begins by itself, and what began by itself promotes nobody", () => {
  const paused = { reason: "maintenance", sinceMs: nowMs - 500, untilMs: null };
  for (const phase of notYetPromoting) {
    const saved = deepFreeze({ ...savedIn(phase, open), paused });
    for (const scene of scenesIn(phase)) {
      const { actions, state } = tried(saved, scene, open, null);
      if (promotes(actions)) fail("promoted while paused", saved, scene, open);
      if (state.saved.highestEpoch > saved.highestEpoch) fail("began", saved, scene, open);
      if (phase.kind !== "watching" && state.saved.phase.kind !== "watching")
        fail("went on while paused", saved, scene, open);
    }
  }
});

test("observing only: nothing is done, and what was begun before promotes nobody", () => {
  const observing = groupConfig({ observeOnly: true });
  for (const phase of notYetPromoting) {
    const saved = deepFreeze({ ...savedIn(phase, observing), pending: [] });
    for (const scene of scenesIn(phase)) {
      const { actions, state } = tried(saved, scene, observing, null);
      // What an attempt sealed before the deploy is given back.
      const done = actions.filter(({ kind }) => phase.kind === "watching" || kind !== "unseal");
      if (done.length > 0) fail(`did ${done[0]?.kind} while observing`, saved, scene, observing);
      if (state.saved.phase.kind !== "watching") fail("goes on", saved, scene, observing);
    }
  }
});

test("TILT: in no phase anything is done to a node", () => {
  for (const phase of phasesOf("odown", early)) {
    const saved = deepFreeze({ ...savedIn(phase, open), pending: [] });
    for (const { sight, ...scene } of scenesIn(phase)) {
      const back = { ...scene, sight: { ...sight, lastDecisionAtMs: nowMs + 1 } };
      const { actions, state } = tried(saved, back, open, null);
      const done = actions.find(({ kind }) => kind !== "publish");
      if (done !== undefined) fail(`did ${done.kind} in TILT`, saved, back, open);
      if (state.saved.phase !== saved.phase) fail("left its phase in TILT", saved, back, open);
    }
  }
});

test("a lease that nobody gave back: until it has ended nobody is promoted, then somebody may be", () => {
  const fencing = notYetPromoting.find(({ kind }) => kind === "fencing");
  if (fencing === undefined) throw new Error("no phase");
  const endMs = leaseEndMs(nowMs - 1, leased);
  let promoted = 0;
  for (const scene of all.a) {
    let state: State = { saved: savedIn(fencing, leased), sight: scene.sight };
    let outcome: Outcome[] = [{ action: "cache.1", kind: "unreachable", detail: "", atMs: nowMs }];
    for (let atMs = nowMs; atMs < endMs + 2000; atMs += atMs < endMs - 500 ? 900 : 100) {
      const observations = lookAt(scene.seen, scene.said, "a", atMs, state.saved.epoch);
      const input = { observations, outcomes: outcome, requests: [] };
      const decision = decide(state, input, leased, atMs);
      if (promotes(decision.actions)) {
        if (atMs < endMs) fail("promoted under a lease", state.saved, scene, leased);
        promoted += 1;
        break;
      }
      outcome = decision.actions.map(({ id, kind }) => ({
        action: id,
        kind: kind === "seal" ? "failed" : "done",
        detail: "",
        atMs,
      }));
      state = decision.state;
    }
  }
  expect(promoted).toBeGreaterThan(50);
});

/** What must never happen, in words; null when nothing of it did. */
function violation(
  { saved: before }: State,
  { state, actions, because, wakeAtMs, crash }: Decision,
  { seen, said }: Scene,
  config: GroupConfig,
  atMs: number,
): string | null {
  const { saved } = state;
  const { phase } = saved;
  const saw = (id: string | null) => {
    const at = ids.indexOf(id ?? "");
    return seen[at] === "up" ? said[at] : null;
  };
  if (because === "") return "no because";
  if (crash) return "a drill that nobody asked for";
  if (wakeAtMs < atMs || !Number.isFinite(wakeAtMs)) return "wakes in the past, or never";
  if (saved.epoch < before.epoch || saved.highestEpoch < before.highestEpoch) return "epoch fell";
  if (saved.epoch === before.epoch && saved.rev < before.rev) return "rev fell";
  if (saved.epoch > saved.highestEpoch) return "an epoch in force that was never begun";
  if (saved.highestEpoch > before.highestEpoch + 1) return "two epochs in one decision";
  const replaced = ["fencing", "electing", "promoting"].includes(phase.kind);
  if (replaced && saved.routeState === "up" && state.sight.tiltUntilMs === null)
    return "a route that is up while its primary is replaced";
  if (saved.primary !== before.primary) {
    if (before.phase.kind !== "promoting" && before.phase.kind !== "switching")
      return `a primary was changed while ${before.phase.kind}`;
    if (saved.epoch <= before.epoch) return "a primary was changed without a new epoch";
    if (saw(saved.primary) !== "primary") return "a primary in force that nobody saw as primary";
  }
  for (const action of actions) {
    const broken = forbidden(action, before, saved, saw);
    if (broken !== null) return broken;
  }
  const count = (kind: Action["kind"]) => actions.filter((each) => each.kind === kind).length;
  if (count("promote") > 1) return "two promotions in one decision";
  if (count("unseal") > 1) return "two unsealed in one decision";
  if (new Set(actions.map(({ id }) => id)).size < actions.length) return "one id twice";
  const { kind } = before.phase;
  if (kind === "promoting" && phase.kind === "watching") return "a promotion sent was aborted";
  if (kind === "electing" && phase.kind === "promoting" && isAutomatic(phase.attempt.cause)) {
    // A machine that nobody reaches is confirmed silent for its own node alone.
    const heard = seen.filter((each, at) => each !== "unreachable" || at === 0).length;
    if (heard * 2 <= ids.length) return "promoted without quorum";
    const alive = before.phase.kind === "electing" && saw("a") === "primary";
    if (alive && phase.attempt.cause === "odown") return "promoted though the primary is seen";
  }
  if (kind === "fencing" && phase.kind === "electing" && config.fencing === "lease") {
    // Only its own answer in this decision can be the seal: the lease was revoked a moment ago.
    const sealed = before.pending.length > 0 && !saved.pending.some(({ id }) => id === "cache.1");
    if (!sealed || atMs >= leaseEndMs(before.revokedAtMs ?? 0, config))
      return "went on to elect under a lease";
  }
  if ((kind === "fencing" || kind === "electing") && phase.kind === "watching") {
    const unseals = actions.some((each) => each.kind === "unseal" && each.node === "a");
    if (saw("a") === "primary" && !unseals) return "an abort that does not unseal";
    if (saved.revokedAtMs !== null) return "an abort that grants no lease any more";
    if (saved.epoch !== before.phase.attempt.epoch) return "an abort that leaves its epoch open";
  }
  return null;
}

/** What is wrong with one action. */
function forbidden(
  action: Action,
  before: State["saved"],
  saved: State["saved"],
  saw: (id: string | null) => Said | null | undefined,
): string | null {
  const { phase } = saved;
  if (!saved.pending.some((each) => each.id === action.id)) return "act before save";
  if (action.kind === "permit") return null;
  if (action.kind === "publish")
    return action.route.primary?.id === saved.primary ? null : "published somebody else";
  if (action.epoch < saved.epoch) return "a verb at a lower epoch";
  const candidate =
    phase.kind === "promoting" || phase.kind === "switching" ? phase.candidate : null;
  const attempt = phase.kind === "watching" ? null : phase.attempt;
  switch (action.kind) {
    case "promote":
      if (action.node !== (candidate ?? saved.primary))
        return "promoted another than the one that its epoch names";
      if (action.primary !== action.node) return "a promotion that names somebody else";
      if (phase.kind === "fencing" || phase.kind === "electing" || phase.kind === "switching")
        return `promoted while ${phase.kind}`;
      if (phase.kind === "promoting" && !saved.maybePromoted.includes(action.node))
        return "promoted somebody who is not noted as perhaps promoted";
      return null;
    case "demote":
      if (action.node === saved.primary) return "demoted the primary in force";
      if (saw(saved.primary) !== "primary") return "demoted though nobody saw the primary";
      return null;
    case "seal":
      if (action.node === candidate) return "sealed the candidate";
      if (action.node === saved.primary && attempt === null) return "sealed the primary in force";
      return null;
    case "unseal": {
      const switching = phase.kind === "switching" ? candidate : null;
      if (action.node !== saved.primary && action.node !== switching)
        return "unsealed somebody who is not primary";
      const failing = phase.kind !== "publishing" && phase.kind !== "repointing";
      if (attempt !== null && failing && action.node === attempt.from)
        return "unsealed the old primary while it is replaced";
      return null;
    }
    case "switchover":
    case "abort-switchover":
      if (before.phase.kind !== "switching") return `told to hand over while ${before.phase.kind}`;
      return action.node === "a" ? null : "told another than the primary to hand over";
    default:
      return null;
  }
}
