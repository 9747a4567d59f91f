/**
 * The verbs' addresses over HTTP.
 *
 * Promises: a body is parsed by its schema before anyone believes it; what is wrong is named.
 * Must never: run a verb for anyone but a control token.
 */
import type { Context, Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import * as v from "valibot";
import {
  headers,
  nodeErrors,
  tellEpochBody,
  type Verb,
  type VerbAnswer,
  verbBodies,
  verbs,
} from "../protocol.ts";
import type { Env } from "../tokens.ts";
import type { VerbRequest } from "./fence.ts";
import type { Hands, RelayNode } from "./hands.ts";

export type VerbDeps = {
  readonly nodes: () => ReadonlyMap<string, RelayNode>;
  readonly hands: Hands;
  readonly nodeTimeoutMs: () => number;
};

type Ctx = Context<Env>;

const STATUS: Readonly<Record<VerbAnswer["outcome"], ContentfulStatusCode>> = {
  done: 200,
  refused: 409,
  failed: 502,
  unreachable: 502,
  unknown: 504,
};

export function addVerbRoutes(app: Hono<Env>, deps: VerbDeps): void {
  for (const verb of verbs) app.post(`/nodes/:id/${verb}`, (c) => act(c, deps, verb));
  app.post("/groups/:group/epoch", (c) => tellEpoch(c, deps));
}

async function act(c: Ctx, deps: VerbDeps, verb: Verb): Promise<Response> {
  const node = deps.nodes().get(c.req.param("id") ?? "");
  if (node === undefined) {
    return c.json({ error: `${nodeErrors.unknown} this relay has no such node` }, 404);
  }
  if (c.get("caller").face !== "control") return forbidden(c);
  const body = v.safeParse(verbBodies[verb], await json(c));
  if (!body.success) return c.json({ error: wrongBody(body.issues) }, 400);
  const request = { verb, node: node.id, body: body.output } as VerbRequest;
  const answer = await deps.hands.act(node, request, deadlineMs(c, deps));
  return c.json(answer, STATUS[answer.outcome]);
}

async function tellEpoch(c: Ctx, deps: VerbDeps): Promise<Response> {
  if (c.get("caller").face !== "control") return forbidden(c);
  const body = v.safeParse(tellEpochBody, await json(c));
  const group = c.req.param("group") ?? "";
  if (!body.success) return c.json({ error: wrongBody(body.issues) }, 400);
  if (group.length > 253) return c.json({ error: "ERR group: at most 253 characters" }, 400);
  const answer = await deps.hands.tellEpoch(group, body.output, deadlineMs(c, deps));
  return c.json(answer, STATUS[answer.outcome]);
}

const forbidden = (c: Ctx): Response =>
  c.json({ error: "NOPERM the data token runs no verbs" }, 403);

const deadlineMs = (c: Ctx, { nodeTimeoutMs }: VerbDeps): number =>
  boundedDeadline(c.req.header(headers.deadline), nodeTimeoutMs());

/** What the caller asks for, never more than the relay's own. */
export function boundedDeadline(asked: string | undefined, mostMs: number): number {
  const ms = Number(asked ?? Number.NaN);
  return Number.isFinite(ms) ? Math.min(Math.max(1, ms), mostMs) : mostMs;
}

async function json(c: Ctx): Promise<unknown> {
  try {
    return JSON.parse(await c.req.text());
  } catch {
    return undefined;
  }
}

function wrongBody(issues: readonly v.BaseIssue<unknown>[]): string {
  const [first] = issues;
  const path = first === undefined ? null : v.getDotPath(first);
  return `ERR ${path ?? "the body"}: ${first?.message ?? "wrong"}`.slice(0, 300);
}
