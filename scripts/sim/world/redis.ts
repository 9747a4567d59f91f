/**
 * A Redis process: its life, its configuration and file, and the commands that change who it is.
 *
 * Rules: what is set at run time is lost at a restart unless rewritten; commands to a stopped process wait in its
 * socket and run when it wakes; a promotion keeps the old replication id as its second one.
 */
import { after } from "../queue.ts";
import { append, newBranch } from "./history.ts";
import {
  breakLink,
  dropFollowers,
  goodReplicas,
  isPrimary,
  offsetOf,
  releaseSyncs,
  seekPrimary,
  stream,
} from "./replication.ts";
import { type RedisNode, SEALED, type Spot, tell, type World } from "./types.ts";

/** lua-time-limit: a script is silent before it is BUSY. */
const SILENT_SCRIPT_MS = 5000;

export function newNode(name: string, host: string, spot: Spot): RedisNode {
  return {
    name,
    address: `${host}:6379`,
    host,
    port: 6379,
    spot,
    branch: newBranch(null, 0),
    length: 0,
    life: "up",
    runs: 1,
    startedMs: 0,
    follow: null,
    replId: "r0",
    shift: 0,
    replId2: null,
    secondOffset: null,
    minReplicas: 0,
    syncHeld: false,
    file: { follow: null, minReplicas: 0, syncHeld: false },
    priority: 100,
    link: {
      state: "down",
      source: null,
      turn: 0,
      lastIoMs: 0,
      downSinceMs: null,
      streaming: false,
      trying: false,
    },
    followers: new Set(),
    script: null,
    misconf: false,
    policy: false,
    auth: false,
    refusesSync: false,
    lagMs: 2,
    handover: null,
    deaf: false,
    knowsFailover: true,
    turn: 0,
    backlog: [],
    postponed: [],
    wiped: false,
    tailLost: false,
    namedEpoch: 0,
  };
}

export const runIdOf = (node: RedisNode): string => `${node.name}-run-${node.runs}`;

export const isSealed = (node: RedisNode): boolean => node.minReplicas >= SEALED;

export const isSilent = (world: World, node: RedisNode): boolean =>
  node.life === "hung" ||
  (node.script !== null && world.queue.nowMs - node.script.sinceMs < SILENT_SCRIPT_MS);

/** Runs a command now, or when the process reads its socket again; never, if it dies before. */
export function command(world: World, node: RedisNode, run: () => void): void {
  if (node.life === "dead") return;
  if (isSilent(world, node)) node.backlog.push(run);
  else run();
}

export function drain(node: RedisNode): void {
  for (const run of node.backlog.splice(0)) run();
}

// ------------------------------------------------------------------- its life

export function crash(world: World, node: RedisNode): void {
  if (node.life === "dead") return;
  tell(world, () => `${node.name} dies`);
  node.life = "dead";
  node.script = null;
  node.handover = null;
  node.backlog.length = 0;
  node.postponed.length = 0;
  node.turn += 1;
  breakLink(world, node);
  // A machine that is gone closes nothing: its replicas notice after a minute.
  if (!node.spot.down) dropFollowers(world, node);
}

export type Restart = {
  readonly data: "kept" | "same-id" | "empty";
  readonly loadingMs?: number;
};

/** Begins anew with what its file says. */
export function start(world: World, node: RedisNode, how: Restart): void {
  if (node.life !== "dead" || node.spot.down) return;
  tell(world, () => `${node.name} starts${how.data === "empty" ? " empty" : ""}`);
  dropFollowers(world, node);
  node.runs += 1;
  node.startedMs = world.queue.nowMs;
  node.turn += 1;
  node.life = how.loadingMs === undefined ? "up" : "loading";
  node.follow = node.file.follow;
  node.minReplicas = node.file.minReplicas;
  node.syncHeld = node.file.syncHeld;
  if (how.data === "empty") {
    node.branch = newBranch(null, 0);
    node.length = 0;
    node.wiped = true;
  }
  if (how.data !== "same-id" || isPrimary(node)) {
    node.replId = freshId(node);
    node.shift = -node.length * 50;
    node.replId2 = null;
    node.secondOffset = null;
  }
  node.link.downSinceMs = null;
  const { runs } = node;
  const ready = () => {
    if (node.runs !== runs || node.life === "dead") return;
    if (node.life === "loading") node.life = "up";
    if (node.follow !== null) seekPrimary(world, node);
  };
  if (how.loadingMs === undefined) ready();
  else after(world.queue, how.loadingMs, ready);
}

const freshId = (node: RedisNode): string => `${node.name}.${node.runs}.${node.turn}`;

export function hang(world: World, node: RedisNode): void {
  if (node.life !== "up") return;
  tell(world, () => `${node.name} is stopped`);
  node.life = "hung";
}

/** Wakes: what stood in its socket is executed now. */
export function thaw(world: World, node: RedisNode): void {
  if (node.life !== "hung") return;
  tell(world, () => `${node.name} goes on, with ${node.backlog.length} commands in its socket`);
  node.life = "up";
  drain(node);
  seekPrimary(world, node);
  for (const follower of node.followers) stream(world, follower);
}

// --------------------------------------------------------------- who it is

export function promote(world: World, node: RedisNode): void {
  if (isPrimary(node)) return;
  node.follow = null;
  node.turn += 1;
  node.replId2 = node.replId;
  node.secondOffset = offsetOf(node) + 1;
  node.replId = freshId(node);
  breakLink(world, node);
  node.link.downSinceMs = null;
  dropFollowers(world, node);
}

/** False when Redis refuses it. */
export function replicaOf(world: World, node: RedisNode, address: string): boolean {
  if (node.handover !== null) return false;
  if (node.follow === address) return true;
  node.follow = address;
  node.turn += 1;
  breakLink(world, node, false);
  dropFollowers(world, node);
  return true;
}

export function setMinReplicas(node: RedisNode, count: number): void {
  node.minReplicas = count;
}

type Command = readonly unknown[];

/** A transaction, each command as Redis does it; the first error, if there is one. */
export function run(world: World, node: RedisNode, commands: readonly Command[]): string | null {
  const problems = commands.map((command) => runOne(world, node, command.map(String)));
  return problems.find((problem) => problem !== null) ?? null;
}

function runOne(world: World, node: RedisNode, command: readonly string[]): string | null {
  const [name = "", first = "", second = "", third = ""] = command;
  switch (name) {
    case "REPLICAOF":
      if (node.handover !== null) return "ERR REPLICAOF not allowed while failing over.";
      if (first === "NO") promote(world, node);
      else if (`${first}:${second}` === node.address) return "ERR it cannot follow itself";
      else replicaOf(world, node, `${first}:${second}`);
      return null;
    case "CONFIG":
      if (first === "REWRITE") {
        const { follow, minReplicas, syncHeld } = node;
        node.file = { follow, minReplicas, syncHeld };
      } else if (second === "min-replicas-to-write") setMinReplicas(node, Number(third));
      else if (second === "repl-diskless-sync-delay") holdSyncs(world, node, Number(third) > 1000);
      return null;
    case "MULTI":
    case "EXEC":
    case "CLIENT":
      return null;
    default:
      return `ERR unknown command ${name}`;
  }
}

function holdSyncs(world: World, node: RedisNode, held: boolean): void {
  node.syncHeld = held;
  if (!held) releaseSyncs(world, node);
}

// ------------------------------------------------------------------- writes

export type WriteAnswer = "ok" | "readonly" | "noreplicas" | "error";

/** One write: what Redis answers, once it does. */
export function write(
  world: World,
  node: RedisNode,
  id: number,
  answer: (said: WriteAnswer) => void,
): void {
  command(world, node, () => {
    if (node.handover !== null) {
      node.postponed.push(() => execute(world, node, id, answer));
      return;
    }
    execute(world, node, id, answer);
  });
}

function execute(
  world: World,
  node: RedisNode,
  id: number,
  answer: (said: WriteAnswer) => void,
): void {
  const unable = node.life !== "up" || node.script !== null || node.policy || node.auth;
  if (unable || node.misconf) return answer("error");
  if (!isPrimary(node)) return answer("readonly");
  if (node.minReplicas > 0 && goodReplicas(world, node) < node.minReplicas)
    return answer("noreplicas");
  append(node, id);
  for (const follower of node.followers) stream(world, follower);
  answer("ok");
}
