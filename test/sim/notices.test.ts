/** The rules about webhooks catch what breaks them: each is shown one breach, made by hand, and its lawful twin. */
import { beforeEach, describe, expect, test } from "vitest";
import { type Ledger, newLedger } from "../../scripts/sim/check/ledger.ts";
import { checkNotices, checkTook } from "../../scripts/sim/check/notices.ts";
import { savingOf } from "../../scripts/sim/check/saving.ts";
import type { EventName, GroupEvent } from "../../worker/core/events.ts";
import { initialState } from "../../worker/core/saved.ts";
import type { Notice, Pending, Saved } from "../../worker/core/state.ts";
import type { NotifyAction, Outcome, WebhookConfig } from "../../worker/core/types.ts";
import { groupConfig } from "../support/builders.ts";

let ledger: Ledger;
let nowMs: number;

beforeEach(() => {
  ledger = newLedger();
  ledger.nowMs = 50_000;
  nowMs = 1_000_000;
});

const rules = () => ledger.violations.map(({ rule }) => rule);

function pass(ms: number): void {
  nowMs += ms;
  ledger.nowMs += ms;
}

const hook = (name: string): WebhookConfig => ({
  name,
  url: `https://${name}.example.com`,
  signingSecret: "SIGN",
  events: ["+odown", "+pause"],
});
const event = (name: EventName, text = "it is so", data = {}): GroupEvent => ({
  ...{ atMs: 1_000_000, name, epoch: 1, node: "a", text, data },
});
const notice = (id: string, change: Partial<Notice> = {}): Notice => ({
  ...{ id, to: "pager", event: event("+odown", id), tries: 0, nextAtMs: 0, problem: null },
  ...change,
});
const pendingOf = (id: string, to = "pager"): Pending => ({
  ...{ id: `try ${to} ${id}`, kind: "notify", about: to, key: id, epoch: 1, deadlineMs: 0 },
});
const orderOf = (id: string, to = "pager"): NotifyAction => ({
  ...{ id: `try ${to} ${id}`, kind: "notify", to, notice: id, epoch: 1, deadlineMs: 0 },
  event: event("+odown", id),
});
const outcome = (id: string, kind: Outcome["kind"], change: Partial<Outcome> = {}): Outcome => ({
  ...{ action: `try pager ${id}`, kind, detail: "", atMs: nowMs },
  ...change,
});

type Step = {
  readonly before?: Partial<Saved>;
  readonly after?: Partial<Saved>;
  readonly events?: readonly GroupEvent[];
  readonly outcomes?: readonly Outcome[];
  readonly actions?: readonly NotifyAction[];
  readonly told?: readonly string[];
  readonly first?: boolean;
  readonly hooks?: readonly string[];
};

function step(what: Step): void {
  const { saved, sight } = initialState("cache");
  const before = { ...saved, ...what.before };
  const last = { ...sight, lastDecisionAtMs: what.first === true ? null : nowMs - 1000 };
  const decision = {
    state: { saved: { ...before, ...what.after }, sight: { ...last, told: what.told ?? [] } },
    actions: what.actions ?? [],
    events: what.events ?? [],
    replies: [],
    because: "it is so",
    wakeAtMs: nowMs,
    crash: false,
  };
  const input = { observations: [], outcomes: what.outcomes ?? [], requests: [] };
  const webhooks = (what.hooks ?? ["pager"]).map(hook);
  const state = { saved: before, sight: last };
  checkNotices(ledger, savingOf(before, state, decision, input, groupConfig({ webhooks }), nowMs));
}

/** Waits, as it should. */
function noted(...ids: string[]): void {
  const notices = ids.map((id) => notice(id));
  step({ after: { notices }, events: notices.map((each) => each.event) });
  expect(rules()).toEqual([]);
}

describe("what was chosen", () => {
  test("waits for whoever chose it, and what was not chosen for nobody", () => {
    noted("1");
    step({ events: [event("+sdown")] });
    expect(rules()).toEqual([]);
    step({ events: [event("+pause")] });
    expect(rules()).toEqual(["notice-lost"]);
  });

  test("waits as what it was", () => {
    step({ events: [event("+pause")], after: { notices: [notice("1")] } });
    expect(rules()).toContain("notice-lost");
  });

  test("has one id, for every webhook, and no other event has it", () => {
    const two = (second: string) => [notice("1"), notice(second, { to: "chat" })];
    const one = (id: string) => ({ ...event("+odown", "1"), id });
    const hooks = ["pager", "chat"];
    const same = two("1").map((each) => ({ ...each, event: one("1") }));
    step({ events: [one("1")], after: { notices: same }, hooks });
    expect(rules()).toEqual([]);
    step({ events: [one("2")], after: { notices: same }, hooks, before: {} });
    expect(rules()).toContain("notice-id");
    ledger = newLedger();
    const other = two("2").map((each) => ({ ...each, event: one("1") }));
    step({ events: [one("1")], after: { notices: other }, hooks });
    expect(rules()).toContain("notice-id");
  });

  test("is told under its id as what it is", () => {
    noted("1");
    checkTook(ledger, orderOf("1"));
    expect(rules()).toEqual([]);
    checkTook(ledger, { ...orderOf("1"), event: event("+pause") });
    checkTook(ledger, orderOf("2"));
    expect(rules()).toEqual(["notice-id", "notice-id"]);
  });
});

const givenUp = (...ids: string[]) => {
  const notices = ids.map((id) => ({ id, tries: 0 }));
  return event("-webhook-gave-up", "never told", { webhook: "pager", notices });
};

describe("what waits no longer", () => {
  const gone = (what: Step = {}) =>
    step({
      before: { notices: [notice("1")], pending: [pendingOf("1")] },
      after: { notices: [], pending: [] },
      ...what,
    });
  const gaveUp = givenUp("1");

  test("was taken, by the receiver's own word", () => {
    noted("1");
    gone({ outcomes: [outcome("1", "done")] });
    expect(rules()).toEqual(["notice-lost"]);
    ledger.violations.length = 0;
    checkTook(ledger, orderOf("1"));
    gone({ outcomes: [outcome("1", "done")] });
    expect(rules()).toEqual([]);
  });

  test("or was refused for good, and that is told", () => {
    noted("1");
    gone({ outcomes: [outcome("1", "refused")], events: [gaveUp] });
    expect(rules()).toEqual([]);
    gone({ outcomes: [outcome("1", "refused")] });
    gone({ outcomes: [outcome("1", "failed")], events: [gaveUp] });
    expect(rules()).toEqual(["notice-lost", "notice-lost"]);
  });

  test("or failed ten times, and that is told; not more often", () => {
    noted("1");
    const held = { notices: [notice("1")] };
    for (let tries = 1; tries < 10; tries += 1)
      step({
        before: { ...held, pending: [pendingOf("1")] },
        after: { ...held, pending: [] },
        outcomes: [outcome("1", "failed")],
      });
    expect(rules()).toEqual([]);
    gone({ outcomes: [outcome("1", "failed")], events: [gaveUp] });
    expect(rules()).toEqual([]);
    step({ before: held, after: held });
    expect(rules()).toEqual(["notice-tries"]);
  });

  test("or nobody of that name is left, and that is told", () => {
    noted("1");
    gone({ hooks: ["chat"], events: [gaveUp] });
    expect(rules()).toEqual([]);
    gone({ hooks: ["chat"] });
    expect(rules()).toEqual(["notice-lost"]);
  });

  test("or too many wait: the oldest go, and that is told", () => {
    const ids = Array.from({ length: 101 }, (_, at) => String(at));
    const all = ids.map((id) => notice(id));
    noted(...ids.slice(0, 100));
    const [before, last] = [all.slice(0, 100), all.slice(100)];
    const events = last.map((each) => each.event);
    const drop = (at: number, ...told: readonly string[]) =>
      step({
        before: { notices: before },
        after: { notices: [...before.filter((_, place) => place !== at), ...last] },
        events: [...events, givenUp(...told)],
      });
    drop(0, "0");
    expect(rules()).toEqual([]);
    ledger.notices.ids.delete("100");
    drop(0);
    ledger.notices.ids.delete("100");
    drop(50, "50");
    expect(rules()).toEqual(["notice-lost", "notice-lost"]);
  });
});

describe("a try", () => {
  const begin = (what: Step = {}, id = "1") =>
    step({
      before: { notices: [notice(id)] },
      after: { pending: [pendingOf(id)] },
      actions: [orderOf(id)],
      ...what,
    });
  const end = (what: Step = {}) =>
    step({
      before: { notices: [notice("1")], pending: [pendingOf("1")] },
      after: { pending: [] },
      ...what,
    });
  beforeEach(() => noted("1", "2", "3"));

  test("does not begin while a primary is being replaced", () => {
    begin();
    expect(rules()).toEqual([]);
    const phase = { kind: "electing" } as Saved["phase"];
    begin({ after: { pending: [pendingOf("1")], phase } });
    expect(rules()).toEqual(["notice-busy"]);
  });

  test("is the only one of its webhook, and one of two", () => {
    begin({ after: { pending: [pendingOf("1"), pendingOf("1", "chat")] } });
    expect(rules()).toEqual([]);
    begin({ after: { pending: [pendingOf("1"), pendingOf("2")] } });
    begin({ after: { pending: ["pager", "chat", "log"].map((to) => pendingOf("1", to)) } });
    expect(rules()).toEqual(["notice-crowd", "notice-crowd"]);
  });

  test("is the only one while the primary is suspected", () => {
    const two = { pending: [pendingOf("1"), pendingOf("1", "chat")], primary: "a" };
    begin({ told: ["sdown:relay:a:a"] });
    begin({ after: two, told: ["sdown:relay:a:b"] });
    expect(rules()).toEqual([]);
    begin({ after: two, told: ["sdown:relay:a:a"] });
    expect(rules()).toEqual(["notice-crowd"]);
  });

  test("is of something that waits", () => {
    begin({ before: {} });
    expect(rules()).toEqual(["notice-id"]);
  });

  test("comes 22.5 s after one that failed, doubled each time", () => {
    for (const [at, leastMs] of [22_500, 45_000, 90_000].entries()) {
      begin();
      end({ outcomes: [outcome("1", at === 1 ? "unknown" : "failed")] });
      pass(leastMs);
    }
    begin();
    expect(rules()).toEqual([]);
    end();
    pass(175_000);
    begin();
    expect(rules()).toEqual(["notice-soon"]);
  });

  test("comes sooner only when the clock jumped, or the Group died meanwhile", () => {
    begin();
    end({ outcomes: [outcome("1", "failed")] });
    ledger.aheadMs += 60_000;
    begin();
    end({ first: true });
    begin();
    expect(rules()).toEqual([]);
  });

  test("of another notice comes 22.5 s after one that failed there; at another webhook at once", () => {
    begin();
    end({ outcomes: [outcome("1", "failed")] });
    begin({ actions: [orderOf("2")], before: { notices: [notice("2")] } }, "2");
    expect(rules()).toEqual(["notice-soon"]);
    ledger.violations.length = 0;
    const other = { notices: [notice("2", { to: "chat" })] };
    const hooks = ["pager", "chat"];
    begin({ actions: [orderOf("2", "chat")], before: other, hooks }, "2");
    pass(22_500);
    begin({ actions: [orderOf("2")], before: { notices: [notice("2")] } }, "2");
    expect(rules()).toEqual([]);
  });

  test("at one that said that it is gone comes an hour later", () => {
    begin();
    end({ outcomes: [outcome("1", "refused")] });
    pass(3_000_000);
    begin({ before: { notices: [notice("2")] }, actions: [orderOf("2")] }, "2");
    expect(rules()).toEqual(["notice-soon"]);
  });

  test("comes no sooner than it was asked to", () => {
    begin();
    end({ outcomes: [outcome("1", "failed", { retryAtMs: nowMs + 60_000 })] });
    pass(58_000);
    begin();
    expect(rules()).toEqual(["notice-soon"]);
    ledger.violations.length = 0;
    pass(2000);
    begin();
    expect(rules()).toEqual([]);
  });
});
