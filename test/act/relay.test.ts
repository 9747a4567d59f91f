/** What becomes of an action: certain only when the relay said so, or when it surely never arrived. */

import * as v from "valibot";
import { afterEach, describe, expect, it } from "vitest";
import { freePort } from "../../scripts/redis-server.ts";
import { type PerformDeps, perform } from "../../worker/act/relay.ts";
import type { RelayAction } from "../../worker/core/types.ts";
import { tellEpochBody, verbBodies } from "../../worker/relay/protocol.ts";
import type { Fetch } from "../../worker/relay/request.ts";
import { http, type RawServer, rawServer } from "../probe/server.ts";

const head = {
  id: "cache-7-1",
  epoch: 7,
  relay: "b",
  primary: "b",
  stamp: { boot: "boot-1", ms: 1234 },
};
const at = { host: "10.0.0.1", port: 6379 };
const deadline = () => ({ deadlineMs: Date.now() + 300 });
const promote = (): RelayAction => ({
  ...head,
  ...deadline(),
  kind: "promote",
  node: "b",
  minReplicas: 0,
  bootSealed: true,
});

const deps = (url: string, fetch?: Fetch): PerformDeps => ({
  group: "cache",
  now: Date.now,
  relay: (id) => (id === "b" ? { url, token: "control-token" } : null),
  ...(fetch === undefined ? {} : { fetch }),
});
const answering = (status: number, body: unknown) =>
  deps("https://b.example.com", async () => Response.json(body, { status }));

describe("the message", () => {
  const sent = async (action: RelayAction) => {
    const asked: { url: string; headers: unknown; body: unknown }[] = [];
    const fetch: Fetch = async (url, init) => {
      const headers = Object.fromEntries(new Headers(init.headers));
      asked.push({ url, headers, body: JSON.parse(String(init.body)) });
      return Response.json({ outcome: "done", detail: "" });
    };
    await perform(action, deps("https://b.example.com/", fetch));
    expect(asked).toHaveLength(1);
    return asked[0];
  };
  const body = { group: "cache", epoch: 7, primary: "b", action: "cache-7-1", stamp: head.stamp };

  it("carries group, epoch, primary, action and stamp", async () => {
    const asked = await sent(promote());
    expect(asked).toMatchObject({
      url: "https://b.example.com/nodes/b/promote",
      headers: { authorization: "Bearer control-token", "picket-group": "cache" },
    });
    expect(asked?.body).toEqual({ ...body, minReplicas: 0, bootSealed: true });
  });

  it.each([
    { kind: "promote", node: "b", minReplicas: 1, bootSealed: false },
    { kind: "unseal", node: "b", minReplicas: 1, bootSealed: true },
    { kind: "seal", node: "b" },
    { kind: "demote", node: "b", follow: at, minReplicas: 0, bootSealed: true },
    { kind: "switchover", node: "b", to: at, timeoutMs: 600_000 },
    { kind: "abort-switchover", node: "b" },
    { kind: "script-kill", node: "b" },
  ] as const)("is what the relay understands: %j", async (verb) => {
    const asked = await sent({ ...head, ...deadline(), ...verb });
    expect(asked?.url).toBe(`https://b.example.com/nodes/b/${verb.kind}`);
    expect(v.is<v.GenericSchema>(verbBodies[verb.kind], asked?.body)).toBe(true);
  });

  it("tells an epoch to the group's own path", async () => {
    const asked = await sent({ ...head, ...deadline(), kind: "tell-epoch", primary: null });
    expect(asked?.url).toBe("https://b.example.com/groups/cache/epoch");
    expect(asked?.body).toEqual({ epoch: 7, primary: null, stamp: head.stamp });
    expect(v.is(tellEpochBody, asked?.body)).toBe(true);
  });
});

describe("the outcome", () => {
  const said = (outcome: string, detail = "so") => ({ outcome, detail });

  it.each([
    ["done", 200, said("done")],
    ["refused", 409, said("refused", "EPOCH 6 is behind 7")],
    ["failed", 502, said("failed")],
    ["unreachable", 502, said("unreachable")],
    ["unknown", 504, said("unknown")],
    // The status must agree: a proxy that answers from its cache, or for somebody else, is no proof.
    ["unknown", 502, said("done")],
    ["unknown", 200, said("refused")],
    ["unknown", 200, { outcome: "yes", detail: "" }],
    ["unknown", 200, "done"],
    ["unknown", 500, { error: "internal" }],
    ["unknown", 502, { error: "bad gateway" }],
    ["unknown", 408, {}],
    ["unknown", 302, {}],
    ["failed", 400, { error: "no such field" }],
    ["failed", 401, {}],
    ["failed", 404, {}],
  ])("is %s for HTTP %i %j", async (kind, status, body) => {
    const outcome = await perform(promote(), answering(status, body));
    expect(outcome).toMatchObject({ action: "cache-7-1", kind });
    expect(outcome.atMs).toBeLessThanOrEqual(Date.now());
  });

  it("never repeats the token", async () => {
    const outcome = await perform(promote(), answering(502, said("failed", "x control-token\ny")));
    expect(outcome.detail).toBe("x *** y");
  });

  it("is unreachable when it was never sent", async () => {
    const never = deps("https://b.example.com", () => Promise.reject(new Error("was sent")));
    const late = await perform({ ...promote(), deadlineMs: Date.now() - 1 }, never);
    expect(late).toMatchObject({ kind: "unreachable", detail: "no time left" });
    const nobody = await perform({ ...promote(), relay: "z" }, never);
    expect(nobody).toMatchObject({ kind: "unreachable", detail: "relay z is not configured" });
  });
});

describe("a fetch that fails", () => {
  const failing = (cause: object) =>
    perform(
      promote(),
      deps("https://b.example.com", () =>
        Promise.reject(
          new TypeError("fetch failed", { cause: Object.assign(new Error("why"), cause) }),
        ),
      ),
    );
  const refused = Object.assign(new Error("why"), { syscall: "connect", code: "ECONNREFUSED" });
  const read = Object.assign(new Error("why"), { syscall: "read", code: "ECONNRESET" });

  it.each([
    ["unreachable", { code: "ECONNREFUSED", syscall: "connect" }],
    ["unreachable", { code: "ENOTFOUND", syscall: "getaddrinfo" }],
    ["unreachable", { code: "UND_ERR_CONNECT_TIMEOUT" }],
    ["unreachable", { code: "ECONNREFUSED", errors: [refused, refused] }],
    ["unknown", { code: "ECONNREFUSED", errors: [refused, read] }],
    ["unknown", { code: "ECONNRESET", syscall: "read" }],
    ["unknown", { code: "EHOSTUNREACH", syscall: "read" }],
    ["unknown", { code: "UND_ERR_SOCKET" }],
    ["unknown", {}],
  ])("is %s for %j", async (kind, cause) => {
    expect((await failing(cause)).kind).toBe(kind);
  });

  it("is unknown on Workers, where a refused connection looks like a lost one", async () => {
    const lost = () => Promise.reject(new Error("Network connection lost."));
    const outcome = await perform(promote(), deps("https://b.example.com", lost));
    expect(outcome).toMatchObject({ kind: "unknown", detail: "Network connection lost." });
  });
});

describe("over a real connection", () => {
  let server: RawServer | null = null;
  afterEach(async () => {
    await server?.close();
    server = null;
  });
  const against = async (answer: Parameters<typeof rawServer>[0]) => {
    server = await rawServer(answer);
    return perform(promote(), deps(server.url));
  };

  it("a relay that nobody runs is unreachable", async () => {
    const outcome = await perform(promote(), deps(`http://127.0.0.1:${await freePort()}`));
    expect(outcome).toMatchObject({ kind: "unreachable", detail: "ECONNREFUSED" });
  });

  it("a connection reset after the request was read is unknown", async () => {
    expect((await against((socket) => socket.resetAndDestroy())).kind).toBe("unknown");
  });

  it("a relay that hangs is unknown at the deadline", async () => {
    const startedAt = performance.now();
    expect((await against(() => {})).kind).toBe("unknown");
    expect(performance.now() - startedAt).toBeLessThan(600);
  });

  it("an answer that is cut off is unknown", async () => {
    const cut = http(200, '{"outcome":"done"', { "content-length": "500" });
    expect((await against((socket) => void socket.end(cut))).kind).toBe("unknown");
  });

  it("an answer without end is unknown", async () => {
    const endless = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    const block = " ".repeat(1 << 16);
    const outcome = await against((socket) => void socket.write(endless + block + block));
    expect(outcome.kind).toBe("unknown");
  });
});
