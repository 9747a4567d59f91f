/**
 * G25: one try at telling a webhook, against a real receiver that verifies by the specification's own library.
 */
import { createServer } from "node:net";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../scripts/redis-server.ts";
import { sendWebhook, type WebhookMessage } from "../../worker/publish/webhook.ts";
import { type Receiver, signingSecret, startReceiver } from "../support/webhook-receiver.ts";

const message: WebhookMessage = {
  id: "msg_cache.3.17",
  atMs: Date.UTC(2026, 10, 21, 12, 0, 0, 250),
  group: "cache",
  event: {
    atMs: Date.UTC(2026, 10, 21, 12, 0, 0, 250),
    name: "+switch-master",
    epoch: 3,
    node: "b",
    text: "cache 10.0.0.1:6379 -> 10.0.0.2:6379",
    data: { from: "a", to: "b", cause: "odown", tookMs: 248, epoch: "not this one" },
  },
};

const patientMs = 10_000;

describe("a webhook", () => {
  let receiver: Receiver;
  beforeAll(async () => {
    receiver = await startReceiver();
  });
  afterAll(() => receiver?.close());

  const send = (over: { url?: string; secret?: string; timeoutMs?: number } = {}) =>
    sendWebhook(message, {
      url: receiver.url,
      secret: signingSecret,
      timeoutMs: patientMs,
      ...over,
    });
  const last = () => receiver.deliveries().at(-1);

  it("G25 is signed, says what happened, and is taken", async () => {
    expect(await send()).toEqual({ kind: "done", detail: "taken: HTTP 204" });
    const { headers, problem, id, type, timestamp, data } = last() ?? {};
    expect(problem).toBeNull();
    expect({ id, type, timestamp, data }).toEqual({
      id: "msg_cache.3.17",
      type: "+switch-master",
      timestamp: "2026-11-21T12:00:00.250Z",
      data: {
        group: "cache",
        epoch: 3,
        node: "b",
        text: "cache 10.0.0.1:6379 -> 10.0.0.2:6379",
        from: "a",
        to: "b",
        cause: "odown",
        tookMs: 248,
      },
    });
    expect(headers).toMatchObject({ "content-type": "application/json", "user-agent": "picket" });
    // Of this try, not of the event: receivers refuse what is older than five minutes.
    expect(Number(headers?.["webhook-timestamp"])).toBeGreaterThan(
      message.atMs / 1000 - 365 * 86_400,
    );
    expect(Math.abs(Number(headers?.["webhook-timestamp"]) - Date.now() / 1000)).toBeLessThan(60);
  });

  it("G25 another try has the same id and the same body", async () => {
    receiver.answerNext(500, 200);
    expect(await send()).toEqual({ kind: "failed", detail: "HTTP 500" });
    expect(await send()).toMatchObject({ kind: "done" });
    const [first, second] = receiver.deliveries().slice(-2);
    expect(second?.id).toBe(first?.id);
    expect(second?.text).toBe(first?.text);
    expect(second?.problem).toBeNull();
  });

  it.each([signingSecret.slice("whsec_".length), signingSecret])(
    "a secret is right with its prefix or without: %#",
    async (secret) => {
      await send({ secret });
      expect(last()?.problem).toBeNull();
    },
  );

  it("another secret does not verify", async () => {
    await send({ secret: `whsec_${Buffer.alloc(24, 1).toString("base64")}` });
    expect(last()?.problem).toBe("No matching signature found");
  });

  const bytes = (count: number) => Buffer.alloc(count, 7).toString("base64");
  it.each([
    ["not set", ""],
    ["a word", "hunter2-hunter2"],
    ["base64 without its end", bytes(25).replace(/=+$/, "")],
    ["too short", `whsec_${bytes(23)}`],
    ["too long", bytes(65)],
    ["another kind of key", `whsk_${bytes(32)}`],
    ["with a line end", `${bytes(32)}\n`],
  ])("a secret that is %s is never used, and not told", async (_, secret) => {
    const before = receiver.deliveries().length;
    const { kind, detail } = await send({ secret });
    expect(kind).toBe("failed");
    expect(detail).toMatch(/signing secret/);
    if (secret !== "") {
      expect(detail).toContain("allowed is base64 of 24 to 64 bytes");
      expect(detail).not.toContain(secret.trim());
    }
    expect(receiver.deliveries().length).toBe(before);
  });

  it.each([24, 64])("a secret of %i bytes is right", async (count) => {
    expect(await send({ secret: `whsec_${bytes(count)}` })).toMatchObject({ kind: "done" });
  });

  it.each(["no url", "ftp://example.com/x", "http://user:hidden@127.0.0.1/x"])(
    "the url %s is never called, and not told",
    async (url) => {
      const { kind, detail } = await send({ url });
      expect(kind).toBe("failed");
      expect(detail).not.toMatch(/hidden|example/);
    },
  );

  it("G25 gone for good is refused: no further try", async () => {
    receiver.answerNext(410);
    expect(await send()).toMatchObject({
      kind: "refused",
      detail: expect.stringContaining("HTTP 410"),
    });
  });

  it("G25 a redirect is not followed, and only its host is told", async () => {
    const elsewhere = await startReceiver();
    try {
      for (const status of [301, 302, 303, 307, 308]) {
        const location = `http://user:pw@127.0.0.1:${elsewhere.port}/private?token=hidden`;
        receiver.answerNext({ status, headers: { location } });
        const { kind, detail } = await send();
        expect(kind).toBe("failed");
        expect(detail).toContain(
          `HTTP ${status}: a redirect to 127.0.0.1:${elsewhere.port} is not`,
        );
        expect(detail).not.toMatch(/hidden|private|pw/);
      }
      expect(elsewhere.deliveries()).toEqual([]);
      receiver.answerNext({ status: 302, headers: {} });
      expect((await send()).detail).toContain("a redirect is not followed");
      receiver.answerNext({ status: 302, headers: { location: "http://[" } });
      expect((await send()).detail).toContain("a redirect is not followed");
    } finally {
      await elsewhere.close();
    }
  });

  it("G25 nor does the runtime of Workers follow one", async () => {
    const elsewhere = await startReceiver();
    const runtime = new Miniflare(
      convertV4MiniflareOptions({
        modules: true,
        // What it is told to fetch, as it is told to; and what it got.
        script: `export default {
          async fetch(request) {
            const [url, init] = await request.json();
            const { status, headers } = await fetch(url, init);
            return Response.json({ status, headers: [...headers] });
          },
        }`,
        compatibilityDate: "2026-10-01",
        cf: false,
      }),
    );
    const onWorkers = async (url: string, { signal: _, ...init }: RequestInit) => {
      const body = JSON.stringify([url, init]);
      const got = await runtime.dispatchFetch("http://runtime/", { method: "POST", body });
      const { status, headers } = (await got.json()) as ResponseInit;
      return new Response(null, { status: status ?? 0, headers: headers ?? {} });
    };
    try {
      const options = { url: receiver.url, secret: signingSecret, timeoutMs: patientMs };
      for (const status of [301, 302, 303, 307, 308]) {
        receiver.answerNext({ status, headers: { location: elsewhere.url } });
        const sent = await sendWebhook(message, { ...options, fetch: onWorkers });
        expect(sent.detail).toContain(`HTTP ${status}: a redirect to 127.0.0.1`);
        expect(last()?.problem).toBeNull();
      }
      expect(elsewhere.deliveries()).toEqual([]);
    } finally {
      await runtime.dispose();
      await elsewhere.close();
    }
  });

  it.each([
    [429, "7", 7000],
    [503, "0", 0],
    [503, new Date(Date.now() - 60_000).toUTCString(), 0],
    [429, "31536000", 3_600_000],
    [429, new Date(Date.now() + 86_400_000).toUTCString(), 3_600_000],
  ])("G25 HTTP %i with Retry-After %s: not before", async (status, after, retryAfterMs) => {
    receiver.answerNext({ status, headers: { "retry-after": after } });
    expect(await send()).toEqual({ kind: "failed", detail: `HTTP ${status}`, retryAfterMs });
  });

  it.each([
    [429, ""],
    [503, "soon"],
    [500, "7"],
    [404, "7"],
  ])("G25 HTTP %i with Retry-After %j says nothing of when", async (status, after) => {
    receiver.answerNext({ status, headers: { "retry-after": after } });
    expect(await send()).toEqual({ kind: "failed", detail: `HTTP ${status}` });
  });

  it("G25 a receiver that hangs: not known, and in time", async () => {
    receiver.answerNext("hang");
    expect(await send({ timeoutMs: 100 })).toEqual({
      kind: "unknown",
      detail: "no answer within 100 ms",
    });
  });

  it("G25 an answer that never ends is taken by its status", async () => {
    receiver.answerNext("endless");
    expect(await send()).toMatchObject({ kind: "done" });
  });

  it("G25 a receiver that ends the connection: not known", async () => {
    receiver.answerNext("cut");
    expect(await send()).toMatchObject({ kind: "unknown" });
  });

  it("G25 a receiver that talks something else: not known", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => undefined).resume();
      socket.end("-ERR unknown command\r\n");
    });
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    expect(await send({ url: `http://127.0.0.1:${port}/` })).toMatchObject({ kind: "unknown" });
    await new Promise((resolve) => server.close(resolve));
  });

  it("G25 nobody listens, or no time is left: surely not told", async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}/?token=hidden`;
    const { kind, detail } = await send({ url });
    expect(kind).toBe("unreachable");
    expect(detail).not.toContain("hidden");
    expect(await send({ timeoutMs: 0 })).toMatchObject({ kind: "unreachable" });
  });
});
