/**
 * Regions that are far: how long they are waited for, and that what hangs there costs neither their vote
 * nor what they see of everybody else. Time is the test's own: a stand-in for a region takes as long as it says.
 */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { parseConfig } from "../../worker/core/config.ts";
import { decide } from "../../worker/core/decide.ts";
import type { Seen } from "../../worker/core/looking.ts";
import { initialState } from "../../worker/core/saved.ts";
import type { State } from "../../worker/core/state.ts";
import type { GroupConfig } from "../../worker/core/types.ts";
import type { LookAsked, RawEnv } from "../../worker/env.ts";
import { createLookout } from "../../worker/group/lookout.ts";
import { GROUP } from "../../worker/group/orders.ts";
import { askPlace } from "../../worker/group/places.ts";
import { waitFor, wayAfterAnswer, wayAfterLoss } from "../../worker/group/way.ts";
import { facts as factsOf, groupConfig, nodeConfig } from "../support/builders.ts";

describe("how long a region is waited for", () => {
  it.each([
    ["not known: as if it were far", undefined, 1000, 1425],
    ["next door", 0, 1000, 1050],
    ["the same continent", 20, 1000, 1075],
    ["another one", 165, 1000, 1257],
    ["the other end of the world", 270, 1000, 1388],
    ["farther than anything is", 450, 1000, 1500],
    ["far, short looks", 165, 400, 657],
  ])("%s", (_, wayMs, timeoutMs, expected) => {
    expect(waitFor(wayMs, timeoutMs)).toBe(expected);
  });

  it("the longest of the last ways counts, and fades", () => {
    const waysAfter = (seen: readonly number[]) =>
      seen.reduce<number | undefined>((way, ms) => wayAfterAnswer(way, ms), undefined);
    expect(waysAfter([20])).toBe(20);
    expect(waysAfter([20, 165])).toBe(165);
    expect(waysAfter([165, 20])).toBeCloseTo(148.5);
    expect(waysAfter([165, ...Array(30).fill(20)])).toBe(20);
    // A clock that was set is no way.
    expect(waysAfter([3_600_000])).toBe(500);
    expect(waysAfter([-3_600_000])).toBe(0);
  });

  it("whatever was believed of the way, after two lost calls the answer arrives", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 50, max: 10_000 }),
        fc.option(fc.integer({ min: 0, max: 500 }), { nil: undefined }),
        fc.integer({ min: 0, max: 500 }),
        (timeoutMs, believed, wayMs) => {
          let way = believed;
          for (let losses = 0; losses < 2; losses += 1)
            if (timeoutMs + wayMs > waitFor(way, timeoutMs)) way = wayAfterLoss(way);
          expect(timeoutMs + wayMs).toBeLessThanOrEqual(waitFor(way, timeoutMs));
        },
      ),
    );
  });
});

const NOW = 1_000_000;
beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
});
afterEach(() => {
  vi.useRealTimers();
});

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const probe = { transport: "upstash", url: "https://x.example.com", tokenSecret: "X" } as const;

/** Regions that are so far, there and back; `hanging`: nodes and relays that answer nobody. */
function world(config: GroupConfig, ways: Readonly<Record<string, number>>) {
  const hanging = new Set<string>();
  const gone = new Set<string>();
  const orders: LookAsked["order"][] = [];
  const returns: number[] = [];
  const look = async (region: string, { order }: LookAsked) => {
    orders.push(order);
    if (gone.has(region)) return new Promise(() => undefined);
    const wayMs = ways[region] ?? 0;
    await pause(wayMs / 2);
    const startMs = Date.now();
    const seeing = async (
      name: string,
      pairs: readonly Omit<Seen, "class">[],
      late: Seen["class"],
    ) => {
      const hangs = hanging.has(name);
      if (hangs) await pause(order.timeoutMs);
      const facts = hangs ? null : factsOf({ role: "primary", replicaOf: null });
      return pairs.map((pair): Seen => ({ ...pair, facts, class: hangs ? late : "up" }));
    };
    const about = (vantage: string, node: string) => ({
      ...{ vantage, node, detail: "", facts: null, relay: null, agoMs: 0 },
    });
    const seen = await Promise.all([
      ...order.nodes.map(({ id }) => seeing(id, [about(region, id)], "timeout")),
      ...order.relays.map(({ id, nodes }) => {
        const vantage = `relay:${id}`;
        return seeing(
          vantage,
          nodes.map((node) => about(vantage, node)),
          "relay-unreachable",
        );
      }),
    ]);
    const tookMs = Date.now() - startMs;
    await pause(wayMs / 2);
    return { seen: seen.flat(), whereabouts: { colo: null, region: null }, tookMs };
  };
  const VANTAGE = { idFromName: (name: string) => name, get: () => ({ look }) };
  const env = { VANTAGE } as unknown as RawEnv;
  const lookout = createLookout(
    // What the Group sees itself is not what this is about.
    (question) =>
      question.from === GROUP ? [] : askPlace(env, question, { groups: 1, againMs: 1000 }),
    () => returns.push(1),
  );
  /** One look, and what it brought: its end is waited for, and time runs on to the next one. */
  const once = async (state: State = initialState(config.name)) => {
    orders.splice(0);
    const startMs = Date.now();
    const ended = lookout.look(state, config, startMs).then(() => Date.now() - startMs);
    await vi.advanceTimersByTimeAsync(config.probeTimeoutMs + 500);
    const tookMs = await ended;
    const taken = lookout.take();
    const saw = taken.observations.map(
      ({ from, vantage, node, class: how }) =>
        `${from} ${vantage === from ? "" : `${vantage} `}${node} ${how}`,
    );
    return { ...taken, saw: saw.toSorted(), tookMs, calls: orders.length };
  };
  return { hanging, gone, once, orders, returns };
}

const config: GroupConfig = {
  ...groupConfig({ ids: ["a", "b"], vantages: ["wnam", "apac"], location: "weur" }),
  nodes: ["a", "b", "c"].map((id) => nodeConfig(id, { probe })),
  relays: [],
};
const here = { wnam: 300, apac: 300 };
const healthy = ["apac b up", "apac c up", "wnam b up", "wnam c up"];

describe("a region that is 150 ms away, each way", () => {
  it("a node that hangs is silent for it, at each look, and the others are seen", async () => {
    const { hanging, once } = world(config, here);
    hanging.add("a");
    for (let n = 0; n < 4; n += 1) {
      const { saw, vantages, calls } = await once();
      expect(saw).toEqual([
        "apac a timeout",
        ...healthy.slice(0, 2),
        "wnam a timeout",
        ...healthy.slice(2),
      ]);
      expect(vantages.every(({ whereabouts }) => whereabouts !== null)).toBe(true);
      // Who was silent is asked apart from then on.
      expect(calls).toBe(n === 0 ? 2 : 4);
    }
  });

  it("a relay on a dead host is asked apart as well, and what it says of that is heard", async () => {
    const relays = groupConfig({ ids: ["a"], vantages: ["relay:a"] }).relays;
    const { hanging, once, orders } = world({ ...config, relays }, here);
    hanging.add("relay:a");
    for (let n = 0; n < 3; n += 1) {
      const { saw } = await once();
      expect(saw).toEqual(expect.arrayContaining(["apac a up", ...healthy]));
      expect(saw).toContain("apac relay:a a relay-unreachable");
      if (n === 0) continue;
      expect(orders.filter((order) => order.relays.length > 0 && order.nodes.length > 0)).toEqual(
        [],
      );
    }
  });

  it("an active-active group by its defaults leaves a node that hangs, and no region is blamed", async () => {
    const node = (id: string, weight: number) => ({
      ...{ id, host: `${id}.example.com`, weight },
      probe: { transport: "upstash", url: `https://${id}.example.com`, token_secret: "X" },
    });
    const group = { name: "cache", mode: "active-active", location: "weur" };
    const parsed = parseConfig(
      { GROUPS: [{ ...group, nodes: [node("a", 2), node("b", 1)] }] },
      () => true,
    );
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.complaints));
    const [defaults] = parsed.groups;
    if (defaults === undefined) throw new Error("no group");
    expect(defaults.vantages).toEqual(["wnam", "weur", "apac"]);
    const { hanging, once } = world(defaults, { wnam: 145, weur: 5, apac: 165 });
    let state: State = initialState("cache");
    const events: string[] = [];
    const primaries: (string | null)[] = [];
    for (let n = 0; n < 14; n += 1) {
      if (n === 4) hanging.add("a");
      const input = {
        ...(await once(state)),
        outcomes: [],
        requests: [],
        connected: [],
        keepers: [],
      };
      const decision = decide(state, input, defaults, Date.now());
      state = decision.state;
      primaries.push(state.saved.primary);
      events.push(...decision.events.map(({ name }) => name));
    }
    expect(primaries.slice(0, 4)).toEqual(["a", "a", "a", "a"]);
    expect(state.saved.primary).toBe("b");
    expect(events).toContain("+odown");
    expect(events).not.toContain("+vantage-fault");
  });
});

describe("a call that is lost", () => {
  it("the way that became long is believed at the next look", async () => {
    const ways = { wnam: 10, apac: 10 };
    const { hanging, once } = world(config, ways);
    expect((await once()).saw).toEqual([
      "apac a up",
      ...healthy.slice(0, 2),
      "wnam a up",
      ...healthy.slice(2),
    ]);
    ways.wnam = 400;
    hanging.add("a");
    const lost = await once();
    expect(lost.saw).toContain("wnam b relay-unreachable");
    expect(lost.saw).toContain("apac a timeout");
    expect((await once()).saw).toEqual(expect.arrayContaining(["wnam a timeout", ...healthy]));
  });

  it("of a region that is too far for silence to arrive those who answer are seen all the same", async () => {
    const { hanging, once } = world(config, { wnam: 600, apac: 10 });
    hanging.add("a");
    await once();
    await once();
    // Nobody knows which of them it is: each is asked alone, once.
    expect((await once()).saw).toEqual(
      expect.arrayContaining(["wnam a relay-unreachable", ...healthy]),
    );
    for (let n = 0; n < 12; n += 1) {
      const { saw, vantages, calls } = await once();
      expect(saw).toEqual(expect.arrayContaining(["wnam a relay-unreachable", ...healthy]));
      expect(vantages.every(({ whereabouts }) => whereabouts !== null)).toBe(true);
      expect(calls).toBe(4);
    }
  });

  it("those who were seen last time are not asked together with those who were not", async () => {
    const ways = { wnam: 10, apac: 10 };
    const { hanging, once, orders } = world(config, ways);
    hanging.add("a");
    await once();
    ways.wnam = 2000;
    await once();
    await once();
    const nodes = orders.map((order) => order.nodes.map(({ id }) => id).join(""));
    expect(nodes.filter((ids) => ids.includes("a") && ids !== "a")).toEqual([]);
  });

  it("a region that is gone is asked once a look, and only now and then about each alone", async () => {
    const { gone, once, orders, returns } = world(config, { wnam: 300, apac: 10 });
    gone.add("wnam");
    const calls: number[] = [];
    const away = { nodes: [], vantages: ["wnam"] };
    const fresh = initialState("cache");
    const known = { ...fresh, sight: { ...fresh.sight, away } };
    for (let n = 0; n < 20; n += 1) {
      await once(n < 4 ? fresh : known);
      // One more is the other region's.
      calls.push(orders.length - 1);
    }
    expect(calls).toEqual([1, 1, 3, 1, 1, 1, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1, 1, 1, 3, 1]);
    gone.clear();
    expect(returns).toEqual([]);
    expect((await once(known)).saw).toEqual(expect.arrayContaining(["wnam a up", ...healthy]));
    // Nobody waited for it, so it says so.
    expect(returns).toHaveLength(1);
  });
});
