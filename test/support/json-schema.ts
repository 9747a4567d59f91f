/**
 * A reader of JSON Schema that knows nothing of how a schema was made: as one in another language would read
 * docs/route.schema.json.
 *
 * Promises: a keyword that it does not know is an error, never passed over.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

type Schema = Readonly<Record<string, unknown>>;

export const routeSchema: Schema = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../docs/route.schema.json"), "utf8"),
);

/** What is wrong, each with where it is; empty: nothing. */
export function complaintsOf(schema: Schema, value: unknown, at = "$"): string[] {
  return Object.entries(schema).flatMap(([keyword, wanted]) => {
    const rule = rules[keyword];
    if (rule === undefined) throw new Error(`${at}: the keyword ${keyword} is not known here`);
    return rule(wanted as never, value, at);
  });
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const kinds: Record<string, (value: unknown) => boolean> = {
  object: isObject,
  array: Array.isArray,
  string: (value) => typeof value === "string",
  number: Number.isFinite,
  integer: Number.isInteger,
  boolean: (value) => typeof value === "boolean",
  null: (value) => value === null,
};

const ifNot = (right: boolean, complaint: string) => (right ? [] : [complaint]);

const rules: Record<string, (wanted: never, value: unknown, at: string) => string[]> = {
  $schema: () => [],
  title: () => [],
  description: () => [],
  type: (kind: string, value, at) =>
    ifNot(kinds[kind]?.(value) ?? false, `${at}: ${kind} is wanted`),
  const: (only: unknown, value, at) => ifNot(value === only, `${at}: ${only} is wanted`),
  enum: (any: unknown[], value, at) => ifNot(any.includes(value), `${at}: one of ${any} is wanted`),
  minimum: (least: number, value, at) =>
    ifNot(typeof value !== "number" || value >= least, `${at}: at least ${least} is wanted`),
  maximum: (most: number, value, at) =>
    ifNot(typeof value !== "number" || value <= most, `${at}: at most ${most} is wanted`),
  required: (keys: string[], value, at) =>
    isObject(value)
      ? keys.flatMap((key) => ifNot(Object.hasOwn(value, key), `${at}.${key}: is missing`))
      : [],
  properties: (schemas: Record<string, Schema>, value, at) =>
    isObject(value)
      ? Object.entries(schemas).flatMap(([key, schema]) =>
          Object.hasOwn(value, key) ? complaintsOf(schema, value[key], `${at}.${key}`) : [],
        )
      : [],
  items: (schema: Schema, value, at) =>
    Array.isArray(value)
      ? value.flatMap((each, index) => complaintsOf(schema, each, `${at}[${index}]`))
      : [],
  anyOf: (schemas: Schema[], value, at) =>
    ifNot(
      schemas.some((schema) => complaintsOf(schema, value, at).length === 0),
      `${at}: none of what is allowed`,
    ),
};
