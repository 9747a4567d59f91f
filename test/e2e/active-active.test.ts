/**
 * Nodes that all take writes, and one of them used: real redis-servers, looked at from three regions, by TCP or by a
 * REST face that each has of its own, with no relay in the group. Who is used, what it is left for, and what people change.
 *
 * Which choice follows from what is seen is told case by case in test/core/active-active.test.ts.
 */
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { follow } from "../../worker/client/index.ts";
import type { NodeFacts } from "../../worker/core/types.ts";
import { must, type Scene, startScene, tokens } from "../support/stack.ts";

const weights: Readonly<Record<string, number>> = { a: 1, b: 3, c: 2 };

const probed = (rest: string, id: string) => ({
  probe: {
    transport: "upstash",
    url: rest,
    token_secret: `PROBE_${id.toUpperCase()}`,
    allow_private: true,
  },
});

/** Where it is called permanent at the second count, and gone back as soon as two looks in a row were good. */
const brisk = {
  failback_interval_ms: 100,
  failback_grace_ms: 100,
  // Else the first two that are seen would do, and a busy machine may see the heaviest last.
  initial_health_policy: "all",
  failover_attempts: 1,
  failover_delay_ms: 500,
  // Who is killed refuses, which is seen at once; one that is only slow on a busy machine is not left for that.
  down_after_ms: 20_000,
};

const startDatabases = (settings: Readonly<Record<string, unknown>> = {}) => {
  const rests = new Map<string, string>();
  const ids = ["a", "b", "c", "d"];
  const scene = startScene({
    ids,
    secrets: Object.fromEntries(ids.map((id) => [`PROBE_${id.toUpperCase()}`, tokens.data(id)])),
    replicate: false,
    push: false,
    settled: false,
    hostOf: (id) => `127.0.0.${id.charCodeAt(0) - 95}`,
    nodeOf: (id, { rest }) => {
      rests.set(id, rest);
      if (id === "d") return null;
      const byTcp = { probe: { transport: "tcp", allow_private: true }, rest_url: rest };
      return { weight: weights[id], ...(id === "c" ? byTcp : probed(rest, id)) };
    },
    settings: {
      ...{ mode: "active-active", relays: [], vantages: ["wnam", "weur", "apac"] },
      ...brisk,
      ...settings,
    },
  });
  return scene.then((started) => ({ ...started, ...verbs(started), rests }));
};

function verbs(scene: Scene) {
  const group = "/v1/groups/cache";
  const post = (path: string, body: object = {}) => scene.api(`${group}/${path}`, { body });
  const accept = async (path: string, body: object = {}) => {
    const { status, body: answer } = await post(path, body);
    expect({ status, answer }).toMatchObject({ status: 202, answer: { accepted: true } });
  };
  const remove = (path: string) => scene.api(`${group}/${path}`, { method: "DELETE" });
  const used = async () => {
    const { primary, state } = await scene.route();
    return primary === null ? null : `${primary.id} ${state}`;
  };
  const uses = (id: string, state = "up") =>
    scene.eventually(
      `${id} to be used, ${state}`,
      async () => (await used()) === `${id} ${state}`,
      {
        withinMs: 30_000,
      },
    );
  const node = async (id: string) => (await scene.view()).nodes.find((each) => each.id === id);
  const healthy = (id: string, wanted = true) =>
    scene.eventually(`${id} to be healthy: ${wanted}`, async () => {
      return (await node(id))?.healthy === wanted;
    });
  const switches = async (after = 0) =>
    (await scene.events(after)).flatMap(({ name, data }) =>
      name === "+switch-master" ? [`${data.from} > ${data.to} ${data.reason}`] : [],
    );
  return { post, accept, remove, used, uses, node, healthy, switches };
}

type Databases = Awaited<ReturnType<typeof startDatabases>>;

describe("three databases and no relay", { timeout: 90_000 }, () => {
  let scene: Databases;
  let born: (NodeFacts | null)[];
  beforeAll(async () => {
    scene = await startDatabases();
    born = await Promise.all(["a", "c", "d"].map(scene.facts));
    await scene.uses("b");
  });
  afterAll(() => scene?.stop());
  /** Everybody is up and nothing is held, whatever became of the test before. */
  const restored = async () => {
    await scene.post("unpin");
    await scene.post("resume");
    for (const id of scene.ids)
      if ((await scene.facts(id)) === null) await scene.server(id).start();
    await scene.uses("b");
  };

  it("C1 C2 the heaviest healthy one is used first; KV and DNS say so, and nobody else is to be read from", async () => {
    await scene.published();
    const route = await scene.route();
    expect(route).toMatchObject({ mode: "active-active", epoch: 1, state: "up", replicas: [] });
    expect(route.primary).toEqual({
      ...{ id: "b", host: "127.0.0.3", port: scene.server("b").port, tls: false },
      rest: scene.rests.get("b"),
    });
    expect(await scene.kvRoute()).toEqual(route);
    expect(await scene.resolved()).toEqual(["127.0.0.3"]);
    await scene.eventually("the other regions' looks", async () => {
      const { body } = await scene.api("/v1/groups/cache/vantages", { token: tokens.read });
      expect(body).toMatchObject({
        quorum: 2,
        vantages: [{ region: "wnam", votes: true }, { region: "weur" }, { region: "apac" }],
        nodes: ["a", "b", "c"].map((id) => ({
          id,
          votes: { wnam: "up", weur: "up", apac: "up" },
          paths: ["apac", "weur", "wnam"].map((from) =>
            expect.objectContaining({
              ...{ from, class: "up", vote: "up" },
              transport: id === "c" ? "tcp" : "upstash",
            }),
          ),
        })),
      });
      return true;
    });
  });

  it("G12 C10 C23 a password that is refused is a fault, told by its class: no vote, and no switch", async () => {
    await restored();
    const mark = await scene.mark();
    const set = (password: string) =>
      scene.ask(
        "b",
        ["CONFIG", "SET", "requirepass", password],
        ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"],
      );
    await set("secret");
    const fault = await scene.event("+fault", mark, "b");
    expect(fault.text).toMatch(/auth/);
    await scene.eventually("every region to be refused", async () => {
      const seen = Object.values((await scene.node("b"))?.vantages ?? {});
      return seen.every((each) => each.class === "auth" && each.vote === "abstain");
    });
    expect(await scene.used()).toBe("b up");
    expect(await scene.switches(mark)).toEqual([]);
    await set("");
    await scene.event("-fault", mark, "b");
  });

  it("C3 C20 killed, the next heaviest; an app that follows the route writes on", async () => {
    await restored();
    const clients: Redis[] = [];
    const follower = follow(
      { kind: "api", url: scene.url.origin, token: tokens.read, pollMs: 100 },
      ({ primary: { host, port } }) => {
        const client = new Redis({ host, port, commandTimeout: 1000, retryStrategy: () => 50 });
        client.on("error", () => undefined);
        for (const old of clients.splice(0)) old.disconnect();
        clients.push(client);
      },
      { group: "cache" },
    );
    onTestFinished(() => {
      follower.close();
      for (const client of clients) client.disconnect();
    });
    const written = async (value: string) => {
      await scene.eventually(`${value} to be written`, () => clients[0]?.set("k", value));
    };
    const read = async (id: string) => String((await scene.ask(id, ["GET", "k"]))[0]);
    await written("before");
    expect(await read("b")).toBe("before");
    const { epoch } = await scene.route();
    const mark = await scene.mark();
    await scene.server("b").kill();
    await written("after");
    expect(await read("c")).toBe("after");
    expect(await scene.switches(mark)).toEqual(["b > c automatic"]);
    expect((await scene.route()).epoch).toBe(epoch + 1);
    await scene.published();
    expect(await scene.resolved()).toEqual(["127.0.0.4"]);
  });

  it("C3 C4 C7 C12 C13 the next, and the next, and none; one returns and is used at once; several, and the heaviest is gone back to", async () => {
    await restored();
    const mark = await scene.mark();
    await scene.server("b").kill();
    await scene.uses("c");
    await scene.server("c").kill();
    await scene.uses("a");
    await scene.server("a").kill();
    // The last one stays in the route.
    await scene.uses("a", "down");
    const told = (await scene.events(mark)).filter(({ name }) => name === "+unavailable");
    expect(told.map(({ data }) => data.permanent)).toEqual([false, true]);
    expect(await scene.switches(mark)).toEqual(["b > c automatic", "c > a automatic"]);

    const back = await scene.mark();
    await scene.server("a").start();
    await scene.uses("a");
    await scene.event("-unavailable", back);
    // Nobody goes back to the first that returns because it was quicker than the other.
    await scene.accept("pause", { reason: "both are started" });
    for (const id of ["b", "c"]) await scene.server(id).start();
    for (const id of ["b", "c"]) await scene.healthy(id);
    expect(await scene.switches(back)).toEqual([]);
    await scene.accept("resume");
    await scene.uses("b");
    expect(await scene.switches(back)).toEqual(["a > b failback"]);
  });

  it("C15 C20 chosen by hand: foreign and unhealthy ones are refused, and the same one is no switch", async () => {
    await restored();
    const mark = await scene.mark();
    expect(await scene.post("select", { node: "x" })).toMatchObject({ status: 404 });
    expect(await scene.post("select", { node: "d" })).toMatchObject({ status: 404 });
    await scene.server("a").kill();
    await scene.healthy("a", false);
    expect(await scene.post("select", { node: "a" })).toMatchObject({
      status: 409,
      body: { code: "UNHEALTHY" },
    });
    await scene.accept("select", { node: "b" });
    expect([await scene.used(), await scene.switches(mark)]).toEqual(["b up", []]);
    await scene.server("a").start();
    await scene.healthy("a");
  });

  it("C16 pinned: neither failback nor its death moves it, until the pin is ended", async () => {
    await restored();
    const mark = await scene.mark();
    await scene.accept("select", { node: "c", pin_ms: 3_600_000 });
    expect(await scene.used()).toBe("c up");
    expect(await scene.view()).toMatchObject({ steering: { pinnedUntilMs: expect.any(Number) } });
    await scene.server("c").kill();
    await scene.healthy("c", false);
    await scene.event("+unavailable", mark);
    expect(await scene.switches(mark)).toEqual(["b > c manual"]);
    await scene.accept("unpin");
    await scene.uses("b");
    expect(await scene.switches(mark)).toEqual(["b > c manual", "c > b automatic"]);
    await scene.event("-pinned", mark);
    await scene.server("c").start();
    await scene.healthy("c");
  });

  it("C14 weighed, added and taken out at run time; the one in use is left first, the last one stays", async () => {
    await restored();
    const mark = await scene.mark();
    await scene.accept("weight", { node: "a", weight: 4 });
    expect(await scene.used()).toBe("a up");
    const d = { id: "d", host: "127.0.0.5", port: scene.server("d").port, weight: 5 };
    const probe = probed(must(scene.rests.get("d"), "address"), "d");
    expect(
      await scene.post("nodes", { ...d, probe: { ...probe.probe, token_secret: "PROBE_UNSET" } }),
    ).toMatchObject({
      status: 400,
      body: {
        complaints: [
          { path: "probe.token_secret", allowed: expect.stringContaining("PROBE_UNSET") },
        ],
      },
    });
    await scene.accept("nodes", { ...d, ...probe });
    expect(await scene.post("nodes", { ...d, ...probe })).toMatchObject({
      status: 409,
      body: { code: "EXISTS" },
    });
    await scene.uses("d");
    // Neither an eviction nor a restart forgets them.
    await scene.crashWorker();
    scene.wake();
    await scene.eventually("the same after a restart", async () => {
      const { nodes, primary } = await scene.view();
      const weighed = nodes.map(({ id, weight }) => `${id} ${weight}`);
      expect([primary, ...weighed]).toEqual(["d", "a 4", "b 3", "c 2", "d 5"]);
      return nodes.every(({ healthy }) => healthy === true);
    });
    expect(await scene.remove("nodes/d")).toMatchObject({ status: 202 });
    expect(await scene.used()).toBe("a up");
    for (const id of ["b", "c"])
      expect(await scene.remove(`nodes/${id}`)).toMatchObject({ status: 202 });
    expect(await scene.remove("nodes/a")).toMatchObject({
      status: 409,
      body: { code: "LASTNODE" },
    });
    expect((await scene.switches(mark)).slice(0, 1)).toEqual(["b > a manual"]);
    expect((await scene.switches(mark)).at(-1)).toBe("d > a manual");
    const { nodes } = await scene.view();
    expect(nodes.map(({ id }) => id)).toEqual(["a"]);
  });

  it("nothing was promoted or changed: who was never killed is the process and primary that it was", async () => {
    const [, , d] = born;
    expect(await scene.facts("d")).toMatchObject({ role: "primary", runId: d?.runId });
    for (const id of scene.ids) {
      expect(await scene.facts(id)).toMatchObject({ role: "primary", minReplicasToWrite: 0 });
      const [stats] = await scene.ask(id, ["INFO", "commandstats"]);
      expect(String(stats)).not.toMatch(/cmdstat_(?:replicaof|slaveof|failover|config\|set)/);
    }
  });
});
