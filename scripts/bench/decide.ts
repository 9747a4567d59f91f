/**
 * How long one decision takes: a group of 5 nodes and 7 vantages, every look complete (35 observations), while
 * all is well and in a failover from the first bad look to its end. `node scripts/bench/decide.ts [--json]`
 *
 * Promises: a failover is played once and then decided again from its own states, so what is measured is a
 * real one; every state is used as often as every other.
 * Must never: fail for its figures. It says whether the goal is met.
 */
import { parseConfig } from "../../worker/core/config.ts";
import { decide } from "../../worker/core/decide.ts";
import { initialState } from "../../worker/core/saved.ts";
import type { Input, State } from "../../worker/core/state.ts";
import type {
  Action,
  GroupConfig,
  NodeFacts,
  Observation,
  Outcome,
} from "../../worker/core/types.ts";

const GOAL_US = 100;
const DECISIONS = 20_000;
const WARM_UP = 20_000;

type Moment = { readonly state: State; readonly input: Input; readonly nowMs: number };
type Figures = {
  readonly what: string;
  readonly states: number;
  readonly decisions: number;
  readonly medianUs: number;
  readonly p99Us: number;
};

const ids = ["a", "b", "c", "d", "e"];
const config = configured();
const { nodes, vantages } = config;

/** Everything as by default; a relay on the machine of each node, and two on machines of their own. */
function configured(): GroupConfig {
  const group = {
    name: "bench",
    nodes: ids.map((id, at) => ({ id, host: `10.0.0.${at + 1}` })),
    relays: [...ids, "x", "y"].map((id) => ({
      id,
      url: `https://relay-${id}.example.com`,
      local: ids.includes(id) ? [id] : [],
      control_token_secret: "CONTROL",
      data_token_secret: "DATA",
    })),
  };
  const parsed = parseConfig({ GROUPS: [group] }, () => true);
  const only = parsed.ok ? parsed.groups[0] : undefined;
  if (only === undefined) throw new Error(`not a configuration: ${JSON.stringify(parsed)}`);
  return only;
}

/** Whom each node follows, null for a primary; a dead one refuses. */
type Roles = { follows: Map<string, string | null>; dead: string | null };

function lookAt(roles: Roles, epoch: number, nowMs: number): Observation[] {
  return vantages.flatMap((vantage) =>
    ids.map((node): Observation => {
      const down = node === roles.dead;
      return {
        vantage,
        from: "group",
        epoch,
        node,
        class: down ? "refused" : "up",
        detail: "",
        atMs: nowMs,
        tookMs: 1,
        facts: down ? null : factsOf(node, roles, nowMs),
        relay: { stamp: { boot: "1", ms: nowMs }, epoch },
      };
    }),
  );
}

function factsOf(id: string, { follows, dead }: Roles, nowMs: number): NodeFacts {
  const of = follows.get(id) ?? null;
  const source = nodes.find((node) => node.id === of);
  const linkUp = of !== null && of !== dead;
  return {
    runId: `run-${id}`,
    role: of === null ? "primary" : "replica",
    replicaOf: source === undefined ? null : { host: source.host, port: source.port },
    linkUp,
    linkDownMs: linkUp ? 0 : 1,
    syncing: false,
    loading: false,
    lastIoMs: linkUp ? 0 : 1000,
    offset: nowMs,
    priority: 100,
    replicationId: "r",
    replicationId2: null,
    secondOffset: null,
    switching: false,
    replicas: [],
    connectedReplicas: 0,
    keys: 1000,
    minReplicasToWrite: 0,
  };
}

/** What a verb does: it always works. */
function perform(action: Action, roles: Roles, nowMs: number): Outcome {
  if (action.kind === "promote") roles.follows.set(action.node, null);
  if (action.kind === "demote") {
    const { host } = action.follow;
    roles.follows.set(action.node, nodes.find((node) => node.host === host)?.id ?? null);
  }
  return { action: action.id, kind: "done", detail: "", atMs: nowMs };
}

/** A minute of calm, then a failover; each decision with what it was made from. */
function play(): { readonly calm: readonly Moment[]; readonly failover: readonly Moment[] } {
  const roles: Roles = {
    follows: new Map(ids.map((id) => [id, id === "a" ? null : "a"])),
    dead: null,
  };
  const calm: Moment[] = [];
  const failover: Moment[] = [];
  let nowMs = 1_000_000;
  let state = initialState(config.name);
  let outcomes: Outcome[] = [];
  const round = (into: Moment[] | null) => {
    const input = { observations: lookAt(roles, state.saved.epoch, nowMs), outcomes, requests: [] };
    into?.push({ state, input, nowMs });
    const decision = decide(state, input, config, nowMs);
    state = decision.state;
    outcomes = decision.actions.map((action) => perform(action, roles, nowMs));
    nowMs = outcomes.length > 0 ? nowMs + 5 : Math.max(nowMs + 5, decision.wakeAtMs);
  };
  for (let rounds = 0; rounds < 20; rounds += 1) round(null);
  for (let rounds = 0; rounds < 60; rounds += 1) round(calm);
  roles.dead = "a";
  for (let rounds = 0; rounds < 1000; rounds += 1) {
    round(failover);
    if (state.saved.primary !== "a" && state.saved.phase.kind === "watching")
      return { calm, failover };
  }
  throw new Error("the failover did not end");
}

function measure(what: string, moments: readonly Moment[]): Figures {
  const rounds = Math.ceil(DECISIONS / moments.length);
  const tookUs: number[] = [];
  for (let round = -Math.ceil(WARM_UP / moments.length); round < rounds; round += 1)
    for (const { state, input, nowMs } of moments) {
      const beganMs = performance.now();
      decide(state, input, config, nowMs);
      if (round >= 0) tookUs.push((performance.now() - beganMs) * 1000);
    }
  tookUs.sort((a, b) => a - b);
  const at = (part: number) =>
    Math.round((tookUs[Math.floor(part * tookUs.length)] ?? 0) * 10) / 10;
  return {
    what,
    states: moments.length,
    decisions: tookUs.length,
    medianUs: at(0.5),
    p99Us: at(0.99),
  };
}

const { calm, failover } = play();
const figures = [measure("steady state", calm), measure("failover", failover)];
const holds = figures.every(({ medianUs }) => medianUs < GOAL_US);
if (process.argv.includes("--json"))
  console.log(JSON.stringify({ goalUs: GOAL_US, holds, figures }, null, 2));
else {
  const size = `${nodes.length} nodes, ${vantages.length} vantages`;
  console.log(`one decide: ${size}, ${nodes.length * vantages.length} observations a look`);
  for (const { what, states, decisions, medianUs, p99Us } of figures)
    console.log(
      `${what.padEnd(14)} median ${medianUs} µs, p99 ${p99Us} µs (${decisions} decisions from ${states} states)`,
    );
  console.log(`goal: under ${GOAL_US} µs median: ${holds ? "holds" : "does NOT hold"}`);
}
