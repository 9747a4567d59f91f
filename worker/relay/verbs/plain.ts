/**
 * The verbs that are no transaction: a hand-over asked for, a hand-over called off, a script ended.
 *
 * Promises: `done` means that Redis took the order; what came of it, only a later look shows. What there was
 * nothing to end of counts as ended.
 * Must never: wait for a hand-over, or choose another target than the one it was given.
 */
import type { Answer, Command, Reply } from "../../redis/connection.ts";
import { type ConnectedReplica, replicasOf } from "../../redis/info.ts";
import { UNSUPPORTED, type VerbAnswer } from "../protocol.ts";
import type { VerbRequest } from "./fence.ts";
import { answerOf, seal } from "./steps.ts";

export type PlainRequest = Extract<
  VerbRequest,
  { verb: "switchover" | "abort-switchover" | "script-kill" }
>;
type Switchover = Extract<PlainRequest, { verb: "switchover" }>["body"];

/** Redis as the hands lend it: under the verb's own deadline. */
export type Run = (commands: readonly Command[]) => Promise<Answer>;

const NO_FAILOVER = /^ERR No failover in progress/i;

export type Done =
  | { readonly kind: "said"; readonly answer: VerbAnswer }
  | Exclude<Answer, { kind: "replies" }>;

export async function doPlainly(request: PlainRequest, run: Run): Promise<Done> {
  switch (request.verb) {
    case "switchover":
      return handOver(request.body, run);
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

/** The address goes to Redis as its own INFO shows it: FAILOVER compares letter by letter. */
async function handOver({ to, timeoutMs }: Switchover, run: Run): Promise<Done> {
  const looked = await replicationOf(run);
  if (looked.kind !== "info") return looked;
  const target = replicaAt(to, replicasOf(looked.text));
  if (typeof target === "string") return said("failed", target);

  const { host, port } = target;
  const answer = await run([["FAILOVER", "TO", host, String(port), "TIMEOUT", String(timeoutMs)]]);
  if (answer.kind === "failure") return answer;
  const word = errorIn(answer.replies[0]);
  if (word === null) return said("done", `FAILOVER to ${host}:${port} began`);
  return said("failed", /^ERR unknown command/i.test(word) ? `${UNSUPPORTED} ${word}` : word);
}

async function replicationOf(
  run: Run,
): Promise<{ readonly kind: "info"; readonly text: string } | Done> {
  const looked = await run([["INFO", "replication"]]);
  if (looked.kind === "failure") return { ...looked, dispatched: false };
  const word = errorIn(looked.replies[0]);
  return word === null ? { kind: "info", text: String(looked.replies[0]) } : said("failed", word);
}

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

const said = (outcome: VerbAnswer["outcome"], detail: string): Done => ({
  kind: "said",
  answer: answerOf(outcome, detail),
});

const errorIn = (reply: Reply | undefined): string | null =>
  reply instanceof Error ? reply.message : null;
