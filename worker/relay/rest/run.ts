/**
 * Commands, pipelines and transactions: judged, sent, answered.
 *
 * Promises: a refused command has no effect, and a refused transaction none at all; a blocking command waits
 * on a connection of its own, and no longer than its caller.
 * Must never: send a command that the caller's token does not allow.
 */
import type { Answer, Command, Reply } from "../../redis/connection.ts";
import { headers as names } from "../protocol.ts";
import { give, type Job, listOf, lose, say } from "./job.ts";
import { judgeAll, judgeOne, statusOf } from "./judging.ts";
import type { RestNode } from "./node.ts";
import { resp2Of, resultText } from "./upstash.ts";

export async function single(job: Job, node: RestNode, command: Command): Promise<void> {
  const judged = judgeOne(job, node, command);
  const verdict = judged instanceof Promise ? await judged : judged;
  if (verdict.kind !== "allowed") return say(job, node, statusOf(verdict), verdict.error);
  const answer = await send(job, node, [command], verdict.waitMs);
  if (verdict.write) job.sync.wrote(node);
  if (answer.kind === "failure") return lose(job, node, answer);
  const [reply] = answer.replies;
  const status = reply instanceof Error ? 400 : 200;
  if (job.format === "resp2")
    return give(job, node, status, answer.replies, () => resp2Of([reply]));
  give(job, node, status, answer.replies, () => resultText(reply, job.format === "base64"));
}

/** Each command for itself: a refused one has its error in its place, the others run. */
export async function pipeline(
  job: Job,
  node: RestNode,
  commands: readonly Command[],
): Promise<void> {
  const verdicts = await judgeAll(job, node, commands);
  const allowed = commands.filter((_, index) => verdicts[index]?.kind === "allowed");
  let waitMs = 0;
  let wrote = false;
  for (const verdict of verdicts) {
    if (verdict.kind !== "allowed") continue;
    waitMs += verdict.waitMs;
    wrote ||= verdict.write;
  }
  const { maxBlockMs } = job.limits;
  if (waitMs > maxBlockMs) {
    const most = `at most ${maxBlockMs} here, limits.max_block_ms`;
    return say(job, node, 400, `ERR the commands may wait for ${waitMs} ms together: ${most}`);
  }
  const answer: Answer =
    allowed.length === 0
      ? { kind: "replies", replies: [] }
      : await send(job, node, allowed, waitMs);
  if (wrote) job.sync.wrote(node);
  if (answer.kind === "failure") return lose(job, node, answer);
  let next = 0;
  const replies = verdicts.map((verdict): Reply => {
    if (verdict.kind !== "allowed") return new Error(verdict.error);
    next += 1;
    return answer.replies[next - 1] ?? null;
  });
  give(job, node, 200, replies, () => listOf(job, replies));
}

/** All or nothing: a refused or malformed command discards the whole. Inside, nothing ever waits. */
export async function multiExec(
  job: Job,
  node: RestNode,
  commands: readonly Command[],
): Promise<void> {
  const verdicts = await judgeAll(job, node, commands, Number.MAX_SAFE_INTEGER);
  let wrote = false;
  for (const [index, verdict] of verdicts.entries()) {
    if (verdict.kind === "allowed") wrote ||= verdict.write;
    else return say(job, node, statusOf(verdict), `${verdict.error} (command ${index + 1})`);
  }
  const answer = await send(job, node, [["MULTI"], ...commands, ["EXEC"]], 0);
  if (wrote) job.sync.wrote(node);
  if (answer.kind === "failure") return lose(job, node, answer);
  const [begun] = answer.replies;
  if (begun instanceof Error) {
    const text = `ERR this Redis refused MULTI, so the commands ran one by one: ${begun.message}`;
    return say(job, node, 400, text);
  }
  const done = answer.replies.at(-1);
  if (!Array.isArray(done)) return say(job, node, 400, discarded(answer.replies));
  give(job, node, 200, done, () => listOf(job, done));
}

/** EXECABORT alone hides why: the first command that Redis would not queue says it. */
function discarded(replies: readonly Reply[]): string {
  const exec = replies.at(-1);
  const text = exec instanceof Error ? exec.message : "EXECABORT Transaction discarded";
  const cause = replies.slice(0, -1).find((reply) => reply instanceof Error);
  return cause === undefined || cause === exec ? text : `${text} (${cause.message})`;
}

// -------------------------------------------------------------------- sending

const PING: Command = ["PING"];

async function send(
  job: Job,
  node: RestNode,
  commands: readonly Command[],
  waitMs: number,
): Promise<Answer> {
  const { caller, nodeTimeoutMs, limits, work, req } = job;
  work.commands = commands.length;
  if (caller.face === "control") {
    // The control token only looks, so what it sends may be sent again after a drop.
    const deadlineMs = deadlineOf(req.headers[names.deadline], nodeTimeoutMs);
    return node.control.run(commands, { deadlineMs, repeatable: true });
  }
  if (waitMs === 0) {
    return node.data.run(commands, { deadlineMs: nodeTimeoutMs, holdMs: limits.holdMs });
  }
  const gone = new AbortController();
  const leave = () => gone.abort();
  job.res.once("close", leave);
  // After any command Redis takes WAIT to mean all that was written before, by whomever: PING is the one.
  const answer = await node.pool.run([PING, ...commands], {
    ...{ deadlineMs: waitMs + nodeTimeoutMs, signal: gone.signal },
  });
  job.res.off("close", leave);
  return answer.kind === "failure" ? answer : { ...answer, replies: answer.replies.slice(1) };
}

/** What the caller asks for, never more than the relay's own. */
function deadlineOf(asked: string | readonly string[] | undefined, mostMs: number): number {
  const ms = Number(asked ?? Number.NaN);
  return Number.isFinite(ms) ? Math.min(Math.max(1, ms), mostMs) : mostMs;
}
