/**
 * The order to hand over: FAILOVER, with writes held back for as short as that can be.
 *
 * Rules: a replica says by itself only once a second how far it is, and while it hands over a primary asks nobody:
 * writes would wait for half a second, for a number that its replica knows already. So where this relay can ask
 * the target itself, writes are paused and the node is sealed, and when both say the same number the hand-over
 * is forced: nothing is missing, and nothing more can be written. The pause keeps clients from an error; the seal, which
 * does not end by itself, is what makes it safe, whoever stands still in between.
 * Must never: force anything where the two numbers differ, or may.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Command } from "../../redis/connection.ts";
import { type ConnectedReplica, replicasOf } from "../../redis/info.ts";
import { UNSUPPORTED, type VerbBody } from "../protocol.ts";
import { type Done, errorIn, type Run, replicationOf, said } from "./said.ts";
import { seal } from "./steps.ts";

type Switchover = VerbBody<"switchover">;

/** Redis that is to take over. */
export type Target = {
  readonly run: Run;
  /** One that has not caught up by then is waited for by Redis itself, and nothing is sealed. */
  readonly withinMs: number;
};

const LOOK_MS = 5;
const SETTING = "min-replicas-to-write";
const UNPAUSE: Command = ["CLIENT", "UNPAUSE"];

/** The address goes to Redis as its own INFO shows it: FAILOVER compares letter by letter. */
export async function handOver(
  { to, timeoutMs }: Switchover,
  run: Run,
  target: Target | null,
): Promise<Done> {
  const looked = await replicationOf(run);
  if (looked.kind !== "info") return looked;
  const replica = replicaAt(to, replicasOf(looked.text));
  if (typeof replica === "string") return said("failed", replica);

  const { host, port } = replica;
  const order = ["FAILOVER", "TO", host, String(port)];
  const held = target === null ? null : await holdWrites(run, target);
  const forced = held?.equal === true;
  const ways = forced ? ["FORCE", "TIMEOUT", "1"] : ["TIMEOUT", String(timeoutMs)];
  if (held !== null && !held.equal) await held.undo();
  // The seal stays, so whoever waits may hear of it; a hand-over has a pause of its own.
  const resume = forced ? [UNPAUSE] : [];
  const answer = await run([[...order, ...ways], ...resume]);
  if (answer.kind === "failure") return answer;
  const word = errorIn(answer.replies[0]);
  if (word === null) return said("done", `FAILOVER to ${host}:${port} began`);
  if (forced) await held.undo();
  return said("failed", /^ERR unknown command/i.test(word) ? `${UNSUPPORTED} ${word}` : word);
}

/**
 * Nobody can write, and it is known whether the target has everything. Null: writes could not be held, and nothing was
 * changed.
 */
async function holdWrites(run: Run, target: Target) {
  const asked = await run([
    ["CONFIG", "GET", SETTING],
    // Ends by itself should this relay die here; nobody is to meet the seal before that.
    ["CLIENT", "PAUSE", String(Math.ceil(4 * target.withinMs)), "WRITE"],
  ]);
  if (asked.kind === "failure") return null;
  const [setting, paused] = asked.replies;
  const before = Array.isArray(setting) ? setting[1] : undefined;
  if (before === undefined || errorIn(paused) !== null) return null;
  const undo = () => run([["CONFIG", "SET", SETTING, String(before)], UNPAUSE]);
  const sealed = await run(seal);
  const isSealed = sealed.kind === "replies" && sealed.replies.every((word) => !errorIn(word));
  return { equal: isSealed && (await catchesUp(run, target)), undo };
}

async function catchesUp(run: Run, target: Target): Promise<boolean> {
  const untilMs = performance.now() + target.withinMs;
  while (performance.now() < untilMs) {
    const [mine, its] = await Promise.all([replicationOf(run), replicationOf(target.run)]);
    if (mine.kind !== "info" || its.kind !== "info") return false;
    const [head, tail] = [historyIn(mine.text), historyIn(its.text)];
    if (head.id === "" || head.id !== tail.id) return false;
    if (/^role:slave/m.test(its.text) && head.offset === tail.offset) return true;
    await pause(LOOK_MS);
  }
  return false;
}

/** Of a replica: what it has received and executed. */
const historyIn = (text: string) => ({
  id: /^master_replid:(\w+)/m.exec(text)?.[1] ?? "",
  offset: (/^slave_repl_offset:(\d+)/m.exec(text) ?? /^master_repl_offset:(\d+)/m.exec(text))?.[1],
});

/** Names and NAT make the hosts differ: then the port has to be one replica's alone. */
function replicaAt(
  to: Switchover["to"],
  replicas: readonly ConnectedReplica[],
): ConnectedReplica | string {
  const wanted = `${to.host}:${to.port}`;
  const [first] = replicas;
  if (first === undefined) return `no replica is connected, ${wanted} should be`;
  const exact = replicas.find((each) => each.host === to.host && each.port === to.port);
  if (exact !== undefined) return exact;
  const [only, another] = replicas.filter((each) => each.port === to.port);
  if (another !== undefined) {
    return `several connected replicas have port ${to.port}, and none is named ${to.host}`;
  }
  const connected = replicas.map(({ host, port }) => `${host}:${port}`).join(", ");
  return only ?? `no connected replica is ${wanted}; connected: ${connected}`;
}
