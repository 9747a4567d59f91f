/**
 * What to say of commands that the client has and this Redis has not.
 *
 * Promises: pure; any other error of Redis comes out as it went in.
 */
import type { Command } from "../../redis/connection.ts";

/** By the beginning of a command's name. */
const ELSEWHERE: readonly (readonly [names: RegExp, whose: string])[] = [
  [/^JSON\./, "needs the JSON module, which is part of Redis from version 8 on"],
  [/^FT\./, "needs the search module, which is part of Redis from version 8 on"],
  [/^(TS|BF|CF|CMS|TOPK|TDIGEST)\./, "needs a module, which is part of Redis from version 8 on"],
  [/^(SEARCH|VECTOR)\./, "is of Upstash alone: open-source Redis has no such command"],
  [/^AR[A-Z]+$/, "is a command for arrays, which no open-source Redis of this version has"],
  [/^HP?(EXPIRE|EXPIREAT|TTL|EXPIRETIME|PERSIST)$/, "needs Redis 7.4 or later"],
  [/^H(GETDEL|GETEX|SETEX)$/, "needs Redis 8 or later"],
  [/^X(DELEX|ACKDEL)$/, "needs Redis 8.2 or later"],
  [/^WAITAOF$/, "needs Redis 7.2 or later"],
  [/^(EVAL_RO|EVALSHA_RO|FCALL|FCALL_RO|FUNCTION)$/, "needs Redis 7 or later"],
];

/** Redis's own words, and after them why. */
export function explained(error: string): string {
  const given = /^ERR unknown command [`']([^`']{1,128})[`']/.exec(error)?.[1]?.toUpperCase();
  if (given === undefined) return error;
  const whose = ELSEWHERE.find(([names]) => names.test(given))?.[1];
  return whose === undefined ? error : `ERR unknown command '${given}': it ${whose}`;
}

/** For a command of which the server was asked and does not know it. */
export function unknownText([name]: Command): string {
  const shown = String(name)
    .slice(0, 128)
    .replace(/[\r\n]/g, " ");
  return explained(`ERR unknown command '${shown}'`);
}
