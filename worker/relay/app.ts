/**
 * The relay's two faces over HTTP: the Upstash REST protocol, and the verbs.
 *
 * Promises: every answer is JSON, also after Redis was lost in mid-command; whatever Redis does, an answer
 * comes within the deadline; an answer to a control token carries the relay's clock and epoch.
 * Must never: tell a caller without a token anything, or run two verbs for one node at once.
 */
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { Answer, Command, Reply } from "../redis/connection.ts";
import { headers, nodeErrors } from "./protocol.ts";
import { refusalOf } from "./rest/commands.ts";
import {
  failureText,
  parseCommand,
  parseCommands,
  resultOf,
  type UpstashResult,
} from "./rest/upstash.ts";
import type { Doorkeeper, Env } from "./tokens.ts";
import type { Clock } from "./verbs/fence.ts";
import type { Hands, RelayNode } from "./verbs/hands.ts";
import { addVerbRoutes, boundedDeadline } from "./verbs/routes.ts";

export type AppDeps = {
  readonly nodes: ReadonlyMap<string, RelayNode>;
  readonly hands: Hands;
  readonly callerOf: Doorkeeper;
  readonly clock: () => Clock;
  readonly nodeTimeoutMs: number;
};

type Ctx = Context<Env>;

const MAX_BODY_BYTES = 1024 * 1024;

export function createApp(deps: AppDeps): Hono<Env> {
  const app = new Hono<Env>();
  const fail = (c: Ctx, status: ContentfulStatusCode, error: string) => c.json({ error }, status);

  app.get("/healthz", (c) => c.json({ ok: true }));
  app.use(async (c, next) => {
    const caller = deps.callerOf(c.req.header("authorization"));
    if (caller.face === "none") return fail(c, 401, caller.error);
    c.set("caller", caller);
    await next();
    if (caller.face === "control") speakOfItself(c, deps);
  });
  app.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: (c) => c.json({ error: `ERR a body has at most ${MAX_BODY_BYTES} bytes` }, 413),
    }),
  );

  for (const path of ["/nodes/:id", "/nodes/:id/"]) {
    app.post(path, (c) => withNode(c, deps, (node) => single(c, deps, node)));
  }
  app.post("/nodes/:id/pipeline", (c) => withNode(c, deps, (node) => pipeline(c, deps, node)));
  app.post("/nodes/:id/multi-exec", (c) => withNode(c, deps, (node) => multiExec(c, deps, node)));
  addVerbRoutes(app, {
    nodes: () => deps.nodes,
    hands: deps.hands,
    nodeTimeoutMs: () => deps.nodeTimeoutMs,
  });

  for (const path of ["/nodes/:id", "/nodes/:id/*", "/groups/:group/epoch"]) {
    app.get(path, (c) => fail(c, 405, "ERR only POST is answered here"));
    app.on(["PUT", "PATCH", "DELETE"], path, (c) => fail(c, 405, "ERR only POST is answered here"));
  }
  app.notFound((c) => fail(c as Ctx, 404, "ERR there is nothing at this address"));
  // Nothing throws by design; if something does, the caller learns that nobody knows what happened.
  app.onError((_, c) => fail(c as Ctx, 500, "RELAY_ERROR a fault of the relay; outcome unknown"));
  return app;
}

/** The clock at the moment of answering: the next verb's stamp. */
function speakOfItself(c: Ctx, { clock, hands }: AppDeps): void {
  const { boot, ms } = clock();
  const epoch = hands.epochOf(c.req.header(headers.group) ?? "");
  c.header(headers.boot, boot);
  c.header(headers.ms, String(Math.floor(ms)));
  c.header(headers.epoch, epoch === null ? "none" : String(epoch));
}

async function withNode(
  c: Ctx,
  { nodes }: AppDeps,
  serve: (node: RelayNode) => Promise<Response>,
): Promise<Response> {
  const node = nodes.get(c.req.param("id") ?? "");
  if (node !== undefined) return serve(node);
  return c.json({ error: `${nodeErrors.unknown} this relay has no such node` }, 404);
}

// ------------------------------------------------------------- Upstash REST

async function single(c: Ctx, deps: AppDeps, node: RelayNode): Promise<Response> {
  const parsed = parseCommand(await c.req.text());
  if (parsed.kind === "wrong") return c.json({ error: parsed.error }, 400);
  const refusal = refusalOf(c.get("caller").face, parsed.value);
  if (refusal !== null) return c.json({ error: refusal }, 400);
  const answer = await send(c, deps, node, [parsed.value]);
  if (answer.kind === "failure") return lost(c, answer);
  const result = resultOf(answer.replies[0], wantsBase64(c));
  return c.json(result, "error" in result ? 400 : 200);
}

/** Each command for itself: a refused one has its error in its place, the others run. */
async function pipeline(c: Ctx, deps: AppDeps, node: RelayNode): Promise<Response> {
  const parsed = parseCommands(await c.req.text());
  if (parsed.kind === "wrong") return c.json({ error: parsed.error }, 400);
  const refusals = parsed.value.map((command) => refusalOf(c.get("caller").face, command));
  const allowed = parsed.value.filter((_, index) => refusals[index] === null);
  const answer = await send(c, deps, node, allowed);
  if (answer.kind === "failure") return lost(c, answer);
  const base64 = wantsBase64(c);
  const replies = answer.replies.values();
  const results: UpstashResult[] = refusals.map((refusal) =>
    refusal === null ? resultOf(replies.next().value, base64) : { error: refusal },
  );
  return c.json(results);
}

/** All or nothing: a refused or malformed command discards the whole. */
async function multiExec(c: Ctx, deps: AppDeps, node: RelayNode): Promise<Response> {
  const parsed = parseCommands(await c.req.text());
  if (parsed.kind === "wrong") return c.json({ error: parsed.error }, 400);
  for (const command of parsed.value) {
    const refusal = refusalOf(c.get("caller").face, command);
    if (refusal !== null) return c.json({ error: refusal }, 400);
  }
  const answer = await send(c, deps, node, [["MULTI"], ...parsed.value, ["EXEC"]]);
  if (answer.kind === "failure") return lost(c, answer);
  const done = answer.replies.at(-1);
  if (!Array.isArray(done)) return c.json({ error: discarded(answer.replies) }, 400);
  const base64 = wantsBase64(c);
  return c.json(parsed.value.map((_, index) => resultOf(done[index], base64)));
}

/** EXECABORT alone hides why: the first command that Redis would not queue says it. */
function discarded(replies: readonly Reply[]): string {
  const exec = replies.at(-1);
  const text = exec instanceof Error ? exec.message : "EXECABORT Transaction discarded";
  const cause = replies.slice(0, -1).find((reply) => reply instanceof Error);
  return cause === undefined || cause === exec ? text : `${text} (${cause.message})`;
}

async function send(
  c: Ctx,
  deps: AppDeps,
  node: RelayNode,
  commands: readonly Command[],
): Promise<Answer> {
  if (commands.length === 0) return { kind: "replies", replies: [] };
  // The control token only looks, so what it sends may be sent again after a drop.
  return c.get("caller").face === "control"
    ? node.control.run(commands, { deadlineMs: deadlineMs(c, deps), repeatable: true })
    : node.data.run(commands, { deadlineMs: deps.nodeTimeoutMs });
}

function lost(c: Ctx, failure: Extract<Answer, { kind: "failure" }>): Response {
  const { status, error } = failureText(failure);
  return c.json({ error }, status);
}

const wantsBase64 = (c: Ctx): boolean =>
  c.req.header("upstash-encoding")?.toLowerCase() === "base64";

function deadlineMs(c: Ctx, { nodeTimeoutMs }: AppDeps): number {
  return boundedDeadline(c.req.header(headers.deadline), nodeTimeoutMs);
}
