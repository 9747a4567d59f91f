/**
 * The Upstash REST face of one relay: commands, pipelines, transactions, subscriptions. docs/rest.md has
 * every behaviour with its test.
 *
 * Promises: after a command was sent the caller gets an answer, never a dropped connection; a refused command
 * has no effect, and a refused transaction none at all; a blocking command waits on a connection of its own.
 * Must never: send a command that the caller's token does not allow.
 */
import type { IncomingMessage } from "node:http";
import { nodeErrors } from "../protocol.ts";
import type { Caller } from "../tokens.ts";
import { refuse } from "./answer.ts";
import { parseCommand, parseCommands } from "./body.ts";
import { judgeChannels } from "./commands.ts";
import { createDesk, type Work } from "./desk.ts";
import { type Ask, type Job, say } from "./job.ts";
import type { Limits } from "./policy.ts";
import { multiExec, pipeline, single } from "./run.ts";
import { stream } from "./stream.ts";
import { createSyncTokens } from "./sync-token.ts";
import type { Target } from "./target.ts";
import { errorText, type Format } from "./upstash.ts";

export type Seen = {
  readonly face: Caller["face"] | "none";
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

export type Rest = (ask: Ask) => void;

export function createRest({ observe, ending }: RestDeps): Rest {
  const sync = createSyncTokens();
  const desk = createDesk(
    observe && ((work, status) => observe(seenOf(work, status, performance.now()))),
  );

  return (ask) => {
    const { req, res, caller, limits, target } = ask;
    const fault = faultOf(ask);
    const work = fault === null ? desk.begin(req, res, limits, caller.face) : null;
    if (work === null) {
      const { status, error } = fault ?? busy(limits);
      observe?.(unserved(caller.face, status));
      return refuse(req, res, status, error, ask.headers());
    }
    const job: Job = { ...ask, desk, work, sync, format: formatOf(req, target) as Format };
    serve(job, ending).catch(() => {
      // Nothing rejects by design; if something does, the caller learns that nobody knows what happened.
      desk.answer(work, 500, errorText("RELAY_ERROR a fault of the relay; outcome unknown"));
    });
  };
}

const seenOf = (work: Work, status: number, nowMs: number): Seen => ({
  ...{ face: work.face, status, ms: nowMs - work.startedAtMs },
  ...{ commands: work.commands, bytesIn: work.bytesIn, bytesOut: work.bytesOut },
});

/** Refused before it was begun. */
export const unserved = (face: Seen["face"], status: number): Seen => ({
  ...{ face, status, ms: 0, commands: 0, bytesIn: 0, bytesOut: 0 },
});

const busy = ({ maxRequests }: Limits): Fault => ({
  status: 503,
  error: `RELAY_BUSY ${maxRequests} requests are at work, limits.max_requests; it was not executed`,
});

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

const QUERY =
  "ERR a query holds arguments of a command in the path, and the command is in the body";

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
      if (target.after.length > 0) return say(job, node, 400, QUERY);
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
