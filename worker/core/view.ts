/**
 * What a group looks like to people: the answer of GET /v1/groups/:group, made from state alone.
 *
 * Must never: hold a secret, or anything that a reader would have to know Picket's code to understand.
 */
import { factsOf, judge, type Vote } from "./health.ts";
import { isSealed } from "./plan.ts";
import type { PhaseKind, Published, State } from "./state.ts";
import type { GroupConfig, ObservationClass } from "./types.ts";

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
  /** Observations and outcomes that did not belong and were dropped. */
  readonly dropped: number;
};

export function viewOf(
  state: State,
  config: GroupConfig,
  because: string,
  nowMs: number,
): GroupView {
  const { saved, sight } = state;
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
    nodes: config.nodes.map((node) => nodeView(state, config, node.id, nowMs)),
    publishers: saved.published,
    dropped: sight.dropped,
  };
}

function nodeView(state: State, config: GroupConfig, id: string, nowMs: number): NodeView {
  const node = config.nodes.find((each) => each.id === id);
  if (node === undefined) throw new Error(`no node ${id} is configured`);
  const { saved, sight } = state;
  const facts = factsOf(sight, node, config);
  const primary = config.nodes.find((each) => each.id === saved.primary);
  const head = primary === undefined ? null : factsOf(sight, primary, config);
  const verdict = judge(sight, node, config, nowMs);
  const beliefs = sight.nodes[id] ?? {};
  const newest = Object.values(beliefs).sort((a, b) => b.atMs - a.atMs)[0];
  return {
    id,
    host: node.host,
    port: node.port,
    class: facts !== null ? "up" : (newest?.class ?? "unknown"),
    verdict: verdict.odown ? "down" : verdict.up > 0 ? "up" : "unknown",
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
    vantages: Object.fromEntries(
      config.vantages.map((vantage) => {
        const belief = beliefs[vantage];
        return [
          vantage,
          {
            vote: verdict.votes[vantage] ?? "abstain",
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
