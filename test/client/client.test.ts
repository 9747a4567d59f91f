/**
 * The client library against real sockets and Miniflare's real KV: what it follows, what it repeats,
 * and what it never does.
 */
import fc from "fast-check";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  type Client,
  type ClientOptions,
  connect,
  NoRouteError,
  OutcomeUnknownError,
  type Route,
  type RouteStore,
} from "../../worker/client/index.ts";
import { type RestServer, startRestServer } from "../support/rest-server.ts";

const group = "cache";
let miniflare: Miniflare;
let kv: RouteStore & { put(key: string, value: string): Promise<void> };
let a: RestServer;
let b: RestServer;

beforeAll(async () => {
  miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: "export default {}",
      kvNamespaces: ["ROUTES"],
      compatibilityDate: "2026-10-01",
      // Else it asks the network where it is.
      cf: false,
    }),
  );
  kv = await miniflare.getKVNamespace("ROUTES");
});
afterAll(() => miniflare.dispose());

beforeEach(async () => {
  [a, b] = await Promise.all([startRestServer(), startRestServer()]);
});
afterEach(() => Promise.all([a.stop(), b.stop()]));

type Node = "a" | "b";

function route(epoch: number, primary: Node | null, rev = 0): Route {
  const rest = { a: a.url, b: b.url };
  return {
    v: 1,
    group,
    mode: "replication",
    epoch,
    rev,
    state: "up",
    hostname: null,
    primary:
      primary === null
        ? null
        : { id: primary, host: "10.0.0.1", port: 6379, tls: false, rest: rest[primary] },
    replicas: [],
    updatedAt: "2026-11-20T12:00:00.000Z",
  };
}

const publish = (value: Route) => kv.put(`route:${group}`, JSON.stringify(value));

/** An authority as a service binding, which counts how often it was asked. */
function authority(answer: () => Route | null | Promise<never>) {
  const asked: string[] = [];
  const fetch = async (request: Request) => {
    asked.push(new URL(request.url).pathname);
    const found = await answer();
    return found === null ? new Response("", { status: 503 }) : Response.json(found);
  };
  return { fetch, asked };
}

const client = (options: Partial<ClientOptions> = {}, store: RouteStore = kv): Client =>
  connect(store, group, { token: "data-token", memoMs: 0, retryDelayMs: 1, ...options });

const silentKv: RouteStore = { get: () => Promise.reject(new Error("KV is away")) };
const readonly = { error: "READONLY You can't write against a read only replica." };
const names = (server: RestServer) => server.commands.map(([name]) => String(name).toLowerCase());

describe("the route", () => {
  it("comes from KV, and names the primary", async () => {
    await publish(route(10, "a"));
    const { redis, node, epoch } = await client({ token: (id) => `token-of-${id}` }).primary();
    expect({ node, epoch }).toEqual({ node: "a", epoch: 10 });
    expect(await redis.set("k", "v")).toBe("OK");
    expect(await redis.get("k")).toBe("v");
    expect(a.authorizations).toEqual(["Bearer token-of-a", "Bearer token-of-a"]);
  });

  it("is read once within memoMs, whoever asks", async () => {
    await publish(route(11, "a"));
    let reads = 0;
    const counted: RouteStore = {
      get: (key, options) => {
        reads += 1;
        expect(options).toEqual({ type: "json", cacheTtl: 30 });
        return kv.get(key, options);
      },
    };
    const one = client({ memoMs: 60_000 }, counted);
    await Promise.all([one.primary(), one.primary(), one.run((redis) => redis.ping())]);
    await one.primary();
    expect(reads).toBe(1);
  });

  it("G19: an old KV after a failover: READONLY, the authority, and never back", async () => {
    await publish(route(12, "a"));
    a.bend = () => readonly;
    const truth = authority(() => route(13, "b"));
    const switches: string[] = [];
    const one = client({
      authority: truth,
      onSwitch: (from, to) => switches.push(`${from.primary?.id} > ${to.primary?.id}`),
    });
    expect(await one.run((redis) => redis.incr("n"))).toBe(1);
    // KV still says a, and is read again each time (memoMs 0).
    expect(await one.run((redis) => redis.incr("n"))).toBe(2);
    expect((await one.primary()).node).toBe("b");
    expect(truth.asked).toEqual(["/v1/groups/cache/route"]);
    expect(switches).toEqual(["a > b"]);
    expect(names(a)).toEqual(["incr"]);
  });

  it("G19: without an authority KV is read again", async () => {
    await publish(route(14, "a"));
    const one = client({ memoMs: 60_000 });
    await one.primary();
    await publish(route(15, "b"));
    a.bend = () => readonly;
    expect(await one.run((redis) => redis.incr("n"))).toBe(1);
    expect(b.data.get("n")).toBe("1");
  });

  it("G19: whatever KV says in whatever order, (epoch, rev) never falls", async () => {
    const step = fc.record({ epoch: fc.nat(4), rev: fc.nat(2), node: fc.constantFrom("a", "b") });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        let now: Route = route(0, "a");
        let highest: Route | null = null;
        let switches = 0;
        const store: RouteStore = { get: () => Promise.resolve(now) };
        const one = client({ onSwitch: () => (switches += 1) }, store);
        let expected = 0;
        for (const { epoch, rev, node } of steps) {
          now = route(epoch, node as Node, rev);
          const seen = await one.primary();
          if (
            highest === null ||
            epoch > highest.epoch ||
            (epoch === highest.epoch && rev > highest.rev)
          ) {
            if (highest !== null && highest.primary?.id !== node) expected += 1;
            highest = now;
          }
          expect(seen).toMatchObject({ node: highest.primary?.id, epoch: highest.epoch });
        }
        expect(switches).toBe(expected);
      }),
      { numRuns: 100 },
    );
  });

  it("G20: KV cannot be read: the last good one is used", async () => {
    let away = false;
    const store: RouteStore = {
      get: () => (away ? Promise.reject(new Error("away")) : Promise.resolve(route(16, "a"))),
    };
    const truth = authority(() => null);
    const one = client({ authority: truth }, store);
    await one.primary();
    away = true;
    expect(await one.run((redis) => redis.ping())).toBe("PONG");
    expect((await one.primary()).node).toBe("a");
    expect(truth.asked.length).toBeGreaterThan(0);
  });

  it("G20: KV hangs: the wait has an end", async () => {
    const store: RouteStore = { get: () => new Promise(() => {}) };
    const one = client({ authority: authority(() => route(17, "b")) }, store);
    expect((await one.primary()).node).toBe("b");
  });

  it("comes from the authority when KV has none, with its read token", async () => {
    const asked: (string | null)[] = [];
    const { createServer } = await import("node:http");
    const server = createServer((request, response) => {
      asked.push(`${request.url} ${request.headers.authorization}`);
      response.end(JSON.stringify(route(18, "b")));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const url = `http://127.0.0.1:${port}/`;
    const one = client({ authority: { url, token: "read" } }, silentKv);
    expect((await one.primary()).node).toBe("b");
    expect(asked).toEqual(["/v1/groups/cache/route Bearer read"]);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it.each<[string, unknown]>([
    ["nothing", null],
    ["no route", { hello: 1 }],
    ["another group's route", { ...({ v: 1 } as object), group: "other" }],
  ])("NoRouteError when KV holds %s and nobody else knows", async (_, value) => {
    const store: RouteStore = { get: () => Promise.resolve(value) };
    await expect(client({}, store).primary()).rejects.toThrow(NoRouteError);
    await expect(client({}, store).run((redis) => redis.ping())).rejects.toThrow(NoRouteError);
  });

  it("NoRouteError when there is no primary yet, or no relay before it", async () => {
    let now = route(1, null);
    const store: RouteStore = { get: () => Promise.resolve(now) };
    await expect(client({}, store).primary()).rejects.toThrow(NoRouteError);
    const { primary } = route(2, "a");
    now = { ...route(2, null), primary: primary && { ...primary, rest: null } };
    await expect(client({}, store).primary()).rejects.toThrow(NoRouteError);
  });

  it("concurrent askers share one request", async () => {
    await publish(route(20, "a"));
    a.bend = () => readonly;
    const truth = authority(() => route(21, "b"));
    const one = client({ authority: truth, memoMs: 60_000 });
    await Promise.all(Array.from({ length: 20 }, () => one.run((redis) => redis.incr("n"))));
    expect(b.data.get("n")).toBe("20");
    expect(truth.asked.length).toBe(1);
  });
});

describe("surely not executed: tried again at the new primary", () => {
  it.each([
    "READONLY You can't write against a read only replica.",
    "NOREPLICAS Not enough good replicas to write.",
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down",
    "EXECABORT Transaction discarded because of previous errors.",
    "NODE_REFUSED connection refused",
  ])("%s", async (error) => {
    await publish(route(30, "a"));
    a.bend = () => ({ error });
    const one = client({ authority: authority(() => route(31, "b")) });
    expect(await one.run((redis) => redis.incr("n"))).toBe(1);
    expect([names(a), names(b)]).toEqual([["incr"], ["incr"]]);
  });

  it("a relay on which nobody listens", async () => {
    await publish(route(32, "a"));
    await a.stop();
    const one = client({ authority: authority(() => route(33, "b")) });
    expect(await one.run((redis) => redis.incr("n"))).toBe(1);
  });

  it("at the same primary once it takes writes again", async () => {
    await publish(route(34, "a"));
    a.bend = () => (a.commands.length < 3 ? { error: "NOREPLICAS sealed" } : undefined);
    expect(await client().run((redis) => redis.incr("n"))).toBe(1);
    expect(a.commands.length).toBe(3);
  });

  it("at most maxRetries times, then with Redis's own error", async () => {
    await publish(route(35, "a"));
    a.bend = () => readonly;
    await expect(client().run((redis) => redis.incr("n"))).rejects.toThrow(/^READONLY/);
    expect(a.commands.length).toBe(4);
  });

  it("not past deadlineMs", async () => {
    await publish(route(36, "a"));
    a.bend = () => readonly;
    const one = client({ deadlineMs: 1000, retryDelayMs: 60_000 });
    await expect(one.run((redis) => redis.incr("n"))).rejects.toThrow(/^READONLY/);
    expect(a.commands.length).toBe(1);
  });

  it("not when another request of the same function was answered", async () => {
    await publish(route(37, "a"));
    a.bend = ([name]) => (name === "set" ? readonly : undefined);
    const one = client({ authority: authority(() => route(38, "b")) });
    const both = one.run(async (redis) => {
      await redis.incr("n");
      await redis.set("k", "v");
    });
    await expect(both).rejects.toThrow(OutcomeUnknownError);
    expect([a.data.get("n"), b.data.get("n")]).toEqual(["1", undefined]);
  });

  it("not a pipeline of which a part was refused", async () => {
    await publish(route(39, "a"));
    a.bend = ([name]) => (name === "set" ? readonly : undefined);
    const one = client({ authority: authority(() => route(40, "b")) });
    const both = one.run((redis) => redis.pipeline().incr("n").set("k", "v").exec());
    await expect(both).rejects.toMatchObject({ name: "OutcomeUnknownError", reason: "READONLY" });
    expect(b.commands).toEqual([]);
    expect((await one.primary()).node).toBe("b");
  });
});

describe("outcome unknown", () => {
  const losses: readonly (readonly [string, "drop" | "hang" | { error: string }])[] = [
    ["the connection ends", "drop"],
    ["no answer within timeoutMs", "hang"],
    ["NODE_TIMEOUT", { error: "NODE_TIMEOUT no answer" }],
    ["NODE_CLOSED", { error: "NODE_CLOSED" }],
  ];
  it.each(losses)("%s: thrown, and never sent twice", async (_, loss) => {
    await publish(route(50, "a"));
    a.bend = () => loss;
    const one = client({ authority: authority(() => route(51, "b")), timeoutMs: 300 });
    const error = await one.run((redis) => redis.set("secret-key", "secret")).catch((e) => e);
    expect(error).toBeInstanceOf(OutcomeUnknownError);
    expect(error.node).toBe("a");
    expect(JSON.stringify([error.message, error, error.cause])).not.toContain("secret");
    expect([names(a), names(b)]).toEqual([["set"], []]);
    // The route was learned all the same.
    expect((await one.primary()).node).toBe("b");
  });

  it.each(losses)("%s: repeated when idempotent", async (_, loss) => {
    await publish(route(52, "a"));
    a.bend = () => loss;
    const one = client({ authority: authority(() => route(53, "b")), timeoutMs: 300 });
    expect(await one.run((redis) => redis.set("k", "v"), { idempotent: true })).toBe("OK");
    expect([names(a), names(b)]).toEqual([["set"], ["set"]]);
  });

  it("also when idempotent, after the last try", async () => {
    await publish(route(54, "a"));
    a.bend = () => "drop";
    const lost = client().run((redis) => redis.get("k"), { idempotent: true });
    await expect(lost).rejects.toThrow(OutcomeUnknownError);
    expect(a.commands.length).toBe(4);
  });
});

describe("answers pass through", () => {
  it("Redis's own errors, once", async () => {
    await publish(route(60, "a"));
    a.bend = () => ({ error: "WRONGTYPE Operation against a key" });
    const truth = authority(() => route(61, "b"));
    const asked = client({ authority: truth }).run((redis) => redis.incr("n"));
    await expect(asked).rejects.toThrow(/^WRONGTYPE/);
    expect([a.commands.length, truth.asked.length]).toEqual([1, 0]);
  });

  it("the app's own errors, whatever they say", async () => {
    await publish(route(62, "a"));
    let calls = 0;
    const mine = new TypeError("READONLY fetch failed");
    const asked = client().run(async () => {
      calls += 1;
      throw mine;
    });
    await expect(asked).rejects.toBe(mine);
    expect(calls).toBe(1);
  });

  it("a transaction that the same primary refuses is not tried again", async () => {
    await publish(route(63, "a"));
    a.bend = () => ({ error: "EXECABORT Transaction discarded because of previous errors." });
    await expect(client().run((redis) => redis.incr("n"))).rejects.toThrow(/^EXECABORT/);
    expect(a.commands.length).toBe(1);
  });

  it("the sync token goes from one run to the next, so a client reads its own writes", async () => {
    await publish(route(64, "a"));
    const one = client();
    await one.run((redis) => redis.set("k", "v"));
    await one.run((redis) => redis.get("k"));
    expect(a.syncTokens).toEqual(["", "1"]);
  });
});
