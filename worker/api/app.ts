/**
 * The operator API, version 1; docs/api.md tells every route.
 *
 * Promises: nothing is told before the token is right; reading needs either token, operating needs the
 * operators' one; every refusal says why, in one error shape; every answer comes in time.
 * Must never: decide anything about Redis: it asks the Group.
 */
import { sValidator } from "@hono/standard-validator";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import * as v from "valibot";
import type { Reply } from "../core/state.ts";
import type { GroupConfig } from "../core/types.ts";
import {
  type Answer,
  configInForce,
  deployedConfig,
  groupOf,
  inTime,
  type RawEnv,
} from "../env.ts";
import { guard, mayPass } from "./access.ts";
import { badInput, count, onlyJson } from "./input.ts";
import { type Operation, operations } from "./operations.ts";
import { knownStatus, notFound, problem, unauthorized } from "./problem.ts";
import { connect, lease } from "./relays.ts";

type Bindings = { Bindings: RawEnv; Variables: { config: GroupConfig } };
type Ctx = Context<Bindings>;
type Group = ReturnType<typeof groupOf>;

const MAX_BODY_BYTES = 16 * 1024;
const EventsQuery = v.object({
  after: count(0, Number.MAX_SAFE_INTEGER, 0),
  limit: count(1, 500, 100),
});

/** How long a Group is waited for, and what is said of one that is silent. */
type Patience = { readonly withinMs: number; readonly silence: string };
/** A first look may have to be waited for. */
const reading: Patience = { withinMs: 20_000, silence: "the group did not answer" };
/** The Group answers an operator within 30 s by itself. */
const operating: Patience = {
  withinMs: 35_000,
  silence: "the group did not answer; whether it was done is not known",
};

export const app = new Hono<Bindings>();

app.onError((error, context) => {
  if (error instanceof HTTPException)
    return problem(context, { status: knownStatus(error.status), detail: error.message });
  console.error("request failed", error.message);
  return problem(context, { status: 500 });
});
// Relays have tokens of their own.
app.get("/v1/groups/:group/relays/:relay/push", connect);
app.post("/v1/groups/:group/lease", lease);
app.use("/v1/*", guard);
app.use(
  "/v1/*",
  bodyLimit({
    maxSize: MAX_BODY_BYTES,
    onError: (context) =>
      problem(context, { status: 413, detail: `a body holds at most ${MAX_BODY_BYTES} bytes` }),
  }),
);
app.on(["POST", "DELETE"], "/v1/*", onlyJson);
app.use("/v1/groups/:group/*", findGroup);
app.use("/v1/groups/:group", findGroup);
app.notFound(async (context) =>
  // Paths that do not exist are told apart only for those who may know.
  (await mayPass(context, "read")) ? notFound(context, "no such path") : unauthorized(context),
);

/** Every group in a line, and which configuration runs, and why. */
app.get("/v1/groups", async (context) => {
  const { env } = context;
  const deployed = deployedConfig(env);
  const { source, keptAtMs, problem: why, groups } = await configInForce(env);
  const lines = groups.map(async ({ name, location }) => {
    const view = await told((group) => group.view(name), groupOf(env, name, location), reading);
    if (view.kind !== "told") return { name, because: view.detail };
    const { phase, epoch, rev, state, primary, because } = view.value;
    return { name, phase, epoch, rev, state, primary, because };
  });
  return context.json({
    configuration: {
      source,
      keptAt: keptAtMs === null ? null : new Date(keptAtMs).toISOString(),
      complaints: deployed.ok ? [] : deployed.complaints,
      ...(why === null ? {} : { problem: why }),
    },
    groups: await Promise.all(lines),
  });
});

app.get("/v1/groups/:group", (context) =>
  answer(
    context,
    (group, name) => group.view(name),
    (view) => context.json(view),
  ),
);

/** The authoritative route. */
app.get("/v1/groups/:group/route", (context) => {
  context.header("cache-control", "no-store");
  return answer(
    context,
    (group, name) => group.route(name),
    (route) => context.json(route),
  );
});

/** By its status alone a monitor knows whether a failover could be decided now. */
app.get("/v1/groups/:group/ckquorum", (context) =>
  answer(
    context,
    (group, name) => group.ckquorum(name),
    (check) => context.json(check, check.ok ? 200 : 503),
  ),
);

app.get("/v1/groups/:group/nodes/:node/last-info", (context) =>
  answer(
    context,
    (group, name) => group.lastInfo(name, context.req.param("node")),
    (info) => context.json(info),
  ),
);

app.get(
  "/v1/groups/:group/events",
  sValidator("query", EventsQuery, (result, context) =>
    result.success ? undefined : badInput(context, result.error),
  ),
  (context) => {
    const { after, limit } = context.req.valid("query");
    return answer(
      context,
      async (group) => ({ kind: "told", value: await group.events(after, limit) }),
      (page) => context.json(page),
    );
  },
);

for (const operation of operations) operate(operation);

function operate({ method, path, body }: Operation): void {
  app.on(
    method,
    `/v1/groups/:group${path}`,
    sValidator("json", body, (result, context) =>
      result.success ? undefined : badInput(context, result.error),
    ),
    (context) => {
      const asked = context.req.valid("json")(context.req.param("node") ?? "");
      const request = { id: crypto.randomUUID(), ...asked };
      return answer(
        context,
        (group, name) => group.ask(name, request),
        (reply) => replied(context, reply),
        operating,
      );
    },
  );
}

function replied(context: Ctx, reply: Reply): Response {
  if (reply.kind === "accepted") {
    const { epoch, detail } = reply;
    return context.json({ accepted: true, epoch, detail }, 202);
  }
  const { code, detail, reasons } = reply;
  return problem(context, { status: 409, code, detail, reasons });
}

/** Asks the Group of the path, and says in HTTP what it answers, or that it does not. */
async function answer<T>(
  context: Ctx,
  question: (group: Group, name: string) => Promise<Answer<T>>,
  respond: (value: T) => Response,
  patience: Patience = reading,
): Promise<Response> {
  const { name, location } = context.var.config;
  const group = groupOf(context.env, name, location);
  const given = await told((asked) => question(asked, name), group, patience);
  if (given.kind === "told") return respond(given.value);
  if (given.kind === "not-found") return notFound(context, given.detail);
  return problem(context, { status: 503, detail: given.detail });
}

async function told<T>(
  question: (group: Group) => Promise<Answer<T>>,
  group: Group,
  { withinMs, silence }: Patience,
): Promise<Answer<T>> {
  try {
    return await inTime(question(group), withinMs);
  } catch (error) {
    console.error("a group did not answer", error instanceof Error ? error.message : "unknown");
    return { kind: "unavailable", detail: silence };
  }
}

async function findGroup(context: Ctx, next: () => Promise<void>): Promise<Response | undefined> {
  const inForce = await configInForce(context.env);
  const name = context.req.param("group");
  const config = inForce.groups.find((group) => group.name === name);
  if (config === undefined) {
    if (inForce.problem === null) return notFound(context, `no group ${name}`);
    const deployed = deployedConfig(context.env);
    return problem(context, {
      status: 503,
      detail: inForce.problem,
      complaints: deployed.ok ? [] : deployed.complaints,
    });
  }
  context.set("config", config);
  await next();
  return undefined;
}
