/**
 * The relay's door: whose token it is, and which of its faces answers.
 *
 * Promises: every answer is JSON unless RESP2 was asked for; an answer to a control token carries the relay's
 * clock and epoch; commands go past the router, straight to the REST face.
 * Must never: tell a caller without a token anything but health.
 */
import type { RequestListener } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { headers, verbs } from "./protocol.ts";
import { type Headers, refuse } from "./rest/answer.ts";
import type { RestNode } from "./rest/node.ts";
import type { Limits } from "./rest/policy.ts";
import { createRest, type RestDeps, unserved } from "./rest/rest.ts";
import { parseTarget, type Target } from "./rest/target.ts";
import type { Caller, Doorkeeper, Env } from "./tokens.ts";
import type { Clock } from "./verbs/fence.ts";
import type { Hands, RelayNode } from "./verbs/hands.ts";
import { addVerbRoutes } from "./verbs/routes.ts";

/** What a reload replaces, whole. */
export type Site = {
  readonly nodes: ReadonlyMap<string, RelayNode & RestNode>;
  readonly callerOf: Doorkeeper;
  readonly limits: Limits;
  readonly nodeTimeoutMs: number;
};

export type AppDeps = RestDeps & {
  /** Asked once for each request. */
  readonly site: () => Site;
  readonly hands: Hands;
  readonly clock: () => Clock;
  /** Routes that need no token: health, metrics. */
  readonly open?: (app: Hono) => void;
  /** Routes behind a token, `c.get("caller")`. */
  readonly routes?: (app: Hono<Env>) => void;
};

/** Of verbs and their like; the REST face has a limit of its own. */
const MAX_BODY_BYTES = 1024 * 1024;
const VERBS: ReadonlySet<string> = new Set(verbs);

export function createApp(deps: AppDeps): RequestListener {
  const rest = createRest(deps);
  const others = getRequestListener(createRoutes(deps).fetch);
  return (req, res) => {
    const site = deps.site();
    const target = parseTarget(req.url ?? "/");
    if (target === null || isVerb(target)) return void others(req, res);
    const token = target.kind === "wrong" ? null : target.token;
    const caller = site.callerOf(req.headers.authorization, token);
    if (caller.face === "none") {
      deps.observe?.(unserved("none", 401));
      return refuse(req, res, 401, caller.error);
    }
    const answerHeaders = () => headersFor(caller, req.headers[headers.group], deps);
    if (target.kind === "wrong") return refuse(req, res, 400, target.error, answerHeaders());
    const { limits, nodeTimeoutMs } = site;
    const node = site.nodes.get(target.node);
    rest({ req, res, target, caller, node, limits, nodeTimeoutMs, headers: answerHeaders });
  };
}

/** A verb's name is nobody's command; its address is answered for every method and token. */
function isVerb(target: Target | { readonly kind: "wrong" }): boolean {
  if (target.kind !== "path" || target.words.length !== 1) return false;
  return VERBS.has(String(target.words[0]));
}

function createRoutes(deps: AppDeps): Hono<Env> {
  const app = new Hono<Env>();
  const open = new Hono();
  deps.open?.(open);
  app.route("/", open);
  app.use(async (c, next) => {
    const caller = deps.site().callerOf(c.req.header("authorization"));
    if (caller.face === "none") return c.json({ error: caller.error }, 401);
    c.set("caller", caller);
    await next();
    const spoken = headersFor(caller, c.req.header(headers.group), deps);
    for (const [name, value] of Object.entries(spoken)) c.header(name, value);
  });
  app.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: (c) => c.json({ error: `ERR a body has at most ${MAX_BODY_BYTES} bytes` }, 413),
    }),
  );

  addVerbRoutes(app, {
    nodes: () => deps.site().nodes,
    hands: deps.hands,
    nodeTimeoutMs: () => deps.site().nodeTimeoutMs,
  });
  deps.routes?.(app);

  for (const path of [...verbs.map((verb) => `/nodes/:id/${verb}`), "/groups/:group/epoch"]) {
    app.all(path, (c) => c.json({ error: "ERR only POST is answered here" }, 405));
  }
  app.notFound((c) => c.json({ error: "ERR there is nothing at this address" }, 404));
  // Nothing throws by design; if something does, the caller learns that nobody knows what happened.
  app.onError((_, c) =>
    c.json({ error: "RELAY_ERROR a fault of the relay; outcome unknown" }, 500),
  );
  return app;
}

const NOTHING: Headers = {};

/** The clock at the moment of answering: the next verb's stamp. */
function headersFor(
  caller: Caller,
  group: string | readonly string[] | undefined,
  { clock, hands }: AppDeps,
): Headers {
  if (caller.face !== "control") return NOTHING;
  const { boot, ms } = clock();
  const epoch = hands.epochOf(String(group ?? ""));
  return {
    [headers.boot]: boot,
    [headers.ms]: String(Math.floor(ms)),
    [headers.epoch]: epoch === null ? "none" : String(epoch),
  };
}
