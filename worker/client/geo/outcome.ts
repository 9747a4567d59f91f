/**
 * What became of one request to one database: an answer, surely nothing, or nobody knows; and whether the
 * database is to blame.
 *
 * Promises: `refused` only when nothing of it was executed. Must never: look into a value.
 */
import { isRepeatable, type Words, waitMsOf } from "../commands.ts";
import { type Failure, failureOf, failureOfText } from "../failure.ts";
import type { UpstashRequest } from "../sdk.ts";

export type Outcome = Failure & {
  /** It was no answer of Redis: it counts against the database. */
  readonly blames: boolean;
};

/** Nothing was executed, and another database may know this token. */
const strangers = /^(Unauthorized|NOAUTH|WRONGPASS)\b/;
/** Redis's own words: the database is there, whatever it says. */
const own = new Set(["READONLY", "NOREPLICAS", "LOADING", "MASTERDOWN"]);

const answered: Outcome = { kind: "answer", blames: false };

/** A transaction that Redis would not queue is the app's own mistake, wherever it is sent. */
const judged = (failure: Failure): Outcome =>
  failure.kind === "answer" || failure.reason === "EXECABORT"
    ? answered
    : { ...failure, blames: !own.has(failure.reason) };

export function outcomeOf(error: unknown): Outcome {
  if (error instanceof Error && error.name === "UpstashError" && strangers.test(error.message))
    return { kind: "refused", reason: "AUTH", blames: true };
  return judged(failureOf(error));
}

type Place = { readonly error?: string | undefined };

/** Of an answer that came: in a pipeline each command has its own, and one that was executed makes it unknown. */
export function outcomeIn(answer: Place | readonly Place[]): Outcome {
  if (!Array.isArray(answer) && (answer as Place).error === undefined) return answered;
  const all = [answer].flat().map(({ error }: Place) => judged(failureOfText(error)));
  const worst =
    all.find(({ kind }) => kind === "unknown") ?? all.find(({ kind }) => kind !== "answer");
  if (worst === undefined || worst.kind === "answer") return answered;
  return all.every(({ kind }) => kind === "refused") ? worst : { ...worst, kind: "unknown" };
}

/** The commands of a request; empty: not known. */
export function commandsOf({ path, body }: UpstashRequest): readonly Words[] {
  if (path === undefined) return [body as Words];
  return path[0] === "pipeline" || path[0] === "multi-exec" ? (body as readonly Words[]) : [];
}

/** How long they may wait inside Redis: in a transaction nothing does. */
export const waitMsIn = (asked: UpstashRequest, commands: readonly Words[]): number =>
  asked.path?.[0] === "multi-exec" ? 0 : commands.reduce((sum, words) => sum + waitMsOf(words), 0);

export const maySendTwice = (
  commands: readonly Words[],
  idempotent: boolean | undefined,
): boolean => idempotent ?? (commands.length > 0 && isRepeatable(commands));
