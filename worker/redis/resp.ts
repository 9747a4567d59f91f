/**
 * The few replies of a look, read from the bytes of a server that may be anything.
 *
 * Why not the Redis client's decoder: it makes room for as many items as are announced, and eleven bytes then take
 * more memory than a Worker has.
 * Promises: pure; nothing is made room for before it has come; what is longer, deeper or stranger than any answer
 * to a look is no reply.
 * Must never: read past what was asked for.
 */
import type { Reply } from "./connection.ts";

/** A longer line or list, or one in another, answers no look: its one list is CONFIG GET's, a name and a value. */
const MOST_LINE_BYTES = 4096;
const MOST_ITEMS = 8;
const MOST_DEPTH = 1;
/** In all: INFO has some 10 KB, and some 100 KB where there are hundreds of databases. */
export const MOST_REPLY_BYTES = 1 << 20;

const [CR, LF] = [13, 10];
const text = new TextDecoder();

type One = { readonly reply: Reply; readonly end: number } | "more" | "nonsense";

/**
 * Reads what has come so far, each time all of it: as many whole replies as there are, `count` at most; null: this is
 * not the Redis protocol. A whole reply is read once, however small the pieces are that follow it.
 */
export function createReader(count: number): (bytes: Uint8Array) => readonly Reply[] | null {
  const replies: Reply[] = [];
  let at = 0;
  return (bytes) => {
    while (replies.length < count) {
      const one = replyAt(bytes, at, 0);
      if (one === "nonsense") return null;
      if (one === "more") break;
      replies.push(one.reply);
      at = one.end;
    }
    return replies;
  };
}

/** A command as Redis reads it. */
export function written(command: readonly string[]): string {
  const parts = command.map((part) => `$${byteLength(part)}\r\n${part}\r\n`);
  return `*${command.length}\r\n${parts.join("")}`;
}

const byteLength = (part: string) => new TextEncoder().encode(part).length;

function replyAt(bytes: Uint8Array, at: number, depth: number): One {
  const kind = bytes[at];
  if (kind === undefined) return "more";
  if (!"+-:$*".includes(String.fromCharCode(kind))) return "nonsense";
  const stop = bytes.indexOf(LF, at);
  const until = stop < 0 ? bytes.length : stop;
  if (until - at > MOST_LINE_BYTES) return "nonsense";
  if (stop < 0) return "more";
  if (bytes[stop - 1] !== CR) return "nonsense";
  const line = text.decode(bytes.subarray(at + 1, stop - 1));
  const end = stop + 1;
  switch (String.fromCharCode(kind)) {
    case "+":
      return { reply: line, end };
    case "-":
      return { reply: new Error(line), end };
    case ":":
      return /^-?\d+$/.test(line) ? { reply: line, end } : "nonsense";
    case "$":
      return line === "-1"
        ? { reply: null, end }
        : stringAt(bytes, end, line, depth === 0 ? MOST_REPLY_BYTES : MOST_LINE_BYTES);
    default:
      return line === "-1" ? { reply: null, end } : listAt(bytes, end, line, depth + 1);
  }
}

function stringAt(bytes: Uint8Array, at: number, line: string, most: number): One {
  const length = countIn(line, most);
  if (length === null) return "nonsense";
  const end = at + length;
  if (bytes.length < end + 2) return "more";
  if (bytes[end] !== CR || bytes[end + 1] !== LF) return "nonsense";
  return { reply: text.decode(bytes.subarray(at, end)), end: end + 2 };
}

function listAt(bytes: Uint8Array, at: number, line: string, depth: number): One {
  const count = countIn(line, MOST_ITEMS);
  if (count === null || depth > MOST_DEPTH) return "nonsense";
  const items: Reply[] = [];
  let end = at;
  while (items.length < count) {
    const one = replyAt(bytes, end, depth);
    if (typeof one === "string") return one;
    items.push(one.reply);
    end = one.end;
  }
  return { reply: items, end };
}

function countIn(line: string, most: number): number | null {
  if (!/^\d{1,10}$/.test(line)) return null;
  return Number(line) <= most ? Number(line) : null;
}
