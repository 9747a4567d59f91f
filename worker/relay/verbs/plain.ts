/**
 * The verbs that are no transaction: a hand-over asked for, a hand-over called off, a script ended.
 *
 * Promises: `done` means that Redis took the order; what came of it, only a later look shows. What there was
 * nothing to end of counts as ended.
 * Must never: wait for a hand-over, or choose another target than the one it was given.
 */
import type { Answer, Command } from "../../redis/connection.ts";
import type { VerbRequest } from "./fence.ts";
import { handOver, type Target } from "./handover.ts";
import { type Done, errorIn, type Run, replicationOf, said } from "./said.ts";
import { seal } from "./steps.ts";

export type PlainRequest = Extract<
  VerbRequest,
  { verb: "switchover" | "abort-switchover" | "script-kill" }
>;
const NO_FAILOVER = /^ERR No failover in progress/i;

/** @param target null: this relay cannot ask it. */
export async function doPlainly(
  request: PlainRequest,
  run: Run,
  target: Target | null,
): Promise<Done> {
  switch (request.verb) {
    case "switchover":
      return handOver(request.body, run, target);
    case "abort-switchover":
      return callOff(run);
    case "script-kill":
      // Never in a transaction: a server that runs a script refuses MULTI.
      return ended(await run([["SCRIPT", "KILL"]]), /^NOTBUSY/);
  }
}

function ended(answer: Answer, nothingToEnd: RegExp): Done {
  if (answer.kind === "failure") return answer;
  const word = errorIn(answer.replies.at(-1));
  return said(word === null || nothingToEnd.test(word) ? "done" : "failed", word ?? "");
}

/**
 * In its first phase a hand-over has told nobody, and calling it off resumes the writes. In its last one the
 * target may be a primary already, and Redis warns of two: there the node comes back sealed, and takes
 * writes when the Group has looked and unseals it.
 */
async function callOff(run: Run): Promise<Done> {
  const looked = await replicationOf(run);
  if (looked.kind !== "info") return looked;
  const abort: Command = ["FAILOVER", "ABORT"];
  if (!/^master_failover_state:failover-in-progress/m.test(looked.text)) {
    return ended(await run([abort]), NO_FAILOVER);
  }
  const answer = await run([["MULTI"], ...seal, abort, ["EXEC"]]);
  if (answer.kind === "failure") return answer;
  const done = answer.replies.at(-1);
  if (!Array.isArray(done)) return said("failed", errorIn(done) ?? "Redis discarded the abort");
  const word = errorIn(done.at(-1));
  return word === null || NO_FAILOVER.test(word)
    ? said("done", "called off in its last phase: the node is sealed until it is looked at")
    : said("failed", word);
}
