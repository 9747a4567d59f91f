/**
 * The verbs, done to Redis: judged, written down, executed as one transaction, written down again.
 *
 * Promises: nothing is executed before epoch, primary and action are on disk; verbs for one node run one
 * at a time; the answer says truly whether Redis may have executed it.
 * Must never: send a verb to a Redis that did not answer a PING just before.
 */
import type { Command, Reply } from "../redis/connection.ts";
import type { Session } from "../redis/session.ts";
import {
  type Clock,
  type Journal,
  judge,
  judgeEpoch,
  recorded,
  type VerbRequest,
} from "./fence.ts";
import type { JournalStore } from "./journal.ts";
import { SEALED, SEALED_MAX_LAG_S, type TellEpochBody, type VerbAnswer } from "./protocol.ts";
import type { Turns } from "./turns.ts";
import { failureText } from "./upstash.ts";

export type RelayNode = {
  readonly id: string;
  readonly data: Session;
  readonly control: Session;
  readonly inTurn: Turns;
};

export type Hands = {
  readonly act: (node: RelayNode, request: VerbRequest, deadlineMs: number) => Promise<VerbAnswer>;
  readonly tellEpoch: (group: string, told: TellEpochBody) => Promise<VerbAnswer>;
  /** The epoch held for a group, null: none. */
  readonly epochOf: (group: string) => number | null;
};

export function createHands(loaded: Journal, store: JournalStore, clock: () => Clock): Hands {
  let journal = loaded;

  /** Believed at once, so that nothing is judged by what is no longer so; true once it is on disk. */
  async function keep(next: Journal): Promise<boolean> {
    journal = next;
    return store.save(next).then(
      () => true,
      () => false,
    );
  }

  async function actNow(
    node: RelayNode,
    request: VerbRequest,
    deadlineAt: number,
  ): Promise<VerbAnswer> {
    const verdict = judge(journal, request, clock());
    if (verdict.kind === "refused") return { outcome: "refused", detail: verdict.detail };
    if (verdict.kind === "repeat") return { outcome: verdict.outcome, detail: verdict.detail };

    const answer = (await keep(verdict.journal))
      ? await execute(node, request, deadlineAt)
      : answerOf("unreachable", "the state file could not be written; not executed");
    await keep(recorded(journal, request.body, answer));
    return answer;
  }

  return {
    act: async (node, request, deadlineMs) => {
      const deadlineAt = performance.now() + deadlineMs;
      const answer = await node.inTurn(deadlineMs, () => actNow(node, request, deadlineAt));
      // The same action may be the one ahead of it: unknown, though this request did not start it.
      return answer ?? answerOf("unknown", "still waiting behind another verb for this node");
    },
    tellEpoch: async (group, told) => {
      const verdict = judgeEpoch(journal, group, told, clock());
      if (verdict.kind === "refused") return answerOf("refused", verdict.detail);
      return (await keep(verdict.journal))
        ? answerOf("done", `holds epoch ${told.epoch}`)
        : answerOf("failed", "the state file could not be written");
    },
    epochOf: (group) => journal.groups.get(group)?.epoch ?? null,
  };
}

async function execute(
  node: RelayNode,
  request: VerbRequest,
  deadlineAt: number,
): Promise<VerbAnswer> {
  // A hung Redis keeps what it was sent and executes it when it wakes, long after the stamp died.
  const alive = await node.control.run([["PING"]], {
    deadlineMs: Math.max(1, deadlineAt - performance.now()),
    repeatable: true,
  });
  if (alive.kind === "failure") {
    return answerOf("unreachable", failureText({ ...alive, dispatched: false }).error);
  }
  const leftMs = deadlineAt - performance.now();
  if (leftMs < 1) return answerOf("unreachable", "no time was left; not executed");

  const commands = transactionOf(request);
  const work = node.control.run(commands, { deadlineMs: leftMs });
  // CLIENT KILL drops the relay's own data connection as well: that is no fault of the node.
  if (request.verb === "promote" || request.verb === "demote") {
    node.data.holdDuring(work, `dropped by this relay's own ${request.verb}`);
  }
  const answer = await work;
  if (answer.kind === "failure") {
    return answerOf(answer.dispatched ? "unknown" : "unreachable", failureText(answer).error);
  }
  return outcomeOf(commands, answer.replies);
}

function transactionOf(request: VerbRequest): readonly Command[] {
  return [["MULTI"], ...stepsOf(request), ["EXEC"]];
}

function stepsOf({ verb, body }: VerbRequest): readonly Command[] {
  const minReplicas = (count: number): Command => [
    "CONFIG",
    "SET",
    "min-replicas-to-write",
    String(count),
  ];
  // SKIPME is yes by default: the connection that carries this transaction stays.
  const dropClients: readonly Command[] = [
    ["CLIENT", "KILL", "TYPE", "normal"],
    ["CLIENT", "KILL", "TYPE", "pubsub"],
  ];
  // The seal is taken back before the file is written: with fencing "none" a file never keeps one.
  switch (verb) {
    case "promote":
      return [
        ["REPLICAOF", "NO", "ONE"],
        minReplicas(body.minReplicas),
        ["CONFIG", "REWRITE"],
        ...dropClients,
      ];
    case "demote":
      return [
        ["REPLICAOF", body.follow.host, String(body.follow.port)],
        minReplicas(body.minReplicas),
        ["CONFIG", "REWRITE"],
        ...dropClients,
      ];
    case "seal":
      return [
        ["CONFIG", "SET", "min-replicas-max-lag", String(SEALED_MAX_LAG_S)],
        minReplicas(SEALED),
      ];
    case "unseal":
      return [minReplicas(body.minReplicas)];
  }
}

/** What became of a transaction: `commands` with MULTI and EXEC, and one reply for each. */
export function outcomeOf(commands: readonly Command[], replies: readonly Reply[]): VerbAnswer {
  const done = replies.at(-1);
  if (!Array.isArray(done)) return discarded(replies);
  const notes: string[] = [];
  let failed = false;
  for (const [index, command] of commands.slice(1, -1).entries()) {
    const reply: Reply = done[index] ?? null;
    if (!(reply instanceof Error)) continue;
    // A server without a config file cannot rewrite it: the verb is done for as long as it runs.
    const rewrite = command[1] === "REWRITE";
    notes.push(rewrite ? `config file not rewritten: ${reply.message}` : reply.message);
    if (!rewrite && command[0] !== "CLIENT") failed = true;
  }
  return answerOf(failed ? "failed" : "done", notes.join("; "));
}

/** No EXEC: nothing was executed, unless MULTI itself was refused and the rest ran one by one. */
function discarded(replies: readonly Reply[]): VerbAnswer {
  const errors = replies.filter((reply) => reply instanceof Error);
  const apart = replies[0] instanceof Error && errors.length < replies.length;
  const detail = errors[0]?.message ?? "Redis discarded the transaction";
  return answerOf(apart ? "unknown" : "failed", detail);
}

function answerOf(outcome: VerbAnswer["outcome"], detail: string): VerbAnswer {
  return { outcome, detail: detail.slice(0, 500) };
}
