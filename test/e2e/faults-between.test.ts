/**
 * What befalls the ways between a primary and those who look at it: slow, cut for some, a relay that fails, a lost
 * answer. An observer that failed is no node that failed; what a relay may have done is looked at, not done again.
 */
import { readFile, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Server } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must, type Scene, startScene, tokens } from "../support/stack.ts";
import { openWire, type Wire } from "../support/wire.ts";

const ids = ["a", "b", "c"];

describe("three nodes, each relay with a wire to each", () => {
  let scene: Scene;
  const wires = new Map<string, Wire>();
  const wire = (relay: string, node: string) => must(wires.get(`${relay}-${node}`), "wire");
  const wiresTo = (node: string) => ids.map((relay) => wire(relay, node));
  beforeAll(async () => {
    for (const relay of ids)
      for (const node of ids) wires.set(`${relay}-${node}`, await openWire());
    scene = await startScene({
      reach: (relay, node, at) => {
        wire(relay, node).leadTo(at);
        return wire(relay, node);
      },
      // A look may take a third of down_after_ms. Not quiet: of a relay that dies before its connection stands again
      // nobody would tell, and a quiet group hears of it by the next cron.
      settings: { down_after_ms: 2000, quiet: false },
    });
    await scene.published();
  });
  afterAll(async () => {
    for (const each of wires.values()) each.release();
    await scene?.stop();
    for (const each of wires.values()) await each.close();
  });

  const namesSince = async (mark: number) => (await scene.events(mark)).map(({ name }) => name);
  const unmoved = async (mark: number) => {
    expect(await scene.view()).toMatchObject({ phase: "watching", primary: "a", epoch: 1 });
    const names = await namesSince(mark);
    expect(names).not.toContain("+try-failover");
    return names;
  };
  /** A client beside a node: one number after the other. */
  const writing = (id: string) => {
    let acked = 0;
    let ended = false;
    const work = (async () => {
      for (let n = 0; !ended; n += 1) {
        const [reply] = await scene.ask(id, ["SADD", "written", String(n)]).catch(() => [null]);
        acked += reply === "1" ? 1 : 0;
        await pause(20);
      }
    })();
    const end = () => {
      ended = true;
      return work;
    };
    return { acked: () => acked, end };
  };

  it("X4 every answer of the primary comes late, and in time: nothing is told, nobody is promoted", async () => {
    const mark = await scene.mark();
    for (const each of wiresTo("a")) each.slow(200);
    await scene.looks(8, { at: "a" });
    expect(await scene.data("a", "SET", "slow", "1")).toEqual({ result: "OK" });
    expect((await scene.view()).nodes[0]).toMatchObject({ id: "a", class: "up", verdict: "up" });
    for (const each of wiresTo("a")) each.slow(0);
    await scene.steady("a");
    const names = await unmoved(mark);
    for (const name of ["+sdown", "+fault"]) expect(names).not.toContain(name);
  });

  it("X6 no relay hears the primary, its replicas do: out of reach is told, nobody is promoted, writes go on", async () => {
    const mark = await scene.mark();
    // An app beside it goes on: an idle primary says so little that its replicas are no witnesses.
    const app = writing("a");
    // The machine of the primary is out of reach from the edge as well.
    await scene.relay("a").kill("SIGSTOP");
    for (const each of wiresTo("a")) each.hold();
    await scene.event("+unreachable", mark, "a");
    await scene.looks(10, { at: "b", by: 2 });
    const count = app.acked();
    await scene.eventually("more writes", () => app.acked() > count);
    expect(await unmoved(mark)).toContain("+odown");
    for (const each of wiresTo("a")) each.release();
    await scene.relay("a").kill("SIGCONT");
    await scene.event("-unreachable", mark, "a");
    await scene.steady("a");
    await unmoved(mark);
    await app.end();
    const [kept] = await scene.ask("a", ["SCARD", "written"]);
    expect(Number(kept)).toBeGreaterThanOrEqual(app.acked());
  });

  /** Stands where the relay of the primary was. */
  const standIn = async (server: Server): Promise<() => Promise<void>> => {
    const open = new Set<{ destroy(): void }>();
    server.on("connection", (socket) => {
      open.add(socket);
      socket.on("error", () => {});
    });
    const { port } = new URL(scene.relay("a").url);
    await scene.relay("a").kill();
    await new Promise<void>((resolve) => server.listen(Number(port), "127.0.0.1", resolve));
    return async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await scene.relay("a").start();
    };
  };
  type Fault = readonly [what: string, begin: () => Promise<() => Promise<void>>];
  const faults: readonly Fault[] = [
    [
      "is killed",
      async () => {
        await scene.relay("a").kill();
        return () => scene.relay("a").start();
      },
    ],
    [
      "answers 503 and a page",
      () =>
        standIn(
          createHttpServer((request, response) => {
            request.resume();
            response.writeHead(503, { "content-type": "text/html" }).end("<h1>Unavailable</h1>");
          }),
        ),
    ],
    [
      "speaks of TLS where nobody asked",
      () =>
        standIn(
          // What a server of TLS says to an HTTP request: an alert, handshake_failure.
          createServer((socket) => socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, 40]))),
        ),
    ],
    [
      "has another token",
      async () => {
        const { file } = scene.relay("a");
        const before = await readFile(file, "utf8");
        await scene.relay("a").kill();
        await writeFile(file, before.replaceAll(tokens.control("a"), "a-token-that-nobody-knows"));
        await scene.relay("a").start();
        return async () => {
          await scene.relay("a").kill();
          await writeFile(file, before);
          await scene.relay("a").start();
        };
      },
    ],
  ];
  it.each(faults)(
    "X8 the relay beside the primary %s: the observer failed, and the primary is up for the others",
    async (_, begin) => {
      const mark = await scene.mark();
      const end = await begin();
      // Of the relay, or of what it finds: a token that is refused is told so.
      await scene.eventually("a fault", async () =>
        (await scene.events(mark)).find(
          ({ name, data }) =>
            name === "+fault" && (data.relay === "a" || data.vantage === "relay:a"),
        ),
      );
      await scene.looks(8, { at: "a", by: 2 });
      const view = await scene.view();
      expect(view).toMatchObject({ state: "up", primary: "a" });
      for (const relay of ["b", "c"])
        expect(view.nodes[0]?.vantages[`relay:${relay}`]).toMatchObject({ vote: "up" });
      await end();
      await scene.eventually("it to see all nodes again", async () =>
        (await scene.view()).nodes.every(({ vantages }) => vantages["relay:a"]?.class === "up"),
      );
      await scene.steady("a");
      expect(await unmoved(mark)).not.toContain("+odown");
    },
  );

  it("X22 the answer to the promotion is lost: it is looked for, and nobody is promoted twice", async () => {
    const mark = await scene.mark();
    const { epoch } = await scene.route();
    const before = must(await scene.facts("a"), "facts of a");
    for (const id of ["b", "c"]) wire(id, id).lose("QUEUED");
    await scene.server("a").kill();
    // Nothing listens at a dead one's address.
    for (const each of wiresTo("a")) await each.close();
    await scene.event("+switch-master", mark);
    const primary = must((await scene.route()).primary, "primary").id;
    expect(wire(primary, primary).hasLost()).toBe(true);
    const other = primary === "b" ? "c" : "b";
    await scene.steady(primary, [other]);
    // One promotion, of one node: what it took over from is the old primary, and nobody in between.
    expect(await scene.facts(primary)).toMatchObject({ replicationId2: before.replicationId });
    const names = await namesSince(mark);
    for (const once of ["+try-failover", "+promoted-slave"])
      expect(names.filter((name) => name === once)).toEqual([once]);
    expect((await scene.route()).epoch).toBe(epoch + 1);
    expect(await scene.data(primary, "SET", "after", "1")).toEqual({ result: "OK" });
  });
});
