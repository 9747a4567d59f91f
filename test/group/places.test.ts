/** A region that is asked: what it answers, and that none, or a wrong one, is the observer's fault and nobody else's. */
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Seen } from "../../worker/core/looking.ts";
import type { LookAsked, RawEnv } from "../../worker/env.ts";
import { heardOf } from "../../worker/group/heard.ts";
import type { Question } from "../../worker/group/lookout.ts";
import { placesOf } from "../../worker/group/orders.ts";
import { askPlace } from "../../worker/group/places.ts";
import { groupConfig, nodeConfig } from "../support/builders.ts";

afterEach(() => {
  vi.useRealTimers();
});

const probe = { transport: "upstash", url: "https://x.example.com", tokenSecret: "X" } as const;
const config = {
  ...groupConfig({ ids: ["a"], vantages: ["relay:a", "weur"], location: "enam" }),
  nodes: [nodeConfig("a", { probe }), nodeConfig("b")],
};
const pairs = placesOf(config)[1]?.pairs ?? [];
const question: Question = { config, epoch: 7, from: "weur", pairs, forMs: 1300 };

/** Vantages as a namespace gives them. */
function envWith(look: (region: string, asked: LookAsked) => Promise<unknown>) {
  const got: { readonly name: string; readonly hint: unknown }[] = [];
  const VANTAGE = {
    idFromName: (name: string) => name,
    get: (name: string, hint: unknown) => {
      got.push({ name, hint });
      return { look };
    },
  };
  return { env: { VANTAGE } as unknown as RawEnv, got };
}

const ask = (look: (region: string, asked: LookAsked) => Promise<unknown>) =>
  askPlace(envWith(look).env, question, { groups: 1, againMs: 1000 })[0]?.heard;

const saw = (vantage: string, node: string, agoMs = 0): Seen => ({
  ...{ vantage, node, class: "up", detail: "PONG", facts: null, relay: null, agoMs },
});
const whereabouts = { colo: "FRA", region: "weur" };

describe("a region that answers", () => {
  it("is asked by the name of its region, with a hint where to run, and told when it will be asked again", async () => {
    const asked: unknown[] = [];
    const { env, got } = envWith(async (...args) => {
      asked.push(...args);
      return { seen: [], whereabouts };
    });
    await askPlace(env, question, { groups: 1, againMs: 1000 })[0]?.heard;
    expect(got).toEqual([{ name: "weur-0", hint: { locationHint: "weur" } }]);
    expect(asked[0]).toBe("weur");
    expect(asked[1]).toMatchObject({
      location: "enam",
      againMs: 1000,
      order: { group: "cache", timeoutMs: 1000, nodes: [{ id: "a" }] },
    });
  });

  it("saw it when it says, by the Group's clock, and never before it was asked", async () => {
    vi.useFakeTimers({ now: 5_000_000 });
    const heard = ask(async () => {
      vi.setSystemTime(5_000_300);
      return {
        seen: [saw("relay:a", "a", 100), saw("relay:a", "b", 9000), saw("weur", "a")],
        whereabouts,
      };
    });
    const { observations, report } = (await heard) ?? {};
    expect(
      observations?.map(({ vantage, node, atMs, tookMs }) => [vantage, node, atMs, tookMs]),
    ).toEqual([
      ["relay:a", "a", 5_000_200, 200],
      ["relay:a", "b", 5_000_000, 0],
      ["weur", "a", 5_000_300, 300],
    ]);
    expect(observations?.every(({ from, epoch }) => from === "weur" && epoch === 7)).toBe(true);
    expect(report).toEqual({ vantage: "weur", whereabouts, detail: "answers", atMs: 5_000_300 });
  });

  it("took longer for the Group than it took there: the rest was the way, if it says so", async () => {
    vi.useFakeTimers({ now: 5_000_000 });
    for (const [tookMs, wayMs] of [
      [200, 100],
      [undefined, null],
    ]) {
      const heard = ask(async () => {
        vi.setSystemTime(Date.now() + 300);
        return { seen: [], whereabouts, tookMs };
      });
      expect((await heard)?.wayMs).toBe(wayMs);
    }
  });

  it("says nothing of pairs that it was not asked about; an own look that is missing is no silence", async () => {
    const heard = await ask(async () => ({
      seen: [saw("relay:a", "a"), saw("relay:z", "a"), saw("enam", "a"), saw("relay:a", "z")],
      whereabouts,
    }));
    expect(
      heard?.observations.map(({ vantage, node, class: how }) => [vantage, node, how]),
    ).toEqual([
      ["relay:a", "a", "up"],
      ["weur", "a", "malformed"],
    ]);
  });
});

describe("a region that does not answer", () => {
  const lost = [["weur", "a", "relay-unreachable"]];
  const seenBy = (heard: Awaited<ReturnType<typeof ask>>) =>
    heard?.observations.map(({ vantage, node, class: how }) => [vantage, node, how]);

  it("is waited for as long as its way may be beyond the time of a look, no timer is left, and nothing is said of relays", async () => {
    vi.useFakeTimers({ now: 5_000_000 });
    let done: Awaited<ReturnType<typeof ask>>;
    void ask(() => new Promise(() => undefined))?.then((heard) => {
      done = heard;
    });
    await vi.advanceTimersByTimeAsync(1299);
    expect(done).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(seenBy(done)).toEqual(lost);
    expect(done?.report).toEqual({
      vantage: "weur",
      whereabouts: null,
      detail: "no answer within 1300 ms",
      atMs: 5_001_300,
    });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("fails: in its words", async () => {
    const heard = await ask(() => Promise.reject(new Error("Durable Object is overloaded")));
    expect(seenBy(heard)).toEqual(lost);
    expect(heard?.report).toMatchObject({
      whereabouts: null,
      detail: "Durable Object is overloaded",
    });
  });

  it("answers in another shape, whatever it is: the observer failed, and nothing throws", async () => {
    const asked = { from: "weur", epoch: 1, askedAtMs: 0 };
    await fc.assert(
      fc.asyncProperty(fc.anything({ maxDepth: 4 }), async (answer) => {
        expect(heardOf(answer, pairs, asked, 1)).toBeNull();
        expect(seenBy(await ask(async () => answer))).toEqual(lost);
      }),
      { numRuns: 200 },
    );
  });

  it("what cannot be understood of one node says nothing of the others", async () => {
    for (const wrong of [
      { class: "alive" },
      { facts: { role: "primary" } },
      { agoMs: -1 },
      { agoMs: Number.NaN },
      { relay: "a" },
      { detail: 7 },
    ]) {
      const seen = [saw("relay:a", "a"), { ...saw("weur", "a"), ...wrong }, null];
      expect(seenBy(await ask(async () => ({ seen, whereabouts })))).toEqual([
        ["relay:a", "a", "up"],
        ["weur", "a", "malformed"],
      ]);
    }
  });
});

it("where groups are many, several vantages of a region share them; a series puts them up anew", () => {
  const { env, got } = envWith(async () => null);
  const named = { ...env, VANTAGE_SERIES: "2" } as RawEnv;
  for (let n = 0; n < 300; n += 1)
    askPlace(
      named,
      { ...question, config: { ...config, name: `cache-${n}` } },
      { groups: 300, againMs: null },
    );
  const names = [...new Set(got.map(({ name }) => name))].sort();
  expect(names).toEqual(["weur-2-0", "weur-2-1", "weur-2-2"]);
});
