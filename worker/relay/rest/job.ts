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
import type { Desk, Work } from "./desk.ts";
import type { RestNode } from "./node.ts";
import type { Limits } from "./policy.ts";
import type { SyncTokens } from "./sync-token.ts";
import type { Target } from "./target.ts";
import {
  errorText,
  type Format,
  failureText,
  resp2Error,
  resp2Of,
  resultText,
  sizeOf,
} from "./upstash.ts";

/** One request's surroundings. */
export type Ask = {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly target: Target;
  readonly caller: Caller;
  readonly node: RestNode | undefined;
  readonly limits: Limits;
  readonly nodeTimeoutMs: number;
  /** With every answer: the relay's clock, for a control token. */
  readonly headers: () => Headers;
};

/** A request at work. */
export type Job = Ask & {
  readonly desk: Desk;
  readonly work: Work;
  readonly format: Format;
  readonly sync: SyncTokens;
};

export function listOf({ format }: Job, replies: readonly Reply[]): string | Buffer {
  if (format === "resp2") return resp2Of(replies);
  return `[${replies.map((reply) => resultText(reply, format === "base64")).join(",")}]`;
}

export function give(
  job: Job,
  node: RestNode,
  status: number,
  replies: readonly Reply[],
  body: () => string | Buffer,
): void {
  const { maxReplyBytes } = job.limits;
  const tooLarge = () => {
    const text = `ERR the reply has more than ${maxReplyBytes} bytes, limits.max_reply_bytes`;
    say(job, node, 400, `${text}; it was executed`);
  };
  if (sizeOf(replies, maxReplyBytes) > maxReplyBytes) return tooLarge();
  const made = body();
  if (made.length > maxReplyBytes) return tooLarge();
  job.desk.answer(job.work, status, made, headersOf(job, node));
}

export function lose(
  job: Job,
  node: RestNode,
  failure: Extract<Answer, { kind: "failure" }>,
): void {
  const { status, error } = failureText(failure);
  say(job, node, status, error);
}

export function say(job: Job, node: RestNode, status: number, error: string): void {
  const body = job.format === "resp2" ? resp2Error(error) : errorText(error);
  job.desk.answer(job.work, status, body, headersOf(job, node));
}

const headersOf = (job: Job, node: RestNode): Headers =>
  job.caller.face === "control" ? job.headers() : job.sync.header(node, job.caller);
