/**
 * The authoritative route at the door: with a token through the API, without one through a service binding.
 *
 * Promises: what is told is the Group's of at most 250 ms before the caller came; who knows a route already may wait
 * for the next one, and has it as soon as it is decided; however many ask an isolate at once, it asks the Group one
 * question at a time, and one for each route that is waited upon; a group that fails to answer is told as that,
 * never as an old route.
 * Must never: be reached over HTTP before the token was checked.
 */
import { Hono } from "hono";
import * as v from "valibot";
import type { Route } from "../core/route.ts";
import type { GroupConfig } from "../core/types.ts";
import { type Answer, configInForce, groupOf, type RawEnv } from "../env.ts";
import { type Bindings, type Ctx, findGroup, reading, responseOf } from "./asking.ts";
import { badInput, routeVersion, type StandardIssue } from "./input.ts";
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

/** By the route that is waited upon: all who know the same one wait for the same answer. */
const WAIT_MS = 1000;
/** Questions that wait at once; past so many, who asks is told what there is. */
const MOST_WAITS = 64;
let waiting = 0;
const waits = createMemo<Route>({
  freshMs: FRESH_MS,
  from: "given",
  withinMs: WAIT_MS + WITHIN_MS,
  silence: reading.silence,
});

/** The route that the caller knows. */
export type After = Pick<Route, "epoch" | "rev">;

/** Keeps the question alive for those who share it, when whoever began it goes away. */
type Holder = Pick<ExecutionContext, "waitUntil">;

function tell(
  env: RawEnv,
  { name, location }: GroupConfig,
  holder: Holder,
  after?: After,
): Promise<Answer<Route>> {
  const hold = (work: Promise<unknown>) => holder.waitUntil(work);
  const group = groupOf(env, name, location);
  if (after === undefined || waiting >= MOST_WAITS)
    return memo(name, { hold, question: async () => await group.route(name) });
  const question = async () => {
    waiting += 1;
    try {
      return await group.route(name, { after, forMs: WAIT_MS });
    } finally {
      waiting -= 1;
    }
  };
  return waits(`${after.epoch}.${after.rev} ${name}`, { hold, question });
}

const Query = v.object({ after: routeVersion });

/** GET /v1/groups/:group/route, for whom it may be told; `findGroup` comes first. */
export async function route(context: Ctx): Promise<Response> {
  const query = v.safeParse(Query, context.req.query());
  if (!query.success) return badInput(context, query.issues as readonly StandardIssue[]);
  context.header("cache-control", "no-store");
  const { config } = context.var;
  const given = await tell(context.env, config, context.executionCtx, query.output.after);
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
export async function routeOf(
  env: RawEnv,
  group: string,
  holder: Holder,
  after?: After,
): Promise<Answer<Route>> {
  const { groups, problem: why } = await configInForce(env);
  const config = groups.find(({ name }) => name === group);
  if (config !== undefined) return tell(env, config, holder, after);
  if (why !== null) return { kind: "unavailable", detail: why };
  return { kind: "not-found", detail: `no group ${group}` };
}
