/**
 * From a path to a Group and back: which group is meant, what it answers, in HTTP.
 *
 * Promises: a group that is not configured, or does not answer in time, is said so in the one error shape.
 */
import type { Context } from "hono";
import type { GroupConfig } from "../core/types.ts";
import {
  type Answer,
  configInForce,
  deployedConfig,
  groupOf,
  inTime,
  type RawEnv,
} from "../env.ts";
import { notFound, problem } from "./problem.ts";

export type Bindings = { Bindings: RawEnv; Variables: { config: GroupConfig } };
export type Ctx = Context<Bindings>;
export type Group = ReturnType<typeof groupOf>;

/** How long a Group is waited for, and what is said of one that is silent. */
export type Patience = { readonly withinMs: number; readonly silence: string };
/** A first look may have to be waited for. */
export const reading: Patience = { withinMs: 20_000, silence: "the group did not answer" };

/** Leaves the configuration of the path's group to who comes next. */
export async function findGroup(
  context: Ctx,
  next: () => Promise<void>,
): Promise<Response | undefined> {
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

/** Asks the Group of the path, and says in HTTP what it answers, or that it does not. */
export async function answer<T>(
  context: Ctx,
  question: (group: Group, name: string) => Promise<Answer<T>>,
  respond: (value: T) => Response,
  patience: Patience = reading,
): Promise<Response> {
  const { name, location } = context.var.config;
  const group = groupOf(context.env, name, location);
  return responseOf(
    context,
    await told((asked) => question(asked, name), group, patience),
    respond,
  );
}

export function responseOf<T>(
  context: Ctx,
  given: Answer<T>,
  respond: (value: T) => Response,
): Response {
  if (given.kind === "told") return respond(given.value);
  if (given.kind === "not-found") return notFound(context, given.detail);
  return problem(context, { status: 503, detail: given.detail });
}

export async function told<T>(
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
