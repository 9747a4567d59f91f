/**
 * What a group looks like to people: the answer of GET /v1/groups/:group, made from state alone.
 *
 * Must never: hold a secret, or anything that a reader would have to know Picket's code to understand.
 */

import { electFor } from "./candidates.ts";
import { startDraft } from "./draft.ts";
import { isSealed } from "./facts.ts";
import type { Survey, Vote } from "./health.ts";
import type {
  DrillPoint,
  Notice,
  Pause,
  PhaseKind,
  Published,
  Saved,
  State,
  Switch,
} from "./state.ts";
import type { GroupConfig, NodeConfig, ObservationClass } from "./types.ts";

const HOUR_MS = 3_600_000;

export type NodeView = {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** Of the newest good look; the newest of any kind where there is none. */
  readonly class: ObservationClass | "unknown";
  readonly verdict: "up" | "down" | "unknown";
  readonly role: "primary" | "replica" | "unknown";
  readonly primary: boolean;
  readonly readable: boolean;
  readonly sealed: boolean;
  readonly linkUp: boolean | null;
  readonly offset: number | null;
  /** How far behind the primary's offset in the same look; null where either is unknown. */
  readonly lagBytes: number | null;
  /** Why it could not be promoted now; null: it could, or it is the primary. */
  readonly refused: string | null;
  /** Why it is left alone, and until when. */
  readonly downtime: { readonly reason: string; readonly untilMs: number } | null;
  readonly keys: number | null;
  readonly zone: string | null;
  readonly vantages: Readonly<
    Record<
      string,
      {
        readonly vote: Vote;
        readonly class: ObservationClass | "unknown";
        readonly detail: string;
        readonly failures: number;
        readonly agoMs: number | null;
      }
    >
  >;
};

export type GroupView = {
  readonly name: string;
  readonly mode: string;
  readonly phase: PhaseKind;
  readonly epoch: number;
  readonly rev: number;
  readonly state: "up" | "failing-over" | "down";
  readonly primary: string | null;
  readonly quorum: number;
  readonly because: string;
  readonly nodes: readonly NodeView[];
  readonly publishers: Readonly<Record<string, Published>>;
  /** What webhooks are still to be told, oldest first. */
  readonly notices: readonly (Omit<Notice, "event"> & { readonly event: string })[];
  /** Webhooks that failed at their last try: nothing is sent there before then. */
  readonly failing: Saved["failing"];
  /** What an election would find now: best first, and why each other node is refused. */
  readonly candidates: readonly string[];
  readonly paused: Pause | null;
  readonly observeOnly: boolean;
  readonly lastSwitch: Switch | null;
  /** Automatic failovers since the last acknowledgement, within an hour. */
  readonly failoversAtMs: readonly number[];
  readonly drill: DrillPoint | null;
  /** Observations and outcomes that did not belong and were dropped. */
  readonly dropped: number;
};

export function viewOf(
  state: State,
  deployed: GroupConfig,
  because: string,
  nowMs: number,
): GroupView {
  const draft = startDraft(state, deployed, nowMs);
  const { saved, sight, config, known } = draft;
  const { order, refused } = electFor(draft, { target: null, cause: null });
  const failoversAtMs = saved.failoversAtMs.filter((atMs) => nowMs - atMs < HOUR_MS);
  return {
    name: saved.group,
    mode: config.mode,
    phase: saved.phase.kind,
    epoch: saved.epoch,
    rev: saved.rev,
    state: saved.routeState,
    primary: saved.primary,
    quorum: config.quorum,
    because,
    nodes: config.nodes.map((node) => ({
      ...nodeView(state, config, known, node, nowMs),
      refused: refused.find((each) => each.node === node.id)?.reason ?? null,
    })),
    publishers: saved.published,
    notices: saved.notices.map((each) => ({ ...each, event: each.event.name })),
    failing: saved.failing,
    candidates: order.map(({ id }) => id),
    paused: saved.paused,
    observeOnly: config.observeOnly,
    lastSwitch: saved.lastSwitch,
    failoversAtMs,
    drill: saved.drill,
    dropped: sight.dropped,
  };
}

function nodeView(
  { saved, sight }: State,
  config: GroupConfig,
  known: Survey,
  node: NodeConfig,
  nowMs: number,
): Omit<NodeView, "refused"> {
  const { id } = node;
  const facts = known[id]?.best?.facts ?? null;
  const head = known[saved.primary ?? ""]?.best?.facts ?? null;
  const { votes = {}, odown = false, up = 0 } = known[id]?.verdict ?? {};
  const beliefs = sight.nodes[id] ?? {};
  const newest = Object.values(beliefs).sort((a, b) => b.atMs - a.atMs)[0];
  return {
    id,
    host: node.host,
    port: node.port,
    class: facts !== null ? "up" : (newest?.class ?? "unknown"),
    verdict: odown ? "down" : up > 0 ? "up" : "unknown",
    role: facts?.role ?? "unknown",
    primary: id === saved.primary,
    readable: saved.readable.includes(id),
    sealed: isSealed(facts),
    linkUp: facts === null || facts.role === "primary" ? null : facts.linkUp,
    offset: facts?.offset ?? null,
    lagBytes:
      facts === null || head === null || head.role !== "primary"
        ? null
        : Math.max(0, head.offset - facts.offset),
    downtime: saved.downtimes[id] ?? null,
    keys: facts?.keys ?? null,
    zone: node.zone,
    vantages: Object.fromEntries(
      config.vantages.map((vantage) => {
        const belief = beliefs[vantage];
        return [
          vantage,
          {
            vote: votes[vantage] ?? "abstain",
            class: belief?.class ?? "unknown",
            detail: belief?.detail ?? "not seen yet",
            failures: belief?.failures ?? 0,
            agoMs: belief === undefined ? null : Math.max(0, nowMs - belief.atMs),
          },
        ];
      }),
    ),
  };
}
