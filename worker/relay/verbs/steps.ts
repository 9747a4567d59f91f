/**
 * The verbs that are one transaction, in Redis's words: the commands of each, and what became of them.
 *
 * Promises: pure; the config file is written while the node is sealed where it is to boot sealed, so the
 * file never holds what opens the node; a file that cannot be written is told, and is no failure.
 * Must never: open a node whose verb does not say so.
 */
import type { Command, Reply } from "../../redis/connection.ts";
import { BOOT_SEALED, SEALED, SEALED_MAX_LAG_S, type VerbAnswer } from "../protocol.ts";
import type { VerbRequest } from "./fence.ts";

export type TransactionRequest = Extract<
  VerbRequest,
  { verb: "promote" | "demote" | "seal" | "unseal" }
>;

/** Redis's own default: replicas that come soon after each other are synchronised together. */
const SYNC_DELAY_S = 5;

export function transactionOf(request: TransactionRequest): readonly Command[] {
  return [["MULTI"], ...stepsOf(request), ["EXEC"]];
}

const set = (setting: string, value: string | number): Command => [
  "CONFIG",
  "SET",
  setting,
  String(value),
];
export const seal: readonly Command[] = [
  set("min-replicas-max-lag", SEALED_MAX_LAG_S),
  set("min-replicas-to-write", SEALED),
];
const bootSeal: readonly Command[] = BOOT_SEALED.map(([setting, value]) => set(setting, value));
const rewrite: Command = ["CONFIG", "REWRITE"];
// SKIPME is yes by default: the connection that carries this transaction stays.
const dropClients: readonly Command[] = [
  ["CLIENT", "KILL", "TYPE", "normal"],
  ["CLIENT", "KILL", "TYPE", "pubsub"],
];

function stepsOf({ verb, body }: TransactionRequest): readonly Command[] {
  switch (verb) {
    case "promote":
      return [["REPLICAOF", "NO", "ONE"], ...opened(body), ...dropClients];
    case "demote":
      return [
        ["REPLICAOF", body.follow.host, String(body.follow.port)],
        // A replica takes no writes anyway: one that boots sealed stays so until it is the primary.
        ...(body.bootSealed ? [...bootSeal, rewrite] : opened(body)),
        ...dropClients,
      ];
    case "seal":
      return seal;
    case "unseal":
      return opened(body);
  }
}

/** The file first and the seal off afterwards, or the other way round: then a file never keeps a seal. */
function opened({
  minReplicas,
  bootSealed,
}: {
  readonly minReplicas: number;
  readonly bootSealed: boolean;
}): readonly Command[] {
  const open = set("min-replicas-to-write", minReplicas);
  return bootSealed
    ? [...bootSeal, rewrite, open, set("repl-diskless-sync-delay", SYNC_DELAY_S)]
    : [open, rewrite];
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
    const rewriting = command[1] === "REWRITE";
    notes.push(rewriting ? `config file not rewritten: ${reply.message}` : reply.message);
    if (!rewriting && command[0] !== "CLIENT") failed = true;
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

export function answerOf(outcome: VerbAnswer["outcome"], detail: string): VerbAnswer {
  return { outcome, detail: detail.slice(0, 500) };
}
