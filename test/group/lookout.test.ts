/** Looks under way at several places: who is asked when and with whom, who is waited for, and what is not lost. */
import { describe, expect, it } from "vitest";
import type { Seen } from "../../worker/core/looking.ts";
import { freshSight, initialState } from "../../worker/core/saved.ts";
import type { State } from "../../worker/core/state.ts";
import { observed } from "../../worker/group/heard.ts";
import { createLookout, type Heard, type Question } from "../../worker/group/lookout.ts";
import { orderOf, placesOf } from "../../worker/group/orders.ts";
import { groupConfig, nodeConfig } from "../support/builders.ts";

const probe = { transport: "upstash", url: "https://x.example.com", tokenSecret: "X" } as const;
const regions = ["wnam", "enam", "weur", "eeur", "apac", "oc"];
/** Two relays, six regions with a way of their own, five nodes. */
const config = {
  ...groupConfig({ ids: ["a", "b"], vantages: ["relay:a", "relay:b", ...regions] }),
  nodes: ["a", "b", "c", "d", "e"].map((id) => nodeConfig(id, { probe })),
};
const NOW = 1_000_000;

const stateWith = (away: State["sight"]["away"] = { nodes: [], vantages: [] }): State => ({
  saved: initialState("cache").saved,
  sight: { ...freshSight, away },
});

/** Asks that are answered when the test says so. */
function desk() {
  const asked: (Question & { readonly answer: (how: Seen["class"]) => void })[] = [];
  const returns: number[] = [];
  const lookout = createLookout(
    (question) => {
      let settle: (heard: Heard) => void = () => undefined;
      const heard = new Promise<Heard>((resolve) => {
        settle = resolve;
      });
      const { from, epoch, pairs } = question;
      const answer = (how: Seen["class"]) => {
        const seen = pairs.map(({ vantage, node }) => saw(vantage, node, how));
        const report =
          from === "group"
            ? null
            : { vantage: from, whereabouts: { colo: null, region: null }, detail: "", atMs: NOW };
        const observations = observed(seen, { from, epoch, askedAtMs: NOW }, NOW);
        settle({ observations, report, wayMs: null });
      };
      asked.push({ ...question, answer });
      return [{ pairs, heard }];
    },
    () => returns.push(1),
  );
  const look = (away?: State["sight"]["away"]) => {
    const ended = { yet: false };
    void lookout.look(stateWith(away), config, NOW).then(() => {
      ended.yet = true;
    });
    return ended;
  };
  const take = () => lookout.take().observations.map(({ from, node }) => `${from} ${node}`);
  return { asked, look, lookout, take, returns };
}

const saw = (vantage: string, node: string, how: Seen["class"]): Seen => ({
  ...{ vantage, node, class: how, detail: how, facts: null, relay: null, agoMs: 0 },
});
/** Everything that is ready has been done then. */
const settled = () => new Promise((resolve) => setImmediate(resolve));
const nodesOf = ({ pairs }: Question) => [...new Set(pairs.map(({ node }) => node))].join("");

describe("a look", () => {
  it("asks the Group's relays and six regions at once, before anyone has answered", async () => {
    const { asked, look } = desk();
    const ended = look();
    expect(asked.map(({ from }) => from)).toEqual(["group", ...regions]);
    expect(asked.map(nodesOf)).toEqual(Array(7).fill("abcde"));
    // The Group looks through relays, a region at each relay and by its own way.
    expect(asked.map(({ pairs }) => pairs.length)).toEqual([10, 15, 15, 15, 15, 15, 15]);
    for (const each of asked.slice(1)) each.answer("up");
    await settled();
    expect(ended.yet).toBe(false);
    asked[0]?.answer("up");
    await settled();
    expect(ended.yet).toBe(true);
  });

  it("does not ask a place again that has not answered, and asks all others", async () => {
    const { asked, look, lookout } = desk();
    look();
    for (const each of asked) if (each.from !== "weur") each.answer("up");
    await settled();
    lookout.take();
    look();
    expect(asked.slice(7).map(({ from }) => from)).not.toContain("weur");
    expect(asked).toHaveLength(13);
  });

  it("is ended by what a relay tells that is new or bad, and not by a beat that says that all is well", async () => {
    const { look, lookout, take } = desk();
    const ended = look();
    const pushed = { news: false, looks: 0, refusals: 0, sinceMs: NOW, before: null };
    const asked = { from: "group", epoch: 1, askedAtMs: NOW };
    const [told] = observed([saw("relay:a", "a", "up")], asked, NOW);
    if (told === undefined) throw new Error("nothing was seen");
    lookout.tell([{ ...told, pushed }]);
    await settled();
    expect(ended.yet).toBe(false);
    lookout.tell([{ ...told, pushed: { ...pushed, news: true } }]);
    await settled();
    expect(ended.yet).toBe(true);
    expect(take()).toEqual(["group a", "group a"]);
    const next = look();
    lookout.tell([{ ...told, class: "timeout", pushed }]);
    await settled();
    expect(next.yet).toBe(true);
  });

  it("waits for nobody who is away: a region, and a node in a call of its own", async () => {
    const { asked, look, take } = desk();
    const ended = look({ nodes: ["c"], vantages: ["weur"] });
    const calls = asked.map((each) => `${each.from} ${nodesOf(each)}`);
    expect(calls).toContain("group abde");
    expect(calls).toContain("group c");
    expect(calls).toContain("weur abcde");
    expect(calls).toContain("oc abde");
    expect(calls).toContain("oc c");
    const isAway = (each: Question) => each.from === "weur" || nodesOf(each) === "c";
    for (const each of asked) if (!isAway(each)) each.answer("up");
    await settled();
    expect(ended.yet).toBe(true);
    take();
    // What comes late is not lost.
    for (const each of asked) if (isAway(each)) each.answer("timeout");
    await settled();
    expect(new Set(take())).toEqual(
      new Set([
        ...["a", "b", "c", "d", "e"].map((node) => `weur ${node}`),
        ...["group", ...regions].map((from) => `${from} c`),
      ]),
    );
  });

  it("asks who did not answer last time by a call of its own, and waits for it", async () => {
    const { asked, look, lookout } = desk();
    look();
    for (const each of asked) each.answer(each.from === "enam" ? "timeout" : "up");
    await settled();
    lookout.take();
    const [first, second] = [asked.length, look()];
    const again = asked.slice(first).filter(({ from }) => from === "enam");
    expect(again.map(nodesOf)).toEqual(["abcde"]);
    for (const each of asked.slice(first)) if (each.from !== "enam") each.answer("up");
    await settled();
    expect(second.yet).toBe(false);
  });

  it("says so when one is back that nobody waited for, once", async () => {
    const { asked, look, lookout, returns } = desk();
    const away = { nodes: ["c"], vantages: [] };
    for (const how of ["timeout", "up", "up"] as const) {
      const from = asked.length;
      look(away);
      for (const each of asked.slice(from)) each.answer(nodesOf(each) === "c" ? how : "up");
      await settled();
      lookout.take();
    }
    // Each of seven places saw it return, and sees it for the second time.
    expect(returns).toHaveLength(7);
  });

  it("a region that is asked twice, because somebody is away, has answered if it answered once", async () => {
    const { asked, look, lookout } = desk();
    look({ nodes: ["c"], vantages: [] });
    for (const each of asked) each.answer("up");
    await settled();
    const { vantages } = lookout.take();
    expect(vantages.map(({ vantage }) => vantage)).toEqual(regions);
  });
});

describe("an order", () => {
  const [group, weur] = [placesOf(config)[0], placesOf(config)[3]];

  it("of the Group is for relays alone, and has the time of a look", () => {
    const order = orderOf(config, "group", group?.pairs ?? []);
    expect(order.relays.map(({ id, nodes }) => `${id} ${nodes.join("")}`)).toEqual([
      "a abcde",
      "b abcde",
    ]);
    expect(order.nodes).toEqual([]);
    expect(order.timeoutMs).toBe(1000);
    expect(order.relays[0]?.tokenSecret).toBe("CONTROL_A");
  });

  it("of a region has the same time, and holds what is wanted only", () => {
    const pairs = weur?.pairs.filter(({ vantage, node }) => vantage === "weur" || node === "c");
    const order = orderOf(config, "weur", pairs ?? []);
    expect(order.timeoutMs).toBe(1000);
    expect(order.relays.map(({ nodes }) => nodes)).toEqual([["c"], ["c"]]);
    expect(order.nodes.map(({ id }) => id)).toEqual(["a", "b", "c", "d", "e"]);
    const none = orderOf(config, "weur", pairs?.filter(({ node }) => node === "a") ?? []);
    expect(none.relays).toEqual([]);
  });

  it("of a region without a vote is for relays, as a place that sees them", () => {
    const asks = groupConfig({ vantages: ["relay:a", "relay:b", "relay:c"], regions: ["oc"] });
    const pairs = placesOf(asks)[1]?.pairs ?? [];
    expect(pairs.map(({ vantage }) => vantage)).not.toContain("oc");
    expect(pairs).toHaveLength(9);
    expect(placesOf(asks)).toBe(placesOf(asks));
  });
});
