/**
 * Who may: reading needs either token, everything else the operators' one.
 *
 * Must never: tell, by an answer or by its time, how close a wrong token was.
 */
import type { Context } from "hono";
import { timingSafeEqual } from "hono/utils/buffer";
import { type RawEnv, tokensOf } from "../env.ts";
import { unauthorized } from "./problem.ts";

const reading: readonly string[] = ["GET", "HEAD"];

export async function mayPass<E extends { Bindings: RawEnv }>(
  context: Context<E>,
  need: "read" | "operate",
): Promise<boolean> {
  const given = /^Bearer (.+)$/i.exec(context.req.header("authorization") ?? "")?.[1] ?? "";
  const { read, operate } = tokensOf(context.env);
  const allowed = need === "read" ? [read, operate] : [operate];
  const matches = await Promise.all(
    allowed.map((token) => token !== null && timingSafeEqual(given, token)),
  );
  return matches.includes(true);
}

export async function guard<E extends { Bindings: RawEnv }>(
  context: Context<E>,
  next: () => Promise<void>,
): Promise<Response | undefined> {
  const need = reading.includes(context.req.method) ? "read" : "operate";
  if (!(await mayPass(context, need))) return unauthorized(context);
  await next();
  return undefined;
}
