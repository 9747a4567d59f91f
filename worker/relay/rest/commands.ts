/**
 * Which Redis commands a caller may send through the REST face, and what each of them needs.
 *
 * Promises: names are compared in any letter case; every refusal names the command and says why; a command of
 * which nobody knows what it does is `unknown`, until the server was asked (learn.ts).
 * Must never: let a command through that changes who is primary, what a shared connection is, or that waits
 * longer than is allowed.
 */
import type { Command } from "../../redis/connection.ts";
import type { Caller } from "../tokens.ts";
import type { Known } from "./keys.ts";
import type { DataToken } from "./policy.ts";
import { outsideOf } from "./prefix.ts";
import { commandTable } from "./table.ts";
import { unknownText } from "./unknown.ts";
import { waitOf } from "./waiting.ts";

export type Verdict =
  | { readonly kind: "allowed"; readonly write: boolean; readonly waitMs: number }
  | { readonly kind: "refused"; readonly error: string }
  | { readonly kind: "unknown"; readonly name: string };

/** What servers told beyond the table; null: that server has no such command. */
export type Learned = ReadonlyMap<string, Known | null>;

const TOPOLOGY = "topology and server settings are changed by the relay's verbs only";
const ADMINISTRATION = "administration is not for apps";
const CONNECTION = "it changes the state of a connection that all callers share";
const TRANSACTION = "transactions go to /multi-exec";
const STREAM = "subscriptions are event streams: /subscribe/<channel>, /psubscribe/<pattern>";
const LOOKS = "the control token looks only: PING, INFO, ROLE, TIME, DBSIZE, CONFIG GET";
const READS = "this token only reads";
const WAITS = "how long it would wait inside Redis is not known here";

/** SAVE and its kin stand with topology: they stop or load the server for everyone. */
const REFUSED: readonly (readonly [reason: string, names: string])[] = [
  [TOPOLOGY, "REPLICAOF SLAVEOF FAILOVER CLUSTER SENTINEL SYNC PSYNC REPLCONF MIGRATE"],
  [TOPOLOGY, "CONFIG DEBUG SHUTDOWN MODULE ACL SAVE BGSAVE BGREWRITEAOF RESTORE-ASKING"],
  [ADMINISTRATION, "MONITOR SWAPDB LATENCY SLOWLOG"],
  [CONNECTION, "SELECT AUTH HELLO QUIT RESET READONLY READWRITE ASKING"],
  // The first words of HTTP: Redis takes them for an attack and closes the connection.
  [CONNECTION, "POST HOST:"],
  [STREAM, "SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE"],
  [TRANSACTION, "MULTI EXEC DISCARD WATCH UNWATCH"],
];
const reasons = new Map(
  REFUSED.flatMap(([reason, names]) => names.split(" ").map((name) => [name, reason] as const)),
);

const CLIENT_LOOKS = ["ID", "INFO", "LIST", "GETNAME"];
const CONTROL_LOOKS = ["PING", "INFO", "ROLE", "TIME", "DBSIZE"];
/** Not flagged `readonly` by Redis, and yet they only look. */
const HARMLESS = ["PING", "ECHO", "TIME", "INFO", "COMMAND"];
/** Flagged `readonly`, and yet they tell which keys there are; a script does that too, and may never end. */
const POWERFUL = ["KEYS", "SCAN", "RANDOMKEY", "EVAL_RO", "EVALSHA_RO", "FCALL_RO"];

const READ: Verdict = { kind: "allowed", write: false, waitMs: 0 };
const WRITE: Verdict = { kind: "allowed", write: true, waitMs: 0 };

/** In place of a longest wait: there no command waits, whatever its timeout. */
export const INSIDE_MULTI = Number.POSITIVE_INFINITY;

export function judge(
  caller: Caller,
  command: Command,
  maxBlockMs: number,
  learned: Learned,
): Verdict {
  if (caller.face === "control") return judgeControl(command);
  const entry = entryOf(command, learned);
  if (entry.reason !== null) return refuse(entry.name, entry.reason);
  const { known } = entry;
  if (known === undefined) return { kind: "unknown", name: entry.name };
  if (known === null) {
    // Said here: what the server does not know may still close the connection that all callers share.
    return { kind: "refused", error: unknownText(command) };
  }
  const { token } = caller;
  if (token.readOnly && !isReading(known)) return refuse(entry.name, READS);
  if (token.keyPrefix !== null) {
    const outside = outsideOf(token.keyPrefix, known, command);
    if (outside !== null) return refuse(entry.name, outside);
  }
  if (!entry.mayWait || maxBlockMs === INSIDE_MULTI) return known.readonly ? READ : WRITE;
  return judgeWait(known, command, maxBlockMs);
}

function judgeWait(known: Known, command: Command, maxBlockMs: number): Verdict {
  const wait = waitOf(known.name, command);
  if (wait === "unknown") return refuse(known.name, WAITS);
  if (wait === "never") return known.readonly ? READ : WRITE;
  const error = `'${known.name}' may wait for 1 to ${maxBlockMs} ms here, limits.max_block_ms`;
  if (wait === "malformed")
    return { kind: "refused", error: `ERR ${error}: its timeout is no number` };
  if (wait === 0) return { kind: "refused", error: `ERR ${error}: a timeout of 0 is for ever` };
  if (wait > maxBlockMs) return { kind: "refused", error: `ERR ${error}: not for ${wait}` };
  return { kind: "allowed", write: !known.readonly, waitMs: wait };
}

const isReading = ({ name, readonly }: Known): boolean =>
  readonly ? !POWERFUL.includes(name) : HARMLESS.includes(name.split("|")[0] ?? "");

/** Whether a token may listen at all, and to these channels. */
export function judgeChannels(
  token: DataToken,
  name: "SUBSCRIBE" | "PSUBSCRIBE",
  channels: Command,
): string | null {
  const known = commandTable.get(name);
  if (token.keyPrefix === null || known === undefined) return null;
  const outside = outsideOf(token.keyPrefix, known, [name, ...channels]);
  return outside === null ? null : refusalText(name, outside);
}

const refusalText = (name: string, reason: string): string =>
  `NOPERM this relay refuses '${name.slice(0, 32)}': ${reason}`;

const refuse = (name: string, reason: string): Verdict => ({
  kind: "refused",
  error: refusalText(name.split("|")[0] ?? "", reason),
});

// ------------------------------------------------------------------ looking up

/** What is known of a command before its arguments are looked at. */
type Entry = {
  readonly name: string;
  readonly reason: string | null;
  readonly known: Known | null | undefined;
  readonly mayWait: boolean;
};

function entry(name: string, known: Known | null | undefined): Entry {
  // A renamed command is still what it was.
  const [container = name] = (known?.name ?? name).split("|");
  const admin = known?.admin === true && name !== "CLIENT|LIST";
  const reason = reasons.get(container) ?? (admin ? ADMINISTRATION : null);
  const mayWait = known?.blocking === true || name === "WAIT" || name === "WAITAOF";
  return { name, reason, known, mayWait };
}

/** Ready for the two ways in which nearly everybody writes them. */
const entries = new Map<string, Entry>();
const containers = new Set<string>();
for (const [name, known] of commandTable) {
  const made = entry(name, known);
  entries.set(name, made);
  entries.set(name.toLowerCase(), made);
  const [container = "", subcommand] = name.split("|");
  if (subcommand !== undefined) containers.add(container);
}

function entryOf(command: Command, learned: Learned): Entry {
  const given = String(command[0]);
  const found = entries.get(given) ?? entries.get(given.toUpperCase());
  if (found === undefined) {
    const name = given.toUpperCase();
    const subcommand = learned.get(`${name}|${String(command[1] ?? "").toUpperCase()}`);
    return entry(name, subcommand ?? learned.get(name));
  }
  return containers.has(found.name) ? within(found, command) : found;
}

function within(container: Entry, command: Command): Entry {
  const second = String(command[1] ?? "").toUpperCase();
  if (container.name === "CLIENT" && !CLIENT_LOOKS.includes(second)) {
    return { ...container, reason: CONNECTION };
  }
  if (container.name === "SCRIPT" && second === "DEBUG")
    return { ...container, reason: CONNECTION };
  return entries.get(`${container.name}|${second}`) ?? container;
}

// --------------------------------------------------------------------- control

function judgeControl(command: Command): Verdict {
  const [name = "", second = ""] = command.slice(0, 2).map((word) => String(word).toUpperCase());
  const reason = controlReason(name, second, command);
  return reason === null ? READ : refuse(name, reason);
}

function controlReason(name: string, second: string, command: Command): string | null {
  if (CONTROL_LOOKS.includes(name)) return null;
  if (name !== "CONFIG" || second !== "GET") return LOOKS;
  const open = command.slice(2).every((setting) => isOpenSetting(String(setting)));
  return open ? null : "CONFIG GET answers for plain names of settings that hold no secret";
}

/** A pattern could match requirepass; a name cannot. */
function isOpenSetting(setting: string): boolean {
  return /^[a-z0-9-]+$/i.test(setting) && !/pass|auth|user|key/i.test(setting);
}
