/**
 * Which Redis commands a token may send through the Upstash face: one table, one function.
 *
 * Promises: names are compared in any letter case; every refusal names the command and says why.
 * Must never: let a command through that changes who is primary, what a shared connection is, or that
 * waits inside Redis and so holds up everyone behind it.
 */
import type { Command } from "../../redis/connection.ts";
import type { Caller } from "../tokens.ts";

const TOPOLOGY = "topology and server settings are changed by the relay's verbs only";
const CONNECTION = "it changes the state of a connection that all callers share";
const TRANSACTION = "transactions go to /multi-exec";
const BLOCKING = "it waits inside Redis on a connection that all callers share";
const LOOKS = "the control token looks only: PING, INFO, ROLE, TIME, DBSIZE, CONFIG GET";

/** SAVE and its kin stand with topology: they stop or load the server for everyone. */
const REFUSED: readonly (readonly [reason: string, names: string])[] = [
  [TOPOLOGY, "REPLICAOF SLAVEOF FAILOVER CLUSTER SENTINEL SYNC PSYNC REPLCONF MIGRATE"],
  [TOPOLOGY, "CONFIG DEBUG SHUTDOWN MODULE ACL MONITOR SAVE BGSAVE BGREWRITEAOF RESTORE-ASKING"],
  [CONNECTION, "SELECT AUTH HELLO QUIT RESET READONLY READWRITE ASKING"],
  [CONNECTION, "SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE"],
  [TRANSACTION, "MULTI EXEC DISCARD WATCH UNWATCH"],
  [BLOCKING, "BLPOP BRPOP BLMOVE BLMPOP BRPOPLPUSH BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF"],
];
const reasons = new Map(
  REFUSED.flatMap(([reason, names]) => names.split(" ").map((name) => [name, reason] as const)),
);

const CLIENT_LOOKS = ["ID", "INFO", "LIST", "GETNAME"];
const CONTROL_LOOKS = ["PING", "INFO", "ROLE", "TIME", "DBSIZE"];

/** The text of Redis's kind of error, or null when the command may go through. */
export function refusalOf(face: Caller["face"], command: Command): string | null {
  const [name = "", second = ""] = command.slice(0, 2).map((word) => String(word).toUpperCase());
  const reason =
    face === "control" ? controlReason(name, second, command) : dataReason(name, command);
  return reason === null ? null : `NOPERM this relay refuses '${name.slice(0, 32)}': ${reason}`;
}

function dataReason(name: string, command: Command): string | null {
  const second = String(command[1] ?? "").toUpperCase();
  if (name === "CLIENT") return CLIENT_LOOKS.includes(second) ? null : CONNECTION;
  if (name === "SCRIPT" && second === "DEBUG") return CONNECTION;
  if ((name === "XREAD" || name === "XREADGROUP") && blocks(name, command)) return BLOCKING;
  return reasons.get(name) ?? null;
}

/** Options of XREAD stand before STREAMS; XREADGROUP begins with GROUP, a group and a consumer. */
function blocks(name: string, command: Command): boolean {
  for (const word of command.slice(name === "XREADGROUP" ? 4 : 1)) {
    const option = String(word).toUpperCase();
    if (option === "BLOCK") return true;
    if (option === "STREAMS") return false;
  }
  return false;
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
