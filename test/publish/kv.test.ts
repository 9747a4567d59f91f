import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { expect, it } from "vitest";
import { parseRoute, routeKey } from "../../worker/core/route.ts";
import { kvPublisher } from "../../worker/publish/kv.ts";
import { publisherContract, routeTo } from "../contract/publisher.ts";

type Put = (key: string, value: string) => Promise<void>;

publisherContract("kv", async () => {
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: "export default { fetch: () => new Response() }",
      kvNamespaces: ["ROUTES"],
      compatibilityDate: "2026-10-01",
      // Else it asks the network where it is.
      cf: false,
    }),
  );
  const kv = await miniflare.getKVNamespace("ROUTES");
  let next: Put | null = null;
  let hanging = false;
  let writes = 0;
  const put: Put = (key, value) => {
    const faulty = next;
    next = null;
    writes += 1;
    if (hanging) return new Promise(() => {});
    return faulty === null ? kv.put(key, value) : faulty(key, value);
  };
  const failing = (message: string) => () => {
    next = () => Promise.reject(new Error(message));
  };
  return {
    publisher: kvPublisher({ put: put as KVNamespace["put"] }),
    held: async () => {
      const route = parseRoute(await kv.get(routeKey("cache"), "json"));
      return route?.primary ? { host: route.primary.host, epoch: route.epoch } : null;
    },
    failNextWrite: failing("KV PUT failed: 500 Internal Server Error"),
    throttleNextWrite: failing("KV PUT failed: 429 Too Many Requests"),
    hang: (on) => {
      hanging = on;
    },
    writes: () => writes,
    skipsRight: false,
    close: () => miniflare.dispose(),
  };
});

it("asks for the second that KV needs between two writes of a key", async () => {
  const put = () => Promise.reject(new Error("KV PUT failed: 429 Too Many Requests"));
  const result = await kvPublisher({ put }).publish(routeTo("192.0.2.1", 1), { timeoutMs: 100 });
  expect(result).toEqual({
    kind: "failed",
    detail: "KV PUT failed: 429 Too Many Requests",
    retryAfterMs: 1000,
  });
});
