/**
 * What Redis said to a verb that is no transaction, and what that comes to.
 *
 * Promises: pure but for `run`. Must never: decide what follows.
 */
import type { Answer, Command, Reply } from "../../redis/connection.ts";
import type { VerbAnswer } from "../protocol.ts";
import { answerOf } from "./steps.ts";

/** Redis as the hands lend it: under the verb's own deadline. */
export type Run = (commands: readonly Command[]) => Promise<Answer>;

export type Done =
  | { readonly kind: "said"; readonly answer: VerbAnswer }
  | Exclude<Answer, { kind: "replies" }>;

export const said = (outcome: VerbAnswer["outcome"], detail: string): Done => ({
  kind: "said",
  answer: answerOf(outcome, detail),
});

export const errorIn = (reply: Reply | undefined): string | null =>
  reply instanceof Error ? reply.message : null;

export async function replicationOf(
  run: Run,
): Promise<{ readonly kind: "info"; readonly text: string } | Done> {
  const looked = await run([["INFO", "replication"]]);
  if (looked.kind === "failure") return { ...looked, dispatched: false };
  const word = errorIn(looked.replies[0]);
  return word === null ? { kind: "info", text: String(looked.replies[0]) } : said("failed", word);
}
