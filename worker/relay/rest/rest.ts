/**
 * The Upstash REST face of one relay: commands, pipelines, transactions, subscriptions. docs/rest.md has
 * every behaviour with its test.
 *
 * Promises: after a command was sent the caller gets an answer, never a dropped connection; a refused command
 * has no effect, and a refused transaction none at all; a blocking command waits on a connection of its own.
 * Must never: send a command that the caller's token does not allow.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Answer, Command, Reply } from "../../redis/connection.ts";
import { headers as names, nodeErrors } from "../protocol.ts";
import type { Caller } from "../tokens.ts";
import { type Headers, refuse } from "./answer.ts";
import { parseCommand, parseCommands } from "./body.ts";
import { judge, judgeChannels, type Learned, type Verdict } from "./commands.ts";
import { createDesk, type Desk, type Work } from "./desk.ts";
import { learn, learnedOf } from "./learn.ts";
import type { RestNode } from "./node.ts";
import type { Limits } from "./policy.ts";
import { stream } from "./stream.ts";
import { createSyncTokens, type SyncTokens } from "./sync-token.ts";
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

export type Seen = {
  readonly face: Caller["face"];
  readonly status: number;
  readonly ms: number;
  readonly commands: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
};

export type RestDeps = {
  /** Once for every answer. */
  readonly observe?: ((seen: Seen) => void) | undefined;
  /** Aborted when the relay ends: open streams end with it. */
  readonly ending?: AbortSignal | undefined;
};

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

type Job = Ask & {
  readonly desk: Desk;
  readonly work: Work;
  readonly format: Format;
  readonly sync: SyncTokens;
};

export type Rest = (ask: Ask) => void;

export function createRest({ observe, ending }: RestDeps): Rest {
  const sync = createSyncTokens();
  const faces = new WeakMap<Work, Caller["face"]>();
  const desk = createDesk(
    observe === undefined
      ? undefined
      : (work, status) =>
          observe({
            face: faces.get(work) ?? "data",
            status,
            ms: performance.now() - work.startedAtMs,
            commands: work.commands,
            bytesIn: work.bytesIn,
            bytesOut: work.bytesOut,
          }),
  );

  return (ask) => {
    const { req, res, caller, limits, target } = ask;
    const fault = faultOf(ask);
    if (fault !== null) return refuse(req, res, fault.status, fault.error, ask.headers());
    const work = desk.begin(req, res, limits);
    if (work === null) {
      const busy = `RELAY_BUSY ${limits.maxRequests} requests are at work, limits.max_requests`;
      return refuse(req, res, 503, `${busy}; it was not executed`, ask.headers());
    }
    if (observe !== undefined) faces.set(work, caller.face);
    const job: Job = { ...ask, desk, work, sync, format: formatOf(req, target) as Format };
    serve(job, ending).catch(() => {
      // Nothing rejects by design; if something does, the caller learns that nobody knows what happened.
      desk.answer(work, 500, errorText("RELAY_ERROR a fault of the relay; outcome unknown"));
    });
  };
}

// ---------------------------------------------------------------- at the door

type Fault = { readonly status: number; readonly error: string };

const METHODS: Readonly<Record<Target["kind"], readonly string[]>> = {
  body: ["POST", "PUT"],
  pipeline: ["POST", "PUT"],
  "multi-exec": ["POST", "PUT"],
  subscribe: ["GET", "POST"],
  psubscribe: ["GET", "POST"],
  path: ["GET", "HEAD", "POST", "PUT"],
};

function faultOf({ req, node, target, caller }: Ask): Fault | null {
  if (node === undefined) {
    return { status: 404, error: `${nodeErrors.unknown} this relay has no such node` };
  }
  const methods = METHODS[target.kind];
  if (!methods.includes(req.method ?? "")) {
    return { status: 405, error: `ERR only ${methods.join(", ")} are answered here` };
  }
  const format = formatOf(req, target);
  if (typeof format === "object") return { status: 400, error: format.wrong };
  if (target.kind !== "subscribe" && target.kind !== "psubscribe") return null;
  if (caller.face === "control") {
    return { status: 400, error: "NOPERM the control token looks only, and subscribes to nothing" };
  }
  const name = target.kind === "subscribe" ? "SUBSCRIBE" : "PSUBSCRIBE";
  const refusal = judgeChannels(caller.token, name, target.words);
  return refusal === null ? null : { status: 400, error: refusal };
}

function formatOf({ headers }: IncomingMessage, { kind }: Target): Format | { wrong: string } {
  const encoding = headers["upstash-encoding"];
  const base64 = encoding !== undefined && String(encoding).toLowerCase() === "base64";
  const asked = headers["upstash-response-format"];
  if (asked === undefined) return base64 ? "base64" : "json";
  switch (String(asked).toLowerCase()) {
    case "json":
      return base64 ? "base64" : "json";
    case "resp2":
      if (kind === "multi-exec") return base64 ? "base64" : "json";
      return base64
        ? { wrong: "ERR Upstash-Encoding: base64 is not for Upstash-Response-Format: resp2" }
        : "resp2";
    default:
      return { wrong: "ERR Upstash-Response-Format is json or resp2" };
  }
}

// -------------------------------------------------------------------- at work

async function serve(job: Job, ending: AbortSignal | undefined): Promise<void> {
  const { target, limits, desk, work, node, req } = job;
  if (node === undefined) return;
  switch (target.kind) {
    case "subscribe":
    case "psubscribe": {
      const topics = {
        kind: target.kind === "subscribe" ? ("channels" as const) : ("patterns" as const),
        names: target.words.map(String),
      };
      req.resume();
      const headers = { ...job.headers(), ...job.sync.header(node, job.caller) };
      return stream(desk, work, node, topics, {
        ...{ deadlineMs: job.nodeTimeoutMs, ending, headers },
      });
    }
    case "path": {
      const given = req.method === "POST" || req.method === "PUT";
      const body = given ? await desk.bodyOf(work) : null;
      const last = body === null || body.length === 0 ? [] : [body];
      return single(job, node, [...target.words, ...last, ...target.after]);
    }
    case "body": {
      const parsed = parseCommand(await desk.bodyOf(work));
      if (parsed.kind === "wrong") return say(job, node, 400, parsed.error);
      return single(job, node, parsed.value);
    }
    case "pipeline":
    case "multi-exec": {
      const parsed = parseCommands(await desk.bodyOf(work), limits.maxPipeline);
      if (parsed.kind === "wrong") return say(job, node, 400, parsed.error);
      return target.kind === "pipeline"
        ? pipeline(job, node, parsed.value)
        : multiExec(job, node, parsed.value);
    }
  }
}

async function single(job: Job, node: RestNode, command: Command): Promise<void> {
  const first = judge(job.caller, command, job.limits, learnedOf(node));
  const verdict = first.kind === "unknown" ? await judgeAnew(job, node, command, first) : first;
  if (verdict.kind !== "allowed") return say(job, node, statusOf(verdict), verdict.error);
  const answer = await send(job, node, [command], verdict.waitMs);
  if (verdict.write) job.sync.wrote(node);
  if (answer.kind === "failure") return lose(job, node, answer);
  const [reply] = answer.replies;
  const status = reply instanceof Error ? 400 : 200;
  if (job.format === "resp2")
    return give(job, node, status, answer.replies, () => resp2Of([reply]));
  give(job, node, status, answer.replies, () => resultText(reply, job.format === "base64"));
}

/** Each command for itself: a refused one has its error in its place, the others run. */
async function pipeline(job: Job, node: RestNode, commands: readonly Command[]): Promise<void> {
  const verdicts = await judgeAll(job, node, commands);
  const allowed = commands.filter((_, index) => verdicts[index]?.kind === "allowed");
  let waitMs = 0;
  let wrote = false;
  for (const verdict of verdicts) {
    if (verdict.kind !== "allowed") continue;
    waitMs += verdict.waitMs;
    wrote ||= verdict.write;
  }
  const { maxBlockMs } = job.limits;
  if (waitMs > maxBlockMs) {
    const most = `at most ${maxBlockMs} here, limits.max_block_ms`;
    return say(job, node, 400, `ERR the commands may wait for ${waitMs} ms together: ${most}`);
  }
  const answer: Answer =
    allowed.length === 0
      ? { kind: "replies", replies: [] }
      : await send(job, node, allowed, waitMs);
  if (wrote) job.sync.wrote(node);
  if (answer.kind === "failure") return lose(job, node, answer);
  let next = 0;
  const replies = verdicts.map((verdict): Reply => {
    if (verdict.kind !== "allowed") return new Error(verdict.error);
    next += 1;
    return answer.replies[next - 1] ?? null;
  });
  give(job, node, 200, replies, () => listOf(job, replies));
}

/** All or nothing: a refused or malformed command discards the whole. Inside, nothing ever waits. */
async function multiExec(job: Job, node: RestNode, commands: readonly Command[]): Promise<void> {
  const verdicts = await judgeAll(job, node, commands, Number.MAX_SAFE_INTEGER);
  let wrote = false;
  for (const [index, verdict] of verdicts.entries()) {
    if (verdict.kind === "allowed") wrote ||= verdict.write;
    else return say(job, node, statusOf(verdict), `${verdict.error} (command ${index + 1})`);
  }
  const answer = await send(job, node, [["MULTI"], ...commands, ["EXEC"]], 0);
  if (wrote) job.sync.wrote(node);
  if (answer.kind === "failure") return lose(job, node, answer);
  const done = answer.replies.at(-1);
  if (!Array.isArray(done)) return say(job, node, 400, discarded(answer.replies));
  give(job, node, 200, done, () => listOf(job, done));
}

/** EXECABORT alone hides why: the first command that Redis would not queue says it. */
function discarded(replies: readonly Reply[]): string {
  const exec = replies.at(-1);
  const text = exec instanceof Error ? exec.message : "EXECABORT Transaction discarded";
  const cause = replies.slice(0, -1).find((reply) => reply instanceof Error);
  return cause === undefined || cause === exec ? text : `${text} (${cause.message})`;
}

// -------------------------------------------------------------------- judging

type Final =
  | Exclude<Verdict, { kind: "unknown" }>
  | { kind: "lost"; status: number; error: string };

const statusOf = (verdict: Exclude<Final, { kind: "allowed" }>): number =>
  verdict.kind === "lost" ? verdict.status : 400;

async function judgeAll(
  job: Job,
  node: RestNode,
  commands: readonly Command[],
  maxBlockMs = job.limits.maxBlockMs,
): Promise<readonly Final[]> {
  const limits = { ...job.limits, maxBlockMs };
  const all = (learned: Learned) =>
    commands.map((command) => judge(job.caller, command, limits, learned));
  const verdicts = all(learnedOf(node));
  const unknown = verdicts.flatMap((each) => (each.kind === "unknown" ? [each.name] : []));
  if (unknown.length === 0) return verdicts as Final[];
  const lesson = await learn(node, unknown, job.nodeTimeoutMs);
  const known = lesson.kind === "learned" ? all(lesson.learned) : verdicts;
  return known.map((each) => (each.kind === "unknown" ? notLearned(lesson, each) : each));
}

async function judgeAnew(
  job: Job,
  node: RestNode,
  command: Command,
  unknown: Extract<Verdict, { kind: "unknown" }>,
): Promise<Final> {
  const lesson = await learn(node, [unknown.name], job.nodeTimeoutMs);
  const verdict =
    lesson.kind === "learned" ? judge(job.caller, command, job.limits, lesson.learned) : unknown;
  return verdict.kind === "unknown" ? notLearned(lesson, verdict) : verdict;
}

function notLearned(
  lesson: Awaited<ReturnType<typeof learn>>,
  { name }: Extract<Verdict, { kind: "unknown" }>,
): Final {
  if (lesson.kind === "silent") return { kind: "refused", error: lesson.error };
  if (lesson.kind === "learned") {
    return { kind: "refused", error: `NOPERM this relay does not know '${name.slice(0, 32)}'` };
  }
  return { kind: "lost", ...failureText({ ...lesson, dispatched: false }) };
}

// -------------------------------------------------------------------- sending

const PING: Command = ["PING"];

async function send(
  job: Job,
  node: RestNode,
  commands: readonly Command[],
  waitMs: number,
): Promise<Answer> {
  const { caller, nodeTimeoutMs, limits, work, req } = job;
  work.commands = commands.length;
  if (caller.face === "control") {
    // The control token only looks, so what it sends may be sent again after a drop.
    const deadlineMs = deadlineOf(req.headers[names.deadline], nodeTimeoutMs);
    return node.control.run(commands, { deadlineMs, repeatable: true });
  }
  if (waitMs === 0) {
    return node.data.run(commands, { deadlineMs: nodeTimeoutMs, holdMs: limits.holdMs });
  }
  const gone = new AbortController();
  const leave = () => gone.abort();
  job.res.once("close", leave);
  // After any command Redis takes WAIT to mean all that was written before, by whomever: PING is the one.
  const answer = await node.pool.run([PING, ...commands], {
    ...{ deadlineMs: waitMs + nodeTimeoutMs, signal: gone.signal },
  });
  job.res.off("close", leave);
  return answer.kind === "failure" ? answer : { ...answer, replies: answer.replies.slice(1) };
}

/** What the caller asks for, never more than the relay's own. */
function deadlineOf(asked: string | readonly string[] | undefined, mostMs: number): number {
  const ms = Number(asked ?? Number.NaN);
  return Number.isFinite(ms) ? Math.min(Math.max(1, ms), mostMs) : mostMs;
}

// ------------------------------------------------------------------ answering

function listOf({ format }: Job, replies: readonly Reply[]): string | Buffer {
  if (format === "resp2") return resp2Of(replies);
  return `[${replies.map((reply) => resultText(reply, format === "base64")).join(",")}]`;
}

function give(
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

function lose(job: Job, node: RestNode, failure: Extract<Answer, { kind: "failure" }>): void {
  const { status, error } = failureText(failure);
  say(job, node, status, error);
}

function say(job: Job, node: RestNode, status: number, error: string): void {
  const body = job.format === "resp2" ? resp2Error(error) : errorText(error);
  job.desk.answer(job.work, status, body, headersOf(job, node));
}

const headersOf = (job: Job, node: RestNode): Headers =>
  job.caller.face === "control" ? job.headers() : job.sync.header(node, job.caller);
