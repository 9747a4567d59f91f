/** From looks to verdicts: thresholds, votes, quorum. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { freshSight } from "../../worker/core/decide.ts";
import { absorb, bestBelief, judge } from "../../worker/core/health.ts";
import type { Sight } from "../../worker/core/state.ts";
import type { GroupConfig, ObservationClass } from "../../worker/core/types.ts";
import { facts, groupConfig, nodeConfig, observation } from "../support/builders.ts";

const config = groupConfig();
const a = nodeConfig("a");

/** Each row is one look: what relay a, b and c saw of node a; rows are `stepMs` apart. */
function looks(rows: readonly string[], stepMs = 100, of: GroupConfig = config): [Sight, number] {
  const classes: Record<string, ObservationClass> = {
    U: "up",
    R: "refused",
    T: "timeout",
    C: "closed",
    L: "loading",
    B: "busy",
    M: "misconf",
    S: "switching",
    P: "policy",
    A: "auth",
    X: "relay-unreachable",
    G: "malformed",
  };
  let sight: Sight = freshSight;
  let atMs = 1_000_000;
  for (const row of rows) {
    atMs += stepMs;
    const seen = [...row].flatMap((letter, index) => {
      const kind = classes[letter];
      const vantage = `relay:${"abc"[index]}`;
      return kind === undefined ? [] : [observation(vantage, "a", { class: kind, atMs })];
    });
    sight = absorb(sight, seen, of, atMs);
  }
  return [sight, atMs];
}

const verdict = (rows: readonly string[], stepMs?: number, of: GroupConfig = config) => {
  const [sight, atMs] = looks(rows, stepMs, of);
  return judge(sight, a, of, atMs);
};
const times = (count: number, row: string) => Array.from({ length: count }, () => row);

describe("thresholds", () => {
  const cases: readonly [string, readonly string[], number, string][] = [
    ["refused by all, twice: not yet", times(2, "RRR"), 100, "???"],
    ["refused by all, three times: down at once", times(3, "RRR"), 100, "ddd"],
    ["refused for the local relay alone: its word counts fast", times(3, "RUU"), 100, "duu"],
    ["refused for one that is not local: not fast", times(3, "URU"), 100, "u?u"],
    ["refused for two that are not local: fast", times(3, "URR"), 100, "udd"],
    ["silence, three times in 200 ms: not yet", times(3, "TTT"), 100, "???"],
    ["silence, three times and for down_after", times(4, "TTT"), 1000, "ddd"],
    ["a good look starts the count again", ["RRR", "RRR", "UUU", "RRR", "RRR"], 100, "???"],
    ["MISCONF counts as silence does", times(4, "MMM"), 1000, "ddd"],
    ["loading, a planned switch: alive", times(9, "LSU"), 1000, "uuu"],
    ["closed, busy, policy: nobody's vote", times(9, "CBP"), 1000, "???"],
    ["an observer that failed has no vote", times(2, "XGA"), 1000, "???"],
    ["the local relay silent for down_after: its machine is", times(4, "XUU"), 1000, "duu"],
    ["another relay silent: an observer fault", times(9, "UXU"), 1000, "u?u"],
    ["what is neither good nor bad does not end a row", ["RRR", "RCC", "RRR", "RRR"], 100, "ddd"],
  ];
  test.each(cases)("%s", (_, rows, stepMs, expected) => {
    const { votes } = verdict(rows, stepMs);
    const letters = { up: "u", down: "d", abstain: "?" };
    expect(config.vantages.map((vantage) => letters[votes[vantage] ?? "abstain"]).join("")).toBe(
      expected,
    );
  });
});

describe("together", () => {
  test("G2, F8 one of three sees it down: not objectively down", () => {
    expect(verdict(times(9, "UUT"), 1000)).toMatchObject({ up: 2, down: 1, odown: false });
  });
  test("two of three do: it is", () => {
    expect(verdict(times(4, "UTT"), 1000)).toMatchObject({ up: 1, down: 2, odown: true });
  });
  test("F8 a tie is no majority: the quorum is reached, but as many see it up", () => {
    const four = groupConfig({ ids: ["a", "b"], quorum: 1 });
    expect(verdict(times(4, "UT"), 1000, four)).toMatchObject({ up: 1, down: 1, odown: false });
  });
  test("S00.12 a quorum that cannot be reached", () => {
    const three = groupConfig({ quorum: 3 });
    expect(verdict(times(5, "RRU"), 100, three).odown).toBe(false);
  });
  test("NOQUORUM: too few vantages answered", () => {
    expect(verdict(times(3, "RXX"), 100)).toMatchObject({ down: 1, authorised: false });
    expect(verdict(times(3, "RRX"), 100)).toMatchObject({ down: 2, authorised: true });
  });
  test("two machines: the relay beside the primary silent, the other sees nothing: down", () => {
    const two = groupConfig({ ids: ["a", "b"] });
    expect(verdict(times(4, "XT"), 1000, two)).toMatchObject({ odown: true, authorised: true });
    expect(verdict(times(4, "XU"), 1000, two)).toMatchObject({ odown: false });
    expect(verdict(times(9, "XX"), 1000, two)).toMatchObject({ odown: false, authorised: false });
  });
  test("votes to verdict, said once more in the simplest way", () => {
    const letter = fc.constantFrom("U", "R", "T", "X", "B");
    const drawn = fc.tuple(letter, letter, letter, fc.integer({ min: 1, max: 3 }));
    fc.assert(
      fc.property(drawn, ([x, y, z, quorum]) => {
        const of = groupConfig({ quorum });
        const found = verdict(times(5, x + y + z), 1000, of);
        const letters = [x, y, z];
        const up = letters.filter((each) => each === "U").length;
        const down =
          letters.filter((each) => each === "R" || each === "T").length + Number(x === "X");
        const heard = letters.filter((each, index) => each !== "X" || index === 0).length;
        expect(found).toMatchObject({
          up,
          down,
          odown: down >= quorum && down > up,
          authorised: heard >= 2,
        });
      }),
    );
  });
});

describe("what does not belong is dropped and counted", () => {
  const cases = [
    ["an unknown vantage", observation("relay:x", "a")],
    ["an unknown node", observation("relay:a", "x")],
    ["from the future", observation("relay:a", "a", { atMs: 2_000_000 })],
  ] as const;
  test.each(cases)("%s", (_, seen) => {
    const sight = absorb(freshSight, [seen], config, 1_000_000);
    expect(sight.dropped).toBe(1);
    expect(judge(sight, a, config, 1_000_000).up).toBe(0);
  });
});

test("the best belief is the newest good one, the local relay's where two are as new", () => {
  const atMs = 1_000_000;
  const look = (relay: string, runId: string, at: number) =>
    observation(`relay:${relay}`, "a", { atMs: at, facts: facts({ runId }) });
  const sight = absorb(
    freshSight,
    [look("a", "local", atMs), look("b", "far", atMs), look("c", "old", atMs - 10)],
    config,
    atMs,
  );
  expect(bestBelief(sight, a, config)?.facts?.runId).toBe("local");
});
