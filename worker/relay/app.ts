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
import { addLookRoute } from "./look.ts";
import { headers, verbs } from "./protocol.ts";
import { type Headers, refuse } from "./rest/answer.ts";
import type { RestNode } from "./rest/node.ts";
import type { Limits } from "./rest/policy.ts";
import { createRest } from "./rest/rest.ts";
import { parseTarget, type Target } from "./rest/target.ts";
import type { Doorkeeper, Env } from "./tokens.ts";
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

type AppDeps = {
  /** Asked once for each request. */
  readonly site: () => Site;
  readonly hands: Hands;
  readonly clock: () => Clock;
  /** Routes with tokens of their own. */
  readonly open?: (app: Hono<Env>) => void;
  /** Routes behind a token, `c.get("caller")`. */
  readonly routes?: (app: Hono<Env>) => void;
  /** Aborted when the relay ends: open streams end with it. */
  readonly ending?: AbortSignal;
};

/** Of verbs and their like; the REST face has a limit of its own. */
const MAX_BODY_BYTES = 1024 * 1024;
const VERBS: ReadonlySet<string> = new Set(verbs);

export function createApp(deps: AppDeps): RequestListener {
  const rest = createRest(deps.ending);
  const others = getRequestListener(createRoutes(deps).fetch);
  return (req, res) => {
    const site = deps.site();
    const target = targetOf(req.url ?? "/", site);
    if (target === null || isVerb(target)) {
      // The router makes a URL of it, and would fall over what is none.
      if (URL.canParse(`http://${req.headers.host}/`)) return void others(req, res);
      return refuse(req, res, 400, "ERR the Host header is not the name of a host");
    }
    const token = target.kind === "wrong" ? null : target.token;
    const callerNow = () => deps.site().callerOf(req.headers.authorization, token);
    const caller = callerNow();
    if (caller.face === "none") return refuse(req, res, 401, caller.error);
    const clock =
      caller.face === "control" ? () => clockOf(req.headers[headers.group], deps) : null;
    if (target.kind === "wrong") return refuse(req, res, 400, target.error, clock?.());
    const { limits, nodeTimeoutMs } = site;
    const node = site.nodes.get(target.node);
    const nodeNow = () => deps.site().nodes.get(target.node);
    rest(req, res, { target, caller, callerNow, node, nodeNow, limits, nodeTimeoutMs, clock });
  };
}

/** The few addresses that nearly every request has; strangers put nothing here. */
const common = new Map<string, Target>();
const MAX_COMMON = 1000;

function targetOf(url: string, { nodes }: Site): ReturnType<typeof parseTarget> {
  const found = common.get(url);
  if (found !== undefined) return found;
  const target = parseTarget(url);
  if (target === null || target.kind === "wrong") return target;
  const plain = target.words.length === 0 && !url.includes("?") && nodes.has(target.node);
  if (plain && common.size < MAX_COMMON) common.set(url, target);
  return target;
}

/** A verb's name is nobody's command; its address is answered for every method and token. */
function isVerb(target: Target | { readonly kind: "wrong" }): boolean {
  if (target.kind !== "path" || target.words.length !== 1) return false;
  return VERBS.has(String(target.words[0]));
}

function createRoutes(deps: AppDeps): Hono<Env> {
  const app = new Hono<Env>();
  deps.open?.(app);
  app.use(async (c, next) => {
    const authorization = c.req.header("authorization");
    const callerNow = () => deps.site().callerOf(authorization);
    const caller = callerNow();
    if (caller.face === "none") return c.json({ error: caller.error }, 401);
    c.set("caller", caller);
    c.set("callerNow", callerNow);
    await next();
    if (caller.face !== "control") return;
    const spoken = clockOf(c.req.header(headers.group), deps);
    for (let at = 0; at < spoken.length; at += 2) c.header(spoken[at] ?? "", spoken[at + 1]);
  });
  app.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: (c) => c.json({ error: `ERR a body has at most ${MAX_BODY_BYTES} bytes` }, 413),
    }),
  );

  const now = {
    nodes: () => deps.site().nodes,
    nodeTimeoutMs: () => deps.site().nodeTimeoutMs,
  };
  addLookRoute(app, now);
  addVerbRoutes(app, { ...now, hands: deps.hands });
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

/** The clock at the moment of answering: the next verb's stamp. */
function clockOf(
  group: string | readonly string[] | undefined,
  { clock, hands }: AppDeps,
): Headers {
  const { boot, ms } = clock();
  const epoch = hands.epochOf(String(group ?? ""));
  const held = epoch === null ? "none" : String(epoch);
  return [headers.boot, boot, headers.ms, String(Math.floor(ms)), headers.epoch, held];
}
