/**
 * The Upstash REST face of one relay: commands, pipelines, transactions, subscriptions. docs/rest.md has
 * every behaviour with its test.
 *
 * Promises: after a command was sent the caller gets an answer, never a dropped connection.
 * Must never: begin what the address, the method or the token forbids.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { nodeErrors } from "../protocol.ts";
import type { Caller, Refused } from "../tokens.ts";
import { type Headers, refuse } from "./answer.ts";
import { parseCommand, parseCommands } from "./body.ts";
import { judgeChannels } from "./commands.ts";
import { createDesk } from "./desk.ts";
import { type Desk, headersOf, type Job, say } from "./job.ts";
import type { RestNode } from "./node.ts";
import type { Limits } from "./policy.ts";
import { multiExec, pipeline, single } from "./run.ts";
import { type Now, stream } from "./stream.ts";
import { createSyncTokens } from "./sync-token.ts";
import type { Target } from "./target.ts";
import { errorText, type Format } from "./upstash.ts";

/** What the door knows of a request. */
export type Ask = {
  readonly target: Target;
  readonly caller: Caller;
  /** Who that is by now: a token may be taken away, or expire. */
  readonly callerNow: () => Caller | Refused;
  readonly node: RestNode | undefined;
  /** And what the node is by now: a reload may put another in its place. */
  readonly nodeNow: () => RestNode | undefined;
  readonly limits: Limits;
  readonly nodeTimeoutMs: number;
  readonly clock: (() => Headers) | null;
};

export type Rest = (req: IncomingMessage, res: ServerResponse, ask: Ask) => void;

/** `ending` aborts when the relay ends: open streams end with it. */
export function createRest(ending: AbortSignal | undefined): Rest {
  const sync = createSyncTokens();
  const desk = createDesk();

  return (req, res, { target, caller, callerNow, node, nodeNow, limits, nodeTimeoutMs, clock }) => {
    const format = formatOf(req, target);
    const fault = faultOf(req, target, caller);
    if (fault !== null) return refuse(req, res, fault.status, fault.error, clock?.());
    if (typeof format === "object") return refuse(req, res, 400, format.error, clock?.());
    if (node === undefined) {
      const error = `${nodeErrors.unknown} this relay has no such node; it was not executed`;
      return refuse(req, res, 404, error, clock?.());
    }
    const job: Job = {
      req,
      res,
      target,
      caller,
      node,
      format,
      limits,
      nodeTimeoutMs,
      clock,
      sync,
      desk,
      heldBytes: 0,
      answeredAtMs: null,
      slot: -1,
    };
    const full = desk.begin(job);
    if (full !== null) {
      return refuse(req, res, 503, `RELAY_BUSY ${full}; it was not executed`, clock?.());
    }
    if (target.kind === "subscribe" || target.kind === "psubscribe") {
      const may = () => {
        const now = callerNow();
        return now.face !== "none" && faultOf(req, target, now) === null;
      };
      return listen(job, desk, { may, nodeNow, ending });
    }
    if (req.method === "POST" || req.method === "PUT") desk.read(job, take);
    else take(job, NO_BODY);
  };
}

const NO_BODY = Buffer.alloc(0);

// ---------------------------------------------------------------- at the door

const METHODS: Readonly<Record<Target["kind"], readonly string[]>> = {
  body: ["POST", "PUT"],
  pipeline: ["POST", "PUT"],
  "multi-exec": ["POST", "PUT"],
  subscribe: ["GET", "POST"],
  psubscribe: ["GET", "POST"],
  path: ["GET", "HEAD", "POST", "PUT"],
};
const QUERY =
  "ERR a query holds arguments of a command in the path, and the command is in the body";

const NO_LINE = "ERR a channel or pattern is one line of UTF-8";

/** What an event can carry: other bytes would be another channel, a line break another event. */
const isLine = (word: string | Buffer): boolean =>
  !/[\r\n]/.test(String(word)) && Buffer.from(String(word)).equals(Buffer.from(word));

type Fault = { readonly status: number; readonly error: string };

function faultOf(
  { method }: IncomingMessage,
  { kind, words, after }: Target,
  caller: Caller,
): Fault | null {
  const methods = METHODS[kind];
  if (!methods.includes(method ?? "")) {
    return { status: 405, error: `ERR only ${methods.join(", ")} are answered here` };
  }
  if (kind === "body" && after.length > 0) return { status: 400, error: QUERY };
  if (kind !== "subscribe" && kind !== "psubscribe") return null;
  if (caller.face === "control") {
    return { status: 400, error: "NOPERM the control token looks only, and subscribes to nothing" };
  }
  if (!words.every(isLine)) return { status: 400, error: NO_LINE };
  const name = kind === "subscribe" ? "SUBSCRIBE" : "PSUBSCRIBE";
  const refusal = judgeChannels(caller.token, name, words);
  return refusal === null ? null : { status: 400, error: refusal };
}

const NO_FORMAT: Fault = { status: 400, error: "ERR Upstash-Response-Format is json or resp2" };
const NO_BASE64: Fault = {
  status: 400,
  error: "ERR Upstash-Encoding: base64 is not for Upstash-Response-Format: resp2",
};

function formatOf({ headers }: IncomingMessage, { kind }: Target): Format | Fault {
  const encoding = headers["upstash-encoding"];
  const base64 = encoding !== undefined && String(encoding).toLowerCase() === "base64";
  const asked = headers["upstash-response-format"];
  const text = base64 ? "base64" : "json";
  if (asked === undefined) return text;
  const format = String(asked).toLowerCase();
  if (format === "json" || (format === "resp2" && kind === "multi-exec")) return text;
  if (format !== "resp2") return NO_FORMAT;
  return base64 ? NO_BASE64 : "resp2";
}

// -------------------------------------------------------------------- at work

function take(job: Job, body: Buffer): void {
  serve(job, body).catch(() => fail(job));
}

/** Nothing rejects by design; if something does, the caller learns that nobody knows what happened. */
function fail(job: Job): void {
  const error = errorText("RELAY_ERROR a fault of the relay; outcome unknown");
  job.desk.answer(job, 500, error, headersOf(job));
}

function serve(job: Job, body: Buffer): Promise<void> {
  const { words, after, kind } = job.target;
  switch (kind) {
    case "body": {
      const parsed = parseCommand(body);
      return parsed.kind === "wrong" ? wrong(job, parsed.error) : single(job, parsed.value);
    }
    case "pipeline":
    case "multi-exec": {
      const parsed = parseCommands(body, job.limits.maxPipeline);
      if (parsed.kind === "wrong") return wrong(job, parsed.error);
      return kind === "pipeline" ? pipeline(job, parsed.value) : multiExec(job, parsed.value);
    }
    default:
      return single(job, [...words, ...(body.length === 0 ? [] : [body]), ...after]);
  }
}

async function wrong(job: Job, error: string): Promise<void> {
  say(job, 400, error);
}

function listen(job: Job, desk: Desk, now: Now): void {
  // The client sends a body that means nothing.
  job.req.resume();
  const kind = job.target.kind === "subscribe" ? "channels" : "patterns";
  const topics = { kind, names: job.target.words.map(String) } as const;
  stream(job, desk, topics, now).catch(() => fail(job));
}
