/** Replies out of bytes: whole ones, parts of them, and what is none. */
import { expect, it } from "vitest";
import { createReader, MOST_REPLY_BYTES, written } from "../../worker/redis/resp.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const read = (text: string, count = 9) => createReader(count)(bytes(text));

const WHOLE = "+PONG\r\n-ERR no\r\n:12\r\n$4\r\nä\r\n\r\n$-1\r\n*2\r\n$1\r\na\r\n*-1\r\n*0\r\n";
const replies = ["PONG", new Error("ERR no"), "12", "ä\r\n", null, ["a", null], []];

it("replies of every kind, as many as were asked for", () => {
  expect(read(WHOLE)).toEqual(replies);
  expect(read(WHOLE, 2)).toEqual(replies.slice(0, 2));
});

it("wherever they are cut, what is whole is read and the rest is waited for", () => {
  const all = bytes(WHOLE);
  for (let end = 0; end < all.length; end += 1) {
    const some = createReader(9)(all.subarray(0, end));
    expect(some).toEqual(replies.slice(0, some?.length ?? -1));
  }
});

it("a byte at a time, by one reader", () => {
  const all = bytes(WHOLE);
  const reader = createReader(9);
  for (let end = 0; end < all.length; end += 1) reader(all.subarray(0, end));
  expect(reader(all)).toEqual(replies);
});

it.each([
  "HTTP/1.1 200 OK\r\n",
  "SSH-2.0-x\r\n",
  "\u0015\u0003",
  "+PONG\n",
  ":one\r\n",
  ":\r\n",
  "$\r\n",
  "$-2\r\n",
  "$1e3\r\n",
  "$3\r\nabcd\r\n",
  `$${MOST_REPLY_BYTES + 1}\r\n`,
  "*30000000\r\n",
  "*9999999999\r\n",
  "*1\r\n*0\r\n",
  "*9\r\n",
  "*1\r\n$5000\r\n",
  "*2\r\n+a\r\nx",
  `+${"a".repeat(5000)}`,
])("no reply of Redis: %j", (text) => {
  expect(read(text)).toBeNull();
});

it("a command with bytes counted, not characters", () => {
  expect(written(["AUTH", "ä"])).toBe("*2\r\n$4\r\nAUTH\r\n$2\r\nä\r\n");
});
