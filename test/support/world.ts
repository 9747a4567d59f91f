/**
 * A small world on virtual time around the pure core: nodes, relays with the rules of their journal, the loop.
 *
 * Promises: the same calls give the same story; state is frozen before every decision, so a mutation throws.
 * The loop is the Group's: look, decide, save, act; outcomes come with the next round.
 */
import { decide, freshSight, initialState } from "../../worker/core/decide.ts";
import type { GroupEvent } from "../../worker/core/events.ts";
import { SEALED } from "../../worker/core/plan.ts";
import type { Decision, OperatorRequest, Reply, State } from "../../worker/core/state.ts";
import type {
  Action,
  GroupConfig,
  NodeFacts,
  Observation,
  ObservationClass,
  Outcome,
  OutcomeKind,
  RelayAction,
} from "../../worker/core/types.ts";
import { groupConfig } from "./builders.ts";

type Instance = {
  life: "up" | "dead" | "hung" | "loading" | "misconf";
  runId: string;
  role: "primary" | "replica";
  follows: string | null;
  offset: number;
  priority: number;
  minReplicas: number;
  syncing: boolean;
  /** Receives nothing more, though its link is up. */
  lagging: boolean;
  /** Commands that a hung node has not read yet. */
  backlog: (() => void)[];
  /** When the link to its primary was seen to break; null while it is up. */
  brokenAtMs: number | null;
};

type RelayProcess = {
  reach: boolean;
  /** Nodes that this relay cannot reach. */
  cut: Set<string>;
  boot: number;
  epoch: number | null;
  primary: string | null;
  done: Map<string, OutcomeKind>;
};

export type World = ReturnType<typeof createWorld>;

export function createWorld(
  change: Partial<GroupConfig> & { readonly ids?: readonly string[] } = {},
) {
  const config = groupConfig(change);
  const ids = config.nodes.map((node) => node.id);
  let nowMs = 1_000_000;
  let state: State = initialState(config.name);
  let due = nowMs;
  let outcomes: Outcome[] = [];
  let restarts = 0;
  const late: { atMs: number; outcome: Outcome }[] = [];
  const events: GroupEvent[] = [];
  const actions: Action[] = [];
  const replies: Reply[] = [];
  const decisions: Decision[] = [];
  const broken = new Map<string, OutcomeKind>();
  const nodes = new Map<string, Instance>();
  const relays = new Map<string, RelayProcess>();
  ids.forEach((id, index) => {
    nodes.set(id, {
      life: "up",
      runId: `run-${id}-0`,
      role: index === 0 ? "primary" : "replica",
      follows: index === 0 ? null : (ids[0] ?? null),
      offset: 1000,
      priority: 100,
      minReplicas: 0,
      syncing: false,
      lagging: false,
      backlog: [],
      brokenAtMs: null,
    });
  });
  for (const relay of config.relays)
    relays.set(relay.id, {
      reach: true,
      cut: new Set(),
      boot: 1,
      epoch: null,
      primary: null,
      done: new Map(),
    });

  const node = (id: string): Instance => {
    const found = nodes.get(id);
    if (found === undefined) throw new Error(`no node ${id} in this world`);
    return found;
  };
  const relay = (id: string): RelayProcess => {
    const found = relays.get(id);
    if (found === undefined) throw new Error(`no relay ${id} in this world`);
    return found;
  };
  const address = (id: string) => {
    const found = config.nodes.find((each) => each.id === id);
    return found === undefined ? null : { host: found.host, port: found.port };
  };

  function physics() {
    for (const each of nodes.values()) {
      if (each.life !== "up" || each.role !== "replica") continue;
      const source = each.follows === null ? undefined : nodes.get(each.follows);
      if (source?.life === "up" || source?.life === "misconf") {
        each.brokenAtMs = null;
        if (!each.lagging) each.offset = source.offset;
      } else if (source?.life !== "hung") each.brokenAtMs ??= nowMs;
    }
  }

  function factsAbout(each: Instance): NodeFacts {
    const linkUp = each.role === "replica" && each.brokenAtMs === null;
    return {
      runId: each.runId,
      role: each.role,
      replicaOf: each.follows === null ? null : address(each.follows),
      linkUp,
      linkDownMs: each.brokenAtMs === null ? 0 : nowMs - each.brokenAtMs,
      syncing: each.syncing,
      loading: each.life === "loading",
      offset: each.offset,
      priority: each.priority,
      replicationId: "r",
      switching: false,
      connectedReplicas: 0,
      keys: 1,
      minReplicasToWrite: each.minReplicas,
    };
  }

  function look(): Observation[] {
    return config.relays.flatMap(({ id }) =>
      ids.map((about): Observation => {
        const through = relay(id);
        const each = node(about);
        const seen = (kind: ObservationClass, facts: NodeFacts | null = null): Observation => ({
          vantage: `relay:${id}`,
          node: about,
          class: kind,
          detail: kind,
          atMs: nowMs,
          tookMs: 1,
          facts,
          relay: through.reach
            ? { stamp: { boot: String(through.boot), ms: nowMs }, epoch: through.epoch }
            : null,
        });
        if (!through.reach) return seen("relay-unreachable");
        if (through.cut.has(about) || each.life === "hung") return seen("timeout");
        if (each.life === "dead") return seen("refused");
        return seen(each.life, factsAbout(each));
      }),
    );
  }

  function perform(action: Action): OutcomeKind {
    actions.push(action);
    const about = action.kind === "publish" ? action.to : `${action.kind}`;
    const wanted = broken.get(about);
    if (wanted !== undefined && wanted !== "unknown") return wanted;
    if (action.kind === "publish") return "done";
    const kind = atRelay(action);
    return wanted ?? kind;
  }

  /** The relay's rules (design.md section 4), as simply as they can be said. */
  function atRelay(action: RelayAction): OutcomeKind {
    const through = relay(action.relay);
    if (!through.reach) return "unreachable";
    if (action.stamp.boot !== String(through.boot)) return "refused";
    if (nowMs - action.stamp.ms > config.commandTtlMs) return "refused";
    const before = through.done.get(action.id);
    if (before !== undefined) return before;
    if (action.kind !== "tell-epoch" && through.epoch === null) return "refused";
    if (through.epoch !== null && action.epoch < through.epoch) return "refused";
    if (action.epoch === through.epoch && through.primary !== null && action.primary !== null)
      if (action.primary !== through.primary) return "refused";
    if (action.epoch !== through.epoch) through.primary = null;
    through.epoch = action.epoch;
    through.primary ??= action.primary;
    if (action.kind === "tell-epoch") return "done";
    const kind = onRedis(action, through);
    through.done.set(action.id, kind);
    return kind;
  }

  function onRedis(action: Exclude<RelayAction, { kind: "tell-epoch" }>, through: RelayProcess) {
    const each = node(action.node);
    if (each.life === "dead") return "unreachable" as const;
    if (through.cut.has(action.node)) return "unknown" as const;
    if (each.life === "hung") {
      // What stands in its socket is executed when it thaws.
      each.backlog.push(() => effect(action, each));
      return "unknown" as const;
    }
    effect(action, each);
    return "done" as const;
  }

  function effect(action: Exclude<RelayAction, { kind: "tell-epoch" }>, each: Instance): void {
    switch (action.kind) {
      case "seal":
        each.minReplicas = SEALED;
        break;
      case "unseal":
        each.minReplicas = action.minReplicas;
        break;
      case "promote":
        Object.assign(each, { role: "primary", follows: null, brokenAtMs: null });
        each.minReplicas = action.minReplicas;
        break;
      case "demote": {
        const { host, port } = action.follow;
        const target = config.nodes.find((other) => other.host === host && other.port === port);
        Object.assign(each, { role: "replica", follows: target?.id ?? null, brokenAtMs: nowMs });
        each.minReplicas = action.minReplicas;
        break;
      }
    }
  }

  function round(requests: readonly OperatorRequest[] = []): Decision {
    physics();
    for (const each of late.splice(0)) {
      if (each.atMs > nowMs) late.push(each);
      else outcomes.push(each.outcome);
    }
    const input = { observations: look(), outcomes, requests };
    outcomes = [];
    const decision = decide(deepFreeze(state), deepFreeze(input), config, nowMs);
    state = decision.state;
    events.push(...decision.events);
    replies.push(...decision.replies);
    decisions.push(decision);
    for (const action of decision.actions) {
      const kind = perform(action);
      const outcome: Outcome = { action: action.id, kind, detail: kind, atMs: nowMs + 5 };
      if (kind === "unknown") late.push({ atMs: nowMs + config.commandTimeoutMs, outcome });
      else outcomes.push({ ...outcome, atMs: nowMs });
    }
    const soon = outcomes.length > 0 ? nowMs + 5 : decision.wakeAtMs;
    due = Math.max(nowMs + 5, Math.min(soon, decision.wakeAtMs));
    return decision;
  }

  return {
    config,
    events,
    actions,
    replies,
    decisions,
    node,
    relay,
    look,
    get state() {
      return state;
    },
    get nowMs() {
      return nowMs;
    },
    /** Lets the world run for so long. */
    run(ms: number) {
      const end = nowMs + ms;
      while (due <= end) {
        nowMs = Math.max(nowMs, due);
        round();
      }
      nowMs = end;
    },
    /** Runs until a condition holds; throws when it does not within `ms`. */
    until(what: string, holds: () => boolean, ms = 60_000) {
      const end = nowMs + ms;
      while (!holds()) {
        if (due > end) throw new Error(`not within ${ms} ms: ${what}`);
        nowMs = Math.max(nowMs, due);
        round();
      }
    },
    ask(request: OperatorRequest): Reply | undefined {
      nowMs += 1;
      round([request]);
      return replies.at(-1);
    },
    kill(id: string) {
      node(id).life = "dead";
      node(id).backlog = [];
    },
    hang(id: string) {
      node(id).life = "hung";
    },
    /** Starts a dead node, or thaws a hung one; `as` says which role its file holds. */
    start(id: string, as: { readonly follows?: string | null; readonly life?: "loading" } = {}) {
      const each = node(id);
      if (each.life === "dead") {
        restarts += 1;
        each.runId = `run-${id}-${restarts}`;
        if (as.follows !== undefined) {
          each.follows = as.follows;
          each.role = as.follows === null ? "primary" : "replica";
        }
        if (each.role === "replica") each.brokenAtMs = nowMs;
      }
      each.life = as.life ?? "up";
      for (const late of each.backlog.splice(0)) late();
    },
    /** The Group forgets what it only remembered, as after an eviction. */
    evict() {
      state = { saved: state.saved, sight: freshSight };
      outcomes = [];
      late.length = 0;
      due = nowMs;
    },
    jump(ms: number) {
      nowMs += ms;
      due = nowMs;
    },
    /** What becomes of every action of a kind (or to a publisher), until mended. */
    fail(about: string, kind: OutcomeKind) {
      broken.set(about, kind);
    },
    mend(about: string) {
      broken.delete(about);
    },
    primaries: () => ids.filter((id) => node(id).role === "primary" && node(id).life === "up"),
    told: (name: string) => events.filter((event) => event.name === name),
  };
}

export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const each of Object.values(value)) deepFreeze(each);
  }
  return value;
}
