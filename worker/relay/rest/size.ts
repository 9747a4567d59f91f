/**
 * How many bytes an answer would have, before it is built.
 *
 * Promises: pure; to the byte for what is UTF-8, never more than it would be, and hardly more work than what
 * is over the limit is worth.
 * Must never: build the answer to find out.
 */
import { isBytes, type Reply } from "../../redis/connection.ts";
import type { Format } from "./upstash.ts";

/** JSON writes a control character as six. */
const MOST_FOR_ONE = 6;

export function isTooLarge(reply: Reply | undefined, format: Format, mostBytes: number): boolean {
  const plain = sizeOf(reply ?? null, { format, mostBytes, escapes: false });
  if (plain > mostBytes) return true;
  if (format !== "json" || plain * MOST_FOR_ONE <= mostBytes) return false;
  return sizeOf(reply ?? null, { format, mostBytes, escapes: true }) > mostBytes;
}

/** The same of an answer that was built. */
export const isTooLong = (body: string | Buffer, mostBytes: number): boolean =>
  body.length * 3 > mostBytes && Buffer.byteLength(body) > mostBytes;

type How = { readonly format: Format; readonly mostBytes: number; readonly escapes: boolean };

function sizeOf(reply: Reply, how: How): number {
  const resp2 = how.format === "resp2";
  if (reply === null) return resp2 ? 5 : 4;
  if (typeof reply === "string") return resp2 ? reply.length + 3 : reply.length;
  if (isBytes(reply)) return bytesSize(reply, how);
  if (reply instanceof Error) return reply.message.length + 2;
  let size = resp2 ? 3 + digits(reply.length) : 1 + Math.max(1, reply.length);
  for (const each of reply) {
    size += sizeOf(each, how);
    // What follows makes it no smaller.
    if (size > how.mostBytes) break;
  }
  return size;
}

function bytesSize(bytes: Buffer, { format, escapes }: How): number {
  const { length } = bytes;
  // A lone OK is shorter, as a status.
  if (format === "resp2") return length === 2 ? 5 : length + digits(length) + 5;
  if (format === "base64") return 4 * Math.ceil(length / 3) + 2;
  return 2 + length + (escapes ? escaped(bytes) : 0);
}

const digits = (count: number): number => String(count).length;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** \b \t \n \f \r: of two characters. */
const SHORT: readonly number[] = [8, 9, 10, 12, 13];

/** What JSON adds to a string's bytes. */
function escaped(bytes: Buffer): number {
  let more = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte >= 0x20) more += byte === QUOTE || byte === BACKSLASH ? 1 : 0;
    else more += SHORT.includes(byte) ? 1 : MOST_FOR_ONE - 1;
  }
  return more;
}
