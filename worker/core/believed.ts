/**
 * What is believed of nodes and relays, as data: in memory only, forgotten with the Group.
 *
 * Promises: only types, all readonly.
 */
import type { Whereabouts } from "./looking.ts";
import type { NodeFacts, ObservationClass, RelayFacts } from "./types.ts";

/** One vantage's belief about one node. Lives in memory: after an eviction a fresh look restarts it. */
export type Belief = {
  readonly class: ObservationClass;
  readonly detail: string;
  /** The relay told it of its own accord. */
  readonly pushed: boolean;
  /** When the last look was asked for: only a look asked for after an action can show its effect. */
  readonly askedAtMs: number;
  readonly atMs: number;
  /** Looks in a row that count towards down, and of those the refused ones at the end. */
  readonly failures: number;
  readonly refusals: number;
  /** When the last of them was asked for. */
  readonly refusedAtMs: number | null;
  /** Looks in a row that were good. */
  readonly successes: number;
  /** Looks in a row whose connection was dropped: something hangs up, and that is all that is known. */
  readonly drops: number;
  readonly firstBadAtMs: number | null;
  /** Since when it is good without a break, after it was bad; null: it was never bad. */
  readonly cleanSinceMs: number | null;
  /** It loads, or runs a script, since then; only a good answer of another kind ends that. */
  readonly stuck: { readonly class: "loading" | "busy"; readonly sinceMs: number } | null;
  readonly lastOkAtMs: number | null;
  readonly facts: NodeFacts | null;
  readonly factsAtMs: number | null;
};

/** A relay as one place last knew it. */
export type RelayBelief = {
  /** When that place asked it last, whatever came of it. */
  readonly askedAtMs: number;
  readonly facts: RelayFacts | null;
  readonly atMs: number;
  readonly failures: number;
  readonly firstBadAtMs: number | null;
};

/** A vantage as the Group last knew it. */
export type VantageBelief = {
  /** Looks in a row that it did not answer, and since when. */
  readonly failures: number;
  readonly firstBadAtMs: number | null;
  readonly detail: string;
  readonly atMs: number;
  readonly whereabouts: Whereabouts | null;
};

/** The newest look of one path: from a place, through a relay or by its own way. Shown, never judged. */
export type PathBelief = Pick<Belief, "class" | "detail" | "atMs"> & { readonly tookMs: number };

/** What is remembered in memory only. */
export type Sight = {
  readonly nodes: Readonly<Record<string, Readonly<Record<string, Belief>>>>;
  /** Each relay, as each place that asks it finds it. */
  readonly relays: Readonly<Record<string, Readonly<Record<string, RelayBelief>>>>;
  readonly vantages: Readonly<Record<string, VantageBelief>>;
  /** By node, and by `<from> <vantage>`. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, PathBelief>>>>;
  /**
   * Since when every vantage was asked for every node anew; those that are away are not waited for.
   * Null: some pair was never asked.
   */
  readonly lookAskedAtMs: number | null;
  /** When a relay saw a change that it told by itself: until everyone was asked after that. */
  readonly newsAtMs: number | null;
  /** And the newest such moment: what comes while everyone is asked is followed by a look of its own. */
  readonly lastNewsAtMs: number | null;
  /** Who held nobody up any more at the last decision: nodes objectively down, relays and regions that did not answer. */
  readonly away: { readonly nodes: readonly string[]; readonly vantages: readonly string[] };
  readonly lastDecisionAtMs: number | null;
  /** Passive until then: the clock went back. */
  readonly tiltUntilMs: number | null;
  /** What was told as an event and still holds, so that it is told once: `sdown:<vantage>:<node>`. */
  readonly told: readonly string[];
  /** When each node was last sent a verb, by `<kind>:<node>`: a repair is not repeated at once. */
  readonly sentAtMs: Readonly<Record<string, number>>;
  /** Since when something holds that is acted on only when it lasts: `adopt:b`, `wrong-role`. */
  readonly since: Readonly<Record<string, number>>;
  /** The primary as last seen: what is not in it at a failover was never known. */
  readonly lastSeen: Baseline | null;
  /** Verbs that failed in a row, by `<kind>:<node>`: the next one waits longer. */
  readonly failed: Readonly<Record<string, number>>;
  /** Observations, outcomes and requests that did not belong, dropped and counted. */
  readonly dropped: number;
};

/** The primary at one moment, to compare with later. */
export type Baseline = {
  readonly runId: string;
  readonly keys: number;
  readonly offset: number;
  readonly replicationId: string;
  readonly atMs: number;
};
