/**
 * Judging what a request brings, with the server's help where the table does not know a command.
 *
 * Promises: a verdict for each command, in its place; no promise, in both senses, for what everybody sends; a
 * server that cannot be asked means "not executed".
 * Must never: leave a command unjudged.
 */
import type { Command } from "../../redis/connection.ts";
import { judge, type Learned, type Verdict } from "./commands.ts";
import type { Job } from "./job.ts";
import { type Lesson, learn, learnedOf } from "./learn.ts";
import { failureText } from "./upstash.ts";

export type Final =
  | Exclude<Verdict, { kind: "unknown" }>
  | { readonly kind: "lost"; readonly status: number; readonly error: string };

export const statusOf = (verdict: Exclude<Final, { kind: "allowed" }>): number =>
  verdict.kind === "lost" ? verdict.status : 400;

export function judgeAll(
  job: Job,
  commands: readonly Command[],
  maxBlockMs: number,
): readonly Final[] | Promise<readonly Final[]> {
  const all = (learned: Learned) =>
    commands.map((command) => judge(job.caller, command, maxBlockMs, learned));
  const verdicts = all(learnedOf(job.node));
  return verdicts.every(isFinal) ? verdicts : judgeAnew(job, verdicts, all);
}

const isFinal = (verdict: Verdict): verdict is Exclude<Verdict, { kind: "unknown" }> =>
  verdict.kind !== "unknown";

async function judgeAnew(
  { node, nodeTimeoutMs }: Job,
  verdicts: readonly Verdict[],
  all: (learned: Learned) => readonly Verdict[],
): Promise<readonly Final[]> {
  const names = verdicts.flatMap((each) => (each.kind === "unknown" ? [each.name] : []));
  const lesson = await learn(node, names, nodeTimeoutMs);
  const judged = lesson.kind === "learned" ? all(lesson.learned) : verdicts;
  return judged.map((each) => (each.kind === "unknown" ? notLearned(lesson, each.name) : each));
}

function notLearned(lesson: Lesson, name: string): Final {
  if (lesson.kind === "silent") return { kind: "refused", error: lesson.error };
  if (lesson.kind === "learned") {
    return { kind: "refused", error: `NOPERM this relay does not know '${name.slice(0, 32)}'` };
  }
  return { kind: "lost", ...failureText({ ...lesson, dispatched: false }) };
}
