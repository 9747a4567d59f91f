/** The rule that all DNS providers share, as tables: what a host is as a record, and what may be written over. */
import { describe, expect, it } from "vitest";
import { judge, markOf } from "../../worker/publish/dns/judge.ts";
import {
  retryAfterMs,
  type Seen,
  targetOf,
  type Wanted,
} from "../../worker/publish/dns/provider.ts";

describe("a record has the type of the host", () => {
  it.each([
    ["192.0.2.9", "A", "192.0.2.9"],
    ["2001:0DB8:0:0::0001", "AAAA", "2001:db8::1"],
    ["::ffff:192.0.2.1", "AAAA", "::ffff:c000:201"],
    ["Redis-A.example.net.", "CNAME", "redis-a.example.net"],
  ])("%s", (host, type, content) => {
    expect(targetOf(host)).toEqual({ type, content });
  });
});

describe("what stands under a name", () => {
  const route = { group: "cache", epoch: 7 };
  const wanted: Wanted = {
    name: "cache.example.test",
    records: [targetOf("192.0.2.1"), targetOf("192.0.2.2")],
    ttlS: 60,
    mark: markOf(route),
  };
  const seen = (over: Partial<Seen> = {}): Seen => ({
    type: "A",
    content: "192.0.2.1",
    ttlS: 60,
    mark: markOf(route),
    odd: null,
    ...over,
  });
  const second = seen({ content: "192.0.2.2" });
  const old = { mark: "picket:cache epoch=6" };

  const stranger = seen({ content: "198.51.100.1", mark: null });
  it.each<[string, readonly Seen[], string, string]>([
    ["all of it", [second, seen()], "right", ""],
    ["one of two", [seen()], "differs", "A 192.0.2.1"],
    ["nothing", [], "differs", "no record"],
    ["one too many", [seen(), second, seen({ content: "192.0.2.3" })], "differs", "A 192.0.2.3"],
    ["one twice, none of the other", [seen(), seen()], "differs", "A 192.0.2.1, A 192.0.2.1"],
    ["another TTL", [seen(), seen({ ...second, ttlS: 5 })], "differs", "A 192.0.2.2 (ttl 5)"],
    [
      "a proxied one",
      [second, seen({ odd: "proxied", ttlS: 1 })],
      "differs",
      "A 192.0.2.1 (proxied)",
    ],
    [
      "of the epoch before",
      [seen(old), second],
      "differs",
      'A 192.0.2.1 (marked "picket:cache epoch=6")',
    ],
    ["a mark that is no number", [seen({ mark: "picket:cache epoch=x" }), second], "differs", "x"],
    ["unmarked, but as wanted", [seen({ mark: null }), second], "differs", "(unmarked)"],
    ["a stranger's, and ours not right yet", [seen(), stranger], "differs", "198.51"],
    ["a stranger's beside ours", [seen(), second, stranger], "refused", "198.51"],
    ["a stranger's CNAME", [seen(), { ...stranger, type: "CNAME" }], "refused", "198.51"],
    ["a stranger's comment", [seen({ content: "198.51.100.1", mark: "by hand" })], "refused", ""],
    ["a higher epoch", [seen({ mark: "picket:cache epoch=8" })], "refused", "epoch=8"],
    ["another group's", [seen({ mark: "picket:sessions epoch=1" })], "refused", "sessions"],
    ["a group whose name begins alike", [seen({ mark: "picket:cache-2 epoch=1" })], "refused", ""],
  ])("%s", (_, standing, kind, stood) => {
    const verdict = judge(standing, wanted, route);
    expect(verdict.kind).toBe(kind);
    if (verdict.kind !== "right") expect(verdict.stood).toContain(stood);
  });
});

it.each([
  ["7", 7000],
  ["0", 0],
  ["-1", 500],
  ["soon", 500],
  ["", 500],
  [null, 500],
  ["Thu, 01 Jan 1970 00:00:00 GMT", 500],
])("Retry-After %j", (said, expected) => {
  const headers = new Headers(said === null ? {} : { "retry-after": said });
  expect(retryAfterMs(headers, 500)).toBe(expected);
});

it("Retry-After as a date", () => {
  const at = new Date(Date.now() + 100_000).toUTCString();
  const ms = retryAfterMs(new Headers({ "retry-after": at }), 500);
  expect(ms).toBeGreaterThan(500);
  expect(ms).toBeLessThanOrEqual(100_000);
});
