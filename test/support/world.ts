/**
 * A small world on virtual time around the pure core: nodes, relays with the rules of their journal, the loop.
 *
 * Promises: the same calls give the same story; state is frozen before every decision, so a mutation throws.
 * The loop is the Group's: look, decide, save, act; outcomes come with the next round.
 */
import { decide } from "../../worker/core/decide.ts";
import type { GroupEvent } from "../../worker/core/events.ts";
import { SEALED } from "../../worker/core/facts.ts";
import { isKeeper, promisersFor } from "../../worker/core/lease.ts";
import type { VantageReport, Whereabouts } from "../../worker/core/looking.ts";
import { effectiveConfig } from "../../worker/core/membership.ts";
import { freshSight, initialState } from "../../worker/core/saved.ts";
import type { Decision, OperatorRequest, Reply, State } from "../../worker/core/state.ts";
import type {
  Action,
  Address,
  GroupConfig,
  NodeConfig,
  NodeFacts,
  Observation,
  ObservationClass,
  Outcome,
  OutcomeKind,
  RelayAction,
} from "../../worker/core/types.ts";
import { groupConfig } from "./builders.ts";

type Instance = {
  life: "up" | "dead" | "hung" | "loading" | "misconf" | "busy" | "auth" | "policy";
  runId: string;
  role: "primary" | "replica";
  follows: string | null;
  offset: number;
  priority: number;
  minReplicas: number;
  syncing: boolean;
  keys: number;
  replicationId: string;
  replicationId2: string | null;
  secondOffset: number | null;
  /** Its file boots it sealed. */
  bootsSealed: boolean;
  /** Receives nothing more, though its link is up. */
  lagging: boolean;
  /** Its link is cut, and nobody notices but itself. */
  unlinked: boolean;
  /** Its link is cut in silence: it hears nothing more, and has not noticed. */
  deaf: boolean;
  /** When it last heard from its primary. */
  heardAtMs: number | null;
  /** Handing over to that node. */
  handsTo: { readonly id: string; readonly untilMs: number } | null;
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

/** How a region does that looks for the Group. */
type Eye = {
  answers: boolean;
  /** Nodes that it does not reach, and relays. */
  readonly cut: Set<string>;
  /** What it says of a node instead of what it sees. */
  readonly lies: Map<string, ObservationClass>;
  whereabouts: Whereabouts;
};

/** What a relay says whose Redis does not know a command. */
export const UNSUPPORTED = "UNSUPPORTED";

export type World = ReturnType<typeof createWorld>;

export function createWorld(
  change: Partial<GroupConfig> & { readonly ids?: readonly string[] } = {},
) {
  let config = groupConfig(change);
  const ids = config.nodes.map((node) => node.id);
  /** Every node that there ever was: what is taken out of the configuration goes on running. */
  let everyone = config.nodes;
  let nowMs = 1_000_000;
  let state: State = initialState(config.name);
  let due = nowMs;
  let outcomes: Outcome[] = [];
  let restarts = 0;
  let promotions = 0;
  const connected = new Set<string>();
  /** Relays that never ask for a lease, though the group has them. */
  const leaseless = new Set<string>();
  const late: { atMs: number; outcome: Outcome }[] = [];
  const events: GroupEvent[] = [];
  const actions: Action[] = [];
  const replies: Reply[] = [];
  const decisions: Decision[] = [];
  const broken = new Map<string, OutcomeKind | typeof UNSUPPORTED>();
  /** What somebody wrote by hand where a publisher had written. */
  const byHand = new Map<string, string>();
  const slow = new Set<string>();
  /** Publishers and webhooks that fail, and ask not to be called for so long. */
  const retryAfter = new Map<string, number>();
  /** Publishers that cannot be asked how far they are. */
  const deaf = new Set<string>();
  const nodes = new Map<string, Instance>();
  const eyes = new Map<string, Eye>();
  const relays = new Map<string, RelayProcess>();
  const addNode = (id: string, isPrimary: boolean) =>
    nodes.set(id, {
      life: "up",
      runId: `run-${id}-0`,
      role: isPrimary ? "primary" : "replica",
      follows: isPrimary ? null : (ids[0] ?? null),
      offset: 1000,
      priority: 100,
      minReplicas: 0,
      syncing: false,
      keys: 100,
      replicationId: "r0",
      replicationId2: null,
      secondOffset: null,
      bootsSealed: config.fencing !== "none",
      lagging: false,
      unlinked: false,
      deaf: false,
      heardAtMs: null,
      handsTo: null,
      backlog: [],
      brokenAtMs: null,
    });
  const everyonePrimary = config.mode === "active-active";
  for (const [index, id] of ids.entries()) addNode(id, index === 0 || everyonePrimary);
  const addRelay = (id: string) =>
    relays.set(id, {
      reach: true,
      cut: new Set(),
      boot: 1,
      epoch: null,
      primary: null,
      done: new Map(),
    });
  for (const { id } of config.relays) addRelay(id);

  const node = (id: string): Instance => {
    // A renamed node is still the same process.
    const { host } = config.nodes.find((each) => each.id === id) ?? {};
    const found = nodes.get(id) ?? nodes.get(everyone.find((each) => each.host === host)?.id ?? "");
    if (found === undefined) throw new Error(`no node ${id} in this world`);
    return found;
  };
  const relay = (id: string): RelayProcess => {
    const found = relays.get(id);
    if (found === undefined) throw new Error(`no relay ${id} in this world`);
    return found;
  };
  const eye = (region: string): Eye => {
    const found = eyes.get(region) ?? {
      answers: true,
      cut: new Set<string>(),
      lies: new Map<string, ObservationClass>(),
      whereabouts: { colo: null, region: null },
    };
    eyes.set(region, found);
    return found;
  };
  const address = (id: string) => {
    const found = everyone.find((each) => each.id === id);
    return found === undefined ? null : { host: found.host, port: found.port };
  };

  const idAt = ({ host, port }: Address) =>
    everyone.find((each) => each.host === host && each.port === port)?.id ?? null;

  function physics() {
    for (const each of nodes.values()) handOver(each);
    for (const each of nodes.values()) {
      if (each.life !== "up" || each.role !== "replica") continue;
      const source = each.follows === null ? undefined : nodes.get(each.follows);
      const alive = source !== undefined && source.life !== "dead" && source.life !== "hung";
      if (alive && !each.unlinked && source.life !== "loading") replicate(each, source);
      else if (source?.life !== "hung" || each.unlinked) each.brokenAtMs ??= nowMs;
    }
  }

  function replicate(each: Instance, source: Instance): void {
    const partial =
      each.replicationId === source.replicationId || each.replicationId === source.replicationId2;
    // A node that boots sealed begins no synchronisation until it is unsealed.
    if (!partial && source.bootsSealed && source.minReplicas >= SEALED) {
      each.brokenAtMs ??= nowMs;
      each.syncing = true;
      return;
    }
    Object.assign(each, { brokenAtMs: null, syncing: false });
    if (!each.deaf) each.heardAtMs = nowMs;
    if (each.lagging || each.deaf) return;
    const { offset, keys, replicationId, replicationId2, secondOffset } = source;
    Object.assign(each, { offset, keys, replicationId, replicationId2, secondOffset });
  }

  /** Redis's FAILOVER: done when the target has everything, given up when its time is over. */
  function handOver(each: Instance): void {
    const target = each.handsTo === null ? undefined : nodes.get(each.handsTo.id);
    if (each.handsTo === null || target === undefined || each.life !== "up") return;
    if (target.life === "up" && target.offset === each.offset && target.brokenAtMs === null) {
      makePrimary(target);
      Object.assign(each, { role: "replica", follows: each.handsTo.id, handsTo: null });
    } else if (nowMs >= each.handsTo.untilMs) each.handsTo = null;
  }

  function makePrimary(each: Instance): void {
    if (each.role === "replica") {
      each.replicationId2 = each.replicationId;
      each.secondOffset = each.offset + 1;
      promotions += 1;
      each.replicationId = `r${promotions}`;
    }
    Object.assign(each, { role: "primary", follows: null, brokenAtMs: null });
  }

  function factsAbout(each: Instance): NodeFacts {
    const linkUp = each.role === "replica" && each.brokenAtMs === null;
    const followers = [...nodes].flatMap(([id, { role, follows, brokenAtMs, life }]) =>
      role === "replica" &&
      life === "up" &&
      brokenAtMs === null &&
      nodes.get(follows ?? "") === each
        ? (address(id) ?? [])
        : [],
    );
    return {
      runId: each.runId,
      role: each.role,
      replicaOf: each.follows === null ? null : address(each.follows),
      linkUp,
      linkDownMs: each.brokenAtMs === null ? 0 : nowMs - each.brokenAtMs,
      syncing: each.syncing,
      loading: each.life === "loading",
      lastIoMs:
        each.role === "primary" || each.heardAtMs === null || each.brokenAtMs !== null
          ? null
          : Math.floor((nowMs - each.heardAtMs) / 1000) * 1000,
      offset: each.offset,
      priority: each.priority,
      replicationId: each.replicationId,
      replicationId2: each.replicationId2,
      secondOffset: each.secondOffset,
      switching: each.handsTo !== null,
      connectedReplicas: 0,
      replicas: each.role === "primary" ? followers : [],
      keys: each.keys,
      minReplicasToWrite: each.minReplicas,
    };
  }

  function look(): Observation[] {
    const about = effectiveConfig(state.saved, config).nodes.map((each) => each.id);
    const places = config.regions.filter((region) => eye(region).answers);
    return [
      ...throughRelays("group", about),
      ...places.flatMap((region) => throughRelays(region, about)),
      ...config.regions
        .filter((region) => config.vantages.includes(region))
        .flatMap((region) => about.map((id) => byItself(region, id))),
    ];
  }

  const headOf = (vantage: string, from: string, about: string) => ({
    ...{ vantage, from, epoch: state.saved.epoch, node: about, atMs: nowMs, tookMs: 1 },
    relay: null,
  });

  function byItself(region: string, about: string): Observation {
    const { answers, cut, lies } = eye(region);
    const lie = answers ? lies.get(about) : undefined;
    const [kind, facts] =
      lie !== undefined
        ? ([lie, null] as const)
        : answers
          ? seenOf(about, cut.has(about))
          : (["relay-unreachable", null] as const);
    return { ...headOf(region, region, about), class: kind, detail: kind, facts };
  }

  function throughRelays(from: string, about: readonly string[]): Observation[] {
    return config.relays.flatMap(({ id }) =>
      about.map((about): Observation => {
        const through = relay(id);
        const reach = through.reach && (from === "group" || !eye(from).cut.has(`relay:${id}`));
        const [kind, facts] = reach
          ? seenOf(about, through.cut.has(about))
          : (["relay-unreachable", null] as const);
        return {
          ...headOf(`relay:${id}`, from, about),
          class: kind,
          detail: kind,
          facts,
          relay: reach
            ? { stamp: { boot: String(through.boot), ms: nowMs }, epoch: through.epoch }
            : null,
        };
      }),
    );
  }

  function seenOf(about: string, cut: boolean): readonly [ObservationClass, NodeFacts | null] {
    const each = node(about);
    if (cut || each.life === "hung") return ["timeout", null];
    if (each.life === "dead") return ["refused", null];
    if (each.life === "auth" || each.life === "policy" || each.life === "busy")
      return [each.life, null];
    return [each.handsTo === null ? each.life : "switching", factsAbout(each)];
  }

  /** How the regions themselves did. */
  const reports = (): VantageReport[] =>
    config.regions.map((vantage) => {
      const { answers, whereabouts } = eye(vantage);
      const detail = answers ? "answered" : "no answer in time";
      return { vantage, whereabouts: answers ? whereabouts : null, detail, atMs: nowMs };
    });

  function perform(action: Action): OutcomeKind {
    actions.push(action);
    if (isTaken(action)) return "unknown";
    if (isDeaf(action)) return "failed";
    const about = "to" in action && typeof action.to === "string" ? action.to : action.kind;
    const wanted = retryAfter.has(about) ? "failed" : broken.get(about);
    if (wanted === UNSUPPORTED) return "failed";
    if (wanted !== undefined && wanted !== "unknown") return wanted;
    if (!("relay" in action)) return wanted ?? "done";
    const kind = atRelay(action);
    return wanted ?? kind;
  }

  /** A publisher that takes it first, and is done with it when it is asked again. */
  const isTaken = (action: Action) =>
    action.kind === "publish" && slow.has(action.to) && action.receipt === null;
  const isDeaf = (action: Action) =>
    action.kind === "publish" && deaf.has(action.to) && action.receipt !== null;

  /** What a publisher says beside yes or no. */
  function said(action: Action): Pick<Outcome, "drift" | "receipt" | "retryAtMs"> {
    const waitMs = "to" in action ? retryAfter.get(String(action.to)) : undefined;
    const later = waitMs === undefined ? {} : { retryAtMs: nowMs + waitMs };
    if (action.kind !== "publish") return later;
    const found = action.beat === null ? undefined : byHand.get(action.to);
    if (action.beat === "repair") byHand.delete(action.to);
    return {
      ...later,
      ...(found === undefined ? {} : { drift: found }),
      ...(isTaken(action) || isDeaf(action) ? { receipt: `change-${action.key}` } : {}),
    };
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
    // The relay that keeps its lease gives it back, and it boots sealed.
    const kept = config.fencing === "lease" && isKeeper(config, action.relay, action.node);
    if (each.life === "dead") return kept && action.kind === "seal" ? "done" : "unreachable";
    if (through.cut.has(action.node)) return "unknown" as const;
    if (each.life === "hung") {
      // What stands in its socket is executed when it thaws.
      each.backlog.push(() => effect(action, each));
      return "unknown" as const;
    }
    if (action.kind === "switchover" && each.role === "replica") return "failed" as const;
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
        makePrimary(each);
        each.minReplicas = action.minReplicas;
        break;
      case "switchover": {
        const target = idAt(action.to);
        each.handsTo = target === null ? null : { id: target, untilMs: nowMs + action.timeoutMs };
        break;
      }
      case "abort-switchover":
        each.handsTo = null;
        break;
      case "script-kill":
        if (each.life === "busy") each.life = "up";
        break;
      case "demote": {
        const follows = idAt(action.follow);
        Object.assign(each, { role: "replica", follows, brokenAtMs: nowMs, handsTo: null });
        each.minReplicas = action.bootSealed ? SEALED : action.minReplicas;
        break;
      }
    }
  }

  /** What relays say of themselves when they ask for leases. */
  function asked() {
    if (config.fencing !== "lease") return [];
    return config.relays
      .filter(({ id }) => relays.get(id)?.reach === true && !leaseless.has(id))
      .flatMap(({ id, local }) =>
        local.map((each) => {
          const promisers = promisersFor(config, each);
          return { relay: id, node: each, runId: node(each).runId, leftMs: 0, promisers };
        }),
      );
  }

  function round(requests: readonly OperatorRequest[] = [], seen?: Observation[]): Decision {
    physics();
    for (const each of late.splice(0)) {
      if (each.atMs > nowMs) late.push(each);
      else outcomes.push(each.outcome);
    }
    const observations = seen ?? look();
    const input = {
      ...{ observations, outcomes, requests, connected: [...connected], keepers: asked() },
      vantages: seen === undefined ? reports() : [],
    };
    outcomes = [];
    const decision = decide(deepFreeze(state), deepFreeze(input), config, nowMs);
    state = decision.state;
    events.push(...decision.events);
    replies.push(...decision.replies);
    decisions.push(decision);
    // A drill: the instance dies when the decision is saved, before anything is done about it.
    if (decision.crash) {
      state = { saved: state.saved, sight: freshSight };
      late.length = 0;
    }
    for (const action of decision.crash ? [] : decision.actions) {
      const kind = perform(action);
      const detail = broken.get(action.kind) === UNSUPPORTED ? UNSUPPORTED : kind;
      const outcome: Outcome = {
        action: action.id,
        kind,
        detail,
        atMs: nowMs + 5,
        ...said(action),
      };
      if (kind === "unknown" && !isTaken(action))
        late.push({ atMs: nowMs + config.commandTimeoutMs, outcome });
      else outcomes.push({ ...outcome, atMs: nowMs });
    }
    const soon = outcomes.length > 0 ? nowMs + 5 : decision.wakeAtMs;
    due = Math.max(nowMs + 5, Math.min(soon, decision.wakeAtMs));
    return decision;
  }

  return {
    get config() {
      return config;
    },
    /** A new deploy. */
    configure(next: Partial<GroupConfig>) {
      config = { ...config, ...next };
    },
    /** A deploy adds a node with its relay: a primary with so many keys of its own. */
    join(id: string, keys: number) {
      const {
        nodes: [added],
        relays: [relay],
      } = groupConfig({ ids: [id] });
      if (added === undefined || relay === undefined) throw new Error(`no node ${id}`);
      addNode(id, true);
      addRelay(id);
      Object.assign(node(id), { keys, offset: 10 * keys, replicationId: `own-${id}` });
      everyone = [...everyone, added];
      config = { ...config, nodes: [...config.nodes, added], relays: [...config.relays, relay] };
    },
    /** A replica of `of` that no deploy names. */
    shadow(id: string, of: string) {
      const {
        nodes: [added],
      } = groupConfig({ ids: [id] });
      if (added === undefined) throw new Error(`no node ${id}`);
      everyone = [...everyone, added];
      addNode(id, false);
      node(id).follows = of;
    },
    /** One that takes writes, and that no deploy names yet. */
    spare(id: string): NodeConfig {
      const {
        nodes: [added],
      } = groupConfig({ ids: [id] });
      if (added === undefined) throw new Error(`no node ${id}`);
      everyone = [...everyone, added];
      addNode(id, true);
      return added;
    },
    eye,
    connected,
    leaseless,
    byHand,
    slow,
    retryAfter,
    deaf,
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
    /** One decision on what is asked, and on a look: one of now, if none is given. */
    decide: (requests: readonly OperatorRequest[], seen?: Observation[]) => round(requests, seen),
    /** What relays tell of their own accord: decided on without a look. */
    push(seen: Observation[]): Decision {
      return round([], seen);
    },
    kill(id: string) {
      node(id).life = "dead";
      node(id).backlog = [];
    },
    hang(id: string) {
      node(id).life = "hung";
    },
    /** Starts a dead node, or thaws a hung one; `as` says which role its file holds. */
    start(
      id: string,
      as: {
        readonly follows?: string | null;
        readonly life?: "loading";
        readonly empty?: boolean;
      } = {},
    ) {
      const each = node(id);
      if (each.life === "dead") {
        restarts += 1;
        each.runId = `run-${id}-${restarts}`;
        each.handsTo = null;
        each.replicationId2 = null;
        if (each.bootsSealed) each.minReplicas = SEALED;
        if (as.empty) Object.assign(each, { keys: 0, offset: 0 });
        if (each.role === "primary") each.replicationId = `${each.replicationId}-${restarts}`;
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
    fail(about: string, kind: OutcomeKind | typeof UNSUPPORTED) {
      broken.set(about, kind);
    },
    mend(about: string) {
      broken.delete(about);
      byHand.delete(about);
      slow.delete(about);
    },
    /** Clients write: so many keys, ten bytes each, if the node takes them. */
    write(id: string, keys: number) {
      const each = node(id);
      if (each.life !== "up" || each.role !== "primary" || each.minReplicas >= SEALED) return false;
      each.keys += keys;
      each.offset += 10 * keys;
      return true;
    },
    /** Nodes answer, and replicate, a moment later. */
    settle() {
      physics();
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
