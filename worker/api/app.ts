/**
 * The operator API, version 1.
 *
 * Promises: nothing is told before the token is right; reading needs either token, operating needs the
 * operators' one; every refusal says why, in one error shape.
 * Must never: decide anything about Redis: it asks the Group.
 */
import { sValidator } from "@hono/standard-validator";
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import { timingSafeEqual } from "hono/utils/buffer";
import * as v from "valibot";
import type { OperatorRequest, Reply } from "../core/state.ts";
import type { GroupConfig } from "../core/types.ts";
import {
  configInForce,
  deployedConfig,
  groupOf,
  type InForce,
  type RawEnv,
  tokensOf,
} from "../env.ts";
import { notFound, problem, unauthorized } from "./problem.ts";

type Bindings = {
  Bindings: RawEnv;
  Variables: { config: GroupConfig; inForce: InForce };
};

const MAX_BODY_BYTES = 16 * 1024;
const MAX_EVENTS = 500;

const nodeId = v.pipe(v.string("the id of a node"), v.minLength(1, "the id of a node"));
const FailoverBody = v.strictObject({ to: v.optional(v.nullable(nodeId)) });
const BootstrapBody = v.strictObject({ primary: nodeId });
const wholeNumber = (text: string) => /^\d{1,15}$/.test(text);
const EventsQuery = v.object({
  after: v.optional(v.pipe(v.string(), v.check(wholeNumber, "a whole number")), "0"),
  limit: v.optional(
    v.pipe(
      v.string(),
      v.check(
        (text) => wholeNumber(text) && Number(text) >= 1 && Number(text) <= MAX_EVENTS,
        `a whole number from 1 to ${MAX_EVENTS}`,
      ),
    ),
    "100",
  ),
});

export const app = new Hono<Bindings>();

app.onError((error, context) => {
  if (error instanceof HTTPException)
    return problem(context, {
      status: error.status as 400,
      title: "Bad Request",
      detail: error.message,
    });
  console.error("request failed", error.message);
  return problem(context, { status: 500, title: "Internal Server Error" });
});
app.use("/v1/*", allow("read"));
app.on("POST", "/v1/*", allow("operate"));
app.use(
  "/v1/*",
  bodyLimit({
    maxSize: MAX_BODY_BYTES,
    onError: (context) =>
      problem(context, {
        status: 413,
        title: "Content Too Large",
        detail: `a body holds at most ${MAX_BODY_BYTES} bytes`,
      }),
  }),
);
app.on("POST", "/v1/*", onlyJson);
app.use("/v1/groups/:group/*", findGroup);
app.use("/v1/groups/:group", findGroup);
app.notFound((context) => unauthorizedOr(context, () => notFound(context, "no such path")));

/** Every group in a line, and which configuration runs, and why. */
app.get("/v1/groups", async (context) => {
  const { env } = context;
  const deployed = deployedConfig(env);
  const inForce = await configInForce(env);
  const groups = await Promise.all(
    inForce.groups.map(async ({ name, location }) => {
      const view = await groupOf(env, name, location)
        .view(name)
        .catch(() => null);
      if (view === null) return { name, because: "the group did not answer" };
      const { phase, epoch, rev, state, primary, because } = view;
      return { name, phase, epoch, rev, state, primary, because };
    }),
  );
  return context.json({
    configuration: {
      source: inForce.source,
      keptAt: inForce.keptAtMs === null ? null : new Date(inForce.keptAtMs).toISOString(),
      complaints: deployed.ok ? [] : deployed.complaints,
    },
    groups,
  });
});

app.get("/v1/groups/:group", async (context) => {
  const { name } = context.var.config;
  const view = await stubOf(context).view(name);
  return view === null ? gone(context) : context.json(view);
});

/** The authoritative route. */
app.get("/v1/groups/:group/route", async (context) => {
  const route = await stubOf(context).route(context.var.config.name);
  context.header("cache-control", "no-store");
  return route === null ? gone(context) : context.json(route);
});

app.get(
  "/v1/groups/:group/events",
  sValidator("query", EventsQuery, (result, context) =>
    result.success ? undefined : badInput(context, result.error),
  ),
  async (context) => {
    const { after, limit } = context.req.valid("query");
    const events = await stubOf(context).events(Number(after), Number(limit));
    return context.json({ events });
  },
);

app.post(
  "/v1/groups/:group/failover",
  sValidator("json", FailoverBody, (result, context) =>
    result.success ? undefined : badInput(context, result.error),
  ),
  async (context) => {
    const to = context.req.valid("json").to ?? null;
    if (to !== null && !isNode(context, to))
      return notFound(context, `no node ${to} in this group`);
    return ask(context, { kind: "failover", id: crypto.randomUUID(), to });
  },
);

app.post(
  "/v1/groups/:group/bootstrap",
  sValidator("json", BootstrapBody, (result, context) =>
    result.success ? undefined : badInput(context, result.error),
  ),
  async (context) => {
    const { primary } = context.req.valid("json");
    if (!isNode(context, primary)) return notFound(context, `no node ${primary} in this group`);
    return ask(context, { kind: "bootstrap", id: crypto.randomUUID(), primary });
  },
);

type Ctx = Context<Bindings>;

const stubOf = (context: Ctx) => {
  const { name, location } = context.var.config;
  return groupOf(context.env, name, location);
};
const gone = (context: Ctx) => notFound(context, "the group is no longer configured");
const isNode = (context: Ctx, id: string) =>
  context.var.config.nodes.some((node) => node.id === id);

async function ask(context: Ctx, request: OperatorRequest): Promise<Response> {
  const reply: Reply | null = await stubOf(context).ask(context.var.config.name, request);
  if (reply === null) return gone(context);
  if (reply.kind === "accepted") return context.json({ accepted: true, epoch: reply.epoch }, 202);
  const { code, detail, reasons } = reply;
  return problem(context, { status: 409, title: "Conflict", code, detail, reasons });
}

async function mayPass(context: Context<Bindings>, need: "read" | "operate"): Promise<boolean> {
  const given = /^Bearer (.+)$/i.exec(context.req.header("authorization") ?? "")?.[1] ?? "";
  const { read, operate } = tokensOf(context.env);
  const allowed = need === "read" ? [read, operate] : [operate];
  const matches = await Promise.all(
    allowed.map((token) => token !== null && timingSafeEqual(given, token)),
  );
  return matches.includes(true);
}

function allow(need: "read" | "operate"): MiddlewareHandler<Bindings> {
  return async function allowed(context, next) {
    return (await mayPass(context, need)) ? next() : unauthorized(context);
  };
}

/** A body that is not declared as JSON would be taken for none, and a failover for one to anybody. */
async function onlyJson(context: Ctx, next: () => Promise<void>): Promise<Response | undefined> {
  const declared = /^application\/json\b/i.test(context.req.header("content-type") ?? "");
  if (!declared && (await context.req.text()).trim() !== "")
    return problem(context, {
      status: 400,
      title: "Bad Request",
      detail: "a body is JSON, with content-type application/json",
    });
  await next();
  return undefined;
}

/** Paths that do not exist are told apart only for those who may know. */
async function unauthorizedOr(context: Context<Bindings>, answer: () => Response) {
  return (await mayPass(context, "read")) ? answer() : unauthorized(context);
}

async function findGroup(context: Ctx, next: () => Promise<void>): Promise<Response | undefined> {
  const inForce = await configInForce(context.env);
  const name = context.req.param("group");
  const config = inForce.groups.find((group) => group.name === name);
  if (config === undefined) {
    if (inForce.source !== "none") return notFound(context, `no group ${name}`);
    const deployed = deployedConfig(context.env);
    return problem(context, {
      status: 503,
      title: "Service Unavailable",
      detail: "no configuration was ever right: nothing runs",
      complaints: deployed.ok ? [] : deployed.complaints,
    });
  }
  context.set("config", config);
  context.set("inForce", inForce);
  await next();
  return undefined;
}

/** What is wrong with a body or a query: the field, the value, what is allowed. */
function badInput(context: Context, issues: readonly StandardIssue[]): Response {
  const complaints = issues.map(({ message, path, input, expected }) => ({
    path: (path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join("."),
    given: input === undefined ? "nothing" : (JSON.stringify(input) ?? typeof input).slice(0, 80),
    allowed: expected === "never" ? "no such key" : message,
  }));
  return problem(context, {
    status: 400,
    title: "Bad Request",
    detail: "the request is not right",
    complaints,
  });
}

type StandardIssue = {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
  /** What valibot adds to the standard. */
  readonly input?: unknown;
  readonly expected?: string | null;
};
