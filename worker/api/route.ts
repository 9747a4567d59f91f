/**
 * The authoritative route at the door: with a token through the API, without one through a service binding.
 *
 * Promises: what is told is the Group's of at most 250 ms before the caller came; however many ask an isolate at
 * once, it asks the Group one question at a time; a group that fails to answer is told as that, never as an old
 * route.
 * Must never: be reached over HTTP before the token was checked.
 */
import { Hono } from "hono";
import type { Route } from "../core/route.ts";
import type { GroupConfig } from "../core/types.ts";
import { type Answer, configInForce, groupOf, type RawEnv } from "../env.ts";
import { type Bindings, type Ctx, findGroup, reading, responseOf } from "./asking.ts";
import { createMemo } from "./memo.ts";
import { notFound, problem } from "./problem.ts";

const FRESH_MS = 250;
/** It is served from memory; only a deploy that changes it is looked at first. */
const WITHIN_MS = 10_000;

/** One for all ways in to this isolate. */
const memo = createMemo<Route>({
  freshMs: FRESH_MS,
  withinMs: WITHIN_MS,
  silence: reading.silence,
});

/** Keeps the question alive for those who share it, when whoever began it goes away. */
type Holder = Pick<ExecutionContext, "waitUntil">;

const tell = (env: RawEnv, { name, location }: GroupConfig, holder: Holder) =>
  memo(name, {
    question: async () => await groupOf(env, name, location).route(name),
    hold: (work) => holder.waitUntil(work),
  });

/** GET /v1/groups/:group/route, for whom it may be told; `findGroup` comes first. */
export async function route(context: Ctx): Promise<Response> {
  context.header("cache-control", "no-store");
  const given = await tell(context.env, context.var.config, context.executionCtx);
  return responseOf(context, given, (value) => context.json(value));
}

/** What a service binding reaches by `fetch`: the route, and nothing else. */
export const routeOnly = new Hono<Bindings>()
  .get("/v1/groups/:group/route", findGroup, route)
  .notFound((context) => notFound(context, "no such path"))
  .onError((error, context) => {
    console.error("request failed", error.message);
    return problem(context, { status: 500 });
  });

/** What a service binding reaches by RPC. */
export async function routeOf(env: RawEnv, group: string, holder: Holder): Promise<Answer<Route>> {
  const { groups, problem: why } = await configInForce(env);
  const config = groups.find(({ name }) => name === group);
  if (config !== undefined) return tell(env, config, holder);
  if (why !== null) return { kind: "unavailable", detail: why };
  return { kind: "not-found", detail: `no group ${group}` };
}
