/**
 * The schema of the relay's configuration: what each setting is, its default and its range.
 *
 * Promises: what is not in the file itself, secrets and certificates, is read here, so that a configuration
 * that parses is complete. Settings: docs/relay.md, which a test holds to this.
 * Must never: quote a secret in a message.
 */
import { createSecureContext } from "node:tls";
import * as v from "valibot";
import { leaseSettings } from "./lease/settings.ts";
import { type Found, fileFrom, type Sources, secretFrom } from "./secrets.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

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
const bool = v.boolean("true or false");
const id = text("1 to 64 letters, digits, dots, dashes or underscores", /^[A-Za-z0-9._-]{1,64}$/);
const host = text("a host name or an IP address", /^[^\s/]{1,253}$/);
const orNull = <S extends v.GenericSchema>(schema: S) => v.optional(v.nullable(schema), null);

const different = (values: readonly string[]): boolean => new Set(values).size === values.length;

const url = v.pipe(
  v.string("an http or https address"),
  v.check(isPlainUrl, "an http or https address without credentials, query or fragment"),
  v.transform((given) => given.replace(/\/+$/, "")),
);

const limits = v.strictObject({
  max_body_bytes: v.optional(whole(KIB, 512 * MIB), MIB),
  max_pipeline: v.optional(whole(1, 10_000), 1000),
  max_reply_bytes: v.optional(whole(KIB, 512 * MIB), 16 * MIB),
  max_requests: v.optional(whole(1, 100_000), 1000),
  max_block_ms: v.optional(whole(100, 600_000), 30_000),
  hold_ms: v.optional(whole(0, 30_000), 2000),
});

const pool = v.strictObject({
  connections: v.optional(whole(1, 10_000), 64),
  waiting: v.optional(whole(0, 100_000), 256),
});

/** The whole file. What it takes from elsewhere, secrets and certificates, it takes from `sources`. */
export function fileSchema(sources: Sources) {
  /** `given` looked up elsewhere: a failure to find it is a complaint like any other. */
  const lookedUp = (find: (given: unknown) => Found) =>
    v.pipe(
      v.unknown(),
      v.rawTransform<unknown, string>(({ dataset, addIssue, NEVER }) => {
        const found = find(dataset.value);
        if (found.kind === "found") return found.text;
        addIssue({ message: found.allowed });
        return NEVER;
      }),
    );
  const secret = (allowed: string, pattern: RegExp) =>
    v.pipe(
      lookedUp((given) => secretFrom(given, sources)),
      v.regex(pattern, allowed),
    );
  const token = secret("16 to 512 printable characters without spaces", /^[\x21-\x7e]{16,512}$/);
  const pem = orNull(
    lookedUp((given) => fileFrom(typeof given === "string" ? given : "", sources)),
  );

  const dataToken = v.pipe(
    v.unknown(),
    v.transform((given) => (isBare(given) ? { token: given } : given)),
    v.strictObject({
      token,
      read_only: v.optional(bool, false),
      key_prefix: orNull(text("1 to 256 characters, or null", /^.{1,256}$/s)),
      expires: orNull(
        v.pipe(
          v.string(TIME),
          v.isoTimestamp(TIME),
          v.check(isOnCalendar, TIME),
          v.transform(Date.parse),
        ),
      ),
    }),
  );

  const tls = v.pipe(
    v.strictObject({
      ca_file: pem,
      cert_file: pem,
      key_file: pem,
      server_name: orNull(host),
    }),
    v.check(
      (each) => (each.cert_file === null) === (each.key_file === null),
      "cert_file and key_file together",
    ),
    v.check((each) => usable(each), "certificates and a key that belong together, in PEM"),
  );

  const node = v.pipe(
    v.strictObject({
      id,
      host: v.optional(host),
      port: v.optional(whole(1, 65_535)),
      socket: v.optional(text("an absolute path", /^\/[^\0]{1,106}$/)),
      tls: orNull(tls),
      username: orNull(text("1 to 512 characters, or null", /^.{1,512}$/s)),
      password: orNull(secret("1 to 512 characters, or null", /^.{1,512}$/s)),
    }),
    v.check(
      (each) =>
        each.socket === undefined
          ? each.host !== undefined && each.port !== undefined
          : each.host === undefined && each.port === undefined && each.tls === null,
      "host and port (with tls or without), or socket alone",
    ),
    v.forward(
      v.check(
        (each) => each.username === null || each.password !== null,
        "a password beside a username",
      ),
      ["password"],
    ),
  );

  return v.pipe(
    v.strictObject({
      id,
      listen: v.strictObject({ host, port: whole(0, 65_535) }),
      state_file: text("the path of a file", /^[^\0]{1,4096}$/),
      control_tokens: list(token, 1, 2, "control tokens", different),
      data_tokens: list(dataToken, 1, 64, "data tokens", (all) =>
        different(all.map((each) => each.token)),
      ),
      metrics_token: orNull(token),
      limits: v.optional(limits, {}),
      pool: v.optional(pool, {}),
      drain_ms: v.optional(whole(0, 60_000), 0),
      command_ttl_ms: v.optional(whole(100, 60_000), 2000),
      node_timeout_ms: v.optional(whole(10, 30_000), 1000),
      nodes: list(node, 1, 256, "nodes", (all) => different(all.map((each) => each.id))),
      groups: v.optional(
        list(v.strictObject({ name: id, url }), 0, 64, "groups", (all) =>
          different(all.map((each) => each.name)),
        ),
        [],
      ),
      lease: v.optional(leaseSettings({ url, token }), []),
    }),
    v.forward(
      v.check(
        (all) => all.lease.every(({ node }) => all.nodes.some((each) => each.id === node)),
        "leases of nodes that stand in nodes",
      ),
      ["lease"],
    ),
    v.forward(
      v.check(
        (all) => all.lease.every(({ group }) => all.groups.some(({ name }) => name === group)),
        "leases of groups that stand in groups, with the Worker's address",
      ),
      ["lease"],
    ),
    v.forward(
      v.check(
        (all) => !all.data_tokens.some((each) => all.control_tokens.includes(each.token)),
        "tokens that are no control tokens",
      ),
      ["data_tokens"],
    ),
    v.forward(
      v.check(
        ({ metrics_token: given, control_tokens, data_tokens }) =>
          given === null ||
          !(control_tokens.includes(given) || data_tokens.some(({ token }) => token === given)),
        "a token that is no control or data token",
      ),
      ["metrics_token"],
    ),
  );
}

const TIME = "a time as in 2026-12-31T23:59:59Z, or null";

/** The parser takes the 31st of February for a day in March. */
function isOnCalendar(given: string): boolean {
  const day = given.slice(0, 10);
  const parsed = Date.parse(day);
  return !Number.isNaN(parsed) && new Date(parsed).toISOString().startsWith(day);
}

const isBare = (given: unknown): boolean =>
  typeof given === "string" ||
  (typeof given === "object" && given !== null && ("env" in given || "file" in given));

function list<S extends v.GenericSchema>(
  item: S,
  from: number,
  to: number,
  name: string,
  distinct: (all: v.InferOutput<S>[]) => boolean,
) {
  const allowed = `${from} to ${to} ${name}`;
  return v.pipe(
    v.array(item, `a list of ${name}`),
    v.minLength(from, allowed),
    v.maxLength(to, allowed),
    v.check(distinct, `${name} that differ from each other`),
  );
}

function isPlainUrl(given: string): boolean {
  const parsed = URL.parse(given);
  return (
    parsed !== null &&
    (parsed.protocol === "http:" || parsed.protocol === "https:") &&
    `${parsed.username}${parsed.password}${parsed.search}${parsed.hash}` === ""
  );
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----/;

type Pems = { ca_file: string | null; cert_file: string | null; key_file: string | null };

function usable({ ca_file, cert_file, key_file }: Pems): boolean {
  // Node takes any text for an authority, and would then trust nobody.
  if (ca_file !== null && !CERTIFICATE.test(ca_file)) return false;
  try {
    createSecureContext({
      ...(ca_file === null ? {} : { ca: ca_file }),
      ...(cert_file === null ? {} : { cert: cert_file }),
      ...(key_file === null ? {} : { key: key_file }),
    });
    return true;
  } catch {
    return false;
  }
}
