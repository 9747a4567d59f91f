/**
 * The operator API, version 1; docs/api.md tells every route.
 *
 * Promises: nothing is told before the token is right; reading needs either token, operating needs the
 * operators' one; every refusal says why, in one error shape; every answer comes in time.
 * Must never: decide anything about Redis: it asks the Group.
 */
import { sValidator } from "@hono/standard-validator";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import * as v from "valibot";
import { parseNode } from "../core/config.ts";
import type { Reply } from "../core/state.ts";
import { configInForce, deployedConfig, groupOf, secretOf } from "../env.ts";
import { guard, mayPass } from "./access.ts";
import {
  answer,
  type Bindings,
  type Ctx,
  findGroup,
  type Patience,
  reading,
  told,
} from "./asking.ts";
import { badInput, complained, count, onlyJson } from "./input.ts";
import { type Operation, operations } from "./operations.ts";
import { knownStatus, notFound, problem, unauthorized } from "./problem.ts";
import { connect, lease } from "./relays.ts";
import { route } from "./route.ts";
import { vantages } from "./vantages.ts";

const MAX_BODY_BYTES = 16 * 1024;
const EventsQuery = v.object({
  after: count(0, Number.MAX_SAFE_INTEGER, 0),
  limit: count(1, 500, 100),
});

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
app.get("/v1/groups/:group/route", route);

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

/** What each webhook is still to be told, as Sentinel's PENDING-SCRIPTS. Of its url the host: a path may be secret. */
app.get("/v1/groups/:group/webhooks", (context) =>
  answer(
    context,
    (group, name) => group.view(name),
    ({ notices, failing }) =>
      context.json({
        webhooks: context.var.config.webhooks.map(({ name, url, events }) => ({
          name,
          host: new URL(url).host,
          events,
          pausedUntilMs: failing[name]?.pausedUntilMs ?? null,
          waiting: notices.filter(({ to }) => to === name).map(({ to, ...notice }) => notice),
        })),
      }),
  ),
);

app.get("/v1/groups/:group/vantages", vantages);

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
      const { config } = context.var;
      const asked = context.req.valid("json")(context.req.param("node") ?? "", (raw) =>
        parseNode(raw, config, (name) => secretOf(context.env, name) !== ""),
      );
      if (asked.kind === "wrong") return complained(context, asked.complaints);
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
