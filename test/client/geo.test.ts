/** connectGeo over real relays and redis-servers: who is used, what is sent again, what a person may ask for. */
import { describe, expect, it } from "vitest";
import {
  InitialHealthCheckFailedError,
  NoValidDatabaseError,
  TemporaryUnavailableError,
  UnhealthyDatabaseError,
} from "../../worker/client/geo/index.ts";
import { OutcomeUnknownError } from "../../worker/client/index.ts";
import { dataToken, relayOver } from "../relay/support.ts";
import { until } from "../support/wait.ts";
import { geo, sites } from "./geo-sites.ts";

const caught = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (value) => value,
    (error: unknown) => error,
  );

describe("which one", () => {
  it("C1 C3 the heaviest; when it dies the next, at once; when all are dead none", async () => {
    const { databases, server, say } = await sites({ a: 1, b: 3, c: 2 });
    const { client, switches } = geo(databases);
    expect(client.active).toBe(null);
    expect(await client.set("k", "1")).toBe("OK");
    expect([client.active, await say("b", "GET", "k")]).toEqual(["b", "1"]);
    await server("b").kill();
    // Nothing was executed, so even INCR goes on, at the next.
    expect(await client.incr("n")).toBe(1);
    await server("c").kill();
    expect(await client.incr("n")).toBe(1);
    expect(await say("a", "GET", "n")).toBe("1");
    await server("a").kill();
    expect(await caught(client.get("n"))).toBeInstanceOf(TemporaryUnavailableError);
    expect(switches).toEqual(["b > c automatic", "c > a automatic"]);
    expect(client.status()).toMatchObject({
      active: "a",
      pinnedForMs: null,
      switches: { automatic: 2, manual: 0, failback: 0, route: 0 },
      attempts: 1,
    });
    expect(client.status().databases.map(({ healthy }) => healthy)).toEqual([false, false, false]);
  });

  it("C2 initial policies: all, majority and one, each met and not", async () => {
    const { databases, server } = await sites({ a: 1, b: 1, c: 1 });
    const policies = ["all-available", "majority-available", "one-available"] as const;
    const met = async () =>
      await Promise.all(
        policies.map(async (initialHealthCheckPolicy) => {
          const { client } = geo(databases, { initialHealthCheckPolicy });
          const answer = await caught(client.ping());
          if (answer instanceof InitialHealthCheckFailedError) return answer.unhealthy.join();
          return answer;
        }),
      );
    expect(await met()).toEqual(["PONG", "PONG", "PONG"]);
    await server("a").kill();
    expect(await met()).toEqual(["a", "PONG", "PONG"]);
    await server("b").kill();
    expect(await met()).toEqual(["a,b", "a,b", "PONG"]);
    await server("c").kill();
    expect(await met()).toEqual(["a,b,c", "a,b,c", "a,b,c"]);
  });

  it("C2 refused at every command until it is met, and then it begins", async () => {
    const { databases, server } = await sites({ a: 1, b: 2 });
    const { client } = geo(databases);
    await server("b").kill();
    for (let times = 0; times < 2; times += 1)
      expect(await caught(client.ping())).toBeInstanceOf(InitialHealthCheckFailedError);
    await server("b").start();
    await until("an answer", async () => (await client.ping()) === "PONG");
    expect(client.active).toBe("b");
  });

  it("C4 an interval looks: away from the dead one without a command, and back", async () => {
    const { databases, server } = await sites({ a: 2, b: 1 });
    const { client, switches } = geo(databases, {
      backgroundHealthChecks: true,
      healthCheckIntervalMs: 30,
      autoFallbackIntervalMs: 1,
    });
    await client.ready();
    expect(client.active).toBe("a");
    await server("a").kill();
    await until("the other one", () => client.active === "b");
    await server("a").start();
    await until("the first again", () => client.active === "a");
    expect(switches).toEqual(["a > b automatic", "b > a failback"]);
    // Closed, it looks no more; another one goes on meanwhile.
    client.close();
    const other = geo(databases, {
      backgroundHealthChecks: true,
      healthCheckIntervalMs: 30,
    }).client;
    const checksOf = ({ status }: typeof client) =>
      status().databases.reduce((sum, { checks }) => sum + checks, 0);
    const before = checksOf(client);
    await other.ready();
    await until("the other one looks", () => checksOf(other) >= 10);
    // One of each may have been under way.
    expect(checksOf(client)).toBeLessThanOrEqual(before + 2);
  });

  it("C4 without an interval the commands look by the way", async () => {
    const { databases, server } = await sites({ a: 2, b: 1 });
    const { client } = geo(databases, { healthCheckIntervalMs: 1, autoFallbackIntervalMs: 1 });
    await client.ping();
    await server("a").kill();
    await until("the other one", async () => (await client.ping()) && client.active === "b");
    await server("a").start();
    await until("the first again", async () => (await client.ping()) && client.active === "a");
  });

  it("C11 C12 C13 nobody: temporary, then permanent, and one that returns is used", async () => {
    const { databases, server } = await sites({ a: 2, b: 1 });
    const { client } = geo(databases, {
      failoverAttempts: 2,
      failoverDelayMs: 50,
      healthCheckIntervalMs: 10,
    });
    await client.ping();
    await Promise.all(["a", "b"].map((id) => server(id).kill()));
    const errors: unknown[] = [];
    await until("the permanent error", async () => {
      errors.push(await caught(client.ping()));
      return errors.at(-1) instanceof NoValidDatabaseError;
    });
    const temporary = errors.slice(0, -1);
    expect(temporary.length).toBeGreaterThanOrEqual(2);
    for (const error of temporary) expect(error).toBeInstanceOf(TemporaryUnavailableError);
    await server("b").start();
    await until("an answer", async () => (await client.ping()) === "PONG");
    expect(client.active).toBe("b");
  });

  it("C22 a host that nobody knows is unhealthy, and is not waited for by the others", async () => {
    const { databases } = await sites({ a: 1 });
    const nowhere = { id: "x", url: "http://nowhere.invalid", token: "t", weight: 9 };
    const { client } = geo([nowhere, ...databases], { initialHealthCheckPolicy: "one-available" });
    expect(await client.ping()).toBe("PONG");
    expect(client.active).toBe("a");
  });

  it("C23 a token that is refused: unhealthy at the start, and left when it is refused later", async () => {
    const { databases, relay, settings } = await sites({ a: 1 });
    const other = await sites({ b: 2 });
    const wrong = databases.map((each) => ({ ...each, weight: 3, id: "w", token: "wrong" }));
    const { client, switches } = geo([...wrong, ...databases, ...other.databases], {
      initialHealthCheckPolicy: "majority-available",
    });
    await client.setActive("a");
    expect(await client.incr("n")).toBe(1);
    // The same relay, started anew with another token.
    await relay.close();
    const { port } = new URL(relay.url);
    const listen = { host: "127.0.0.1", port: Number(port) };
    await relayOver({ ...settings, listen, dataTokens: [dataToken("a-new-token")] });
    expect(await client.incr("n")).toBe(1);
    expect(await other.say("b", "GET", "n")).toBe("1");
    expect(switches).toEqual(["b > a manual", "a > b automatic"]);
  });

  it("C24 a check that is not over in time: unhealthy", async () => {
    const { databases } = await sites({ a: 2, b: 1 });
    const { client } = geo(databases, {
      initialHealthCheckPolicy: "one-available",
      healthCheckTimeoutMs: 100,
      healthChecks: [({ database }) => new Promise((done) => database.id === "b" && done(true))],
    });
    expect(await client.ping()).toBe("PONG");
    expect(client.active).toBe("b");
  });

  it("C24 a redis that hangs is left, and what twice is as good as once goes on", async () => {
    const { databases, server } = await sites({ a: 2, b: 1 });
    const { client } = geo(databases);
    await client.ping();
    await server("a").kill("SIGSTOP");
    expect(await client.set("k", "v")).toBe("OK");
    expect(client.active).toBe("b");
    await server("a").kill("SIGCONT");
  });
});

describe("the breaker", () => {
  const options = {
    minNumFailures: 2,
    failureRateThreshold: 0.4,
    failuresDetectionWindowMs: 60_000,
    gracePeriodMs: 60_000,
  };

  it("C8 C10 opens at errors that count, though PING is answered", async () => {
    const { databases } = await sites({ a: 2, b: 1 });
    const { client, switches } = geo(databases, {
      ...options,
      isFailure: (error) => error instanceof Error && error.message.startsWith("WRONGTYPE"),
    });
    await client.set("k", "v");
    for (let times = 0; times < 3; times += 1) await caught(client.eval("return nope", [], []));
    expect(client.active).toBe("a");
    // 2 of 6 is not enough, 3 of 7 is.
    for (let times = 0; times < 2; times += 1) await caught(client.lpush("k", 1));
    expect(client.active).toBe("a");
    await caught(client.lpush("k", 1));
    expect([client.active, switches]).toEqual(["b", ["a > b automatic"]]);
    // Found well again it is used, and counted anew.
    await client.setActive("a");
    for (let times = 0; times < 2; times += 1) await caught(client.lpush("k", 1));
    expect(client.active).toBe("b");
  });

  it("C10 by default Redis's own errors do not count", async () => {
    const { databases } = await sites({ a: 2, b: 1 });
    const { client } = geo(databases, options);
    await client.set("k", "v");
    for (let times = 0; times < 5; times += 1) await caught(client.lpush("k", 1));
    expect(client.active).toBe("a");
    expect(client.status().databases[0]).toMatchObject({ commands: 6, failures: 0 });
  });
});

describe("a command under way", () => {
  it("C17 completes at the one it was sent to, though another is active by then", async () => {
    const { databases, say } = await sites({ a: 2, b: 1 });
    const { client } = geo(databases);
    await client.ping();
    const popped = client.exec(["BLPOP", "list", "20"]);
    await until("it waits", async () =>
      /blocked_clients:1/.test(String(await say("a", "INFO", "clients"))),
    );
    await client.setActive("b");
    await say("a", "RPUSH", "list", "here");
    expect(await popped).toEqual(["list", "here"]);
    expect(client.active).toBe("b");
  });

  it("C17 nobody knows what became of it: an error, not sent again; a read is", async () => {
    const { databases, server, say } = await sites({ a: 2, b: 1 });
    const { client } = geo(databases);
    await client.ping();
    await say("b", "SET", "k", "from-b");
    await server("a").kill("SIGSTOP");
    const [incr, pipeline, get] = await Promise.all([
      caught(client.incr("n")),
      caught(client.pipeline().set("k", "v").incr("n").exec()),
      client.get("k"),
    ]);
    expect(incr).toBeInstanceOf(OutcomeUnknownError);
    expect(incr).toMatchObject({ node: "a" });
    expect(pipeline).toBeInstanceOf(OutcomeUnknownError);
    expect(get).toBe("from-b");
    expect(await say("b", "GET", "n")).toBe(null);
    await server("a").kill("SIGCONT");
  });

  it("C17 again, or never, when the app says so", async () => {
    const { databases, server, say } = await sites({ a: 2, b: 1 });
    const bold = geo(databases).client.with({ idempotent: true });
    const shy = geo(databases, { idempotent: false }).client;
    await Promise.all([bold.ping(), shy.ping()]);
    await server("a").kill("SIGSTOP");
    const [incr, get] = await Promise.all([bold.incr("n"), caught(shy.get("n"))]);
    expect(incr).toBe(1);
    expect(get).toBeInstanceOf(OutcomeUnknownError);
    expect(await say("b", "GET", "n")).toBe("1");
    await server("a").kill("SIGCONT");
  });

  it("C18 a pipeline and a transaction are at one database, however often it is switched", async () => {
    const { databases, say } = await sites({ a: 1, b: 1 });
    const { client, switches } = geo(databases);
    await client.ping();
    let isOver = false;
    const switching = (async () => {
      for (let times = 0; !isOver; times += 1) await client.setActive(times % 2 === 0 ? "b" : "a");
    })();
    await Promise.all(
      Array.from({ length: 40 }, (_, n) => {
        const many = n % 2 === 0 ? client.pipeline() : client.multi();
        return many.rpush(`list:${n}`, 1).rpush(`list:${n}`, 2).rpush(`list:${n}`, 3).exec();
      }),
    );
    isOver = true;
    await switching;
    const lengths = await Promise.all(
      Array.from({ length: 40 }, async (_, n) =>
        [await say("a", "LLEN", `list:${n}`), await say("b", "LLEN", `list:${n}`)].sort().join(),
      ),
    );
    expect(new Set(lengths)).toEqual(new Set(["0,3"]));
    expect(switches.length).toBeGreaterThan(0);
  });

  it("C18 a pipeline of which a part was refused is not sent again", async () => {
    const { databases, say } = await sites({ a: 2, b: 1 });
    const { client } = geo(databases);
    await client.ping();
    await say("a", "CONFIG", "SET", "min-replicas-to-write", "9");
    const pipeline = client.pipeline().get("k").incr("n");
    expect(await caught(pipeline.exec())).toBeInstanceOf(OutcomeUnknownError);
    expect(await say("b", "GET", "n")).toBe(null);
    expect(client.active).toBe("a");
  });
});

it("C19 subscriptions move with it, and nothing of the old one is told", async () => {
  const { databases, server, say } = await sites({ a: 2, b: 1 });
  const { client } = geo(databases);
  const heard: string[] = [];
  const subscriber = client.subscribe<string>(["news"]);
  let begun = 0;
  subscriber.on("subscribe", () => {
    begun += 1;
  });
  subscriber.on("message", ({ message }) => heard.push(message));
  await until("it listens at a", async () => (await say("a", "PUBLISH", "news", "a1")) === "1");
  await client.setActive("b");
  await until("it listens at b", async () => (await say("b", "PUBLISH", "news", "b1")) === "1");
  await until("nobody listens at a", async () => (await say("a", "PUBLISH", "news", "a2")) === "0");
  await say("b", "PUBLISH", "news", "b2");
  await until("the last", () => heard.includes("b2"));
  expect(heard).toEqual(["a1", "b1", "b2"]);
  expect(begun).toBe(2);
  // Its redis dies: the relay closes the stream or seeks; the next command moves all.
  await server("b").kill();
  await client.ping();
  await until("it listens at a", async () => (await say("a", "PUBLISH", "news", "a3")) === "1");
  await subscriber.unsubscribe();
  await until("nobody listens", async () => (await say("a", "PUBLISH", "news", "a4")) === "0");
});

describe("what a person asks for", () => {
  it("C14 add, remove and weigh at run time", async () => {
    const { databases, server } = await sites({ a: 1, b: 2, c: 3, d: 4 });
    const [a, b, c, d] = databases as [(typeof databases)[0], ...typeof databases];
    const { client, switches } = geo([a]);
    await client.add(b as typeof a);
    expect(client.active).toBe("b");
    await server("c").kill();
    const strict = { skipInitialHealthCheck: false };
    expect(await caught(client.add(c as typeof a, strict))).toBeInstanceOf(UnhealthyDatabaseError);
    await client.add(c as typeof a);
    expect(client.active).toBe("b");
    client.setWeight("a", 5);
    expect(client.active).toBe("a");
    await client.add(d as typeof a, strict);
    expect(client.active).toBe("a");
    await client.remove("a");
    expect(client.active).toBe("d");
    expect(await client.ping()).toBe("PONG");
    await client.remove("b");
    expect(await caught(client.remove("d"))).toBeInstanceOf(UnhealthyDatabaseError);
    await client.remove("c");
    expect(await caught(client.remove("d"))).toMatchObject({ name: "OptionError", option: "id" });
    expect(await caught(client.remove("x"))).toMatchObject({ name: "OptionError" });
    expect(await caught(client.add(d as typeof a))).toMatchObject({ name: "OptionError" });
    expect(switches).toEqual(["a > b manual", "b > a manual", "a > d manual"]);
  });

  it("C15 C20 the active one: looked at first; unhealthy or foreign is refused; none when the same", async () => {
    const { databases, server } = await sites({ a: 2, b: 1, c: 1 });
    const { client, switches } = geo(databases);
    await client.ping();
    await server("b").kill();
    // Nobody had noticed yet.
    expect(await caught(client.setActive("b"))).toBeInstanceOf(UnhealthyDatabaseError);
    expect(await caught(client.setActive("x"))).toMatchObject({ name: "OptionError" });
    await client.setActive("c");
    await client.setActive("c");
    expect([client.active, switches]).toEqual(["c", ["a > c manual"]]);
    expect(client.status().switches.manual).toBe(1);
  });

  it("C16 pinned: not left though it is dead, until another is chosen", async () => {
    const { databases, server } = await sites({ a: 2, b: 1 });
    const { client } = geo(databases);
    await client.setActive("b", { pinMs: 3_600_000 });
    expect(client.status().pinnedForMs).toBeGreaterThan(0);
    await server("b").kill();
    expect(await caught(client.ping())).toBeInstanceOf(TemporaryUnavailableError);
    await client.setActive("a");
    expect(await client.ping()).toBe("PONG");
  });

  it("what onSwitch throws reaches no command, and after close nothing is sent", async () => {
    const { databases } = await sites({ a: 2, b: 1 });
    const warnings: string[] = [];
    const { client } = geo(databases, {
      onSwitch: () => {
        throw new RangeError("mine");
      },
      logger: { warn: (message) => void warnings.push(message) },
    });
    await client.setActive("b");
    expect(await client.ping()).toBe("PONG");
    expect(warnings).toEqual(["onSwitch threw"]);
    client.close();
    await expect(client.ping()).rejects.toThrow("closed");
  });
});
