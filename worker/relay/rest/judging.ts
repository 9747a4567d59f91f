/**
 * Judging what a request brings, with the server's help where the table does not know a command.
 *
 * Promises: a verdict for each command, in its place; a server that cannot be asked means "not executed".
 * Must never: leave a command unjudged.
 */
import type { Command } from "../../redis/connection.ts";
import { judge, type Learned, type Verdict } from "./commands.ts";
import type { Job } from "./job.ts";
import { type Lesson, learn, learnedOf } from "./learn.ts";
import type { RestNode } from "./node.ts";
import { failureText } from "./upstash.ts";

export type Final =
  | Exclude<Verdict, { kind: "unknown" }>
  | { kind: "lost"; status: number; error: string };

export const statusOf = (verdict: Exclude<Final, { kind: "allowed" }>): number =>
  verdict.kind === "lost" ? verdict.status : 400;

export async function judgeAll(
  job: Job,
  node: RestNode,
  commands: readonly Command[],
  maxBlockMs = job.limits.maxBlockMs,
): Promise<readonly Final[]> {
  const limits = { ...job.limits, maxBlockMs };
  const all = (learned: Learned) =>
    commands.map((command) => judge(job.caller, command, limits, learned));
  const verdicts = all(learnedOf(node));
  const unknown = verdicts.flatMap((each) => (each.kind === "unknown" ? [each.name] : []));
  if (unknown.length === 0) return verdicts as Final[];
  const lesson = await learn(node, unknown, job.nodeTimeoutMs);
  const known = lesson.kind === "learned" ? all(lesson.learned) : verdicts;
  return known.map((each) => (each.kind === "unknown" ? notLearned(lesson, each) : each));
}

/** No promise for what everybody sends. */
export function judgeOne(job: Job, node: RestNode, command: Command): Final | Promise<Final> {
  const verdict = judge(job.caller, command, job.limits, learnedOf(node));
  return verdict.kind === "unknown" ? judgeAnew(job, node, command, verdict) : verdict;
}

async function judgeAnew(
  job: Job,
  node: RestNode,
  command: Command,
  unknown: Extract<Verdict, { kind: "unknown" }>,
): Promise<Final> {
  const lesson = await learn(node, [unknown.name], job.nodeTimeoutMs);
  const verdict =
    lesson.kind === "learned" ? judge(job.caller, command, job.limits, lesson.learned) : unknown;
  return verdict.kind === "unknown" ? notLearned(lesson, verdict) : verdict;
}

function notLearned(lesson: Lesson, { name }: Extract<Verdict, { kind: "unknown" }>): Final {
  if (lesson.kind === "silent") return { kind: "refused", error: lesson.error };
  if (lesson.kind === "learned") {
    return { kind: "refused", error: `NOPERM this relay does not know '${name.slice(0, 32)}'` };
  }
  return { kind: "lost", ...failureText({ ...lesson, dispatched: false }) };
}
