/**
 * What operators do to a running group, on real redis-servers: they look, hold it back, let go, and move it.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { GroupEvent } from "../../worker/core/events.ts";
import type { EventPage, LastInfo } from "../../worker/env.ts";
import { must, type Scene, startScene, tokens } from "../support/stack.ts";

/** Nobody waits for a cooldown, or for a node to have been good for long. */
const eager = { cooldown_ms: 0, max_failovers_per_hour: 0, grace_ms: 0 };

type Quorum = {
  readonly ok: boolean;
  readonly usable: number;
  readonly detail: string;
  readonly vantageStates: Readonly<Record<string, string>>;
};

/** The verbs of the API, and what follows from them. */
function operating(scene: Scene) {
  const group = "/v1/groups/cache";
  const post = (path: string, body: object = {}) => scene.api(`${group}/${path}`, { body });
  const accept = async (path: string, body: object = {}) => {
    const { status, body: answer } = await post(path, body);
    expect({ status, answer }).toMatchObject({ status: 202, answer: { accepted: true } });
    return answer as { readonly epoch: number; readonly detail: string };
  };
  const remove = (path: string) => scene.api(`${group}/${path}`, { method: "DELETE" });
  const primary = async () => must((await scene.route()).primary, "primary").id;
  const names = async (after: number) => (await scene.events(after)).map(({ name }) => name);
  /** Another one than `before` is in force, and everybody in `replicas` follows it. */
  const moved = async (before: string, away: readonly string[] = []) => {
    await scene.eventually("another primary", async () => (await primary()) !== before, {
      withinMs: 20_000,
    });
    const now = await primary();
    await scene.steady(
      now,
      scene.ids.filter((id) => id !== now && !away.includes(id)),
    );
    return now;
  };
  const down = async (id: string) => {
    const mark = await scene.mark();
    await scene.server(id).kill();
    await scene.event("+sdown", mark, id);
  };
  const ckquorum = async () => {
    const { status, body } = await scene.api(`${group}/ckquorum`, { token: tokens.read });
    return { status, ...(body as Quorum) };
  };
  const lastInfo = async (id: string) =>
    (await scene.api(`${group}/nodes/${id}/last-info`, { token: tokens.read })).body as LastInfo;
  return { group, post, accept, remove, primary, names, moved, down, ckquorum, lastInfo };
}

type Operating = ReturnType<typeof operating>;

describe("three nodes in operation", () => {
  let scene: Scene;
  let ops: Operating;
  beforeAll(async () => {
    scene = await startScene({ settings: eager });
    await scene.published();
    ops = operating(scene);
  });
  afterAll(() => scene?.stop());
  /** Everybody is up, nothing is held back: whatever became of the test before. */
  beforeEach(async () => {
    await ops.post("resume");
    for (const id of scene.ids) {
      await ops.remove(`nodes/${id}/downtime`);
      if ((await scene.facts(id)) === null) await scene.server(id).start();
    }
    await scene.steady(await ops.primary());
  });

  it("S06.1 ckquorum: OK, and how many vantages are usable", async () => {
    expect(await ops.ckquorum()).toEqual({
      status: 200,
      ok: true,
      usable: 3,
      vantages: 3,
      quorum: 2,
      detail: "OK 3 usable vantages. Quorum and failover authorization can be reached",
      vantageStates: { "relay:a": "usable", "relay:b": "usable", "relay:c": "usable" },
    });
  });

  it("S00.4 last-info: what a node last said, who heard it, how long ago; also when it is dead", async () => {
    for (const id of scene.ids) {
      const facts = must(await scene.facts(id), "facts");
      const info = await ops.lastInfo(id);
      expect(info).toMatchObject({ node: id, facts: { runId: facts.runId, role: facts.role } });
      expect(Object.keys((await scene.view()).nodes[0]?.vantages ?? {})).toContain(info.vantage);
      expect(info.agoMs).toBeLessThan(5000);
    }
    const { runId } = must(await scene.facts("c"), "facts");
    await ops.down("c");
    const agoMs = must((await ops.lastInfo("c")).agoMs, "age");
    await scene.eventually(
      "it to age",
      async () => must((await ops.lastInfo("c")).agoMs, "age") > agoMs,
    );
    expect(await ops.lastInfo("c")).toMatchObject({ node: "c", facts: { runId, role: "replica" } });
  });

  it("events are paged by number, and say which ones are kept", async () => {
    const page = async (after: number, limit: number) =>
      (await scene.api(`${ops.group}/events?after=${after}&limit=${limit}`)).body as EventPage;
    await scene.published();
    const first = await page(0, 2);
    expect(first).toMatchObject({ oldest: 1, events: [{ seq: 1 }, { seq: 2 }] });
    const newest = must(first.newest, "newest");
    expect((await page(2, 1)).events).toMatchObject([{ seq: 3 }]);
    expect(await page(newest, 10)).toMatchObject({ events: [], oldest: 1 });
    expect((await page(newest - 1, 10)).events).toMatchObject([{ seq: newest }]);
  });

  it("G17 paused: a dead primary is left dead; a switch by hand works; the pause is told", async () => {
    const mark = await scene.mark();
    const reason = "moving racks";
    await ops.accept("pause", { reason });
    expect(await scene.view()).toMatchObject({ paused: { reason, untilMs: null } });
    await ops.down("a");
    await scene.event("+odown", mark, "a");
    await scene.looks(10, { by: 3 });
    expect(await ops.names(mark)).not.toContain("+try-failover");
    expect((await scene.view()).because).toContain(reason);
    expect(await scene.facts("b")).toMatchObject({ role: "replica" });

    const { epoch } = await ops.accept("failover", { to: "b" });
    expect(await ops.moved("a", ["a"])).toBe("b");
    expect((await scene.route()).epoch).toBe(epoch);
    expect(await scene.view()).toMatchObject({ paused: { reason } });
  });

  it("G17 resumed: what stands is judged anew, and the failover that was due happens", async () => {
    const before = await ops.primary();
    const other = must(
      scene.ids.find((id) => id !== before),
      "replica",
    );
    await ops.accept("pause", { reason: "moving racks" });
    const mark = await scene.mark();
    await ops.down(before);
    await scene.event("+odown", mark, before);
    await scene.looks(10, { at: other, by: 3 });
    expect(await ops.names(mark)).not.toContain("+try-failover");
    await ops.accept("resume");
    await ops.moved(before, [before]);
    const names = await ops.names(mark);
    expect(names.indexOf("+try-failover")).toBeGreaterThan(names.indexOf("-pause"));
    expect(await ops.post("resume")).toMatchObject({ status: 409, body: { code: "NOTHING" } });
  });

  it("a pause ends by itself", async () => {
    const mark = await scene.mark();
    await ops.accept("pause", { reason: "a second", for_ms: 1000 });
    await scene.event("+pause", mark);
    await scene.event("-pause", mark);
    expect(await scene.view()).toMatchObject({ paused: null });
  });

  it("downtime: the node is not promoted while it lasts, and says why; ended, it may be again", async () => {
    const before = await ops.primary();
    const [first, second] = scene.ids.filter((id) => id !== before);
    const away = must(first, "replica");
    const reason = "new memory";
    const mark = await scene.mark();
    await ops.accept(`nodes/${away}/downtime`, { reason, for_ms: 600_000 });
    await scene.event("+downtime", mark, away);
    const node = (await scene.view()).nodes.find(({ id }) => id === away);
    expect(node).toMatchObject({ downtime: { reason }, refused: expect.stringContaining(reason) });
    await ops.accept("failover");
    expect(await ops.moved(before, [away])).toBe(second);
    expect(await ops.post("failover", { to: away })).toMatchObject({
      status: 409,
      body: {
        code: "NOGOODSLAVE",
        reasons: [{ node: away, reason: expect.stringContaining(reason) }],
      },
    });

    expect(await ops.remove(`nodes/${away}/downtime`)).toMatchObject({ status: 202 });
    await scene.event("-downtime", mark, away);
    expect(await ops.remove(`nodes/${away}/downtime`)).toMatchObject({
      status: 409,
      body: { code: "NOTHING" },
    });
    await ops.accept("failover", { to: away });
    expect(await ops.moved(must(second, "primary"))).toBe(away);
  });

  it("downtime of the primary: its death is no failover until it ends", async () => {
    const before = await ops.primary();
    const other = must(
      scene.ids.find((id) => id !== before),
      "replica",
    );
    await ops.accept(`nodes/${before}/downtime`, { reason: "kernel", for_ms: 600_000 });
    const mark = await scene.mark();
    await ops.down(before);
    await scene.event("+odown", mark, before);
    await scene.looks(10, { at: other, by: 3 });
    expect(await ops.names(mark)).not.toContain("+try-failover");
    expect(await ops.remove(`nodes/${before}/downtime`)).toMatchObject({ status: 202 });
    await ops.moved(before, [before]);
  });

  it("S00.15 reset: what was believed is forgotten, who is primary is not", async () => {
    const before = await scene.route();
    await ops.accept("nodes/c/downtime", { reason: "away", for_ms: 600_000 });
    await ops.accept("drill", { at: "after-election" });
    const mark = await scene.mark();
    await ops.accept("reset");
    await scene.event("+reset-master", mark);
    await scene.looks(2, { by: 3 });
    const view = await scene.view();
    expect(view).toMatchObject({ phase: "watching", drill: null, epoch: before.epoch });
    expect(view.nodes.map(({ downtime }) => downtime)).toEqual([null, null, null]);
    await scene.eventually("everyone to be seen anew", async () =>
      (await scene.view()).nodes.every(({ vantages }) =>
        Object.values(vantages).every((seen) => seen.class === "up"),
      ),
    );
    await scene.steady(must(before.primary, "primary").id);
  });

  it.each([
    ["S05.3", "after-election"],
    ["S05.4", "after-promotion"],
  ])("%s drill %s: the Group dies there, and the next one finishes", async (_, at) => {
    const before = await ops.primary();
    const { epoch } = await scene.route();
    const mark = await scene.mark();
    await ops.accept("drill", { at });
    await scene.server(before).kill();
    await ops.moved(before, [before]);
    const events = await scene.events(mark);
    const drills = events.filter(({ name }) => name === "+drill");
    expect(drills.map(({ text }) => text)).toEqual([
      expect.stringContaining("will die"),
      expect.stringContaining("dies here"),
    ]);
    expect(events.filter(({ name }) => name === "+switch-master")).toHaveLength(1);
    const promoted = events.filter(({ name }) => name === "+promoted-slave");
    expect(promoted).toHaveLength(1);
    expect((await scene.route()).epoch).toBeGreaterThan(epoch);
    expect((await scene.view()).drill).toBeNull();
  });

  it("a planned switch under a writer loses nothing that was acknowledged", async () => {
    const before = await ops.primary();
    const acknowledged: number[] = [];
    const writing = new AbortController();
    const writer = (async () => {
      for (let number = 0; !writing.signal.aborted; number += 1) {
        const write = async () => scene.data(await ops.primary(), "SET", `switched:${number}`, "1");
        const answer = await write().catch(() => null);
        if (answer?.result === "OK") acknowledged.push(number);
      }
    })();
    const wrote = (count: number) =>
      scene.eventually(`${count} more writes`, () => acknowledged.length >= count);
    const mark = await scene.mark();
    const now = await (async () => {
      try {
        await wrote(100);
        await ops.accept("switchover");
        const moved = await ops.moved(before);
        await wrote(acknowledged.length + 100);
        return moved;
      } finally {
        writing.abort();
        await writer;
      }
    })();
    const kept = await scene.ask(now, [
      "EXISTS",
      ...acknowledged.map((each) => `switched:${each}`),
    ]);
    expect(kept).toEqual([String(acknowledged.length)]);
    const [moved] = (await scene.events(mark)).filter(({ name }) => name === "+switch-master");
    expect((moved as GroupEvent | undefined)?.data).toMatchObject({ from: before, to: now });
    expect(await scene.view()).toMatchObject({ lastSwitch: { from: before, to: now } });
  });

  it("a planned switch that could not end is refused by node and reason, and changes nothing", async () => {
    const before = await ops.primary();
    const to = must(
      scene.ids.find((id) => id !== before),
      "replica",
    );
    const nothing = { status: 409, body: { code: "NOTHING" } };
    expect(await ops.post("switchover/abort")).toMatchObject(nothing);
    expect(await ops.post("switchover", { to: before })).toMatchObject({
      status: 409,
      body: { code: "ISPRIMARY" },
    });
    const { epoch } = await scene.route();
    await scene.server(to).kill("SIGSTOP");
    try {
      expect(await ops.post("switchover", { to })).toMatchObject({
        status: 409,
        body: { code: "NOGOODSLAVE", reasons: [{ node: to, reason: expect.any(String) }] },
      });
      expect(await scene.data(before, "SET", "still", "1")).toEqual({ result: "OK" });
    } finally {
      await scene.server(to).kill("SIGCONT");
    }
    await scene.steady(before);
    expect((await scene.route()).epoch).toBe(epoch);
  });
});

describe("soon after a failover", () => {
  let scene: Scene;
  let ops: Operating;
  beforeAll(async () => {
    scene = await startScene({ settings: { ...eager, cooldown_ms: 3_600_000 } });
    ops = operating(scene);
  });
  afterAll(() => scene?.stop());

  it("G4 the next one is held by the cooldown, and says so; acknowledged, it happens", async () => {
    expect(await ops.post("acknowledge")).toMatchObject({
      status: 409,
      body: { code: "NOTHING" },
    });
    await scene.server("a").kill();
    const second = await ops.moved("a", ["a"]);
    await scene.server("a").start();
    await scene.steady(second);
    const mark = await scene.mark();
    await ops.down(second);
    await scene.event("+held", mark);
    await scene.looks(10, { at: "a", by: 3 });
    expect(await ops.names(mark)).not.toContain("+try-failover");
    const view = await scene.view();
    expect(view.because).toContain("cooldown");
    expect(view.failoversAtMs).toHaveLength(1);
    await ops.accept("acknowledge");
    await ops.moved(second, [second]);
  });
});

describe("every one of three vantages is needed", () => {
  let scene: Scene;
  let ops: Operating;
  beforeAll(async () => {
    scene = await startScene({ settings: { quorum: 3 } });
    ops = operating(scene);
  });
  afterAll(() => scene?.stop());

  it("S06.2 one away: the quorum cannot be reached, by status as well", async () => {
    expect(await ops.ckquorum()).toMatchObject({ status: 200, ok: true, quorum: 3 });
    await scene.relay("c").kill();
    const check = await scene.eventually("it to be missed", async () => {
      const now = await ops.ckquorum();
      return now.status === 503 && now;
    });
    expect(check).toMatchObject({
      ok: false,
      usable: 2,
      detail: expect.stringMatching(/^NOQUORUM 2 /),
    });
    expect(check.detail).toContain("quorum");
    expect(check.detail).not.toContain("majority");
    expect(check.vantageStates).toMatchObject({
      "relay:a": "usable",
      "relay:c": expect.stringContaining("relay-unreachable"),
    });
  });

  it("S06.3 two away: nobody could authorise a failover either", async () => {
    await scene.relay("b").kill();
    const check = await scene.eventually("both to be missed", async () => {
      const now = await ops.ckquorum();
      return now.usable === 1 && now;
    });
    expect(check).toMatchObject({ status: 503, ok: false });
    expect(check.detail).toMatch(/^NOQUORUM 1 .*quorum.*majority/);
  });
});
