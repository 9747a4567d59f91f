/**
 * The relays' own way in: each shows the control token that the Group knows it by.
 *
 * Must never: tell an unknown group or relay from a wrong token.
 */
import type { Context } from "hono";
import { timingSafeEqual } from "hono/utils/buffer";
import * as v from "valibot";
import type { Grant } from "../core/lease.ts";
import type { GroupConfig } from "../core/types.ts";
import { type Answer, configInForce, groupOf, inTime, type RawEnv, secretOf } from "../env.ts";
import { leaseBody } from "../relay/lease/messages.ts";
import { badInput, type StandardIssue } from "./input.ts";
import { problem, unauthorized } from "./problem.ts";

/** GET /v1/groups/:group/relays/:relay/push, upgraded: a relay tells what it sees. */
export async function connect<E extends { Bindings: RawEnv }>(
  context: Context<E>,
): Promise<Response> {
  const { group, relay } = context.req.param() as { group: string; relay: string };
  const config = await groupThatKnows(context, group, relay);
  if (config === null) return unauthorized(context);
  if (context.req.header("upgrade")?.toLowerCase() !== "websocket")
    return problem(context, { status: 426, detail: "a WebSocket is expected here" });
  const target = new URL(context.req.url);
  target.searchParams.set("relay", relay);
  return groupOf(context.env, config.name, config.location).fetch(
    new Request(target, context.req.raw),
  );
}

/** POST /v1/groups/:group/lease: a relay asks whether its node may go on taking writes. */
export async function lease<E extends { Bindings: RawEnv }>(
  context: Context<E>,
): Promise<Response> {
  const { group } = context.req.param() as { group: string };
  const given = v.safeParse(leaseBody, await json(context));
  // Whose token it has to be stands in the body: one that says nothing is nobody's.
  const relay = given.success ? given.output.relay : relayIn(given.issues);
  const config = await groupThatKnows(context, group, relay);
  if (config === null) return unauthorized(context);
  if (!given.success) return badInput(context, given.issues as readonly StandardIssue[]);
  const stub = groupOf(context.env, config.name, config.location);
  const asked: Promise<Answer<Grant>> = stub.lease(config.name, given.output);
  const answer = await inTime(asked, LEASE_MS).catch(() => null);
  if (answer?.kind === "told") return context.json(answer.value);
  const detail = answer?.detail ?? "the group did not answer";
  return problem(context, { status: answer?.kind === "not-found" ? 404 : 503, detail });
}

/** No relay waits for longer: the longest lease is over by then. */
const LEASE_MS = 60_000;
const MAX_LEASE_CHARS = 16 * 1024;

async function json<E extends { Bindings: RawEnv }>(context: Context<E>): Promise<unknown> {
  if (Number(context.req.header("content-length") ?? Number.NaN) > MAX_LEASE_CHARS)
    return undefined;
  try {
    const text = await context.req.text();
    return text.length > MAX_LEASE_CHARS ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function relayIn(issues: readonly v.BaseIssue<unknown>[]): string {
  const [first] = issues[0]?.path ?? [];
  const body: unknown = first === undefined ? null : Reflect.get(first, "input");
  const relay = typeof body === "object" && body !== null ? Reflect.get(body, "relay") : null;
  return typeof relay === "string" ? relay : "";
}

/** The configuration of a group in which the caller is this relay, by its token; null: it is not. */
async function groupThatKnows<E extends { Bindings: RawEnv }>(
  context: Context<E>,
  group: string,
  relay: string,
): Promise<GroupConfig | null> {
  const { groups } = await configInForce(context.env);
  const config = groups.find(({ name }) => name === group);
  const known = config?.relays.find(({ id }) => id === relay);
  const token = known === undefined ? "" : secretOf(context.env, known.controlTokenSecret);
  const given = /^Bearer (.+)$/i.exec(context.req.header("authorization") ?? "")?.[1] ?? "";
  const right = (await timingSafeEqual(given, token)) && token !== "";
  return config !== undefined && right ? config : null;
}
