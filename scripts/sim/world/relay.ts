/**
 * A relay beside Redis: its clock, its journal, and its verbs, judged by the real rules of worker/relay/verbs/fence.ts.
 *
 * Rules: the journal is written before anything is executed; verbs for one node run one at a time; Redis is asked
 * with a PING first; a relay that was stopped goes on with what stands in its socket.
 */
import type { OutcomeKind, RelayAction } from "../../../worker/core/types.ts";
import { UNSUPPORTED } from "../../../worker/relay/protocol.ts";
import {
  judge,
  judgeEpoch,
  recorded,
  type VerbRequest,
} from "../../../worker/relay/verbs/fence.ts";
import { type TransactionRequest, transactionOf } from "../../../worker/relay/verbs/steps.ts";
import { after } from "../queue.ts";
import { abortHandover, startHandover } from "./handover.ts";
import { guardSeals, leaseAnew, leaseClosed, leaseFromVerb, noLease, whyShut } from "./lease.ts";
import { isCutEitherWay } from "./network.ts";
import { command, isSilent, run, setMinReplicas } from "./redis.ts";
import { isPrimary } from "./replication.ts";
import { type RedisNode, type Relay, SEALED, type Spot, tell, type World } from "./types.ts";

export type Answered = { readonly kind: OutcomeKind; readonly detail: string };

export function newRelay(id: string, spot: Spot, local: RedisNode, rate: number): Relay {
  return {
    id,
    spot,
    local,
    life: "up",
    boots: 1,
    bootedAtMs: 0,
    rate,
    journal: { groups: new Map(), actions: [] },
    diskFails: false,
    inbox: [],
    freeAtMs: new Map(),
    lie: null,
    blind: new Set(),
    unlisted: new Set(),
    portShut: false,
    connects: true,
    socket: { open: false, heardMs: 0, told: "", watch: null, gazes: new Map() },
    guard: true,
    promisedUntilMs: 0,
    wallShiftMs: 0,
    lease: noLease(),
  };
}

export const bootOf = (relay: Relay): string => `${relay.id}-boot-${relay.boots}`;

/** Its monotonic clock, which begins anew with its process. */
export const clockOf = (world: World, relay: Relay): number =>
  1000 + Math.floor((world.queue.nowMs - relay.bootedAtMs) * relay.rate);

export const epochOf = (world: World, relay: Relay): number | null =>
  relay.journal.groups.get(world.config.name)?.epoch ?? null;

/** Something for the relay's process: now, or when it goes on; never, if it is dead. */
export function process(relay: Relay, run: () => void): void {
  if (relay.life === "dead") return;
  if (relay.life === "hung") relay.inbox.push(run);
  else run();
}

export function stopRelay(world: World, relay: Relay): void {
  if (relay.life === "dead") return;
  tell(world, () => `relay ${relay.id} dies`);
  relay.life = "dead";
  relay.inbox.length = 0;
  relay.freeAtMs.clear();
  relay.lease.turn += 1;
  guardSeals(world, relay);
}

/** A new process: its clock begins anew; its journal is what is left of it. */
export function startRelay(world: World, relay: Relay, journalLost: boolean): void {
  if (relay.life !== "dead" || relay.spot.down) return;
  tell(world, () => `relay ${relay.id} starts${journalLost ? ", its journal lost" : ""}`);
  relay.life = "up";
  relay.boots += 1;
  Object.assign(relay.socket, { open: false, told: "", watch: null, gazes: new Map() });
  relay.bootedAtMs = world.queue.nowMs;
  if (journalLost) {
    relay.journal = { groups: new Map(), actions: [] };
    world.checks.journalLost(relay);
  }
  // design.md section 4: with a fence that boots sealed, a relay starts by sealing.
  leaseAnew(world, relay, journalLost);
  if (world.config.fencing === "sealed" && isPrimary(relay.local))
    command(world, relay.local, () => setMinReplicas(relay.local, SEALED));
}

/** True when the relay's words reach the node and come back. */
export const reaches = (world: World, relay: Relay, node: RedisNode): boolean =>
  !relay.blind.has(node.name) && !isCutEitherWay(world, relay.spot, node.spot);

const said = (kind: OutcomeKind, detail = ""): Answered => ({ kind, detail });

/** One verb arrives. `answer` is called at most once, and never when the relay dies meanwhile. */
export function handle(
  world: World,
  relay: Relay,
  action: RelayAction,
  answer: (said: Answered) => void,
): void {
  process(relay, () => {
    const clock = { boot: bootOf(relay), ms: clockOf(world, relay), ttlMs: ttlOf(world) };
    if (action.kind === "tell-epoch") {
      const { epoch, primary, stamp } = action;
      const verdict = judgeEpoch(
        relay.journal,
        world.config.name,
        { epoch, primary, stamp },
        clock,
      );
      if (verdict.kind === "refused") return answer(said("refused", verdict.detail));
      if (relay.diskFails) return answer(said("failed", "the state file could not be written"));
      relay.journal = verdict.journal;
      world.checks.held(relay, action);
      return answer(said("done"));
    }
    inTurn(world, relay, action.node, () => actNow(world, relay, action, answer));
  });
}

const ttlOf = (world: World) => world.firstConfig.commandTtlMs;

/** Verbs for one node one after another, each of a few milliseconds. */
export function inTurn(world: World, relay: Relay, node: string, run: () => void): void {
  const { queue } = world;
  const startMs = Math.max(queue.nowMs, relay.freeAtMs.get(node) ?? 0);
  relay.freeAtMs.set(node, startMs + 3);
  const { boots } = relay;
  if (startMs === queue.nowMs) return run();
  after(queue, startMs - queue.nowMs, () => {
    if (relay.boots === boots) process(relay, run);
  });
}

type Opening = Extract<RelayAction, { kind: "promote" | "unseal" }>;
const isOpening = (action: RelayAction): action is Opening =>
  action.kind === "promote" || action.kind === "unseal";

type NodeAction = Exclude<RelayAction, { kind: "tell-epoch" }>;

function actNow(
  world: World,
  relay: Relay,
  action: NodeAction,
  answer: (said: Answered) => void,
): void {
  const clock = { boot: bootOf(relay), ms: clockOf(world, relay), ttlMs: ttlOf(world) };
  const request = requestOf(world, action);
  const verdict = judge(relay.journal, request, clock);
  if (verdict.kind !== "execute") {
    const kind = verdict.kind === "refused" ? "refused" : verdict.outcome;
    if (kind === "refused")
      tell(world, () => `relay ${relay.id} refuses ${action.kind}: ${verdict.detail}`);
    return answer(said(kind, verdict.detail));
  }
  if (relay.diskFails) return answer(said("unreachable", "the state file could not be written"));
  const shut = isOpening(action) ? whyShut(world, relay, action) : null;
  if (shut !== null) {
    tell(world, () => `relay ${relay.id} refuses ${action.kind} ${action.node}: ${shut}`);
    // The epoch is held from now on: nothing is promised to whoever is behind it.
    relay.journal = { ...relay.journal, groups: verdict.journal.groups };
    world.checks.held(relay, action);
    return answer(said("refused", shut));
  }
  relay.journal = verdict.journal;
  world.checks.held(relay, action);
  const { boots } = relay;
  const alive = () => relay.boots === boots && relay.life !== "dead";
  const done = (result: Answered) => {
    if (!alive()) return;
    const outcome = { outcome: result.kind, detail: result.detail };
    relay.journal = recorded(relay.journal, request.body, outcome);
    answer(result);
  };
  const node = nodeOf(world, action.node);
  if (node === null || relay.unlisted.has(node.name))
    return done(said("unreachable", "NODE_UNKNOWN"));
  const keeps = world.firstConfig.fencing === "lease" && relay.local === node;
  const hard = action.kind === "seal" && action.hard === true;
  if (keeps && hard) leaseClosed(world, relay, true);
  // A PING first: a Redis that does not answer is not sent anything that it would execute when it wakes.
  if (!reaches(world, relay, node) || isSilent(world, node)) {
    after(world.queue, pingTimeout(world), () => done(said("unreachable", "NODE_TIMEOUT")));
    return;
  }
  // It boots sealed, and only its own relay could open it.
  if (node.life === "dead" && keeps && action.kind === "seal") return done(said("done"));
  if (node.life === "dead") return done(said("unreachable", "NODE_REFUSED"));
  after(world.queue, 2, () => {
    if (!alive()) return;
    const late = isOpening(action) ? whyShut(world, relay, action) : null;
    if (late !== null) return done(said("refused", late));
    if (isOpening(action) && relay.local === node) leaseFromVerb(world, relay, action);
    const closes = action.kind === "demote" || action.kind === "seal";
    if (relay.local === node && closes && !hard) leaseClosed(world, relay, false);
    execute(world, relay, node, action, done);
  });
}

const pingTimeout = (world: World) => Math.floor(world.config.commandTimeoutMs * 0.8);

/** The transaction is on its way: if Redis stops just now, it is executed when it wakes. */
function execute(
  world: World,
  relay: Relay,
  node: RedisNode,
  action: NodeAction,
  done: (said: Answered) => void,
): void {
  const silent = isSilent(world, node);
  if (node.life === "dead") return done(said("unknown", "NODE_CLOSED"));
  if (node.policy || node.auth) return done(said("failed", "NOAUTH"));
  if (node.script !== null && action.kind !== "script-kill" && !silent)
    return done(said("failed", "BUSY"));
  let answered = false;
  const once = (result: Answered) => {
    if (answered) return;
    answered = true;
    done(result);
  };
  command(world, node, () => {
    world.checks.executed(relay, action);
    const problem = effect(world, node, action);
    tell(
      world,
      () =>
        `relay ${relay.id}: ${action.kind} ${node.name} at epoch ${action.epoch}${problem === null ? "" : `: ${problem}`}`,
    );
    once(problem === null ? said("done") : said("failed", problem));
  });
  if (silent) after(world.queue, pingTimeout(world), () => once(said("unknown", "NODE_TIMEOUT")));
}

/** What Redis does, by the very commands that a real relay sends. Null: all well. */
function effect(world: World, node: RedisNode, action: NodeAction): string | null {
  switch (action.kind) {
    case "switchover":
      if (!node.knowsFailover) return `${UNSUPPORTED} ERR unknown command`;
      return startHandover(
        world,
        node,
        `${action.to.host}:${action.to.port}`,
        action.timeoutMs,
        action.epoch,
      );
    case "abort-switchover":
      // In its last phase the target may be a primary already: the node comes back sealed.
      if (node.handover?.phase === "handover") setMinReplicas(node, SEALED);
      abortHandover(world, node);
      return null;
    case "script-kill":
      if (node.script === null) return null;
      if (node.script.wrote) return "UNKILLABLE";
      node.script = null;
      return null;
    default: {
      const problem = run(
        world,
        node,
        transactionOf(requestOf(world, action) as TransactionRequest),
      );
      if (action.kind === "promote" || action.kind === "unseal") opened(world, node, action);
      return problem;
    }
  }
}

function opened(world: World, node: RedisNode, action: NodeAction): void {
  if (!isPrimary(node)) return;
  if (action.primary !== null && nodeOf(world, action.primary) === node) {
    node.namedEpoch = Math.max(node.namedEpoch, action.epoch);
  }
  world.checks.opened(node, action.epoch);
}

/** A relay is configured with addresses: a renamed node is the same one. */
export function nodeOf(world: World, id: string): RedisNode | null {
  const configured =
    world.config.nodes.find((node) => node.id === id) ??
    world.storage.saved?.overlay.added.find((node) => node.id === id) ??
    world.firstConfig.nodes.find((node) => node.id === id);
  return configured === undefined
    ? null
    : (world.byAddress.get(`${configured.host}:${configured.port}`) ?? null);
}

/** The action as it stands in the body of its request. */
function requestOf(world: World, action: NodeAction): VerbRequest {
  const { id, kind, node, deadlineMs: _, relay: __, ...rest } = action;
  const body = { ...rest, group: world.config.name, action: id };
  return { verb: kind, node, body } as unknown as VerbRequest;
}
