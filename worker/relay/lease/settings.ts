/**
 * The settings of `lease` in the relay's configuration: whose lease it keeps, and who else has to promise.
 */
import * as v from "valibot";

/** A node whose lease this relay keeps. */
export type LeaseSettings = {
  readonly group: string;
  readonly node: string;
  /** How long Redis may take to confirm a seal: a lease is given back so much earlier. */
  readonly sealMs: number;
  /** Run when it did not: an argv list, no shell; null: none. */
  readonly killCommand: readonly string[] | null;
  readonly peers: readonly Peer[];
};

/** The relay of another node of the group. The token is the same on both sides, and opens nothing else. */
export type Peer = { readonly id: string; readonly url: string; readonly token: string };

/** How the configuration reads addresses and secrets. */
type Text = v.GenericSchema<unknown, string>;

const id = v.pipe(
  v.string("1 to 64 letters, digits, dots, dashes or underscores"),
  v.regex(/^[A-Za-z0-9._-]{1,64}$/, "1 to 64 letters, digits, dots, dashes or underscores"),
);
const SEAL_MS = "a whole number from 20 to 10000";
const ARGV = "a list of 1 to 32 words, the first of them a program";

export function leaseSettings(parts: { readonly url: Text; readonly token: Text }) {
  const peer = v.strictObject({ id, url: parts.url, token: parts.token });
  const different = (ids: readonly string[]) => new Set(ids).size === ids.length;
  const entry = v.strictObject({
    group: id,
    node: id,
    seal_ms: v.optional(
      v.pipe(
        v.number(SEAL_MS),
        v.integer(SEAL_MS),
        v.minValue(20, SEAL_MS),
        v.maxValue(10_000, SEAL_MS),
      ),
      200,
    ),
    kill_command: v.optional(
      v.nullable(
        v.pipe(
          v.array(v.pipe(v.string(ARGV), v.minLength(1, ARGV), v.maxLength(4096, ARGV)), ARGV),
          v.minLength(1, ARGV),
          v.maxLength(32, ARGV),
        ),
      ),
      null,
    ),
    peers: v.optional(
      v.pipe(
        v.array(peer, "a list of peers"),
        v.maxLength(64, "0 to 64 peers"),
        v.check(
          (all) => different(all.map((each) => each.id)),
          "peers that differ from each other",
        ),
      ),
      [],
    ),
  });
  return v.pipe(
    v.array(entry, "a list of leases"),
    v.maxLength(16, "0 to 16 leases"),
    v.check((all) => different(all.map(({ node }) => node)), "each node in one entry at most"),
    v.transform((all): readonly LeaseSettings[] =>
      all.map(({ group, node, seal_ms, kill_command, peers }) => ({
        ...{ group, node, peers },
        ...{ sealMs: seal_ms, killCommand: kill_command },
      })),
    ),
  );
}
