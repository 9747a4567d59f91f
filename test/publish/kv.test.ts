/**
 * The KV routing table against a real KV namespace; what KV may answer that a real one does not on demand is put
 * in front of it.
 */
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseRoute, type Route, routeKey } from "../../worker/core/route.ts";
import { kvPublisher, type RouteStore } from "../../worker/publish/kv.ts";
import type { PublishOptions } from "../../worker/publish/publisher.ts";
import { publisherContract, routeTo } from "../contract/publisher.ts";

const key = routeKey("cache");

async function openKv() {
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
  return { kv: kv as unknown as KVNamespace, close: () => miniflare.dispose() };
}

publisherContract("kv", async () => {
  const { kv, close } = await openKv();
  let next: RouteStore["put"] | null = null;
  let hanging = false;
  let writes = 0;
  const put: RouteStore["put"] = (at, value) => {
    const faulty = next;
    next = null;
    writes += 1;
    if (hanging) return new Promise(() => {});
    return faulty === null ? kv.put(at, value) : faulty(at, value);
  };
  const failing = (message: string) => () => {
    next = () => Promise.reject(new Error(message));
  };
  return {
    publisher: kvPublisher({ put, get: kv.get.bind(kv) as RouteStore["get"] }),
    held: async () => {
      const route = parseRoute(await kv.get(key, "json"));
      return route?.primary ? { host: route.primary.host, epoch: route.epoch } : null;
    },
    failNextWrite: failing("KV PUT failed: 500 Internal Server Error"),
    throttleNextWrite: failing("KV PUT failed: 429 Too Many Requests"),
    hang: (on) => {
      hanging = on;
    },
    writes: () => writes,
    skipsRight: false,
    close,
  };
});

describe("what KV answers, by its meaning", () => {
  const nothing: RouteStore["get"] = () => Promise.resolve(null);
  const cases: readonly [string, object][] = [
    ["KV PUT failed: 429 Too Many Requests", { kind: "failed", retryAfterMs: 1000 }],
    ["KV put() limit exceeded for the day.", { kind: "failed", retryAfterMs: 600_000 }],
    ["KV PUT failed: 500 Internal Server Error", { kind: "failed" }],
    ["KV PUT failed: 404 Not Found", { kind: "failed" }],
    ["Network connection lost.", { kind: "unknown" }],
  ];
  it.each(cases)("G18 %s", async (message, meant) => {
    const put = () => Promise.reject(new Error(message));
    const publish = kvPublisher({ put, get: nothing }).publish(routeTo("192.0.2.1", 1), {
      timeoutMs: 10_000,
    });
    expect(await publish).toEqual({ ...meant, detail: expect.stringContaining(message) });
  });

  it("G18 a namespace that is gone says where to look, a full day what lets it go on", async () => {
    const detail = async (message: string) => {
      const put = () => Promise.reject(new Error(message));
      const route = routeTo("192.0.2.1", 1);
      return (await kvPublisher({ put, get: nothing }).publish(route, { timeoutMs: 10_000 }))
        .detail;
    };
    expect(await detail("KV PUT failed: 404 Not Found")).toContain("binding ROUTES");
    expect(await detail("KV put() limit exceeded for the day.")).toContain("00:00 UTC");
  });

  it("G18 a put or a get that hangs ends in time; only a put may have done something", async () => {
    const never = () => new Promise<never>(() => {});
    const hanging = kvPublisher({ put: never, get: never });
    const route = routeTo("192.0.2.1", 1);
    expect(await hanging.publish(route, { timeoutMs: 50 })).toMatchObject({ kind: "unknown" });
    for (const beat of ["report", "repair"] as const)
      expect(await hanging.publish(route, { timeoutMs: 50, beat })).toMatchObject({
        kind: "failed",
        detail: "get did not end within 50 ms",
      });
    const slowly = kvPublisher({ put: never, get: nothing });
    expect(await slowly.publish(route, { timeoutMs: 50, beat: "repair" })).toMatchObject({
      kind: "unknown",
    });
  });

  it("G18 a look that fails, or throws at once, says so and writes nothing", async () => {
    let writes = 0;
    const put = async () => {
      writes += 1;
    };
    const get = (): Promise<never> => {
      throw new Error("KV GET failed: 500 Internal Server Error");
    };
    const asked = kvPublisher({ put, get }).publish(routeTo("192.0.2.1", 1), {
      timeoutMs: 10_000,
      beat: "repair",
    });
    expect(await asked).toEqual({
      kind: "failed",
      detail: "KV GET failed: 500 Internal Server Error",
    });
    expect(writes).toBe(0);
  });
});

describe("G18 a slow look", () => {
  let opened: Awaited<ReturnType<typeof openKv>>;
  const ttls: unknown[] = [];
  let writes = 0;
  beforeAll(async () => {
    opened = await openKv();
  });
  afterAll(() => opened?.close());

  const route = routeTo("192.0.2.7", 7, { rev: 3 });
  const publish = (beat?: PublishOptions["beat"]) => {
    const { kv } = opened;
    const store: RouteStore = {
      // What this machine caches would be no older in the tests' time: its own would be asked for again.
      get: (at, { type, cacheTtl }) => {
        ttls.push(cacheTtl);
        return kv.get(at, { type });
      },
      put: (at, value) => {
        writes += 1;
        return kv.put(at, value);
      },
    };
    return kvPublisher(store).publish(route, {
      timeoutMs: 10_000,
      ...(beat === undefined ? {} : { beat }),
    });
  };
  const held = () => opened.kv.get(key, "json");
  const holds = async (value: unknown) =>
    value === null
      ? opened.kv.delete(key)
      : opened.kv.put(key, typeof value === "string" ? value : JSON.stringify(value));

  it("finds what was published: nothing is written, nothing told", async () => {
    await publish();
    const before = writes;
    for (const beat of ["report", "repair"] as const)
      expect(await publish(beat)).toEqual({
        kind: "done",
        detail: "as published: epoch 7, rev 3",
      });
    expect(writes).toBe(before);
    expect(ttls).toEqual([30, 30]);
  });

  const reordered = Object.fromEntries(Object.entries(route).reverse());
  it("takes another order of the keys for the same", async () => {
    await holds(reordered);
    expect(await publish("report")).not.toHaveProperty("drift");
  });

  const wrong: readonly (readonly [string, unknown, string])[] = [
    ["a lower rev", { ...route, rev: 2 }, "epoch 7, rev 2"],
    ["a lower epoch", { ...route, epoch: 6, rev: 9 }, "epoch 6, rev 9"],
    ["another group's", { ...route, group: "other" }, "the route of the group other"],
    ["what is cut off", JSON.stringify(route).slice(0, 40), "no route that this version reads"],
    ["wrong types", { ...route, epoch: "7" }, "no route that this version reads"],
    ["a newer version", { ...route, v: 2 }, "no route that this version reads"],
    ["null", "null", "no route that this version reads"],
    [
      "another primary under the same rev",
      routeTo("192.0.2.66", 7, { rev: 3 }),
      "epoch 7, rev 3, but with another content",
    ],
  ];
  it.each(wrong)("finds %s: told, and only if asked for set right", async (_, value, drift) => {
    await holds(value);
    const before = writes;
    expect(await publish("report")).toEqual({ kind: "done", detail: "left as it is", drift });
    expect(writes).toBe(before);
    expect(await publish("repair")).toEqual({
      kind: "done",
      detail: "written: epoch 7, rev 3",
      drift,
    });
    expect(writes).toBe(before + 1);
    expect(await held()).toEqual(route satisfies Route);
  });

  it.each(["report", "repair"] as const)("finds nothing, and writes it: %s", async (beat) => {
    await holds(null);
    expect(await publish(beat)).toMatchObject({ kind: "done", drift: "nothing" });
    expect(await held()).toEqual(route satisfies Route);
  });

  it("takes a route for the same though its moment moved with the clock", async () => {
    await holds({ ...route, updatedAt: "2026-11-20T11:59:00.000Z" });
    expect(await publish("report")).not.toHaveProperty("drift");
  });

  it.each([
    { epoch: 8, rev: 1 },
    { epoch: 7, rev: 4 },
  ])("finds $epoch.$rev, higher than its own: told, and never written over", async (higher) => {
    await holds({ ...route, ...higher });
    const before = writes;
    const drift = `epoch ${higher.epoch}, rev ${higher.rev}, higher than the group's own`;
    expect(await publish("report")).toMatchObject({ kind: "done", drift });
    expect(await publish("repair")).toMatchObject({ kind: "failed", drift });
    expect(writes).toBe(before);
  });
});
