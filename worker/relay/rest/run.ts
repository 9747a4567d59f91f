/**
 * Commands, pipelines and transactions: judged, sent, answered.
 *
 * Promises: a refused command has no effect, and a refused transaction none at all; a blocking command waits
 * on a connection of its own, and no longer than its caller.
 * Must never: send a command that the caller's token does not allow.
 */
import type { Answer, Command, Reply } from "../../redis/connection.ts";
import { headers as names } from "../protocol.ts";
import { INSIDE_MULTI } from "./commands.ts";
import { give, giveAll, type Job, lose, say } from "./job.ts";
import { type Final, judgeAll, statusOf } from "./judging.ts";

export async function single(job: Job, command: Command): Promise<void> {
  const judged = judgeAll(job, [command], job.limits.maxBlockMs);
  const [verdict] = judged instanceof Promise ? await judged : judged;
  if (verdict === undefined) return;
  if (verdict.kind !== "allowed") return say(job, statusOf(verdict), verdict.error);
  const answer = await send(job, [command], verdict.waitMs);
  if (verdict.write) job.sync.wrote(job.node);
  if (answer.kind === "failure") return lose(job, answer);
  give(job, answer.replies[0]);
}

/** Each command for itself: a refused one has its error in its place, the others run. */
export async function pipeline(job: Job, commands: readonly Command[]): Promise<void> {
  const { maxBlockMs } = job.limits;
  const judged = judgeAll(job, commands, maxBlockMs);
  const verdicts = judged instanceof Promise ? await judged : judged;
  const { waitMs, wrote, whole } = summed(verdicts);
  if (waitMs > maxBlockMs) {
    const most = `at most ${maxBlockMs} here, limits.max_block_ms`;
    return say(job, 400, `ERR the commands may wait for ${waitMs} ms together: ${most}`);
  }
  const allowed = whole
    ? commands
    : commands.filter((_, index) => verdicts[index]?.kind === "allowed");
  const answer: Answer =
    allowed.length === 0 ? { kind: "replies", replies: [] } : await send(job, allowed, waitMs);
  if (wrote) job.sync.wrote(job.node);
  if (answer.kind === "failure") return lose(job, answer);
  giveAll(job, whole ? answer.replies : inPlace(verdicts, answer.replies));
}

function summed(verdicts: readonly Final[]) {
  let waitMs = 0;
  let wrote = false;
  let whole = true;
  for (const verdict of verdicts) {
    if (verdict.kind === "allowed") {
      waitMs += verdict.waitMs;
      wrote ||= verdict.write;
    } else whole = false;
  }
  return { waitMs, wrote, whole };
}

function inPlace(verdicts: readonly Final[], replies: readonly Reply[]): readonly Reply[] {
  const next = replies.values();
  return verdicts.map(
    (verdict): Reply =>
      verdict.kind === "allowed" ? (next.next().value ?? null) : new Error(verdict.error),
  );
}

/** All or nothing: a refused or malformed command discards the whole. Inside, nothing ever waits. */
export async function multiExec(job: Job, commands: readonly Command[]): Promise<void> {
  const verdicts = await judgeAll(job, commands, INSIDE_MULTI);
  for (const [index, verdict] of verdicts.entries()) {
    if (verdict.kind === "allowed") continue;
    return say(job, statusOf(verdict), `${verdict.error} (command ${index + 1})`);
  }
  const answer = await send(job, [["MULTI"], ...commands, ["EXEC"]], 0);
  if (summed(verdicts).wrote) job.sync.wrote(job.node);
  if (answer.kind === "failure") return lose(job, answer);
  const [begun] = answer.replies;
  if (begun instanceof Error) {
    // Redis turned the connection away: it says so in every place, and nothing ran.
    if (answer.replies.every((reply) => isSame(reply, begun))) return say(job, 400, begun.message);
    const text = `ERR this Redis refused MULTI, so the commands ran one by one: ${begun.message}`;
    return say(job, 400, text);
  }
  const done = answer.replies.at(-1);
  if (!Array.isArray(done)) return say(job, 400, discarded(answer.replies));
  giveAll(job, done);
}

const isSame = (reply: Reply, error: Error): boolean =>
  reply instanceof Error && reply.message === error.message;

/** EXECABORT alone hides why: the first command that Redis would not queue says it. */
function discarded(replies: readonly Reply[]): string {
  const exec = replies.at(-1);
  const text = exec instanceof Error ? exec.message : "EXECABORT Transaction discarded";
  const cause = replies.slice(0, -1).find((reply) => reply instanceof Error);
  return cause === undefined || cause === exec ? text : `${text} (${cause.message})`;
}

// -------------------------------------------------------------------- sending

const PING: Command = ["PING"];

function send(job: Job, commands: readonly Command[], waitMs: number): Promise<Answer> {
  const { caller, node, nodeTimeoutMs, limits, req } = job;
  if (caller.face === "control") {
    // The control token only looks, so what it sends may be sent again after a drop.
    const deadlineMs = deadlineOf(req.headers[names.deadline], nodeTimeoutMs);
    return node.control.run(commands, { deadlineMs, repeatable: true });
  }
  if (waitMs > 0) return sendAlone(job, commands, waitMs);
  return node.data.run(commands, { deadlineMs: nodeTimeoutMs, holdMs: limits.holdMs });
}

async function sendAlone(
  { node, res, nodeTimeoutMs, limits: { holdMs } }: Job,
  commands: readonly Command[],
  waitMs: number,
): Promise<Answer> {
  const gone = new AbortController();
  const leave = () => gone.abort();
  res.once("close", leave);
  // After any command Redis takes WAIT to mean all that was written before, by whomever: PING is the one.
  const answer = await node.pool.run([PING, ...commands], {
    deadlineMs: waitMs + nodeTimeoutMs,
    holdMs,
    signal: gone.signal,
  });
  res.off("close", leave);
  return answer.kind === "failure" ? answer : { ...answer, replies: answer.replies.slice(1) };
}

/** What the caller asks for, never more than the relay's own. */
function deadlineOf(asked: string | readonly string[] | undefined, mostMs: number): number {
  const ms = Number(asked ?? Number.NaN);
  return Number.isFinite(ms) ? Math.min(Math.max(1, ms), mostMs) : mostMs;
}
