/**
 * What relays tell of their own accord, through the whole stack: nobody looks but cron, and no cron comes before
 * it is decided, so whatever is decided here began with a push.
 */
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import type { Route } from "../../worker/core/route.ts";
import { closeCodes } from "../../worker/relay/push.ts";
import { runtimes } from "../support/runtime.ts";
import { must, type Scene, startScene, tokens } from "../support/stack.ts";

const settings = { check_interval_ms: 60_000, down_after_ms: 1000, retry_ms: 50 };

describe("three nodes that only their relays watch", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({ settings });
    await scene.published();
    // The relays of all have been told who is primary, and serve it.
    for (const id of scene.ids)
      await scene.eventually(`${id} to serve the route`, async () => {
        const { status, body } = await routeOf(id);
        return status === 200 && (body as Route).state === "up";
      });
  });
  afterAll(() => scene?.stop());

  /** Whoever came back is routed to after some good looks, and when all is decided only cron looks. */
  const settle = async (primary: string) => {
    await scene.eventually(
      "everyone to be routed to",
      async () => {
        await scene.cron();
        return (await scene.route()).replicas.length === 2;
      },
      { withinMs: 20_000 },
    );
    await scene.steady(primary);
  };
  const primaryNow = async () => must((await scene.route()).primary, "primary").id;
  const routeAddress = (id: string) => `${scene.relay(id).url}/v1/groups/cache/route`;
  const routeOf = async (id: string, token = tokens.data(id)) => {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(routeAddress(id), { headers });
    return { status: response.status, body: await response.json() };
  };

  it("X1 the primary is killed: replaced, and every relay serves the new route, as JSON and as a stream", async () => {
    const stream = await fetch(routeAddress("c"), {
      headers: { authorization: `Bearer ${tokens.data("c")}`, accept: "text/event-stream" },
    });
    expect(stream.headers.get("content-type")).toMatch(/^text\/event-stream/);
    const told = routesIn(stream);
    expect((await told.next()).value).toMatchObject({ epoch: 1, primary: { id: "a" } });
    await scene.server("a").kill();
    const after = await scene.eventually("another primary", async () => {
      const route = await scene.route();
      return route.state === "up" && route.primary?.id !== "a" && route;
    });
    for (let route = (await told.next()).value; ; route = (await told.next()).value) {
      expect(route).toBeDefined();
      if (route?.primary?.id === after.primary?.id && route?.state === "up") break;
    }
    await told.return(undefined);
    for (const id of ["b", "c"])
      await scene.eventually(`${id} to serve it`, async () => {
        return ((await routeOf(id)).body as Route).primary?.id === after.primary?.id;
      });
    expect((await routeOf("b", "a-token-of-nobody")).status).toBe(401);
  });

  it("X17 the edge is away when it returns: its own relay seals it at first sight", async () => {
    const primary = await primaryNow();
    await scene.steady(
      primary,
      ["b", "c"].filter((id) => id !== primary),
    );
    // The Group can be told nothing, and asks nothing.
    for (const pid of runtimes()) process.kill(pid, "SIGSTOP");
    await scene.server("a").start();
    await scene.eventually("the seal", async () => {
      const facts = await scene.facts("a");
      return facts?.role === "primary" && facts.minReplicasToWrite === 1_000_000;
    });
    expect(await scene.data("a", "SET", "x", "1")).toMatchObject({
      error: expect.stringContaining("NOREPLICAS"),
    });
    // The route is served on, and the edge comes back: told what it missed, the Group demotes it.
    expect(await routeOf("a")).toMatchObject({ status: 200, body: { primary: { id: primary } } });
    for (const pid of runtimes()) process.kill(pid, "SIGCONT");
    await scene.event("+sealed", 0, "a");
    await settle(primary);
  });

  it("X2 the primary hangs: its silence is told when it has lasted", async () => {
    const old = await primaryNow();
    const mark = await scene.mark();
    await scene.server(old).kill("SIGSTOP");
    await scene.event("+switch-master", mark);
    const primary = await primaryNow();
    expect(primary).not.toBe(old);
    await scene.server(old).kill("SIGCONT");
    await settle(primary);
  });

  it("a replica dies and comes back: known at once, and no failover", async () => {
    const primary = await primaryNow();
    const replica = must(
      scene.ids.find((id) => id !== primary),
      "replica",
    );
    const mark = await scene.mark();
    await scene.server(replica).kill();
    await scene.event("+sdown", mark, replica);
    await scene.server(replica).start();
    await scene.event("-sdown", mark, replica);
    await settle(primary);
    expect((await scene.events(mark)).map(({ name }) => name)).not.toContain("+try-failover");
  });

  it("the runtime dies, and nobody calls: the relays come back by themselves", async () => {
    await scene.crashWorker();
    const old = await primaryNow();
    const mark = await scene.mark();
    await scene.server(old).kill();
    await scene.event("+switch-master", mark);
    await scene.server(old).start();
    await settle(await primaryNow());
  });
});

describe("whoever connects", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({ settings, push: false });
    await scene.published();
  });
  afterAll(() => scene?.stop());

  const address = (relay: string) =>
    `${scene.url.origin.replace("http", "ws")}/v1/groups/cache/relays/${relay}/push`;
  const connect = async (relay: string, token: string, at = address(relay)) => {
    const socket = new WebSocket(at, { headers: { authorization: `Bearer ${token}` } });
    socket.on("error", () => {});
    const refused = once(socket, "unexpected-response").then(
      ([, response]) => response.statusCode as number,
    );
    return { socket, status: await Promise.race([once(socket, "open").then(() => 101), refused]) };
  };
  const codeOf = async (socket: WebSocket) => (await once(socket, "close"))[0] as number;

  it("needs the control token of that relay, and a WebSocket", async () => {
    for (const [relay, token] of [
      ["a", "wrong"],
      ["a", tokens.control("b")],
      ["a", tokens.data("a")],
      ["a", tokens.operate],
      ["nobody", tokens.control("a")],
    ] as const)
      expect(await connect(relay, token), relay).toMatchObject({ status: 401 });
    const elsewhere = address("a").replace("/cache/", "/none/");
    expect(await connect("a", tokens.control("a"), elsewhere)).toMatchObject({ status: 401 });
    const plain = await fetch(address("a").replace("ws", "http"), {
      headers: { authorization: `Bearer ${tokens.control("a")}` },
    });
    expect(plain.status).toBe(426);
  });

  it("is told what to watch, and answered a ping without waking anybody", async () => {
    const { socket, status } = await connect("a", tokens.control("a"));
    expect(status).toBe(101);
    const [first] = await once(socket, "message");
    expect(JSON.parse(String(first))).toMatchObject({
      v: 1,
      kind: "watch",
      nodes: ["a", "b", "c"],
      epoch: 1,
      strangers: ["b", "c"],
      route: { epoch: 1, primary: { id: "a" } },
    });
    socket.send("ping");
    expect(String((await once(socket, "message"))[0])).toBe("pong");
    const second = await connect("a", tokens.control("a"));
    expect(await codeOf(socket)).toBe(closeCodes.replaced);
    second.socket.terminate();
  });

  const seen = (change: object = {}, look: object = {}) =>
    JSON.stringify({
      ...{ v: 1, kind: "looks", news: true, boot: "x", ms: 1, epoch: 1 },
      looks: [
        {
          ...{ node: "a", class: "refused", detail: "", agoMs: 0, tookMs: 0, facts: null },
          ...{ before: null, looks: 3, refusals: 3, badForMs: 100, ...look },
        },
      ],
      ...change,
    });

  it.each([
    ["not JSON", "{"],
    ["nothing", ""],
    ["another version", seen({ v: 2 })],
    ["no look", seen({ looks: [] })],
    ["a class that no relay sees", seen({}, { class: "wrong-role" })],
    ["a number that is none", seen({ ms: "1" })],
    ["a time that is not yet", seen({}, { agoMs: -1 })],
    ["more than there is room for", seen({ boot: "x".repeat(300_000) })],
  ])("says %s: its connection ends, and nothing came of it", async (_, message) => {
    const version = await scene.version();
    const { socket } = await connect("b", tokens.control("b"));
    socket.send(message);
    expect(await codeOf(socket)).toBe(closeCodes.badMessage);
    expect(await scene.version()).toBe(version);
  });

  it("says that the primary is down, and is alone with that: no more than its vote", async () => {
    const mark = await scene.mark();
    const { socket } = await connect("a", tokens.control("a"));
    // A look of the Group's own that was asked for later says more: it is told until it is the newest.
    await scene.eventually("it to count", async () => {
      socket.send(seen());
      return (await scene.events(mark)).some(({ name }) => name === "+sdown");
    });
    await scene.event("-sdown", mark, "a");
    socket.terminate();
    expect((await scene.events(mark)).map(({ name }) => name)).not.toContain("+odown");
  });

  it("says ten thousand things a second: its connection ends, the Group answers others", async () => {
    const { socket } = await connect("c", tokens.control("c"));
    const ended = codeOf(socket);
    for (let count = 0; count < 10_000; count += 1) socket.send(seen({ news: false }));
    expect(await ended).toBe(closeCodes.tooMany);
    expect(await scene.steady("a")).toMatchObject({ epoch: 1 });
  });
});

/** The routes of a stream, one after another. */
async function* routesIn(response: Response): AsyncGenerator<Route, undefined> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (data !== undefined) yield JSON.parse(data) as Route;
    }
  }
}
