/**
 * The document on disk: how it begins, and how one of an older version is read.
 *
 * Promises: a document that cannot be read is refused by name, never guessed.
 */
import * as v from "valibot";
import type { Sight } from "./believed.ts";
import type { Attempt, Phase, PhaseKind, Saved, State } from "./state.ts";

const VERSION = 2;

/** What is known after an eviction: nothing, until the next look. */
export const freshSight: Sight = {
  nodes: {},
  relays: {},
  vantages: {},
  paths: {},
  lookAskedAtMs: null,
  newsAtMs: null,
  lastNewsAtMs: null,
  away: { nodes: [], vantages: [] },
  lastDecisionAtMs: null,
  tiltUntilMs: null,
  told: [],
  sentAtMs: {},
  since: {},
  lastSeen: null,
  failed: {},
  dropped: 0,
};

/** A group that nothing is known of yet. */
export function initialState(group: string): State {
  return {
    saved: {
      v: VERSION,
      group,
      epoch: 0,
      highestEpoch: 0,
      primary: null,
      keptNodes: [],
      primaryRunId: null,
      rev: 0,
      routeState: "down",
      routeDigest: "",
      readable: [],
      followed: [],
      replicaRunIds: {},
      routeAtMs: 0,
      phase: { kind: "watching" },
      pending: [],
      nextAction: 1,
      lastAttemptAtMs: null,
      aborted: 0,
      maybePromoted: [],
      toUnseal: [],
      toSettle: [],
      members: [],
      outage: null,
      published: {},
      notices: [],
      failing: {},
      baseline: null,
      paused: null,
      downtimes: {},
      failoversAtMs: [],
      lastSwitch: null,
      leases: { longestMs: 0, untilMs: null },
      revokedAtMs: null,
      drill: null,
      lasting: [],
      steering: null,
      overlay: { weights: {}, added: [], removed: [] },
    },
    sight: freshSight,
  };
}

export type ReadSaved =
  | { readonly ok: true; readonly saved: Saved }
  | { readonly ok: false; readonly problem: string };

/** What the numbers and lists are that everything else is built on. */
const Core = v.looseObject({
  group: v.string(),
  epoch: v.pipe(v.number(), v.integer(), v.minValue(0)),
  highestEpoch: v.pipe(v.number(), v.integer(), v.minValue(0)),
  primary: v.nullable(v.string()),
  rev: v.pipe(v.number(), v.integer(), v.minValue(0)),
  readable: v.array(v.string()),
  phase: v.looseObject({ kind: v.string() }),
  pending: v.array(v.looseObject({ id: v.string(), kind: v.string(), deadlineMs: v.number() })),
  nextAction: v.pipe(v.number(), v.integer(), v.minValue(1)),
  maybePromoted: v.array(v.string()),
  published: v.record(v.string(), v.looseObject({ nextAtMs: v.number() })),
});

const attempt = ["epoch", "cause", "target", "from", "fence", "startedAtMs"];
/** The parts of each phase since version 1, and what later versions added. */
const parts: Readonly<Record<PhaseKind, readonly [readonly string[], readonly string[]]>> = {
  watching: [[], []],
  fencing: [["attempt", "deadlineMs"], ["sealed"]],
  electing: [["attempt", "sinceMs", "deadlineMs"], []],
  switching: [
    [],
    ["attempt", "candidate", "sinceMs", "deadlineMs", "giveUpAtMs", "acceptedAtMs", "calledOff"],
  ],
  promoting: [
    ["attempt", "candidate", "sinceMs", "sendUntilMs", "deadlineMs"],
    ["cost", "answeredAtMs"],
  ],
  publishing: [["attempt", "deadlineMs"], []],
  repointing: [["attempt", "deadlineMs"], []],
};
const added = [
  ...[
    "keptNodes",
    "routeDigest",
    "followed",
    "replicaRunIds",
    "toSettle",
    "members",
    "toUnseal",
    "aborted",
    "baseline",
    "paused",
    "downtimes",
    "notices",
    "failing",
  ],
  ...[
    "failoversAtMs",
    "lastSwitch",
    "leases",
    "revokedAtMs",
    "drill",
    "lasting",
    "steering",
    "overlay",
  ],
];

type Raw = Readonly<Record<string, unknown>>;

/** Where a document lacks something; null: nowhere. */
function lackOf(raw: Raw, version: number): string | null {
  const isFirst = version === 1;
  const all = Object.keys(initialState("").saved).filter((key) => !isFirst || !added.includes(key));
  const missing = all.find((key) => raw[key] === undefined);
  if (missing !== undefined) return missing;
  const core = v.safeParse(Core, raw);
  if (!core.success)
    return core.issues[0].path?.map(({ key }) => String(key)).join(".") ?? "its top";
  const phase = core.output.phase as Raw;
  const [first, later] = parts[phase.kind as PhaseKind] ?? [];
  if (first === undefined || later === undefined) return "phase.kind";
  const part = [...first, ...(isFirst ? [] : later)].find((key) => phase[key] === undefined);
  if (part !== undefined) return `phase.${part}`;
  if (phase.kind === "watching") return null;
  const begun = Object(phase.attempt) as Raw;
  const wanted = isFirst ? attempt : [...attempt, "untilMs", "force", "phases"];
  const lost = wanted.find((key) => begun[key] === undefined);
  return lost === undefined ? null : `phase.attempt.${lost}`;
}

/** Reads the document of `group`. A version that this code does not know, or another group's, is refused. */
export function readSaved(json: string, group: string): ReadSaved {
  const refuse = (problem: string): ReadSaved => ({ ok: false, problem });
  let raw: unknown;
  try {
    raw = JSON.parse(json);
  } catch {
    return refuse("the stored state is not JSON");
  }
  const { v: version, group: whose } = Object(raw) as Raw;
  if (version !== 1 && version !== VERSION)
    return refuse(
      `the stored state has version ${JSON.stringify(version) ?? "none"}; this code reads 1 and ${VERSION}`,
    );
  raw = filled(raw as Raw);
  const lack = lackOf(raw as Raw, version);
  if (lack !== null) return refuse(`the stored state is not whole at ${lack}`);
  if (whose !== group) return refuse(`the stored state is that of group ${String(whose)}`);
  const saved = raw as unknown as Saved;
  return { ok: true, saved: version === VERSION ? saved : fromFirst(saved) };
}

/** What version 2 did not have from its beginning, and nobody needs who was not told. */
function filled(raw: Raw): Raw {
  const published = withLooks(raw.published);
  if (raw.v !== VERSION) return { ...raw, published };
  const phase = Object(raw.phase) as Raw;
  return {
    replicaRunIds: {},
    notices: [],
    failing: {},
    lasting: [],
    steering: null,
    overlay: { weights: {}, added: [], removed: [] },
    ...raw,
    published,
    ...(phase.kind === "promoting" ? { phase: { answeredAtMs: null, ...phase } } : {}),
  };
}

/** A publisher that nobody looked at yet. Whatever is no list of publishers stays what it is: it is refused. */
function withLooks(published: unknown): unknown {
  if (typeof published !== "object" || published === null || Array.isArray(published))
    return published;
  const looks = {
    tried: null,
    pausedUntilMs: 0,
    checkedAtMs: 0,
    lookAtMs: 0,
    drift: null,
    receipt: null,
  };
  return Object.fromEntries(
    Object.entries(published).map(([name, each]) => [name, { ...looks, ...Object(each) }]),
  );
}

/** Version 1 had no operations, no baseline and no notes of phases. */
function fromFirst(first: Saved): Saved {
  const { saved } = initialState(first.group);
  return {
    ...saved,
    ...first,
    v: VERSION,
    followed: first.readable,
    members: [first.primary ?? "", ...first.readable, ...first.maybePromoted].map((id) => ({
      id,
      host: "",
      port: 0,
    })),
    phase: phaseOfFirst(first.phase),
  };
}

function phaseOfFirst(phase: Phase): Phase {
  if (phase.kind === "watching") return phase;
  const attempt: Attempt = { ...phase.attempt, untilMs: null, force: false, phases: [] };
  if (phase.kind === "fencing") return { ...phase, attempt, sealed: [] };
  if (phase.kind === "promoting")
    return {
      ...phase,
      attempt,
      cost: { lostBytesAtLeast: null, unseenMs: null },
      answeredAtMs: null,
    };
  return { ...phase, attempt };
}
