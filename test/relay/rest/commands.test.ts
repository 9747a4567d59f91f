import { expect, test } from "vitest";
import { judge } from "../../../worker/relay/rest/commands.ts";
import { known } from "../../../worker/relay/rest/keys.ts";
import type { Caller } from "../../../worker/relay/tokens.ts";

const app: Caller = {
  face: "data",
  token: { token: "t", readOnly: false, keyPrefix: null, expiresAtMs: null },
};
const learned = new Map([["WAITAOF", known("WAITAOF", "-b")]]);
const refusalOf = (face: Caller["face"], words: readonly string[]): string | null => {
  const caller: Caller = face === "data" ? app : { face };
  const verdict = judge(caller, words, 30_000, learned);
  return verdict.kind === "refused" ? verdict.error : null;
};

const refusedForApps = `
  REPLICAOF NO ONE | slaveof no one | FailOver | CONFIG SET maxmemory 1 | config get requirepass
  DEBUG SLEEP 9 | SHUTDOWN | CLUSTER RESET | MONITOR | SYNC | PSYNC ? -1 | REPLCONF ACK 1 | MODULE LIST
  ACL SETUSER x | SAVE | BGSAVE | BGREWRITEAOF | MIGRATE h 1 k 0 1 | SELECT 1 | AUTH x | HELLO 3 | QUIT | RESET
  MULTI | EXEC | DISCARD | WATCH k | UNWATCH | SUBSCRIBE c | PSUBSCRIBE c | SSUBSCRIBE c | UNSUBSCRIBE
  CLIENT | CLIENT REPLY OFF | CLIENT KILL TYPE normal | CLIENT PAUSE 1000 | client tracking on
  CLIENT NO-EVICT on | CLIENT SETNAME x | SCRIPT DEBUG YES | ACL RESTTOKEN default x | SWAPDB 0 1
  SLOWLOG GET | LATENCY RESET | PFDEBUG ENCODING k`;

const waitingForEver = `
  BLPOP k 0 | brpop k 0 | BLMOVE a b LEFT LEFT 0 | BLMPOP 0 1 k LEFT | BZPOPMIN k 0 | BZPOPMAX k 0
  BZMPOP 0 1 k MIN | BRPOPLPUSH a b 0.0 | WAIT 1 0 | WAITAOF 1 0 0 | XREAD BLOCK 0 STREAMS s $
  xread count 1 block 0 streams s $ | XREADGROUP GROUP g c BLOCK 0 STREAMS s > | XREAD BLOCK 5 BLOCK 0 STREAMS s $
  XREADGROUP COUNT 1 GROUP block block BLOCK 0 STREAMS s >`;

const waitingTooLong = `
  BLPOP k 30.1 | BLPOP a b 31 | BLMPOP 31 1 k LEFT | WAIT 1 30001 | WAITAOF 1 0 30001 | XREAD BLOCK 30001 STREAMS s $`;

const waitingNobodyKnows = `
  BLPOP k | BLPOP k forever | BLPOP k 0x10 | BLPOP k 1e9 | BLPOP k inf | BLPOP k -1 | BLMPOP x 1 k LEFT | WAIT 1
  XREAD BLOCK x STREAMS s $ | XREAD BLOCK`;

const allowedForApps = `
  GET k | SET BLOCK v | EVAL return 0 | FLUSHDB | XREAD STREAMS block 0 | XREAD COUNT 2 STREAMS s 0
  XREADGROUP GROUP block block STREAMS s > | CLIENT ID | client info | CLIENT LIST | CLIENT GETNAME
  SCRIPT LOAD x | PUBLISH c m | INFO | PING | BLPOP k 0.1 | WAIT 1 100 | XREAD BLOCK 100 STREAMS s $
  XREADGROUP GROUP g c STREAMS BLOCK 0 | FUNCTION LIST | MEMORY USAGE k | OBJECT ENCODING k`;

const refusedForControl = `
  GET k | SET k v | CONFIG SET x y | CONFIG REWRITE | CONFIG GET * | CONFIG GET requirepass
  CONFIG GET masterauth | CONFIG GET min-replicas-to-write require[p]ass | CONFIG GET tls-key-file-pass
  REPLICAOF NO ONE | CLIENT LIST | MULTI | SHUTDOWN | KEYS *`;

const allowedForControl = `
  PING | ping | INFO | INFO replication | ROLE | TIME | DBSIZE | CONFIG GET min-replicas-to-write
  config get MIN-REPLICAS-TO-WRITE min-replicas-max-lag`;

const lines = (text: string) =>
  text
    .split(/[|\n]/)
    .map((line) => line.trim())
    .filter((line) => line !== "");

test.each(lines(refusedForApps))("the data token may not: %s", (line) => {
  const words = line.split(/\s+/);
  const refusal = refusalOf("data", words);
  expect(refusal).toMatch(/^NOPERM /);
  expect(refusal).toContain(`'${words[0]?.toUpperCase()}'`);
});

test.each([
  ...lines(waitingForEver).map((line) => [
    line,
    /^ERR '[A-Z]+' may wait .*: a timeout of 0 is for ever$/,
  ]),
  ...lines(waitingTooLong).map((line) => [
    line,
    /^ERR '[A-Z]+' may wait .* 30000 ms .*: not for 3\d{4}$/,
  ]),
  ...lines(waitingNobodyKnows).map((line) => [
    line,
    /^ERR '[A-Z]+' may wait .*: its timeout is no number$/,
  ]),
] as [string, RegExp][])("the data token may not wait so: %s", (line, error) => {
  expect(refusalOf("data", line.split(/\s+/))).toMatch(error);
});

test.each(lines(allowedForApps))("the data token may: %s", (line) => {
  expect(refusalOf("data", line.split(/\s+/))).toBeNull();
});

test.each(lines(refusedForControl))("the control token may not: %s", (line) => {
  expect(refusalOf("control", line.split(/\s+/))).toMatch(/^NOPERM /);
});

test.each(lines(allowedForControl))("the control token may: %s", (line) => {
  expect(refusalOf("control", line.split(/\s+/))).toBeNull();
});
