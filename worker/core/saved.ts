/**
 * The document on disk: how it begins, and how one of an older version is read.
 *
 * Promises: a document that cannot be read is refused by name, never guessed.
 */
import * as v from "valibot";
import type { Sight } from "./believed.ts";
import type { Attempt, Phase, Saved, State } from "./state.ts";

const VERSION = 2;

/** What is known after an eviction: nothing, until the next look. */
export const freshSight: Sight = {
  nodes: {},
  relays: {},
  lookAskedAtMs: null,
  lastDecisionAtMs: null,
  tiltUntilMs: null,
  told: [],
  sentAtMs: {},
  since: {},
  replicaRunIds: {},
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
      routeAtMs: 0,
      phase: { kind: "watching" },
      pending: [],
      nextAction: 1,
      lastAttemptAtMs: null,
      aborted: 0,
      maybePromoted: [],
      outage: null,
      published: {},
      baseline: null,
      paused: null,
      downtimes: {},
      failoversAtMs: [],
      lastSwitch: null,
      revokedAtMs: null,
      drill: null,
    },
    sight: freshSight,
  };
}

export type ReadSaved =
  | { readonly ok: true; readonly saved: Saved }
  | { readonly ok: false; readonly problem: string };

/** What every version has, and everything else is built on. */
const Core = v.looseObject({
  v: v.picklist([1, VERSION]),
  group: v.string(),
  epoch: v.pipe(v.number(), v.integer(), v.minValue(0)),
  highestEpoch: v.pipe(v.number(), v.integer(), v.minValue(0)),
  primary: v.nullable(v.string()),
  rev: v.pipe(v.number(), v.integer(), v.minValue(0)),
  readable: v.array(v.string()),
  phase: v.looseObject({
    kind: v.picklist([
      "watching",
      "fencing",
      "electing",
      "switching",
      "promoting",
      "publishing",
      "repointing",
    ]),
  }),
  pending: v.array(v.looseObject({ id: v.string() })),
  nextAction: v.number(),
  maybePromoted: v.array(v.string()),
  published: v.record(v.string(), v.looseObject({})),
});

/** Reads the document of `group`. A version that this code does not know, or another group's, is refused. */
export function readSaved(json: string, group: string): ReadSaved {
  let raw: unknown;
  try {
    raw = JSON.parse(json);
  } catch {
    return { ok: false, problem: "the stored state is not JSON" };
  }
  const version = (raw as { v?: unknown } | null)?.v;
  if (version !== 1 && version !== VERSION)
    return {
      ok: false,
      problem: `the stored state has version ${JSON.stringify(version) ?? "none"}; this code reads 1 and ${VERSION}`,
    };
  const parsed = v.safeParse(Core, raw);
  if (!parsed.success) {
    const issue = parsed.issues[0];
    const at = issue.path?.map((item) => String(item.key)).join(".") ?? "";
    return { ok: false, problem: `the stored state is not whole at ${at || "its top"}` };
  }
  if (parsed.output.group !== group)
    return { ok: false, problem: `the stored state is that of group ${parsed.output.group}` };
  // Checked above as far as anything stands on it: this code or an older one wrote it.
  const saved = parsed.output as unknown as Saved;
  return { ok: true, saved: version === VERSION ? saved : fromFirst(saved) };
}

/** Version 1 had no operations, no baseline and no notes of phases. */
function fromFirst(first: Saved): Saved {
  const { saved } = initialState(first.group);
  return {
    ...saved,
    ...first,
    v: VERSION,
    followed: first.readable,
    phase: phaseOfFirst(first.phase),
  };
}

function phaseOfFirst(phase: Phase): Phase {
  if (phase.kind === "watching") return phase;
  const attempt: Attempt = { ...phase.attempt, untilMs: null, force: false, phases: [] };
  if (phase.kind === "fencing") return { ...phase, attempt, sealed: [] };
  if (phase.kind === "promoting")
    return { ...phase, attempt, cost: { lostBytesAtLeast: null, unseenMs: null } };
  return { ...phase, attempt };
}
