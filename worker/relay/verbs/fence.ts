/**
 * The relay's law: which verb may touch Redis, judged by epoch, primary, stamp and action id.
 *
 * Promises: pure. A verb is executed only if its epoch is not behind, its epoch names nobody else, its
 * stamp is of this boot and young, and its action id is new; one epoch names one primary for ever.
 * Must never: read a clock, a disk or a Redis.
 */
import {
  refusals,
  type TellEpochBody,
  type Verb,
  type VerbAnswer,
  type VerbBody,
} from "../protocol.ts";

/** What an epoch stands for; primary is null while it names nobody yet. */
export type HeldEpoch = { readonly epoch: number; readonly primary: string | null };

export type JournalAction = {
  readonly group: string;
  readonly id: string;
  readonly verb: Verb;
  readonly node: string;
  readonly epoch: number;
  /** The rest of what was asked, so that an id cannot come back with another meaning. */
  readonly content: string;
  readonly outcome: VerbAnswer["outcome"];
  readonly detail: string;
};

/** What the relay keeps on disk. Actions: oldest first. */
export type Journal = {
  readonly groups: ReadonlyMap<string, HeldEpoch>;
  readonly actions: readonly JournalAction[];
};

export const MAX_ACTIONS = 256;
export const MAX_GROUPS = 1000;

export type VerbRequest = {
  [V in Verb]: { readonly verb: V; readonly node: string; readonly body: VerbBody<V> };
}[Verb];

export type Clock = { readonly boot: string; readonly ms: number; readonly ttlMs: number };

export type Verdict =
  /** Execute once `journal` is on disk: it holds the epoch, and the action with outcome unknown. */
  | { readonly kind: "execute"; readonly journal: Journal }
  | { readonly kind: "refused"; readonly detail: string }
  | { readonly kind: "repeat"; readonly outcome: VerbAnswer["outcome"]; readonly detail: string };

export function judge(journal: Journal, request: VerbRequest, clock: Clock): Verdict {
  const { group, action } = request.body;
  const known = journal.actions.find((each) => each.group === group && each.id === action);
  if (known !== undefined) return repeated(known, request);

  const held = journal.groups.get(group);
  if (held === undefined) {
    return refused("untold", `this relay holds no epoch for group ${group}; tell it first`);
  }
  const stale = staleness(request.body.stamp, clock);
  if (stale !== null) return refused("stamp", stale);
  const next = raised(held, request.body);
  if (next.kind === "refused") return next;
  const wrong = wrongPrimary(next.held.primary, request);
  if (wrong !== null) return refused("primary", wrong);

  const entry: JournalAction = {
    group,
    id: action,
    verb: request.verb,
    node: request.node,
    epoch: request.body.epoch,
    content: contentOf(request),
    outcome: "unknown",
    detail: "execution began and its end was not recorded",
  };
  return {
    kind: "execute",
    journal: {
      groups: new Map(journal.groups).set(group, next.held),
      actions: [...journal.actions, entry].slice(-MAX_ACTIONS),
    },
  };
}

export type TellVerdict =
  | { readonly kind: "held"; readonly journal: Journal }
  | { readonly kind: "refused"; readonly detail: string };

/** What the Group says the epoch is: raises it or states it again, never lowers it. */
export function judgeEpoch(
  journal: Journal,
  group: string,
  told: TellEpochBody,
  clock: Clock,
): TellVerdict {
  const stale = staleness(told.stamp, clock);
  if (stale !== null) return refused("stamp", stale);
  const held = journal.groups.get(group);
  if (held === undefined && journal.groups.size >= MAX_GROUPS) {
    return refused("untold", `this relay holds ${MAX_GROUPS} groups and takes no more`);
  }
  const next = raised(held ?? { epoch: told.epoch, primary: null }, told);
  if (next.kind === "refused") return next;
  return {
    kind: "held",
    journal: { ...journal, groups: new Map(journal.groups).set(group, next.held) },
  };
}

/** The journal once the outcome of an action is known. */
export function recorded(
  journal: Journal,
  body: { readonly group: string; readonly action: string },
  answer: VerbAnswer,
): Journal {
  return {
    ...journal,
    actions: journal.actions.map((each) =>
      each.group === body.group && each.id === body.action
        ? { ...each, outcome: answer.outcome, detail: answer.detail }
        : each,
    ),
  };
}

function repeated(known: JournalAction, request: VerbRequest): Verdict {
  const same =
    known.verb === request.verb &&
    known.node === request.node &&
    known.epoch === request.body.epoch &&
    known.content === contentOf(request);
  return same
    ? { kind: "repeat", outcome: known.outcome, detail: known.detail }
    : refused("action", `action ${known.id} was ${known.verb} of ${known.node}, and other content`);
}

/** The held epoch after this request, if it may be made at all. */
function raised(
  held: HeldEpoch,
  asked: HeldEpoch,
): { readonly kind: "raised"; readonly held: HeldEpoch } | Extract<Verdict, { kind: "refused" }> {
  const { epoch, primary } = asked;
  if (epoch < held.epoch) return refused("epoch", `${epoch} is behind ${held.epoch}`);
  if (epoch > held.epoch) return { kind: "raised", held: { epoch, primary } };
  if (held.primary !== null && primary !== null && primary !== held.primary) {
    return refused("primary", `epoch ${epoch} names ${held.primary}, not ${primary}`);
  }
  return { kind: "raised", held: { epoch, primary: held.primary ?? primary } };
}

/** These open no node to writes that it refused before: they may come without a name, also late. */
const NEEDS_NO_NAME: readonly Verb[] = ["seal", "abort-switchover", "script-kill"];

/**
 * What a verb may do to a node, by whom the epoch names. Everything that opens a node or moves it needs the
 * name, except the unseal of an epoch that names nobody: an attempt given up before it promoted anyone.
 * A seal is never for the named primary. Ending a script or a hand-over is for any node.
 */
function wrongPrimary(named: string | null, { verb, node, body }: VerbRequest): string | null {
  if (body.primary === null && named !== null && !NEEDS_NO_NAME.includes(verb)) {
    return `epoch ${body.epoch} names ${named}, and ${verb} does not say so`;
  }
  switch (verb) {
    case "promote":
      return named === node ? null : `promote of ${node}, but the epoch names ${named ?? "nobody"}`;
    case "demote":
    case "switchover":
      if (named === null) return `${verb} of ${node}, but the epoch names nobody to follow`;
      return named === node ? `${verb} of ${node}, the primary that the epoch names` : null;
    case "seal":
      return named === node ? `seal of ${node}, the primary that the epoch names` : null;
    case "unseal":
      return named === null || named === node
        ? null
        : `unseal of ${node}, but the epoch names ${named}`;
    case "abort-switchover":
    case "script-kill":
      return null;
  }
}

function staleness(stamp: { boot: string; ms: number }, clock: Clock): string | null {
  if (stamp.boot !== clock.boot) return "it is of another boot of this relay";
  if (stamp.ms > clock.ms) return "it is from the future of this relay's clock";
  const ageMs = clock.ms - stamp.ms;
  return ageMs > clock.ttlMs ? `it is ${Math.floor(ageMs)} ms old, allowed: ${clock.ttlMs}` : null;
}

function refused(
  code: keyof typeof refusals,
  detail: string,
): { readonly kind: "refused"; readonly detail: string } {
  return { kind: "refused", detail: `${refusals[code]} ${detail}`.slice(0, 500) };
}

/** All of the body but its head: that is compared for itself, and a stamp is always another. */
function contentOf({ body }: VerbRequest): string {
  const { group, epoch, action, stamp, ...rest } = body;
  return JSON.stringify(rest);
}
