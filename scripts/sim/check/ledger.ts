/**
 * What the checks remember of a run: every rule reads and writes here, and nowhere else.
 *
 * Promises: only what was saved counts as the Group's history; what a life only believed dies with it.
 */
import type { FailoverCause, PhaseKind, Saved } from "../../../worker/core/state.ts";
import type { GroupConfig, NodeFacts, Observation } from "../../../worker/core/types.ts";
import { type Active, newActive } from "./active.ts";
import type { Notices } from "./notices.ts";
import type { Telling } from "./telling.ts";

export type Violation = { readonly rule: string; readonly text: string; readonly atMs: number };

/** A look as the simulator made it: with the true moment at which it was asked for. */
export type Sighted = Observation & {
  readonly virtualMs: number;
  /** Of what a relay tells of its own accord: the looks that it truly had. */
  readonly row?: Row;
};

/** Bad looks in a row, those of them at the end that were refused, and when the first of them was asked for. */
export type Row = { readonly looks: number; readonly refused: number; readonly sinceMs: number };

/** What one place said of one node, look after look: the run of bad looks at its end. */
export type Stream = {
  readonly vantage: string;
  readonly from: string;
  last: Sighted;
  bad: number;
  refused: number;
  blind: number;
  firstBadMs: number | null;
  firstBlindMs: number | null;
  stuckSinceMs: number | null;
  /** Since when every look with facts said that it is a replica. */
  replicaSinceMs: number | null;
};

/** What one life of the Group was shown: the next one begins with nothing. */
export type Life = {
  readonly sinceMs: number;
  readonly streams: Map<string, Map<string, Stream>>;
  lastDecisionMs: number | null;
  /** By the Group's clock. */
  lastNowMs: number | null;
  tiltUntilMs: number | null;
  readonly openSince: Map<string, { since: number; looks: number }>;
  /** The most that the primary in force was seen to have, by its run and its history. */
  readonly shown: Map<string, number>;
  /** When each pair of node and vantage was asked last. */
  readonly askedMs: Map<string, number>;
  /** Since when most vantages surely see a node up. */
  readonly soundSince: Map<string, number>;
};

/** By the Group's clock, and in truth. */
export type Moment = { readonly atMs: number; readonly virtualMs: number };

export type Ledger = {
  readonly violations: Violation[];
  nowMs: number;
  /** By how much the Group's clock jumped ahead, all jumps together. */
  aheadMs: number;
  readonly lives: Map<number, Life>;
  /** Last sight of each node as a primary, and its last facts. */
  readonly seenPrimary: Map<string, number>;
  /** The same, with nothing wrong with it. */
  readonly lastUp: Map<string, number>;
  readonly lastFacts: Map<string, { readonly facts: NodeFacts; readonly virtualMs: number }>;

  /** Who was a replica, and since when it is a primary under the same run id; null: it is a replica. */
  readonly roles: Map<
    string,
    { readonly runId: string; readonly replicaMs: number; readonly primaryMs: number | null }
  >;
  /** The same as `seenPrimary`, but what a relay told of its own accord counts as of when it was heard. */
  readonly heardPrimary: Map<string, number>;
  /** When another primary came in force. */
  switchedMs: number;

  highestSaved: number;
  saved: { readonly epoch: number; readonly rev: number };
  readonly savedIds: Set<string>;
  readonly usedIds: Set<string>;
  baseline: Saved["baseline"];
  readonly causes: Map<number, FailoverCause>;
  /** Whom an epoch names, by anything that was ever sent. */
  readonly named: Map<number, string>;
  readonly routed: Map<number, string>;
  lastRouted: Map<string, { readonly epoch: number; readonly rev: number }>;
  everHadPrimary: boolean;
  /** When the order to take over was decided, by epoch. */
  readonly ordered: Map<number, number>;
  readonly electingSince: Map<number, number>;
  /** How long the lease was that was given last. */
  leaseGivenMs: number | null;
  /** When leases were revoked for an attempt, and how long they were then. */
  readonly revokedSince: Map<number, { readonly atMs: number; readonly leaseMs: number }>;
  readonly sealsConfirmed: Map<number, Set<string>>;
  readonly sealsOf: Map<
    string,
    { readonly node: string; readonly epoch: number; readonly relay: string }
  >;
  /** Orders to open a node since one was obeyed, and whom each is for. */
  readonly unseals: Map<string, number>;
  readonly unsealsOf: Map<string, string>;
  readonly permits: Map<string, number>;
  readonly refusedPermits: Set<number>;
  /** Nodes that were sent a seal since they were last seen as a replica. */
  readonly sealedSince: Set<string>;
  /** Automatic failovers by the Group's clock, since the last acknowledgement. */
  failovers: Moment[];
  lastAborted: Moment | null;
  /** When the attempt that runs began. */
  beganMs: number;
  /** When an operator last acknowledged or reset. */
  forgivenMs: number;
  phase: { readonly kind: PhaseKind; readonly epoch: number; ranMs: number } | null;

  /** What each relay took, by its id. */
  readonly relayEpochs: Map<string, number>;
  readonly executed: Map<string, number>;
  /** When a node was opened as the primary that an epoch names. */
  readonly opened: Map<string, { readonly epoch: number; readonly atMs: number }>;
  /** Who was seen to hold more than a node when that was opened after its restart. */
  readonly knewBetter: Map<string, ReadonlySet<string>>;
  /** Writes that Redis acknowledged, by node. */
  readonly acknowledged: Map<number, string[]>;
  doubly: number;
  /** What webhooks are told. */
  readonly notices: Notices;
  /** What is known of each publisher. */
  readonly telling: Telling;
  /** The world is of an active-active group, whatever is deployed now. */
  isActive: boolean;
  readonly active: Active;
};

export function newLedger(): Ledger {
  return {
    violations: [],
    nowMs: 0,
    aheadMs: 0,
    lives: new Map(),
    seenPrimary: new Map(),
    lastUp: new Map(),
    lastFacts: new Map(),
    roles: new Map(),
    heardPrimary: new Map(),
    switchedMs: 0,
    highestSaved: 0,
    leaseGivenMs: null,
    saved: { epoch: 0, rev: 0 },
    savedIds: new Set(),
    usedIds: new Set(),
    baseline: null,
    causes: new Map(),
    named: new Map(),
    routed: new Map(),
    lastRouted: new Map(),
    everHadPrimary: false,
    ordered: new Map(),
    electingSince: new Map(),
    revokedSince: new Map(),
    sealsConfirmed: new Map(),
    sealsOf: new Map(),
    unseals: new Map(),
    unsealsOf: new Map(),
    permits: new Map(),
    refusedPermits: new Set(),
    sealedSince: new Set(),
    failovers: [],
    lastAborted: null,
    beganMs: 0,
    forgivenMs: -1,
    phase: null,
    relayEpochs: new Map(),
    executed: new Map(),
    opened: new Map(),
    knewBetter: new Map(),
    acknowledged: new Map(),
    doubly: 0,
    notices: { ids: new Map(), told: new Map(), taken: new Set(), asked: new Map() },
    telling: new Map(),
    isActive: false,
    active: newActive(),
  };
}

const MOST_LIVES = 16;

export function lifeOf(ledger: Ledger, id: number): Life {
  let life = ledger.lives.get(id);
  if (life === undefined) {
    life = {
      sinceMs: ledger.nowMs,
      streams: new Map(),
      lastDecisionMs: null,
      lastNowMs: null,
      tiltUntilMs: null,
      openSince: new Map(),
      shown: new Map(),
      askedMs: new Map(),
      soundSince: new Map(),
    };
    ledger.lives.set(id, life);
    for (const old of ledger.lives.keys())
      if (ledger.lives.size > MOST_LIVES) ledger.lives.delete(old);
  }
  return life;
}

export function violate(ledger: Ledger, rule: string, text: string): void {
  if (ledger.violations.length < 5) ledger.violations.push({ rule, text, atMs: ledger.nowMs });
}

export const isAutomatic = (cause: FailoverCause): boolean =>
  cause === "odown" || cause === "wiped" || cause === "no-primary" || cause === "sealed";

export const addressOf = (config: GroupConfig, id: string): string | null => {
  const node = config.nodes.find((each) => each.id === id);
  return node === undefined ? null : `${node.replicationHost}:${node.replicationPort}`;
};
