/** Several looks that make one: what they come to, when it is certain, and the time that each of them has. */
import { describe, expect, it } from "vitest";
import type { LookOrder } from "../../worker/core/looking.ts";
import { mayFail, standing } from "../../worker/core/probing.ts";
import type { ObservationClass, ProbePolicy } from "../../worker/core/types.ts";
import { startLooks } from "../../worker/probe/look.ts";
import { type Round, repeated, type Timed } from "../../worker/probe/repeated.ts";
import { tcpServer } from "../support/tcp.ts";
import { until } from "../support/wait.ts";

const policies: readonly ProbePolicy[] = ["all", "majority", "any"];
const look = (kind: ObservationClass, at = 0) => ({ class: kind, at });

describe("what they come to", () => {
  // Successes of so many probes that make it healthy, at the least.
  it.each([
    ["all", 1, 1],
    ["all", 2, 2],
    ["all", 3, 3],
    ["all", 5, 5],
    ["majority", 1, 1],
    ["majority", 2, 2],
    ["majority", 3, 2],
    ["majority", 4, 3],
    ["majority", 5, 3],
    ["any", 1, 1],
    ["any", 2, 1],
    ["any", 3, 1],
    ["any", 5, 1],
  ] as const)(
    "C2 %s of %i probes: healthy with %i good ones, and with no fewer",
    (policy, probes, least) => {
      expect(probes - mayFail({ probes, policy })).toBe(least);
      for (let good = 0; good <= probes; good += 1) {
        const looks = Array.from({ length: probes }, (_, n) => look(n < good ? "up" : "timeout"));
        for (const order of [looks, looks.toReversed()])
          expect(standing(order, { probes, policy })?.class === "up").toBe(good >= least);
      }
    },
  );

  it("C2 it is certain as soon as no look to come can change it, and not before", () => {
    for (const policy of policies)
      for (let probes = 1; probes <= 5; probes += 1)
        for (let made = 0; made <= probes; made += 1)
          for (let bits = 0; bits < 2 ** made; bits += 1) {
            const looks = Array.from({ length: made }, (_, n) =>
              look(bits & (1 << n) ? "up" : "refused"),
            );
            const good = looks.filter((each) => each.class === "up").length;
            const isHealthy = (of: number) => probes - of <= mayFail({ probes, policy });
            const ends = [isHealthy(good), isHealthy(good + probes - made)];
            const stands = standing(looks, { probes, policy });
            if (ends[0] === ends[1]) expect(stands?.class === "up").toBe(ends[0]);
            else expect(stands).toBeNull();
            if (made === probes) expect(stands).not.toBeNull();
          }
  });

  it.each<[ProbePolicy, readonly ObservationClass[], number]>([
    // The newest of the good ones: it says most of now.
    ["any", ["up"], 0],
    ["majority", ["up", "timeout", "up"], 2],
    ["all", ["up", "up", "up"], 2],
    // The first that is not good, where none may fail.
    ["all", ["timeout"], 0],
    ["all", ["up", "auth"], 1],
    ["all", ["up", "loading"], 1],
    // The mildest of several, the first of equals.
    ["majority", ["timeout", "auth"], 1],
    ["majority", ["refused", "timeout"], 1],
    ["any", ["refused", "timeout", "timeout"], 1],
    ["any", ["refused", "relay-unreachable", "policy"], 1],
    ["any", ["timeout", "loading", "refused"], 1],
    ["any", ["refused", "refused", "refused"], 0],
  ])("%s of 3: of %j the one at %i stands", (policy, kinds, at) => {
    const looks = kinds.map((kind, n) => look(kind, n));
    expect(standing(looks, { probes: 3, policy })).toBe(looks[at]);
  });
});

describe("one after the other", () => {
  const timed = (kind: ObservationClass): Timed => ({
    ...{ class: kind, detail: kind, facts: null, relay: null },
    atMs: performance.now(),
  });
  /** Answers from a script, and keeps who was asked in each round. */
  function scripted(script: Readonly<Record<string, readonly ObservationClass[]>>) {
    const asked: string[][] = [];
    const given: number[] = [];
    const ask: Round = async (nodes, timeoutMs) => {
      asked.push([...nodes]);
      given.push(timeoutMs);
      const at = asked.length - 1;
      return new Map(nodes.map((node) => [node, timed(script[node]?.[at] ?? "malformed")]));
    };
    return { ask, asked, given };
  }
  const plan = (probes: number, policy: ProbePolicy, delayMs = 0) => ({
    repeat: { probes, policy, delayMs },
    deadlineAtMs: performance.now() + 30_000,
  });

  it("who is settled is not asked again", async () => {
    const { ask, asked } = scripted({
      a: ["up", "up"],
      b: ["timeout", "up", "up"],
      c: ["timeout", "refused"],
    });
    const found = await repeated(["a", "b", "c"], ask, plan(3, "majority"));
    expect(asked).toEqual([["a", "b", "c"], ["a", "b", "c"], ["b"]]);
    expect([...found].map(([node, { class: kind }]) => [node, kind])).toEqual([
      ["a", "up"],
      ["c", "timeout"],
      ["b", "up"],
    ]);
  });

  it("one look is one question", async () => {
    const { ask, asked } = scripted({ a: ["refused"] });
    const found = await repeated(["a"], ask, plan(1, "all"));
    expect(found.get("a")?.class).toBe("refused");
    expect(asked).toEqual([["a"]]);
  });

  it("C24 each has its share of what is left beside the delays; one that is late leaves the others theirs", async () => {
    const { ask, given } = scripted({ a: ["up", "timeout", "up"] });
    const limits = { repeat: { probes: 3, policy: "any" as const, delayMs: 10 } };
    const deadlineAtMs = performance.now() + 30_000;
    await repeated(["a"], ask, { ...limits, deadlineAtMs });
    expect(given).toHaveLength(1);
    expect(given[0]).toBeLessThanOrEqual((30_000 - 20) / 3);
    const late = scripted({ a: ["timeout", "timeout", "up"] });
    await repeated(["a"], late.ask, { ...limits, deadlineAtMs });
    expect(late.given).toHaveLength(3);
    // What was not used before is theirs as well.
    expect(late.given[2]).toBeGreaterThan(10_000);
  });
});

describe("all that is in one order", () => {
  const order = (ports: readonly number[], more: Partial<LookOrder> = {}): LookOrder => ({
    group: "cache",
    timeoutMs: 20_000,
    repeat: { probes: 1, delayMs: 0, policy: "all" },
    relays: [],
    nodes: ports.map((port, n) => ({
      id: `n${n}`,
      probe: { transport: "upstash", url: `http://127.0.0.1:${port}`, tokenSecret: "TOKEN" },
    })),
    ...more,
  });
  const options = { region: "weur", secret: () => "token" };

  it("six at once, and the others in their turn", async () => {
    let open = 0;
    let most = 0;
    let heard = 0;
    let letGo = () => {};
    const gate = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const port = await tcpServer((socket) => {
      socket.once("data", async () => {
        heard += 1;
        open += 1;
        most = Math.max(most, open);
        await gate;
        open -= 1;
        const body = JSON.stringify([{ result: "PONG" }, { error: "no" }, { error: "no" }]);
        socket.end(
          `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
        );
      });
    });
    const calls = startLooks(order(Array.from({ length: 15 }, () => port)), options);
    await until("six are asked", () => heard === 6);
    letGo();
    const seen = (await Promise.all(calls.map((call) => call.seen))).flat();
    expect(seen.map(({ class: kind }) => kind)).toEqual(Array.from({ length: 15 }, () => "up"));
    expect(most).toBeLessThanOrEqual(6);
  });

  it("one that hangs is silent at the deadline; who had no turn by then was not asked", async () => {
    const silent = await tcpServer();
    const calls = startLooks(
      order(
        Array.from({ length: 8 }, () => silent),
        { timeoutMs: 200 },
      ),
      options,
    );
    const seen = (await Promise.all(calls.map((call) => call.seen))).flat();
    expect(seen.map(({ class: kind }) => kind)).toEqual([
      ...Array.from({ length: 6 }, () => "timeout"),
      ...Array.from({ length: 2 }, () => "relay-unreachable"),
    ]);
    expect(seen.map(({ vantage, node }) => `${vantage} ${node}`)).toContain("weur n7");
  });

  it("who had no turn is nearer to one in the next look", async () => {
    const silent = await tcpServer();
    const ports = Array.from({ length: 7 }, () => silent);
    const unasked: string[] = [];
    for (const _ of ports) {
      const calls = startLooks(order(ports, { group: "seven", timeoutMs: 100 }), options);
      const seen = (await Promise.all(calls.map((call) => call.seen))).flat();
      for (const { class: kind, node } of seen)
        if (kind === "relay-unreachable") unasked.push(node);
    }
    expect(unasked.toSorted()).toEqual(ports.map((_, n) => `n${n}`));
  });

  it("a fault of a transport is one of the look, and shows nothing", async () => {
    const seen = await Promise.all(
      startLooks(order([1]), {
        region: "weur",
        secret: () => {
          throw new TypeError("the-secret");
        },
      }).map((call) => call.seen),
    );
    expect(seen).toEqual([
      [
        expect.objectContaining({
          ...{ class: "malformed", detail: "a fault of the look: TypeError", vantage: "weur" },
        }),
      ],
    ]);
  });

  it("a transport of a later version is none of this one", async () => {
    const probe = { transport: "smoke-signals" } as never;
    const [call] = startLooks(order([], { nodes: [{ id: "a", probe }] }), options);
    expect(await call?.seen).toEqual([expect.objectContaining({ class: "policy", node: "a" })]);
  });
});
