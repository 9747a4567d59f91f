/**
 * The client library against real sockets and Miniflare's real KV: what it follows, what it repeats,
 * and what it never does.
 */
import fc from "fast-check";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import {
  type Client,
  type ClientOptions,
  connect,
  NoRouteError,
  OptionError,
  OutcomeUnknownError,
  type Route,
  type RouteStore,
} from "../../worker/client/index.ts";
import { type Reply, type RestServer, startRestServer } from "../support/rest-server.ts";

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

const route0 = (primary: Node) =>
  routeOf(0, primary, 0, { a: "https://a.test", b: "https://b.test" });
const route = (epoch: number, primary: Node | null, rev = 0): Route =>
  routeOf(epoch, primary, rev, { a: a.url, b: b.url });

function routeOf(
  epoch: number,
  primary: Node | null,
  rev: number,
  rest: Readonly<Record<Node, string>>,
): Route {
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
    const one = client({ token: (id) => `token-of-${id}` });
    expect(await one.route()).toMatchObject({ primary: { id: "a" }, epoch: 10 });
    expect(await one.set("k", "v")).toBe("OK");
    expect(await one.get("k")).toBe("v");
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
    await Promise.all([one.route(), one.route(), one.ping()]);
    await one.route();
    expect(reads).toBe(1);
  });

  it("G19 F14 an old KV after a failover: READONLY, the authority, and never back", async () => {
    await publish(route(12, "a"));
    a.bend = () => readonly;
    const truth = authority(() => route(13, "b"));
    const switches: string[] = [];
    const one = client({
      authority: truth,
      onSwitch: (from, to, why) => switches.push(`${from.primary?.id} > ${to.primary?.id}: ${why}`),
    });
    expect(await one.incr("n")).toBe(1);
    // KV still says a, and is read again each time (memoMs 0).
    expect(await one.incr("n")).toBe(2);
    expect((await one.route()).primary?.id).toBe("b");
    expect(truth.asked).toEqual(["/v1/groups/cache/route"]);
    expect(switches).toEqual(["a > b: failure"]);
    expect(names(a)).toEqual(["incr"]);
  });

  it("G19 without an authority KV is read again", async () => {
    await publish(route(14, "a"));
    const one = client({ memoMs: 60_000 });
    await one.route();
    await publish(route(15, "b"));
    a.bend = () => readonly;
    expect(await one.incr("n")).toBe(1);
    expect(b.data.get("n")).toBe("1");
  });

  it("G19 F16 whatever KV says in whatever order, (epoch, rev) never falls; told are real switches only", async () => {
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
          const seen = await one.route();
          if (
            highest === null ||
            epoch > highest.epoch ||
            (epoch === highest.epoch && rev > highest.rev)
          ) {
            if (highest !== null && highest.primary?.id !== node) expected += 1;
            highest = now;
          }
          expect(seen).toEqual(highest);
        }
        expect(switches).toBe(expected);
      }),
      { numRuns: 100 },
    );
  });

  it("G20 F15 KV and the authority are silent: the last good one is used", async () => {
    let away = false;
    const store: RouteStore = {
      get: () => (away ? Promise.reject(new Error("away")) : Promise.resolve(route(16, "a"))),
    };
    const truth = authority(() => null);
    const one = client({ authority: truth }, store);
    await one.route();
    away = true;
    expect(await one.ping()).toBe("PONG");
    expect((await one.route()).primary?.id).toBe("a");
    expect(truth.asked.length).toBeGreaterThan(0);
  });

  it("G20 KV hangs: the wait has an end, and who has a route waits not at all", async () => {
    const silent: RouteStore = { get: () => new Promise(() => {}) };
    const one = client({ authority: authority(() => route(17, "b")) }, silent);
    expect((await one.route()).primary?.id).toBe("b");
    let hangs = false;
    let asked = 0;
    const store: RouteStore = {
      get: () => {
        asked += 1;
        return hangs ? new Promise(() => {}) : Promise.resolve(route(17, "b"));
      },
    };
    const two = client({ memoMs: 1 }, store);
    await two.ping();
    hangs = true;
    // No wait of the client ends by itself any more.
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    try {
      while (asked < 2) expect(await two.ping()).toBe("PONG");
    } finally {
      vi.useRealTimers();
    }
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
    expect((await one.route()).primary?.id).toBe("b");
    expect(asked).toEqual(["/v1/groups/cache/route Bearer read"]);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const good = route0("a");
  it.each<[string, () => unknown]>([
    ["missing", () => null],
    ["malformed", () => ({ hello: 1 })],
    ["malformed", () => "a string"],
    ["malformed", () => ({ ...good, epoch: "seven" })],
    ["malformed", () => JSON.parse('{"v":1,"group":"cac')],
    ["newer-version", () => ({ ...good, v: 2, primary: [] })],
    ["other-group", () => ({ ...good, group: "other" })],
    [
      "failed",
      () => {
        throw new Error("away, with secret-token in its address");
      },
    ],
  ])("a KV that is %s is told by name, and loses no good route", async (kind, value) => {
    const said: string[] = [];
    const logger = {
      warn: (...all: unknown[]) => said.push(JSON.stringify(all)),
    };
    const broken: RouteStore = { get: async () => value() };
    const none = await client({ logger }, broken)
      .ping()
      .catch((error) => error);
    expect(none).toBeInstanceOf(NoRouteError);
    expect(none.problems).toMatchObject([{ source: "kv", kind }]);
    expect(said.join()).toContain(kind);
    let works = true;
    const store: RouteStore = { get: async () => (works ? route(19, "a") : value()) };
    const one = client({ logger }, store);
    await one.set("k", "v");
    works = false;
    expect(await one.get("k")).toBe("v");
    expect(`${said} ${none}`).not.toContain("secret");
  });

  it("an authority that says no: which no is told, and no token", async () => {
    for (const [status, kind] of [
      [404, "unknown-group"],
      [401, "denied"],
      [500, "failed"],
    ] as const) {
      const truth = { fetch: async () => new Response("secret", { status }) };
      const error = await client({ authority: truth }, silentKv)
        .ping()
        .catch((thrown) => thrown);
      expect(error).toBeInstanceOf(NoRouteError);
      expect(error.problems).toContainEqual({
        source: "authority",
        kind,
        detail: String(status),
      });
    }
  });

  it("a primary whose address is none is no primary, and a replica no replica", async () => {
    const { primary } = route(3, "a");
    const odd = primary && { ...primary, rest: "relay-a" };
    let now: Route = { ...route(3, "a"), primary: odd };
    const store: RouteStore = { get: () => Promise.resolve(now) };
    const one = client({ readFrom: "replicas" }, store);
    await expect(one.get("k")).rejects.toThrow(NoRouteError);
    now = { ...route(4, "b"), replicas: odd ? [{ ...odd, readWeight: 1 }] : [] };
    expect(await one.get("k")).toBe(null);
    expect(names(b)).toEqual(["get"]);
  });

  it("an active-active group: the node in use takes writes and reads, and is left when the route leads on", async () => {
    const mode = "active-active";
    await publish({ ...route(18, "a"), mode });
    const truth = authority(() => ({ ...route(19, "b"), mode }));
    const one = client({ authority: truth, readFrom: "any" });
    expect(await one.set("k", "v")).toBe("OK");
    expect(await one.get("k")).toBe("v");
    a.bend = () => "drop";
    expect(await one.set("k", "w")).toBe("OK");
    expect(await one.get("k")).toBe("w");
    expect(b.data.get("k")).toBe("w");
    expect(await one.route()).toMatchObject({ mode, epoch: 19, primary: { id: "b" } });
  });

  it("NoRouteError when there is no primary yet, or no relay before it", async () => {
    let now = route(1, null);
    const store: RouteStore = { get: () => Promise.resolve(now) };
    await expect(client({}, store).ping()).rejects.toThrow(NoRouteError);
    const { primary } = route(2, "a");
    now = { ...route(2, null), primary: primary && { ...primary, rest: null } };
    await expect(client({}, store).ping()).rejects.toThrow(NoRouteError);
  });

  it("concurrent askers share one request", async () => {
    await publish(route(20, "a"));
    a.bend = () => readonly;
    const truth = authority(() => route(21, "b"));
    const one = client({ authority: truth, memoMs: 60_000 });
    await Promise.all(Array.from({ length: 20 }, () => one.incr("n")));
    expect(b.data.get("n")).toBe("20");
    expect(truth.asked.length).toBe(1);
  });

  it("an onSwitch that rejects is told to the logger, and nothing else", async () => {
    await publish(route(26, "a"));
    a.bend = () => readonly;
    const said: string[] = [];
    const one = client({
      authority: authority(() => route(27, "b")),
      onSwitch: async () => {
        throw new Error("mine");
      },
      logger: { warn: (message) => said.push(message) },
    });
    expect(await one.incr("n")).toBe(1);
    expect(said).toEqual(["onSwitch threw"]);
  });

  it("an onSwitch that throws is told to the logger, and the command goes on", async () => {
    await publish(route(22, "a"));
    a.bend = () => readonly;
    const said: string[] = [];
    const one = client({
      authority: authority(() => route(23, "b")),
      onSwitch: () => {
        throw new Error("mine");
      },
      logger: { warn: (message) => said.push(message) },
    });
    expect(await one.incr("n")).toBe(1);
    expect(said).toEqual(["onSwitch threw"]);
  });
});

describe("surely not executed: tried again at the new primary", () => {
  it.each([
    "READONLY You can't write against a read only replica.",
    "NOREPLICAS Not enough good replicas to write.",
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down",
    "EXECABORT Transaction discarded because of previous errors.",
    "NODE_REFUSED connection refused; it was not executed",
    "EXECABORT Transaction discarded because of: READONLY You can't write against a read only replica.",
    "NODE_CLOSED the connection ended; it was not executed",
    "RELAY_BUSY too much is being sent to it; it was not executed",
  ])("F14 %s", async (error) => {
    await publish(route(30, "a"));
    a.bend = () => ({ error });
    const one = client({ authority: authority(() => route(31, "b")) });
    expect(await one.incr("n")).toBe(1);
    expect([names(a), names(b)]).toEqual([["incr"], ["incr"]]);
  });

  it.each([
    "NODE_TLS EPROTO; outcome unknown: it may have been executed",
    "NODE_REFUSED of a relay that does not say what became of it",
  ])("not what its relay does not call unexecuted: %s", async (error) => {
    await publish(route(46, "a"));
    a.bend = () => ({ error });
    const one = client({ authority: authority(() => route(47, "b")) });
    await expect(one.incr("n")).rejects.toThrow(OutcomeUnknownError);
    expect([names(a), names(b)]).toEqual([["incr"], []]);
  });

  it("an authority that is behind: KV is asked as well", async () => {
    await publish(route(48, "a"));
    const one = client({ authority: authority(() => route(48, "a")), memoMs: 60_000 });
    expect(await one.incr("n")).toBe(1);
    await publish(route(49, "b"));
    a.bend = () => readonly;
    expect(await one.incr("n")).toBe(1);
    expect(names(b)).toEqual(["incr"]);
  });

  it("a relay on which nobody listens", async () => {
    await publish(route(32, "a"));
    await a.stop();
    const one = client({ authority: authority(() => route(33, "b")) });
    expect(await one.incr("n")).toBe(1);
  });

  it("at the same primary once it takes writes again", async () => {
    await publish(route(34, "a"));
    a.bend = () => (a.commands.length < 3 ? { error: "NOREPLICAS sealed" } : undefined);
    expect(await client().incr("n")).toBe(1);
    expect(a.commands.length).toBe(3);
  });

  it("F14 at most maxRetries times, then with Redis's own error", async () => {
    await publish(route(35, "a"));
    a.bend = () => readonly;
    await expect(client().incr("n")).rejects.toThrow(/^READONLY/);
    expect(a.commands.length).toBe(4);
  });

  it("not past deadlineMs", async () => {
    await publish(route(36, "a"));
    a.bend = () => readonly;
    const one = client({ deadlineMs: 10_000, retryDelayMs: 60_000 });
    await expect(one.incr("n")).rejects.toThrow(/^READONLY/);
    expect(a.commands.length).toBe(1);
  });

  it("while the route says that a primary is being made, without counting", async () => {
    await publish(route(37, "a"));
    a.bend = () => readonly;
    let asked = 0;
    const truth = authority(() => {
      asked += 1;
      return asked < 6 ? { ...route(37, "a", 1), state: "failing-over" } : route(38, "b");
    });
    const one = client({ authority: truth, maxRetries: 1 });
    expect(await one.incr("n")).toBe(1);
    expect([a.commands.length, b.commands.length]).toEqual([1, 1]);
  });

  it("waits at an authority that waits: told of the new primary as soon as there is one, and asked thrice", async () => {
    await publish(route(44, "a"));
    a.bend = () => readonly;
    const asked: string[] = [];
    const truth = {
      fetch: async (request: Request) => {
        asked.push(new URL(request.url).search);
        if (asked.length === 1) return Response.json(route(44, "a"));
        if (asked.length === 2)
          return Response.json({ ...route(44, "a", 1), state: "failing-over" });
        return Response.json(route(45, "b"));
      },
    };
    const one = client({ authority: truth, retryDelayMs: 5000 });
    expect(await one.set("k", "v")).toBe("OK");
    expect(asked).toEqual(["", "?after=44.0", "?after=44.1"]);
    expect(names(b)).toEqual(["set"]);
  });

  it("and no longer than until deadlineMs, then with Redis's own error", async () => {
    await publish(route(43, "a"));
    a.bend = () => readonly;
    const truth = authority(() => ({ ...route(43, "a", 1), state: "failing-over" }));
    const one = client({ authority: truth, deadlineMs: 2000 });
    await expect(one.incr("n")).rejects.toThrow(/^READONLY/);
    expect(a.commands.length).toBe(1);
  });

  it("a pipeline that was refused as a whole, or of which only reads were executed", async () => {
    await publish(route(39, "a"));
    a.bend = ([name]) => (name === "get" ? undefined : readonly);
    const one = client({ authority: authority(() => route(40, "b")) });
    expect(await one.pipeline().get("k").incr("n").exec()).toEqual([null, 1]);
    expect([names(a), names(b)]).toEqual([
      ["get", "incr"],
      ["get", "incr"],
    ]);
  });

  it("not a pipeline of which a part was refused, and a write executed: each says what became of it", async () => {
    await publish(route(41, "a"));
    a.bend = ([name]) => (name === "set" ? readonly : undefined);
    const one = client({ authority: authority(() => route(42, "b")) });
    const both = await one.pipeline().incr("n").set("k", "v").exec({ keepErrors: true });
    expect(both).toMatchObject([{ result: 1 }, { error: readonly.error }]);
    expect(b.commands).toEqual([]);
    expect((await one.route()).primary?.id).toBe("b");
  });
});

describe("outcome unknown", () => {
  const losses: readonly (readonly [string, "drop" | "hang" | { error: string }])[] = [
    ["the connection ends", "drop"],
    ["F17 no answer within timeoutMs", "hang"],
    ["NODE_TIMEOUT", { error: "NODE_TIMEOUT no answer" }],
    ["NODE_CLOSED", { error: "NODE_CLOSED" }],
    ["RELAY_ERROR", { error: "RELAY_ERROR a fault of the relay; outcome unknown" }],
  ];
  it.each(losses)("C17 %s: thrown, and never sent twice", async (_, loss) => {
    await publish(route(50, "a"));
    a.bend = () => loss;
    const one = client({
      authority: authority(() => route(51, "b")),
      timeoutMs: loss === "hang" ? 1000 : 3000,
    });
    const error = await one.append("secret-key", "secret").catch((e) => e);
    expect(error).toBeInstanceOf(OutcomeUnknownError);
    expect(error.node).toBe("a");
    expect(JSON.stringify([error.message, error, error.cause])).not.toContain("secret");
    expect([names(a), names(b)]).toEqual([["append"], []]);
    // The route was learned all the same.
    expect((await one.route()).primary?.id).toBe("b");
  });

  it.each(losses)("C17 %s: repeated when twice is as good as once", async (_, loss) => {
    await publish(route(52, "a"));
    a.bend = () => loss;
    const one = client({
      authority: authority(() => route(53, "b")),
      timeoutMs: loss === "hang" ? 1000 : 3000,
    });
    expect(await one.set("k", "v")).toBe("OK");
    // A third time where b is slow.
    expect([names(a), names(b).slice(0, 1)]).toEqual([["set"], ["set"]]);
  });

  it("C17 told otherwise: everything, nothing, or this call", async () => {
    await publish(route(54, "a"));
    a.bend = () => "drop";
    const truth = authority(() => route(55, "b"));
    const none = client({ authority: truth, idempotent: false });
    await expect(none.get("k")).rejects.toThrow(OutcomeUnknownError);
    expect(await none.with({ idempotent: true }).incr("n")).toBe(1);
    const all = client({ authority: truth, idempotent: true });
    expect(await all.incr("n")).toBe(2);
    const some = client({ authority: truth });
    expect(some.with({ idempotent: true })).toBe(some.with({ idempotent: true }));
    expect(await some.with({ idempotent: true }).incr("n")).toBe(3);
    await expect(client().incr("n")).rejects.toThrow(OutcomeUnknownError);
  });

  it("C17 a transaction with one command that is not safe is sent once", async () => {
    await publish(route(56, "a"));
    a.bend = () => "drop";
    const one = client({ authority: authority(() => route(57, "b")) });
    await expect(one.multi().set("k", "v").incr("n").exec()).rejects.toThrow(OutcomeUnknownError);
    expect(b.commands).toEqual([]);
  });

  it("C17 unknown once is unknown, though the last try was refused", async () => {
    await publish(route(45, "a"));
    a.bend = () => (a.commands.length === 1 ? "drop" : readonly);
    const lost = await client()
      .set("k", "v")
      .catch((error: unknown) => error);
    expect(lost).toBeInstanceOf(OutcomeUnknownError);
    expect(a.commands.length).toBe(4);
  });

  it("also when it is safe, after the last try", async () => {
    await publish(route(58, "a"));
    a.bend = () => "drop";
    await expect(client().get("k")).rejects.toThrow(OutcomeUnknownError);
    expect(a.commands.length).toBe(4);
  });

  it("F17 what waits inside Redis has its own time on top of timeoutMs", async () => {
    await publish(route(59, "a"));
    let release = (_: Reply) => {};
    const held = new Promise<Reply>((resolve) => {
      release = resolve;
    });
    a.bend = ([name]) => (name === "BLPOP" ? held : name === "append" ? "hang" : undefined);
    const one = client({ timeoutMs: 300 });
    const popped = one.exec(["BLPOP", "list", 60]);
    // By then timeoutMs is over for both.
    await expect(one.append("k", "v")).rejects.toThrow(OutcomeUnknownError);
    release({ result: ["list", "v"] });
    expect(await popped).toEqual(["list", "v"]);
  });
});

it("C17 whatever happens on the way, nothing unsafe is executed twice, and what is told is true", async () => {
  const fate = fc.constantFrom("done", "refused", "lost before", "lost after", "moved");
  const steps = fc.array(fate, { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(steps, fc.boolean(), async (fates, piped) => {
      let epoch = 100;
      let executed = 0;
      const left = [...fates];
      const bend = (): Reply => {
        const next = left.shift() ?? "done";
        if (next === "moved") epoch += 1;
        if (next === "refused" || next === "moved") return readonly;
        if (next === "lost before") return "drop";
        executed += 1;
        return next === "lost after" ? "drop" : { result: executed };
      };
      a.bend = bend;
      b.bend = bend;
      const now = () => route(epoch, epoch % 2 === 0 ? "a" : "b");
      const one = client(
        { authority: { fetch: async () => Response.json(now()) }, maxRetries: 2 },
        { get: async () => now() },
      );
      for (let calls = 0; calls < 3; calls += 1) {
        const before = executed;
        const sent: Promise<unknown> = piped ? one.multi().incr("n").exec() : one.incr("n");
        const outcome = await sent.then(
          () => "done",
          (error: Error) => error.name,
        );
        const times = executed - before;
        if (outcome === "done") expect(times).toBe(1);
        else if (outcome === "OutcomeUnknownError") expect(times).toBeLessThanOrEqual(1);
        else expect([outcome, times]).toEqual(["UpstashError", 0]);
      }
    }),
    { numRuns: 25 },
  );
});

describe("answers pass through", () => {
  it("Redis's own errors, once", async () => {
    await publish(route(60, "a"));
    a.bend = () => ({ error: "WRONGTYPE Operation against a key" });
    const truth = authority(() => route(61, "b"));
    await expect(client({ authority: truth }).incr("n")).rejects.toThrow(/^WRONGTYPE/);
    expect([a.commands.length, truth.asked.length]).toEqual([1, 0]);
  });

  it("a transaction that the same primary refuses is not tried again", async () => {
    await publish(route(63, "a"));
    a.bend = () => ({ error: "EXECABORT Transaction discarded because of previous errors." });
    await expect(client().incr("n")).rejects.toThrow(/^EXECABORT/);
    expect(a.commands.length).toBe(1);
  });

  it("the sync token of the last answer goes with the next request, and ends with the epoch", async () => {
    await publish(route(64, "a"));
    const one = client();
    await one.set("k", "v");
    await one.get("k");
    await publish(route(65, "b"));
    await one.get("k");
    expect([a.syncTokens, b.syncTokens]).toEqual([["", "1"], [""]]);
  });

  it("the token of a call goes before the client's", async () => {
    await publish(route(66, "a"));
    const one = client({ token: { a: "token-of-a" } });
    await one.ping();
    await one.with({ token: "another" }).ping();
    expect(a.authorizations).toEqual(["Bearer token-of-a", "Bearer another"]);
  });

  it("automatic pipelines, when they are asked for", async () => {
    await publish(route(67, "a"));
    const one = client({ enableAutoPipelining: true });
    expect(await Promise.all([one.set("k", "v"), one.incr("n"), one.get("k")])).toEqual([
      "OK",
      1,
      "v",
    ]);
    expect((await one.with({ idempotent: true }).route()).epoch).toBe(67);
  });
});

describe("bad options", () => {
  it.each<[string, Partial<Record<keyof ClientOptions, unknown>>, RegExp]>([
    ["readFrom", { readFrom: "slave" }, /readFrom is "slave": allowed is primary, replicas, any/],
    ["balance", { balance: "random" }, /balance is "random": allowed is round-robin, weight/],
    ["maxRetries", { maxRetries: -1 }, /maxRetries is -1: allowed is a whole number from 0 to 100/],
    ["timeoutMs", { timeoutMs: 0 }, /timeoutMs is 0/],
    ["deadlineMs", { deadlineMs: "3s" }, /deadlineMs is "3s"/],
    ["namespace", { namespace: "a*" }, /namespace is "a\*": allowed is 1 to 100 characters/],
    ["namespace", { namespace: "" }, /namespace is ""/],
    ["token", { token: undefined }, /token is undefined: allowed is a string/],
    ["token", { token: "" }, /token is empty/],
    ["authority.url", { authority: { url: "picket", token: "t" } }, /authority.url is "picket"/],
    ["authority.token", { authority: { url: "https://p", token: 7 } }, /authority.token is number/],
    ["onSwitch", { onSwitch: "log" }, /onSwitch is "log": allowed is a function/],
    ["idempotent", { idempotent: "false" }, /idempotent is "false": allowed is true or false/],
    ["failureRateThreshold", { breaker: { failureRateThreshold: 2 } }, /failureRateThreshold is 2/],
  ])("%s", (option, options, text) => {
    const attempt = () => client(options as Partial<ClientOptions>);
    expect(attempt).toThrow(OptionError);
    expect(attempt).toThrow(text);
    expect(option.length).toBeGreaterThan(0);
  });

  it("no binding, no group, no token for a node", async () => {
    const none = undefined as unknown as RouteStore;
    expect(() => connect(none, group, { token: "t" })).toThrow(/kv is undefined/);
    expect(() => connect(kv, "", { token: "t" })).toThrow(/group is ""/);
    expect(() => connect(kv, group, "secret" as never)).toThrow(/options is string/);
    expect(() => client().with({ idempotent: "false" as never })).toThrow(/idempotent is "false"/);
    await publish(route(70, "a"));
    await expect(client({ token: { b: "t" } }).ping()).rejects.toThrow(
      /token for node a is undefined/,
    );
  });
});
