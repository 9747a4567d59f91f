/**
 * The relays' own way in: each shows the control token that the Group knows it by.
 *
 * Must never: tell an unknown group or relay from a wrong token.
 */
import type { Context } from "hono";
import { timingSafeEqual } from "hono/utils/buffer";
import { configInForce, groupOf, type RawEnv, secretOf } from "../env.ts";
import { problem, unauthorized } from "./problem.ts";

/** GET /v1/groups/:group/relays/:relay/push, upgraded: a relay tells what it sees. */
export async function connect<E extends { Bindings: RawEnv }>(
  context: Context<E>,
): Promise<Response> {
  const { group, relay } = context.req.param() as { group: string; relay: string };
  const { groups } = await configInForce(context.env);
  const config = groups.find(({ name }) => name === group);
  const known = config?.relays.find(({ id }) => id === relay);
  const token = known === undefined ? "" : secretOf(context.env, known.controlTokenSecret);
  const given = /^Bearer (.+)$/i.exec(context.req.header("authorization") ?? "")?.[1] ?? "";
  const right = (await timingSafeEqual(given, token)) && token !== "";
  if (config === undefined || !right) return unauthorized(context);
  if (context.req.header("upgrade")?.toLowerCase() !== "websocket")
    return problem(context, { status: 426, detail: "a WebSocket is expected here" });
  const target = new URL(context.req.url);
  target.searchParams.set("relay", relay);
  return groupOf(context.env, config.name, config.location).fetch(
    new Request(target, context.req.raw),
  );
}
