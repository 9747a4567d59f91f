/**
 * The relay's look at its nodes for whoever asks with a control token: all of them at once, in one answer.
 *
 * Promises: answers by the caller's deadline, whatever hangs: such a node is silent, and all others are told as they
 * were; asks over the connections that verbs use, so that nothing is opened for a look that stands already, and
 * nothing is left behind by one that came to nothing.
 * Must never: look twice for one answer, or keep what was seen for the next one.
 */
import type { Context, Hono } from "hono";
import * as v from "valibot";
import type { Session } from "../redis/session.ts";
import { judgeReplies, LOOK, notOpened, type Verdict } from "../redis/verdict.ts";
import { LOOK_PATH, lookBody, type NodeLook } from "./look-protocol.ts";
import { headers, nodeErrors } from "./protocol.ts";
import { brief } from "./request.ts";
import type { Env } from "./tokens.ts";
import { boundedDeadline } from "./verbs/routes.ts";

type LookDeps = {
  readonly nodes: () => ReadonlyMap<string, { readonly control: Session }>;
  readonly nodeTimeoutMs: () => number;
};

export function addLookRoute(app: Hono<Env>, deps: LookDeps): void {
  app.post(LOOK_PATH, async (c) => {
    if (c.get("caller").face !== "control")
      return c.json({ error: "NOPERM the data token has no look at the nodes" }, 403);
    const body = v.safeParse(lookBody, await jsonOf(c));
    if (!body.success) {
      const [issue] = body.issues;
      const path = v.getDotPath(issue) ?? "the body";
      return c.json({ error: `ERR ${path}: ${issue.message}`.slice(0, 300) }, 400);
    }
    const deadlineMs = boundedDeadline(c.req.header(headers.deadline), deps.nodeTimeoutMs());
    const nodes = deps.nodes();
    const asked = [...new Set(body.output.nodes)];
    const seen = await Promise.all(
      asked.map((node) => lookAt(node, nodes.get(node)?.control, deadlineMs)),
    );
    const nowMs = performance.now();
    const looks = seen.map(
      ({ node, verdict, atMs }): NodeLook => ({
        ...{ node, ...verdict, detail: brief(verdict.detail) },
        agoMs: Math.max(0, Math.round(nowMs - atMs)),
      }),
    );
    return c.json({ looks });
  });
  app.all(LOOK_PATH, (c) => c.json({ error: "ERR only POST is answered here" }, 405));
}

async function lookAt(node: string, control: Session | undefined, deadlineMs: number) {
  const verdict = control === undefined ? UNKNOWN : await ask(control, deadlineMs);
  return { node, verdict, atMs: performance.now() };
}

const UNKNOWN: Verdict = {
  class: "policy",
  detail: `${nodeErrors.unknown} this relay has no such node`,
  facts: null,
};

async function ask(control: Session, deadlineMs: number): Promise<Verdict> {
  const answer = await control.run(LOOK, { deadlineMs, repeatable: true });
  return answer.kind === "failure" ? notOpened(answer) : judgeReplies(answer.replies, true);
}

async function jsonOf(c: Context<Env>): Promise<unknown> {
  try {
    return JSON.parse(await c.req.text());
  } catch {
    return undefined;
  }
}
