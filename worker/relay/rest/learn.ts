/**
 * Commands that the table does not have: modules, later versions, renamed ones. The server itself is asked
 * what they do and where their keys are.
 *
 * Promises: a bounded memory for each node; what a server does not know is asked again each time.
 * Must never: run the command to find out.
 */
import type { Failure } from "../../redis/connection.ts";
import type { Learned } from "./commands.ts";
import { type Known, knownFrom } from "./keys.ts";
import type { RestNode } from "./node.ts";

const MAX_KEPT = 500;
/** Of one command's name; Redis has none half as long. */
const MAX_NAME = 64;

const kept = new WeakMap<RestNode["data"], Map<string, Known>>();

export const learnedOf = (node: RestNode): Learned => kept.get(node.data) ?? NOTHING;
const NOTHING: Learned = new Map();

export type Lesson =
  | { readonly kind: "learned"; readonly learned: Learned }
  | { readonly kind: "silent"; readonly error: string }
  | Failure;

export async function learn(
  node: RestNode,
  names: readonly string[],
  deadlineMs: number,
): Promise<Lesson> {
  const asked = [...new Set(names)];
  const askable = asked.filter((name) => name.length <= MAX_NAME);
  const learned = new Map<string, Known | null>(asked.map((name) => [name, null]));
  if (askable.length > 0) {
    const answer = await node.data.run([["COMMAND", "INFO", ...askable]], { deadlineMs });
    if (answer.kind === "failure") return answer;
    const [entries] = answer.replies;
    if (!Array.isArray(entries)) {
      const why = entries instanceof Error ? entries.message.slice(0, 100) : "no list";
      const error = `NOPERM this relay cannot learn what '${askable[0]}' does: COMMAND INFO: ${why}`;
      return { kind: "silent", error };
    }
    const memory = memoryOf(node);
    for (const [index, name] of askable.entries()) {
      for (const known of knownFrom(entries[index] ?? null)) {
        // A renamed command is known here by the name that callers use.
        const [, subcommand] = known.name.split("|");
        const called = subcommand === undefined ? name : `${name}|${subcommand}`;
        learned.set(called, known);
        if (memory.size < MAX_KEPT) memory.set(called, known);
      }
    }
  }
  return { kind: "learned", learned: new Map([...learnedOf(node), ...learned]) };
}

function memoryOf(node: RestNode): Map<string, Known> {
  const memory = kept.get(node.data) ?? new Map<string, Known>();
  kept.set(node.data, memory);
  return memory;
}
