/**
 * One request of the REST face at work, and how it is answered.
 *
 * Promises: an answer in the format that was asked for, within the limit, with the headers that belong to it.
 * Must never: send anything to Redis.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Answer, Reply } from "../../redis/connection.ts";
import type { Caller } from "../tokens.ts";
import type { Headers } from "./answer.ts";
import type { Told } from "./backlog.ts";
import type { RestNode } from "./node.ts";
import type { Limits } from "./policy.ts";
import { isTooLarge, isTooLong } from "./size.ts";
import type { SyncTokens } from "./sync-token.ts";
import type { Target } from "./target.ts";
import {
  errorText,
  type Format,
  failureText,
  listText,
  resp2Error,
  resp2Of,
  resultText,
} from "./upstash.ts";

export type Job = {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly target: Target;
  readonly caller: Caller;
  readonly node: RestNode;
  readonly format: Format;
  readonly limits: Limits;
  readonly nodeTimeoutMs: number;
  /** With every answer to a control token: the relay's clock. */
  readonly clock: (() => Headers) | null;
  readonly sync: SyncTokens;
  readonly desk: Pick<Desk, "answer">;
  /** Held for it here: its body so far, then its answer as long as it was not read. */
  heldBytes: number;
  answeredAtMs: number | null;
  /** Its place among those at work. */
  slot: number;
};

export type Desk = {
  /** Why there is no room for one more, null: there is. */
  readonly begin: (job: Job) => string | null;
  /** Never calls back when the caller goes away, or was refused here. */
  readonly read: (job: Job, take: (job: Job, body: Buffer) => void) => void;
  readonly answer: (job: Job, status: number, body: string | Buffer, headers: Headers) => void;
  /** An event of a stream; who has too much to read already is ended. */
  readonly tell: (job: Job, told: Told) => void;
  /** From now on a stream is ended when what it was told lies unread without progress. */
  readonly watch: (job: Job) => void;
};

/** One command's reply. */
export function give(job: Job, reply: Reply | undefined): void {
  const { maxReplyBytes } = job.limits;
  if (isTooLarge(reply, job.format, maxReplyBytes)) return tooLarge(job);
  const body = job.format === "resp2" ? resp2Of([reply]) : resultText(reply, job.format);
  if (isTooLong(body, maxReplyBytes)) return tooLarge(job);
  job.desk.answer(job, reply instanceof Error ? 400 : 200, body, headersOf(job));
}

export function giveAll(job: Job, replies: readonly Reply[]): void {
  const { maxReplyBytes } = job.limits;
  if (isTooLarge(replies, job.format, maxReplyBytes)) return tooLarge(job);
  const body = job.format === "resp2" ? resp2Of(replies) : listText(replies, job.format);
  if (isTooLong(body, maxReplyBytes)) return tooLarge(job);
  job.desk.answer(job, 200, body, headersOf(job));
}

function tooLarge(job: Job): void {
  const { maxReplyBytes } = job.limits;
  const text = `ERR the reply has more than ${maxReplyBytes} bytes, limits.max_reply_bytes`;
  say(job, 400, `${text}; it was executed`);
}

export function lose(job: Job, failure: Extract<Answer, { kind: "failure" }>): void {
  const { status, error } = failureText(failure);
  say(job, status, error);
}

export function say(job: Job, status: number, error: string): void {
  const body = job.format === "resp2" ? resp2Error(error) : errorText(error);
  job.desk.answer(job, status, body, headersOf(job));
}

export const headersOf = ({ clock, sync, node }: Job): Headers =>
  clock === null ? sync.header(node) : clock();
