/**
 * The relay's configuration: one JSON file, snake_case, taken whole or refused whole.
 *
 * Promises: every complaint names its path, what was given and what is allowed. Settings: docs/relay.md.
 * Must never: show a token, a password or a piece of the file's text in a complaint.
 */
import * as v from "valibot";
import type { Endpoint } from "../redis/connection.ts";

export type RelayNodeConfig = Endpoint & { readonly id: string };

export type RelaySettings = {
  readonly id: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly stateFile: string;
  readonly controlToken: string;
  readonly dataToken: string;
  readonly commandTtlMs: number;
  readonly nodeTimeoutMs: number;
  readonly nodes: readonly RelayNodeConfig[];
};

export type ParsedSettings =
  | { readonly kind: "settings"; readonly settings: RelaySettings }
  | { readonly kind: "wrong"; readonly complaints: readonly string[] };

const SECRETS = ["control_token", "data_token", "password"];

const text = (allowed: string, pattern: RegExp) =>
  v.pipe(v.string(allowed), v.regex(pattern, allowed));
const whole = (from: number, to: number) => {
  const allowed = `a whole number from ${from} to ${to}`;
  return v.pipe(
    v.number(allowed),
    v.integer(allowed),
    v.minValue(from, allowed),
    v.maxValue(to, allowed),
  );
};
const id = text("1 to 64 letters, digits, dots, dashes or underscores", /^[A-Za-z0-9._-]{1,64}$/);
const host = text("a host name or an IP address", /^[^\s/]{1,253}$/);
const token = text("16 to 512 printable characters without spaces", /^[\x21-\x7e]{16,512}$/);
const secret = v.optional(v.nullable(text("1 to 512 characters, or null", /^.{1,512}$/s)), null);

const node = v.pipe(
  v.strictObject({ id, host, port: whole(1, 65_535), username: secret, password: secret }),
  v.forward(
    v.check(
      (each) => each.username === null || each.password !== null,
      "a password beside a username",
    ),
    ["password"],
  ),
);

const file = v.pipe(
  v.strictObject({
    id,
    listen: v.strictObject({ host, port: whole(0, 65_535) }),
    state_file: text("the path of a file", /^[^\0]{1,4096}$/),
    control_token: token,
    data_token: token,
    command_ttl_ms: v.optional(whole(100, 60_000), 2000),
    node_timeout_ms: v.optional(whole(10, 30_000), 1000),
    nodes: v.pipe(
      v.array(node, "a list of nodes"),
      v.minLength(1, "1 to 64 nodes"),
      v.maxLength(64, "1 to 64 nodes"),
      v.check(
        (nodes) => new Set(nodes.map((each) => each.id)).size === nodes.length,
        "nodes with different ids",
      ),
    ),
  }),
  v.forward(
    v.check((all) => all.control_token !== all.data_token, "a token other than control_token"),
    ["data_token"],
  ),
);

export function parseSettings(json: string): ParsedSettings {
  let given: unknown;
  try {
    given = JSON.parse(json);
  } catch (error) {
    // Only the position: the rest of the message quotes the file.
    const at = /\(line \d+ column \d+\)/.exec(error instanceof Error ? error.message : "");
    return { kind: "wrong", complaints: [`the file is not JSON${at === null ? "" : ` ${at[0]}`}`] };
  }
  const parsed = v.safeParse(file, given, { abortPipeEarly: true });
  if (!parsed.success) return { kind: "wrong", complaints: parsed.issues.map(complaint) };
  const all = parsed.output;
  return {
    kind: "settings",
    settings: {
      id: all.id,
      listen: all.listen,
      stateFile: all.state_file,
      controlToken: all.control_token,
      dataToken: all.data_token,
      commandTtlMs: all.command_ttl_ms,
      nodeTimeoutMs: all.node_timeout_ms,
      nodes: all.nodes,
    },
  };
}

function complaint(issue: v.InferIssue<typeof file>): string {
  const path = v.getDotPath(issue) ?? "the file";
  const given = issue.path === undefined ? issue.input : issue.path.at(-1)?.value;
  if (issue.type === "strict_object" && issue.expected === "never") {
    return `${path}: unknown setting, allowed: only those of docs/relay.md`;
  }
  if (issue.kind === "schema" && issue.expected === "Object") {
    return `${path}: given ${kindOf(given)}, allowed: an object`;
  }
  if (issue.type === "strict_object") return `${path}: given nothing, allowed: a value`;
  return `${path}: given ${shown(path, given)}, allowed: ${issue.message}`;
}

function shown(path: string, value: unknown): string {
  const name = path.split(".").at(-1) ?? "";
  if (SECRETS.includes(name)) {
    return typeof value === "string" ? `a secret of ${value.length} characters` : kindOf(value);
  }
  return typeof value === "object" && value !== null
    ? kindOf(value)
    : (JSON.stringify(value)?.slice(0, 80) ?? "nothing");
}

function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}
