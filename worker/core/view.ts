/**
 * What a group looks like to people: the answer of GET /v1/groups/:group, made from state alone.
 *
 * Must never: hold a secret, or anything that a reader would have to know Picket's code to understand.
 */

import { memberIn, usabilityOf } from "./active-health.ts";
import { electFor } from "./candidates.ts";
import { type Discovered, discoveredOf } from "./discovery.ts";
import { type Draft, startDraft } from "./draft.ts";
import { isSealed } from "./facts.ts";
import type { Survey, Vote } from "./health.ts";
import type {
  DrillPoint,
  Notice,
  Overlay,
  Pause,
  PhaseKind,
  Published,
  Refusal,
  Saved,
  State,
  Steering,
  Switch,
} from "./state.ts";
import type { GroupConfig, NodeConfig, ObservationClass, ProbeConfig } from "./types.ts";

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
  /** Who saw what by which path: every place that looks, through a relay or by a way of its own. */
  readonly paths: readonly PathView[];
  /** Active-active: as steering counts it; `healthy` null: not known yet. */
  readonly weight: number;
  readonly healthy: boolean | null;
};

export type PathView = {
  /** `group` for the Group itself, or a region. */
  readonly from: string;
  /** Whose vote it is. */
  readonly vantage: string;
  readonly transport: "relay" | ProbeConfig["transport"];
  readonly class: ObservationClass;
  readonly detail: string;
  readonly tookMs: number;
  readonly agoMs: number;
};

/** How a region itself does. */
export type VantageView = {
  readonly region: string;
  /** It has a vote of its own, or only asks relays. */
  readonly votes: boolean;
  /** Looks in a row that it did not answer. */
  readonly failures: number;
  readonly detail: string;
  /** Where it really runs; null: not known. */
  readonly colo: string | null;
  readonly runsIn: string | null;
  readonly agoMs: number | null;
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
  readonly vantages: readonly VantageView[];
  /** Replicas of the primary that are not configured, and the lines that would configure them. */
  readonly discovered: readonly Discovered[];
  /** Active-active: until when one is pinned, since when nobody is healthy, and what was changed at run time. */
  readonly steering:
    | (Pick<Steering, "switchedAtMs" | "pinnedUntilMs" | "attempts" | "unavailable"> & {
        /** Of who was added the id: the address by which a node is looked at may be secret. */
        readonly overlay: Omit<Overlay, "added"> & { readonly added: readonly string[] };
      })
    | null;
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
  const { order, refused } =
    config.mode === "replication"
      ? electFor(draft, { target: null, cause: null })
      : usableIn(draft);
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
    vantages: vantagesOf(state, config, nowMs),
    discovered: discoveredOf(draft),
    steering: steeringOf(saved),
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

/** Who could be used now, the heaviest first, and why the others could not. */
function usableIn(draft: Draft): {
  readonly order: readonly { readonly id: string }[];
  readonly refused: readonly Refusal[];
} {
  const { nodes } = draft.config;
  const judged = nodes.map((node) => ({ node, usable: usabilityOf(draft, node) }));
  return {
    order: judged
      .flatMap(({ node, usable }) => (usable.kind === "up" ? [node] : []))
      .sort((a, b) => b.weight - a.weight),
    refused: judged.flatMap(({ node: { id }, usable }) =>
      usable.kind === "up" ? [] : [{ node: id, reason: usable.why }],
    ),
  };
}

function steeringOf({ steering, overlay }: Saved): GroupView["steering"] {
  if (steering === null) return null;
  const { switchedAtMs, pinnedUntilMs, attempts, unavailable } = steering;
  const added = overlay.added.map(({ id }) => id);
  return { switchedAtMs, pinnedUntilMs, attempts, unavailable, overlay: { ...overlay, added } };
}

const vantagesOf = (
  { sight }: State,
  { regions, vantages }: GroupConfig,
  nowMs: number,
): readonly VantageView[] =>
  regions.map((region) => {
    const {
      failures = 0,
      detail = "not asked yet",
      atMs,
      whereabouts,
    } = sight.vantages[region] ?? {};
    return {
      region,
      votes: vantages.includes(region),
      failures,
      detail,
      colo: whereabouts?.colo ?? null,
      runsIn: whereabouts?.region ?? null,
      agoMs: atMs === undefined ? null : Math.max(0, nowMs - atMs),
    };
  });

const pathsOf = ({ sight }: State, { id, probe }: NodeConfig, nowMs: number): readonly PathView[] =>
  Object.entries(sight.paths[id] ?? {}).map(([path, { atMs, ...seen }]) => {
    const [from = "", vantage = ""] = path.split(" ");
    const transport = vantage.startsWith("relay:") ? "relay" : (probe?.transport ?? "relay");
    return { from, vantage, transport, ...seen, agoMs: Math.max(0, nowMs - atMs) };
  });

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
    // Databases that all take writes have offsets of their own.
    lagBytes:
      config.mode === "active-active" || facts === null || head === null || head.role !== "primary"
        ? null
        : Math.max(0, head.offset - facts.offset),
    downtime: saved.downtimes[id] ?? null,
    keys: facts?.keys ?? null,
    zone: node.zone,
    paths: pathsOf({ saved, sight }, node, nowMs),
    weight: node.weight,
    healthy: memberIn(saved.steering, id)?.healthy ?? null,
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
