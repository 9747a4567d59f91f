/**
 * The Group's host, as worker/group.ts runs it: look, decide, save, act; alarms, cron, deaths, second lives.
 *
 * Promises: a decision is saved before any of its actions is performed; whoever did not read the version that
 * is stored writes nothing and ends; an outcome goes into the next round of the life that performed the action.
 * Must never: judge. What is right is for `check/` to say.
 */
import { decide } from "../../../worker/core/decide.ts";
import type { VantageReport } from "../../../worker/core/looking.ts";
import { effectiveConfig } from "../../../worker/core/membership.ts";
import { freshSight, initialState, readSaved } from "../../../worker/core/saved.ts";
import type { Decision, Input, OperatorRequest, State } from "../../../worker/core/state.ts";
import type { Action, Observation, Outcome } from "../../../worker/core/types.ts";
import { after, at } from "../queue.ts";
import { perform } from "./acting.ts";
import { groupNow } from "./clock.ts";
import { look } from "./look.ts";
import { type DeathPoint, type Instance, tell, type World } from "./types.ts";
import { tellRelays } from "./watch.ts";

/** A next look nearer than this is waited for in the same invocation, not left to an alarm. */
const LINGER_MS = 500;
/** After a round that failed. */
const RETRY_MS = 1000;
const CRON_MS = 60_000;

export function currentInstance(world: World): Instance | null {
  const last = world.instances.at(-1);
  return last?.alive === true ? last : null;
}

/** A new life, from what is stored. */
export function newInstance(world: World): Instance {
  const { storage } = world;
  world.instanceCount += 1;
  const state = stored(world);
  const instance: Instance = {
    id: world.instanceCount,
    alive: true,
    state,
    version: storage.version,
    outcomes: [],
    asked: [],
    keepers: [],
    running: false,
    nudged: false,
    sleepTurn: 0,
    because: "",
  };
  world.instances.push(instance);
  if (world.instances.length > 4) world.instances.shift();
  return instance;
}

/** As it stands on disk: nothing in memory is shared with it. */
function stored(world: World): State {
  const { saved } = world.storage;
  if (saved === null) return initialState(world.config.name);
  const read = readSaved(JSON.stringify(saved), world.config.name);
  if (!read.ok) {
    world.checks.internal(`the stored state cannot be read: ${read.problem}`);
    return initialState(world.config.name);
  }
  return { saved: read.saved, sight: freshSight };
}

export function die(world: World, instance: Instance, why: string): void {
  if (!instance.alive) return;
  tell(world, () => `the Group's object ${instance.id} ends: ${why}`);
  instance.alive = false;
}

/** A fault that waits for the Group to come to a certain point. True when it died there. */
function strikes(world: World, instance: Instance, point: DeathPoint): boolean {
  const { death } = world;
  if (death === null || death.left === 0 || death.point !== point) return false;
  death.left -= 1;
  if (death.supersede) {
    // A second life begins beside it; the old one goes on with what it believes.
    tell(world, () => `the Group is superseded at ${point}`);
    wake(world, newInstance(world));
    return false;
  }
  die(world, instance, `evicted at ${point}`);
  return true;
}

// ------------------------------------------------------------ who wakes it

/** Runs a round now, or right after the one that runs. */
export function wake(world: World, instance: Instance | null): void {
  const group = instance ?? currentInstance(world) ?? newInstance(world);
  if (!group.alive) return;
  if (group.running) group.nudged = true;
  else round(world, group);
}

export function cron(world: World): void {
  const again = world.cron === "doubled" ? 2 : world.cron === "skipped" ? 0 : 1;
  for (let count = 0; count < again; count += 1)
    after(world.queue, count * 7, () => wake(world, null));
  after(world.queue, CRON_MS, () => cron(world));
}

/** Sets the alarm, with whatever fault alarms have now. */
function arm(world: World, atMs: number): void {
  const { storage, queue } = world;
  storage.alarmTurn += 1;
  const turn = storage.alarmTurn;
  storage.alarmAtMs = atMs;
  if (world.alarms === "lost") return;
  const late = world.alarms === "late" ? world.random.int(0, 20_000) : 0;
  const ring = () => {
    if (storage.alarmTurn !== turn) return;
    wake(world, null);
  };
  at(queue, atMs + late, ring);
  if (world.alarms === "doubled") at(queue, atMs + late + 3, ring);
}

export function ask(world: World, request: OperatorRequest): void {
  const group = currentInstance(world) ?? newInstance(world);
  group.asked.push({ ...request, askedAtMs: groupNow(world) });
  world.checks.asked(request);
  tell(world, () => `an operator asks: ${JSON.stringify(request)}`);
  wake(world, group);
}

// ------------------------------------------------------------------ a round

function round(world: World, group: Instance): void {
  group.running = true;
  group.nudged = false;
  group.sleepTurn += 1;
  const { saved } = group.state;
  arm(world, world.queue.nowMs + 2 * world.config.checkIntervalMs);
  const { nodes } = effectiveConfig(saved, world.config);
  look(world, saved.epoch, nodes, (observations, reports) => {
    if (!group.alive || strikes(world, group, "looking")) return;
    decided(world, group, observations, reports);
  });
}

/** Decides on what was seen: a look, or what a relay told of its own accord. */
export function decided(
  world: World,
  group: Instance,
  observations: readonly Observation[],
  vantages: readonly VantageReport[] = [],
): void {
  const requests = group.asked;
  const outcomes = [...group.outcomes];
  const connected = [...world.relays.values()]
    .filter((relay) => relay.socket.open)
    .map(({ id }) => id);
  const { keepers } = group;
  const input = { observations, outcomes, requests, connected, keepers, vantages };
  const nowMs = groupNow(world);
  world.checks.before(group.state, input);
  world.decisions += 1;
  const decision = decide(group.state, input, world.config, nowMs);
  world.checks.decided(group, input, decision, nowMs);
  if (strikes(world, group, "before-save")) return;
  if (!save(world, group, decision, input, nowMs)) return;
  group.asked = requests.filter(({ id }) => !decision.replies.some((reply) => reply.id === id));
  group.keepers = [];
  group.outcomes = [];
  world.replies.push(...decision.replies);
  if (decision.crash) return die(world, group, "a drill");
  const { actions } = decision;
  // Between saving and acting it matters only when there is something to do.
  if (actions.length > 0 && strikes(world, group, "after-save")) return;
  const acting = actions.length > 0 && strikes(world, group, "acting");
  // Dying while it acts, it has sent some of them.
  const sent = acting ? actions.slice(0, world.random.int(0, actions.length)) : actions;
  if (sent.length > 0)
    after(world.queue, world.random.int(0, 4), () => {
      for (const action of sent) send(world, group, action);
    });
  if (acting) return;
  sleep(world, group, decision, nowMs);
}

/** False when nothing was written: the round failed, or somebody else wrote meanwhile. */
function save(
  world: World,
  group: Instance,
  decision: Decision,
  input: Input,
  nowMs: number,
): boolean {
  const { storage } = world;
  const changed = decision.state.saved !== group.state.saved || decision.events.length > 0;
  if (changed && group.version !== storage.version) {
    die(world, group, "what is stored is not what it read");
    return false;
  }
  if (changed && storage.fails) {
    // As worker/group.ts: what is stored counts, and a fresh look.
    tell(world, () => "a save fails");
    group.state = stored(world);
    group.asked = [];
    group.running = false;
    arm(world, world.queue.nowMs + RETRY_MS);
    return false;
  }
  if (changed) {
    world.checks.saved(group.state, decision, input, nowMs);
    storage.version += 1;
    storage.saved = decision.state.saved;
    storage.events += decision.events.length;
    group.version = storage.version;
  }
  group.state = decision.state;
  tellRelays(world, group);
  group.because = decision.because;
  for (const event of decision.events) {
    tell(world, () => `  ${event.name} ${event.node ?? ""} (epoch ${event.epoch}): ${event.text}`);
    world.events.push(event);
  }
  return true;
}

function send(world: World, group: Instance, action: Action): void {
  perform(world, action, (outcome: Outcome) => {
    if (!group.alive || (world.outcomesLost && world.random.chance(0.8))) return;
    group.outcomes.push(outcome);
    wake(world, group);
  });
}

/** Waits for the time that the decision named: near, in this invocation; far, by its alarm. */
function sleep(world: World, group: Instance, decision: Decision, decidedAtMs: number): void {
  group.running = false;
  if (group.nudged) return wake(world, group);
  const waitMs = Math.max(1, decision.wakeAtMs - decidedAtMs);
  if (waitMs >= CRON_MS) {
    world.storage.alarmTurn += 1;
    world.storage.alarmAtMs = null;
    return;
  }
  const dueMs = world.queue.nowMs + waitMs;
  if (waitMs >= LINGER_MS) return arm(world, dueMs);
  const turn = group.sleepTurn;
  at(world.queue, dueMs, () => {
    if (group.sleepTurn === turn && group.alive && !group.running) round(world, group);
  });
}
