/**
 * One look: every relay and region at every node, each answer sampled when the question is there.
 *
 * Promises: one observation for each pair within the probe timeout, as worker/probe does it; what a place says
 * is what it saw then, unless a fault makes it lie, or say an old look once more.
 */
import type { VantageReport } from "../../../worker/core/looking.ts";
import type {
  NodeConfig,
  NodeFacts,
  Observation,
  ObservationClass,
  RelayFacts,
} from "../../../worker/core/types.ts";
import type { Sighted } from "../check/ledger.ts";
import { after } from "../queue.ts";
import { groupNow } from "./clock.ts";
import { factsOf } from "./facts.ts";
import { send } from "./network.ts";
import { isSilent } from "./redis.ts";
import { bootOf, clockOf, epochOf, nodeOf, process, reaches } from "./relay.ts";
import type { Lie, RedisNode, Relay, World } from "./types.ts";
import {
  askedFor,
  distorted,
  isUnheard,
  type Question,
  questionsOf,
  reportsOf,
} from "./vantages.ts";

type Seen = {
  readonly class: ObservationClass;
  readonly detail: string;
  readonly facts: NodeFacts | null;
};

/** The part of a look's deadline that a relay gives Redis. */
const RELAY_PART = 0.8;

export function look(
  world: World,
  epoch: number,
  nodes: readonly NodeConfig[],
  done: (observations: Observation[], reports: readonly VantageReport[]) => void,
): void {
  const startMs = groupNow(world);
  const { probeTimeoutMs } = world.config;
  const observations: Observation[] = [];
  const virtualMs = world.queue.nowMs;
  const questions = questionsOf(world).filter((each) => !isUnheard(world, each));
  const open = new Set<string>();
  for (const question of questions)
    for (const node of askedFor(question, nodes))
      open.add(`${question.from}|${question.vantage}|${node}`);
  let over = false;
  const finish = () => {
    over = true;
    done(distorted(world, observations), reportsOf(world));
  };
  const note = (
    { vantage, from }: Question,
    node: string,
    seen: Seen,
    relay: RelayFacts | null,
  ): void => {
    if (over || !open.delete(`${from}|${vantage}|${node}`)) return;
    const atMs = groupNow(world);
    const sighted: Sighted = {
      vantage,
      from,
      epoch,
      node,
      ...seen,
      atMs,
      tookMs: atMs - startMs,
      relay,
      virtualMs,
    };
    observations.push(sighted);
    if (open.size === 0) finish();
  };
  for (const question of questions) ask(world, question, askedFor(question, nodes), note);
  after(world.queue, probeTimeoutMs, () => {
    if (over) return;
    const silent = { class: "relay-unreachable", detail: "no answer", facts: null } as const;
    for (const question of questions)
      for (const node of askedFor(question, nodes))
        note(question, node, seesItself(world, question) ? timedOut : silent, null);
    if (!over) finish();
  });
}

/** A region that the Group reaches, and that got no answer from the node itself. */
const seesItself = (world: World, { relay, from }: Question): boolean =>
  relay === null && !world.regionBlind.has(from);

const timedOut: Seen = { class: "timeout", detail: "NODE_TIMEOUT", facts: null };

type Note = (question: Question, node: string, seen: Seen, relay: RelayFacts | null) => void;

function ask(world: World, question: Question, nodes: readonly string[], note: Note): void {
  const { spot, relay } = question;
  if (world.regionBlind.has(question.from)) return;
  if (relay === null) return askDirectly(world, question, nodes, note);
  if (relay.life === "dead" && !relay.spot.down) {
    send(world, spot, relay.spot, () =>
      send(world, relay.spot, spot, () => {
        const gone = { class: "relay-unreachable", detail: "ECONNREFUSED", facts: null } as const;
        for (const node of nodes) note(question, node, gone, null);
      }),
    );
    return;
  }
  if (relay.portShut) return;
  send(world, spot, relay.spot, () =>
    process(relay, () => {
      const seen = nodes.map((node) => seenByRelay(world, relay, node));
      const slow = nodes.filter((_, at) => seen[at]?.class === "timeout");
      // What a relay says of itself is as old as its answer.
      const answer = (some: readonly string[], ms: number) =>
        after(world.queue, ms, () => {
          if (relay.life !== "up") return;
          const stamp = { boot: bootOf(relay), ms: clockOf(world, relay) };
          const facts = { stamp, epoch: epochOf(world, relay) };
          send(world, relay.spot, spot, () => {
            for (const node of some)
              note(question, node, seen[nodes.indexOf(node)] ?? timedOut, facts);
          });
        });
      const quick = nodes.filter((node) => !slow.includes(node));
      if (quick.length > 0) answer(quick, 1);
      if (slow.length > 0) answer(slow, world.config.probeTimeoutMs * RELAY_PART);
    }),
  );
}

function askDirectly(world: World, question: Question, nodes: readonly string[], note: Note): void {
  for (const id of nodes) {
    const node = nodeOf(world, id);
    if (node === null) continue;
    send(world, question.spot, node.spot, () => {
      const full = sample(world, node);
      // A check of somebody's own tells that it can be used, and not what it is.
      const seen = world.bare ? { ...full, facts: null } : full;
      if (seen.class === "timeout") return;
      send(world, node.spot, question.spot, () => note(question, id, seen, null));
    });
  }
}

export function seenByRelay(world: World, relay: Relay, id: string): Seen {
  const node = nodeOf(world, id);
  if (node === null || relay.unlisted.has(node.name))
    return { class: "policy", detail: "NODE_UNKNOWN", facts: null };
  const { lie } = relay;
  if (lie !== null && lie.node === node.name && lie.left > 0) {
    lie.left -= 1;
    return lieAbout(world, node, lie.kind);
  }
  return reaches(world, relay, node) ? sample(world, node) : timedOut;
}

function lieAbout(world: World, node: RedisNode, kind: Lie): Seen {
  if (kind === "down") return { class: "refused", detail: "ECONNREFUSED", facts: null };
  const facts = factsOf(world, node);
  if (kind === "up") return { class: "up", detail: "PONG", facts };
  const role = kind;
  const replicaOf = role === "primary" ? null : (facts.replicaOf ?? otherThan(world, node));
  return { class: "up", detail: "PONG", facts: { ...facts, role, replicaOf } };
}

function otherThan(world: World, node: RedisNode) {
  const other = world.nodes.find((each) => each !== node) ?? node;
  return { host: other.host, port: other.port };
}

/** What Redis answers to PING, INFO and CONFIG GET. */
function sample(world: World, node: RedisNode): Seen {
  if (node.spot.down || isSilent(world, node)) return timedOut;
  if (node.life === "dead") return { class: "refused", detail: "ECONNREFUSED", facts: null };
  if (node.policy) return { class: "policy", detail: "ERR max number of clients", facts: null };
  if (node.auth) return { class: "auth", detail: "NOAUTH", facts: null };
  if (node.script !== null) return { class: "busy", detail: "BUSY", facts: null };
  const facts = factsOf(world, node);
  if (facts.loading) return { class: "loading", detail: "LOADING", facts };
  if (node.misconf && facts.role === "primary")
    return { class: "misconf", detail: "MISCONF", facts };
  if (facts.switching) return { class: "switching", detail: "a FAILOVER is in progress", facts };
  return { class: "up", detail: "PONG", facts };
}
