import { describe, expect, test } from "vitest";
import type { Verb } from "../../worker/relay/protocol.ts";
import {
  type HeldEpoch,
  type Journal,
  type JournalAction,
  judge,
  judgeEpoch,
  MAX_ACTIONS,
  MAX_GROUPS,
  recorded,
  type VerbRequest,
} from "../../worker/relay/verbs/fence.ts";

const clock = { boot: "boot-1", ms: 10_000, ttlMs: 2000 };
const fresh = { boot: "boot-1", ms: 9_000 };

const holding = (held: HeldEpoch | null, actions: readonly JournalAction[] = []): Journal => ({
  groups: new Map(held === null ? [] : [["g", held]]),
  actions,
});

type Ask = { epoch: number; primary: string | null; stamp?: { boot: string; ms: number } };

function asking(verb: Verb, node: string, ask: Ask, action = "x"): VerbRequest {
  const head = { group: "g", action, stamp: fresh, ...ask };
  const opened = { minReplicas: 0, bootSealed: true };
  switch (verb) {
    case "seal":
    case "abort-switchover":
    case "script-kill":
      return { verb, node, body: head };
    case "demote":
      return { verb, node, body: { ...head, ...opened, follow: { host: "h", port: 1 } } };
    case "switchover":
      return { verb, node, body: { ...head, to: { host: "h", port: 1 }, timeoutMs: 1000 } };
    case "promote":
    case "unseal":
      return { verb, node, body: { ...head, ...opened } };
  }
}

/** `accept`, or the code that the refusal begins with. */
function verdict(journal: Journal, request: VerbRequest): string {
  const judged = judge(journal, request, clock);
  if (judged.kind === "execute") return "accept";
  return judged.kind === "repeat"
    ? `repeat ${judged.outcome}`
    : (judged.detail.split(" ")[0] ?? "");
}

const nobody = { epoch: 5, primary: null };
const a = { epoch: 5, primary: "a" };

test.each<[why: string, HeldEpoch | null, Verb, node: string, Ask, wanted: string]>([
  ["nothing is known", null, "seal", "a", nobody, "UNTOLD"],
  ["nothing is known, however high", null, "promote", "a", { epoch: 99, primary: "a" }, "UNTOLD"],
  ["an epoch behind", a, "promote", "a", { epoch: 4, primary: "a" }, "EPOCH"],
  ["a seal behind", a, "seal", "b", { epoch: 4, primary: null }, "EPOCH"],
  ["another primary", a, "promote", "b", { epoch: 5, primary: "b" }, "PRIMARY"],
  ["another primary, to be followed", a, "demote", "c", { epoch: 5, primary: "b" }, "PRIMARY"],
  ["the same primary", a, "promote", "a", a, "accept"],
  ["the first name given", nobody, "promote", "a", a, "accept"],
  ["a higher epoch", a, "promote", "b", { epoch: 6, primary: "b" }, "accept"],
  ["promote without a name", nobody, "promote", "a", nobody, "PRIMARY"],
  ["promote without the name held", a, "promote", "a", nobody, "PRIMARY"],
  ["promote of another than named", nobody, "promote", "b", a, "PRIMARY"],
  ["demote under the named", a, "demote", "b", a, "accept"],
  ["demote of the named", a, "demote", "a", a, "PRIMARY"],
  ["demote without a name", nobody, "demote", "b", nobody, "PRIMARY"],
  ["demote that does not say the name", a, "demote", "b", nobody, "PRIMARY"],
  ["seal before anyone is named", nobody, "seal", "a", nobody, "accept"],
  ["a late seal of another", a, "seal", "b", nobody, "accept"],
  ["a late seal of the named", a, "seal", "a", nobody, "PRIMARY"],
  ["a seal of the named", a, "seal", "a", a, "PRIMARY"],
  [
    "a seal of the named of the epoch before",
    a,
    "seal",
    "a",
    { epoch: 6, primary: null },
    "accept",
  ],
  ["unseal of the named", a, "unseal", "a", a, "accept"],
  ["unseal of another", a, "unseal", "b", a, "PRIMARY"],
  ["unseal after an attempt that named nobody", nobody, "unseal", "a", nobody, "accept"],
  ["unseal that does not say the name", a, "unseal", "a", nobody, "PRIMARY"],
  ["switchover to the named", a, "switchover", "b", a, "accept"],
  ["switchover of the named", a, "switchover", "a", a, "PRIMARY"],
  ["switchover to nobody", nobody, "switchover", "b", nobody, "PRIMARY"],
  ["switchover that does not say the name", a, "switchover", "b", nobody, "PRIMARY"],
  ["switchover of an epoch behind", a, "switchover", "b", { epoch: 4, primary: "a" }, "EPOCH"],
  ["abort of a hand-over to the named", a, "abort-switchover", "b", a, "accept"],
  ["abort before anyone is named", nobody, "abort-switchover", "a", nobody, "accept"],
  ["a late abort of an epoch behind", a, "abort-switchover", "b", { ...a, epoch: 4 }, "EPOCH"],
  ["script-kill at the named", a, "script-kill", "a", a, "accept"],
  ["script-kill at another, without the name", a, "script-kill", "b", nobody, "accept"],
  ["script-kill when nothing is known", null, "script-kill", "a", nobody, "UNTOLD"],
  ["a stamp of another boot", a, "seal", "b", { ...a, stamp: { boot: "0", ms: 9000 } }, "STAMP"],
  ["a stamp from the future", a, "seal", "b", { ...a, stamp: { ...fresh, ms: 10_001 } }, "STAMP"],
  ["a stamp that is too old", a, "seal", "b", { ...a, stamp: { ...fresh, ms: 7_999 } }, "STAMP"],
  ["a stamp just young enough", a, "seal", "b", { ...a, stamp: { ...fresh, ms: 8_000 } }, "accept"],
])("%s", (_, held, verb, node, ask, wanted) => {
  expect(verdict(holding(held), asking(verb, node, ask))).toBe(wanted);
});

test("what is accepted is written down first, with outcome unknown and the name that the epoch got", () => {
  const judged = judge(holding(nobody), asking("promote", "a", a), clock);
  if (judged.kind !== "execute") throw new Error(judged.detail);
  expect(judged.journal.groups.get("g")).toEqual(a);
  expect(judged.journal.actions).toMatchObject([
    { group: "g", id: "x", verb: "promote", node: "a", epoch: 5, outcome: "unknown" },
  ]);
});

test("a name once held is not lost to a seal that does not know it", () => {
  const judged = judge(holding(a), asking("seal", "b", nobody), clock);
  expect(judged.kind === "execute" && judged.journal.groups.get("g")).toEqual(a);
});

describe("an action id that came before", () => {
  const first = judge(holding(a), asking("demote", "b", a), clock);
  if (first.kind !== "execute") throw new Error(first.detail);
  const cut = first.journal;
  const done = recorded(cut, { group: "g", action: "x" }, { outcome: "done", detail: "" });
  const stale = { boot: "another", ms: 0 };

  test.each<[string, Journal, VerbRequest, string]>([
    ["gets its stored outcome", done, asking("demote", "b", a), "repeat done"],
    ["whatever its stamp", done, asking("demote", "b", { ...a, stamp: stale }), "repeat done"],
    ["unknown when the end was not recorded", cut, asking("demote", "b", a), "repeat unknown"],
    ["with another verb", done, asking("seal", "b", a), "ACTION"],
    ["with another node", done, asking("demote", "c", a), "ACTION"],
    ["with another epoch", done, asking("demote", "b", { ...a, epoch: 6 }), "ACTION"],
    ["with another primary", done, asking("demote", "b", { ...a, primary: "c" }), "ACTION"],
  ])("%s", (_, journal, request, wanted) => {
    expect(verdict(journal, request)).toBe(wanted);
  });

  test("with other things to do", () => {
    const request = asking("demote", "b", a);
    if (request.verb !== "demote") throw new Error("a demote");
    const follow = { host: "elsewhere", port: 1 };
    for (const other of [{ follow }, { minReplicas: 1 }, { bootSealed: false }]) {
      const body = { ...request.body, ...other };
      expect(verdict(done, { ...request, body })).toBe("ACTION");
    }
  });

  test("in another group is another action", () => {
    const request = asking("demote", "b", a);
    const groups = new Map([...done.groups, ["h", a] as const]);
    const other = { ...request, body: { ...request.body, group: "h" } } as VerbRequest;
    expect(verdict({ ...done, groups }, other)).toBe("accept");
  });
});

test("only the newest actions are kept", () => {
  let journal = holding(a);
  for (let index = 0; index < MAX_ACTIONS + 10; index += 1) {
    const judged = judge(journal, asking("seal", "b", a, `action-${index}`), clock);
    if (judged.kind === "execute") journal = judged.journal;
  }
  expect(journal.actions).toHaveLength(MAX_ACTIONS);
  expect(journal.actions.at(-1)?.id).toBe(`action-${MAX_ACTIONS + 9}`);
  expect(journal.actions[0]?.id).toBe("action-10");
});

describe("telling the epoch", () => {
  const tell = (held: HeldEpoch | null, told: Ask) => {
    const judged = judgeEpoch(holding(held), "g", { stamp: fresh, ...told }, clock);
    return judged.kind === "held" ? judged.journal.groups.get("g") : judged.detail.split(" ")[0];
  };

  test.each<[string, HeldEpoch | null, Ask, unknown]>([
    ["the first one", null, a, a],
    ["the first one, naming nobody", null, nobody, nobody],
    ["a higher one", a, { epoch: 6, primary: "b" }, { epoch: 6, primary: "b" }],
    ["the same", a, a, a],
    ["the same, naming nobody: the name stays", a, nobody, a],
    ["the same, now with a name", nobody, a, a],
    ["a lower one", a, { epoch: 4, primary: "a" }, "EPOCH"],
    ["the same with another name", a, { epoch: 5, primary: "b" }, "PRIMARY"],
    ["with an old stamp", null, { ...a, stamp: { ...fresh, ms: 0 } }, "STAMP"],
    ["with a stamp of another boot", null, { ...a, stamp: { boot: "0", ms: 9000 } }, "STAMP"],
  ])("%s", (_, held, told, wanted) => {
    expect(tell(held, told)).toEqual(wanted);
  });

  test("one group too many", () => {
    const groups = new Map(Array.from({ length: MAX_GROUPS }, (_, index) => [`g${index}`, a]));
    const judged = judgeEpoch({ groups, actions: [] }, "g", { stamp: fresh, ...a }, clock);
    expect(judged.kind).toBe("refused");
  });
});
