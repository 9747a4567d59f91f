/**
 * What callers send, checked: bodies and queries, and the complaint when they are not right.
 *
 * Promises: a complaint names the field, what was given and what is allowed; nothing is cut or guessed.
 */
import type { Context } from "hono";
import * as v from "valibot";
import { problem } from "./problem.ts";

export const nodeId = v.pipe(v.string("the id of a node"), v.minLength(1, "the id of a node"));

export const reason = v.pipe(
  v.string("1 to 200 printable characters"),
  v.regex(/^[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]{1,200}$/u, "1 to 200 printable characters"),
);

/** A whole number of milliseconds, from `min` to `max`. */
export const milliseconds = (min: number, max: number) => {
  const allowed = `a whole number from ${min} to ${max}`;
  return v.pipe(
    v.number(allowed),
    v.integer(allowed),
    v.minValue(min, allowed),
    v.maxValue(max, allowed),
  );
};

/** Any number from `min` to `max`. */
export const numberWithin = (min: number, max: number) => {
  const allowed = `a number from ${min} to ${max}`;
  return v.pipe(v.number(allowed), v.minValue(min, allowed), v.maxValue(max, allowed));
};

/** A key that must be there: one that is missing is complained of in the words of its schema. */
export const required = <T>(schema: v.GenericSchema<unknown, T>) =>
  v.pipe(v.optional(v.unknown(), null), schema);

/** An object with these keys and no others. */
export const exactly = <E extends v.ObjectEntries>(entries: E) =>
  v.pipe(
    v.unknown(),
    v.check((value) => !Array.isArray(value), "a JSON object"),
    v.strictObject(entries, "a JSON object"),
  );

/** A number as it stands in a query. */
export const count = (min: number, max: number, fallback: number) => {
  const allowed = `a whole number from ${min} to ${max}`;
  const isCount = (text: string) =>
    /^\d{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max;
  return v.optional(
    v.pipe(v.string(allowed), v.check(isCount, allowed), v.transform(Number)),
    String(fallback),
  );
};

const version = "an epoch and a revision, such as 7.3";
/** A route as it is named in a query. */
export const routeVersion = v.optional(
  v.pipe(
    v.string(version),
    v.regex(/^\d{1,15}\.\d{1,15}$/, version),
    v.transform((text) => {
      const [epoch = 0, rev = 0] = text.split(".").map(Number);
      return { epoch, rev };
    }),
  ),
);

/** What a schema found: the field, the value, what is allowed. */
export function badInput(context: Context, issues: readonly StandardIssue[]): Response {
  const complaints = issues.map(({ message, path = [], input, expected }) => {
    const last = path.at(-1);
    const stray = expected === "never";
    const given = stray && typeof last === "object" ? last.value : input;
    return {
      path: path.map((part) => String(typeof part === "object" ? part.key : part)).join("."),
      given: (given ?? null) === null ? "nothing" : shown(given),
      allowed: stray ? "no such key" : message,
    };
  });
  return complained(context, complaints);
}

export const complained = (context: Context, complaints: readonly object[]): Response =>
  problem(context, { status: 400, detail: "the request is not right", complaints });

const shown = (value: unknown) => (JSON.stringify(value) ?? typeof value).slice(0, 80);

export type StandardIssue = {
  readonly message: string;
  readonly path?:
    | readonly (PropertyKey | { readonly key: PropertyKey; readonly value?: unknown })[]
    | undefined;
  /** What valibot adds to the standard. */
  readonly input?: unknown;
  readonly expected?: string | null;
};

/** A body that is not declared as JSON would be taken for none, and a failover for one to anybody. */
export async function onlyJson(
  context: Context,
  next: () => Promise<void>,
): Promise<Response | undefined> {
  const declared = /^application\/json\b/i.test(context.req.header("content-type") ?? "");
  if (!declared && (await context.req.text()).trim() !== "")
    return problem(context, {
      status: 400,
      detail: "a body is JSON, with content-type application/json",
    });
  await next();
  return undefined;
}
