/** From looks to verdicts: thresholds, votes, quorum, witnesses, and what is dropped. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Sight } from "../../worker/core/believed.ts";
import { judge, relayBelief, survey, witnessesOf } from "../../worker/core/health.ts";
import { freshSight } from "../../worker/core/saved.ts";
import { absorb } from "../../worker/core/sight.ts";
import type {
  GroupConfig,
  NodeFacts,
  Observation,
  ObservationClass,
} from "../../worker/core/types.ts";
import { facts, groupConfig, nodeConfig, observation } from "../support/builders.ts";

const config = groupConfig();
const a = nodeConfig("a");
const BEGIN = 1_000_000;

const classes: Readonly<Record<string, ObservationClass>> = {
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
  E: "tls",
  D: "dns",
  X: "relay-unreachable",
  G: "malformed",
};

/** Takes observations in as they are, at the epoch 1. */
const take = (sight: Sight, seen: readonly Observation[], atMs: number, of = config): Sight =>
  absorb(sight, seen, of, { inForce: 1, highest: 1 }, atMs);

/** Each row is one look: what relay a, b and c saw of node a; rows are `stepMs` apart. */
function looks(rows: readonly string[], stepMs = 100, of: GroupConfig = config): [Sight, number] {
  let sight: Sight = freshSight;
  let atMs = BEGIN;
  for (const row of rows) {
    atMs += stepMs;
    const seen = [...row].flatMap((letter, index) => {
      const kind = classes[letter];
      const vantage = `relay:${"abc"[index]}`;
      return kind === undefined ? [] : [observation(vantage, "a", { class: kind, atMs })];
    });
    sight = take(sight, seen, atMs, of);
  }
  return [sight, atMs];
}

const verdict = (rows: readonly string[], stepMs?: number, of: GroupConfig = config) => {
  const [sight, atMs] = looks(rows, stepMs, of);
  return judge(sight, a, of, atMs);
};
const times = (count: number, row: string) => Array.from({ length: count }, () => row);
const letters = { up: "u", down: "d", abstain: "?" } as const;
const inShort = (votes: Readonly<Record<string, keyof typeof letters>>) =>
  config.vantages.map((vantage) => letters[votes[vantage] ?? "abstain"]).join("");

describe("thresholds: what each vantage votes", () => {
  const limits = (change: Partial<GroupConfig>) => groupConfig(change);
  const cases: readonly [string, readonly string[], number, string, GroupConfig?][] = [
    ["refused by all, twice: not yet", times(2, "RRR"), 100, "???"],
    ["refused by all, three times: down at once", times(3, "RRR"), 100, "ddd"],
    ["refused for the local relay alone: its word counts fast", times(3, "RUU"), 100, "duu"],
    ["refused for one that is not local: not fast", times(3, "URU"), 100, "u?u"],
    ["… but for as long as silence takes", times(4, "URU"), 1000, "udu"],
    ["refused for two that are not local: fast", times(3, "XRR"), 100, "?dd"],
    [
      "… but not where the local one sees it up: one wall may turn both away",
      times(3, "URR"),
      100,
      "u??",
    ],
    ["… then it takes as long as silence", times(4, "URR"), 1000, "udd"],
    ["one of the two not often enough yet", ["XTR", "XRR", "XRR"], 100, "???"],
    [
      "silence breaks a row of refusals, for the fast rule",
      ["XRR", "XRR", "XTT", "XRR"],
      100,
      "???",
    ],
    ["a dropped connection does not", ["XRR", "XRR", "XCC", "XRR"], 100, "?dd"],
    ["max_failures as configured", times(5, "RRR"), 100, "ddd", limits({ maxFailures: 5 })],
    ["… one fewer", times(4, "RRR"), 100, "???", limits({ maxFailures: 5 })],
    [
      "refused in haste: those that follow each other faster than retry_ms are one",
      times(9, "RRR"),
      10,
      "???",
    ],
    ["silence, three times in 200 ms: not yet", times(3, "TTT"), 100, "???"],
    ["silence for down_after, but only twice", times(2, "TTT"), 3000, "???"],
    ["silence, three times and for down_after", times(4, "TTT"), 1000, "ddd"],
    ["one look short of down_after", times(3, "TTT"), 1000, "???"],
    ["down_after as configured", times(3, "TTT"), 1000, "ddd", limits({ downAfterMs: 2000 })],
    ["a good look starts the count again", ["RRR", "RRR", "UUU", "RRR", "RRR"], 100, "???"],
    ["S07.4 MISCONF counts as silence does", times(4, "MMM"), 1000, "ddd"],
    ["MISCONF, three times in 200 ms: not yet", times(3, "MMM"), 100, "???"],
    ["silence and MISCONF are one row", ["TTT", "MMM", "TTT", "MMM"], 1000, "ddd"],
    ["G11 loading shorter than loading_limit: alive", times(30, "LLL"), 1000, "uuu"],
    ["G11 … for as long: down", times(31, "LLL"), 1000, "ddd"],
    ["… no limit", times(99, "LLL"), 1000, "uuu", limits({ loadingLimitMs: 0 })],
    [
      "… loading begins anew after another answer",
      [...times(30, "LLL"), "UUU", "LLL"],
      1000,
      "uuu",
    ],
    ["G10 busy with a script: nobody's vote, for ever", times(60, "BBB"), 1000, "???"],
    ["… shorter than busy_limit", times(5, "BBB"), 1000, "???", limits({ busyLimitMs: 5000 })],
    ["… for as long", times(6, "BBB"), 1000, "ddd", limits({ busyLimitMs: 5000 })],
    [
      "G11 loading that answers only now and then is one loading",
      Array.from({ length: 33 }, (_, at) => (at % 2 === 0 ? "LLL" : "TXC")),
      1000,
      "ddd",
    ],
    ["a planned switch is alive", times(9, "SSS"), 1000, "uuu"],
    ["closed, however often", times(9, "CCC"), 1000, "???"],
    ["what is neither good nor bad does not end a row", ["RRR", "RCC", "RRR", "RRR"], 100, "ddd"],
    ["G12 policy, auth: no vote", times(9, "PAU"), 1000, "??u"],
    ["G12 tls, dns: no vote", times(9, "EDU"), 1000, "??u"],
    [
      "an answer that no relay gives: no vote, also of the local relay",
      times(2, "GUG"),
      1000,
      "?u?",
    ],
    ["an observer that failed has no vote", times(2, "XXX"), 1000, "???"],
    ["G21 another relay silent: an observer fault", times(9, "UXU"), 1000, "u?u"],
    ["the local relay silent for down_after: its machine is", times(4, "XUU"), 1000, "duu"],
    ["… not for so long", times(3, "XUU"), 1000, "?uu"],
    ["… not often enough", times(2, "XUU"), 3000, "?uu"],
    ["not asked at all", times(4, "U"), 1000, "u??"],
  ];
  test.each(cases)("%s", (_, rows, stepMs, expected, of = config) => {
    expect(inShort(verdict(rows, stepMs, of).votes)).toBe(expected);
  });

  describe("S07.3 a primary that says it is a replica", () => {
    const [sight, atMs] = looks([]);
    const says = (role: NodeFacts["role"]) =>
      take(
        sight,
        config.vantages.map((vantage) =>
          observation(vantage, "a", { facts: facts({ role }), atMs }),
        ),
        atMs,
      );
    const since = (ms: number, role: NodeFacts["role"] = "replica") =>
      inShort(
        judge({ ...says(role), since: { "wrong-role:a": atMs - ms } }, a, config, atMs).votes,
      );
    test("not for down_after: up", () => expect(since(2999)).toBe("uuu"));
    test("for down_after: down", () => expect(since(3000)).toBe("ddd"));
    test("it says primary again: up", () => expect(since(9999, "primary")).toBe("uuu"));
    test("nobody noted since when: up", () => {
      expect(inShort(judge(says("replica"), a, config, atMs).votes)).toBe("uuu");
    });
    test("where looks are rare: two of them at least", () => {
      const rare = groupConfig({ checkIntervalMs: 10_000 });
      const wrong = { ...says("replica"), since: { "wrong-role:a": atMs - 19_999 } };
      expect(judge(wrong, a, rare, atMs).up).toBe(3);
      expect(judge(wrong, a, rare, atMs + 1).down).toBe(3);
    });
  });

  test("suspicious: a bad look, or a dropped connection, that is no vote yet", () => {
    expect(verdict(["UUU"]).suspicious).toBe(false);
    for (const row of ["TUU", "UCU", "URU", "UMU"]) expect(verdict([row]).suspicious).toBe(true);
    for (const row of ["UXU", "UPA", "UBL"]) expect(verdict([row]).suspicious).toBe(false);
    expect(verdict(times(3, "RRR")).suspicious).toBe(false);
  });
});

describe("a relay that does not answer, asked from several places", () => {
  const places = ["group", "weur", "enam"];
  const config = { ...groupConfig(), regions: ["weur", "enam"] };
  const take = (sight: Sight, seen: readonly Observation[], atMs: number) =>
    absorb(sight, seen, config, { inForce: 1, highest: 1 }, atMs);
  /** Which of three places reach relay a, in each of `rows` looks a second apart. */
  function asked(rows: readonly (readonly boolean[])[]) {
    let sight: Sight = freshSight;
    let atMs = BEGIN;
    for (const row of rows) {
      atMs += 1000;
      const seen = row.map((reached, at) =>
        observation("relay:a", "a", {
          from: places[at] ?? "",
          atMs,
          class: reached ? "up" : "relay-unreachable",
          relay: reached ? { stamp: { boot: "1", ms: atMs }, epoch: 1 } : null,
        }),
      );
      sight = take(sight, seen, atMs);
    }
    return { sight, atMs, vote: judge(sight, a, config, atMs).votes["relay:a"] };
  }
  const rows = (count: number, row: readonly boolean[]) => Array.from({ length: count }, () => row);

  test("all of them for down_after: the machine is silent", () => {
    expect(asked(rows(4, [false, false, false])).vote).toBe("down");
  });
  test("one of three: they fail, not it; the vote is that of those who reach it", () => {
    expect(asked(rows(9, [false, true, true])).vote).toBe("up");
    expect(asked(rows(9, [true, false, true])).vote).toBe("up");
  });
  test("two of three: most of them, and what the third hears is no vote", () => {
    expect(asked(rows(9, [false, false, true])).vote).toBe("down");
  });
  test("one of two is not most", () => {
    expect(asked(rows(9, [false, true])).vote).toBe("up");
  });
  test("one that says of a node what the Group itself does not hear through that relay is no vote", () => {
    let sight: Sight = freshSight;
    for (let atMs = BEGIN + 1000; atMs <= BEGIN + 9000; atMs += 1000) {
      const own = observation("relay:a", "a", { atMs });
      const lie = { ...own, from: "weur", class: "refused" as const, atMs: atMs + 1 };
      sight = take(sight, [own, lie], atMs + 1);
      expect(judge(sight, a, config, atMs + 1).votes["relay:a"]).toBe("up");
    }
    expect(sight.nodes.a?.["relay:a"]?.failures).toBe(0);
  });
  test("one look by several places is one step of the belief", () => {
    const { sight } = asked(rows(3, [true, true, true]));
    expect(sight.nodes.a?.["relay:a"]?.successes).toBe(3);
  });
  test("the hands are those of the place that heard from it last", () => {
    const { sight, atMs } = asked([...rows(3, [true, true, true]), [false, true, false]]);
    expect(relayBelief(sight, "a")).toMatchObject({ failures: 0, atMs });
    expect(relayBelief(sight, "b")).toBeNull();
  });
  test("a stamp is kept while the relay does not answer, but with its age", () => {
    const { sight, atMs } = asked([[true], [false]]);
    const belief = relayBelief(sight, "a");
    expect(belief).toMatchObject({ failures: 1, atMs: atMs - 1000 });
    expect(belief?.facts?.stamp.ms).toBe(atMs - 1000);
  });
});

test("a primary that says it is a replica: who was not told what it is has no vote", () => {
  const three = groupConfig({ ids: ["a", "b"], vantages: ["relay:a", "relay:b", "weur"] });
  const atMs = BEGIN + 100;
  const sight = absorb(
    { ...freshSight, since: { "wrong-role:a": BEGIN - 60_000 } },
    [
      observation("relay:a", "a", { atMs, facts: facts() }),
      observation("relay:b", "a", { atMs, facts: facts() }),
      observation("weur", "a", { atMs, from: "weur", relay: null }),
    ],
    three,
    { inForce: 1, highest: 1 },
    atMs,
  );
  expect(judge(sight, a, three, atMs)).toMatchObject({ up: 0, down: 2, odown: true });
});

describe("together", () => {
  test("G2, F8 one of three sees it down: not objectively down", () => {
    expect(verdict(times(9, "UUT"), 1000)).toMatchObject({ up: 2, down: 1, odown: false });
  });
  test("F8 two of three do: it is", () => {
    expect(verdict(times(4, "UTT"), 1000)).toMatchObject({ up: 1, down: 2, odown: true });
  });
  test("F8 all do", () => {
    expect(verdict(times(4, "TTT"), 1000)).toMatchObject({ up: 0, down: 3, odown: true });
  });
  test("F8 a tie is no majority: the quorum is reached, but as many see it up", () => {
    const two = groupConfig({ ids: ["a", "b"], quorum: 1 });
    expect(verdict(times(4, "UT"), 1000, two)).toMatchObject({ up: 1, down: 1, odown: false });
  });
  test("S00.12 a quorum that cannot be reached", () => {
    const three = groupConfig({ quorum: 3 });
    expect(verdict(times(5, "RRU"), 100, three).odown).toBe(false);
  });
  test("S00.14 a quorum of all: when all see it down", () => {
    const three = groupConfig({ quorum: 3 });
    expect(verdict(times(5, "RRR"), 100, three).odown).toBe(true);
  });
  test("S00.13 NOQUORUM: too few vantages answered", () => {
    expect(verdict(times(3, "RXX"), 100)).toMatchObject({ down: 1, authorised: false });
    expect(verdict(times(3, "RRX"), 100)).toMatchObject({ down: 2, authorised: true });
    expect(verdict([], 100)).toMatchObject({ up: 0, down: 0, authorised: false });
  });
  test("a class that is no vote is an answer all the same", () => {
    expect(verdict(times(3, "RPA"), 100)).toMatchObject({ down: 1, up: 0, authorised: true });
  });
  test("two machines: the relay beside the primary silent, the other sees nothing: down", () => {
    const two = groupConfig({ ids: ["a", "b"] });
    expect(verdict(times(4, "XT"), 1000, two)).toMatchObject({ odown: true, authorised: true });
    expect(verdict(times(4, "XU"), 1000, two)).toMatchObject({ odown: false });
    expect(verdict(times(9, "XX"), 1000, two)).toMatchObject({ odown: false, authorised: false });
  });
  test("the first bad look that still lasts, whoever saw it", () => {
    expect(verdict(["UUU", "UTU", "TTU"], 1000).firstBadAtMs).toBe(BEGIN + 2000);
    expect(verdict(["UTU", "UUU", "TUU"], 1000).firstBadAtMs).toBe(BEGIN + 3000);
    expect(verdict(["UTU", "UUU"], 1000).firstBadAtMs).toBeNull();
    expect(verdict(times(4, "XUU"), 1000).firstBadAtMs).toBe(BEGIN + 1000);
  });

  test("votes to verdict, said once more in the simplest way", () => {
    const letter = fc.constantFrom(...Object.keys(classes));
    const drawn = fc.tuple(letter, letter, letter, fc.integer({ min: 1, max: 3 }));
    fc.assert(
      fc.property(drawn, ([x, y, z, quorum]) => {
        // For five seconds the same answers: past every threshold but that of loading.
        const found = verdict(times(6, x + y + z), 1000, groupConfig({ quorum }));
        const seen = [x, y, z];
        const count = (of: string) => seen.filter((each) => of.includes(each)).length;
        // Only the relay on the machine of a stands for it with its silence.
        const machineSilent = x === "X" || x === "G";
        const down = count("RTM") + Number(machineSilent);
        const heard = 3 - count("XG") + Number(machineSilent);
        const up = count("ULS");
        expect(found).toMatchObject({
          up,
          down,
          odown: down >= quorum && down > up,
          authorised: heard >= 2,
        });
      }),
      { numRuns: 500 },
    );
  });

  test("no bad look ever makes a verdict better, no good one worse", () => {
    const rank = { down: 0, abstain: 1, up: 2 } as const;
    const row = fc.array(fc.constantFrom("U", "R", "T", "M", "C"), { minLength: 3, maxLength: 3 });
    const story = fc.array(
      row.map((each) => each.join("")),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(story, (rows) => {
        const votes = (last: string) => verdict([...rows, last], 1000).votes;
        const [better, worse] = [votes("UUU"), votes("RRR")];
        for (const vantage of config.vantages) {
          expect(better[vantage]).toBe("up");
          expect(rank[worse[vantage] ?? "up"]).toBeLessThan(2);
        }
      }),
    );
  });
});

describe("replicas are witnesses", () => {
  /** Node a silent for everybody since BEGIN + 1000; what b and c then say of themselves, three seconds later. */
  function witnesses(says: Partial<NodeFacts> | null, row = "UTT", of: GroupConfig = config) {
    const [first, firstBad] = looks([row], 1000, of);
    const atMs = firstBad + 3000;
    let sight = first;
    for (let look = 1; look <= 3; look += 1) {
      const at = firstBad + look * 1000;
      const about = [...row].map((letter, index) =>
        observation(`relay:${"abc"[index]}`, "a", { class: classes[letter] ?? "up", atMs: at }),
      );
      const replica =
        says === null
          ? []
          : [observation("relay:b", "b", { facts: facts({ ...says }), atMs: at, tookMs: 0 })];
      sight = take(sight, [...about, ...replica], at, of);
    }
    return witnessesOf(a, survey(sight, of, atMs), of);
  }

  const cases: readonly [string, Partial<NodeFacts>, readonly string[]][] = [
    ["heard from it just now", { lastIoMs: 0 }, ["b"]],
    ["heard 1001 ms after the first bad look, or more", { lastIoMs: 1000 }, ["b"]],
    [
      "heard a second after it: INFO counts whole seconds, so that may be before",
      { lastIoMs: 2000 },
      [],
    ],
    ["heard before it", { lastIoMs: 9000 }, []],
    [
      "link up proves nothing: behind a stopped primary it stays up",
      { linkUp: true, lastIoMs: 3000 },
      [],
    ],
    ["does not know when it heard", { lastIoMs: null }, []],
    ["copies it right now", { syncing: true, lastIoMs: null }, ["b"]],
    ["follows somebody else", { replicaOf: { host: "10.0.0.3", port: 6379 }, lastIoMs: 0 }, []],
    ["follows another port", { replicaOf: { host: "10.0.0.1", port: 7000 }, lastIoMs: 0 }, []],
    ["is a primary itself", { role: "primary", replicaOf: null, lastIoMs: 0 }, []],
  ];
  test.each(cases)("%s", (_, says, expected) => {
    // The local relay answers, and has nothing to say of the node; or it is cut off with its machine.
    expect(witnesses(says, "PTT")).toEqual(expected);
    expect(witnesses(says, "XTT")).toEqual(expected);
  });

  test("waived: the relay on the primary's machine itself sees silence, or refusal", () => {
    expect(witnesses({ lastIoMs: 0 }, "TTT")).toEqual([]);
    expect(witnesses({ lastIoMs: 0 }, "RTT")).toEqual([]);
    expect(witnesses({ lastIoMs: 0 }, "PTT")).toEqual(["b"]);
  });
  test("not waived by a relay elsewhere", () => {
    expect(witnesses({ lastIoMs: 0 }, "PRR")).toEqual(["b"]);
  });
  test("nobody was seen bad: nobody is asked", () => {
    expect(witnesses({ lastIoMs: 0 }, "UUU")).toEqual([]);
  });
  test("a replica that was not seen says nothing", () => {
    expect(witnesses(null, "PTT")).toEqual([]);
  });
  test("NAT: by the address that replicas use, and by that of the configuration", () => {
    const behind = nodeConfig("a", { replicationHost: "192.168.0.1", replicationPort: 7001 });
    const of = groupConfig({ nodes: [behind, nodeConfig("b"), nodeConfig("c")] });
    const at = (host: string, port: number) => {
      const seen = (node: string, change: Partial<Observation>) =>
        observation("relay:b", node, change);
      let sight = take(freshSight, [seen("a", { class: "timeout", atMs: BEGIN })], BEGIN, of);
      const says = facts({ replicaOf: { host, port }, lastIoMs: 0 });
      sight = take(sight, [seen("b", { facts: says, atMs: BEGIN + 2000 })], BEGIN + 2000, of);
      return witnessesOf(behind, survey(sight, of, BEGIN + 2000), of);
    };
    expect(at("192.168.0.1", 7001)).toEqual(["b"]);
    expect(at("10.0.0.1", 6379)).toEqual(["b"]);
    expect(at("192.168.0.1", 6379)).toEqual([]);
  });
});

describe("what does not belong is dropped and counted, and changes no belief", () => {
  const before = take(freshSight, [observation("relay:a", "a", { atMs: BEGIN })], BEGIN);
  const bad = (change: Partial<Observation> & { vantage?: string; node?: string }) => {
    const { vantage = "relay:a", node = "a", ...rest } = change;
    return observation(vantage, node, { class: "refused", atMs: BEGIN + 10, ...rest });
  };
  const cases: readonly [string, Observation][] = [
    ["an unknown vantage", bad({ vantage: "relay:x" })],
    ["a region that has no vote here", bad({ vantage: "weur" })],
    ["an unknown node", bad({ node: "x" })],
    ["from the future", bad({ atMs: BEGIN + 101 })],
    ["for an older epoch", bad({ epoch: 0 })],
    ["asked for before a newer look", bad({ atMs: BEGIN + 20, tookMs: 21 })],
  ];
  test.each(cases)("%s", (_, seen) => {
    const after = take(before, [seen], BEGIN + 100);
    expect(after.dropped).toBe(1);
    expect(after.nodes).toEqual({ ...before.nodes });
    expect(after.relays).toEqual(before.relays);
    expect(after.lookAskedAtMs).toBe(before.lookAskedAtMs);
  });
  test("each of them is counted, and what belongs beside them is taken", () => {
    const good = observation("relay:b", "a", { atMs: BEGIN + 50 });
    const after = take(before, [...cases.map(([, seen]) => seen), good], BEGIN + 100);
    expect(after.dropped).toBe(cases.length);
    expect(judge(after, a, config, BEGIN + 100).up).toBe(2);
  });
  test("a relay epoch absurdly ahead is not believed, and what it sees is", () => {
    const relay = { stamp: { boot: "1", ms: 1 }, epoch: 1_000_002 };
    const after = take(before, [bad({ relay })], BEGIN + 100);
    expect(after.nodes.a?.["relay:a"]).toMatchObject({ class: "refused", failures: 1 });
    expect(relayBelief(after, "a")?.facts?.epoch ?? null).not.toBe(1_000_002);
  });
  test("not dropped: just now, a later epoch, a relay epoch somewhat ahead, as old as the last", () => {
    const right = [
      observation("relay:a", "a", { atMs: BEGIN + 100 }),
      observation("relay:b", "a", { atMs: BEGIN + 100, epoch: 2 }),
      observation("relay:c", "a", {
        atMs: BEGIN + 100,
        relay: { stamp: { boot: "1", ms: 1 }, epoch: 1_000_001 },
      }),
      observation("relay:a", "a", { atMs: BEGIN }),
    ];
    expect(take(before, right, BEGIN + 100).dropped).toBe(0);
  });
});

describe("when the last complete look was asked for", () => {
  const every = config.vantages.flatMap((vantage) =>
    config.nodes.map(({ id }) => observation(vantage, id, { atMs: BEGIN + 500, tookMs: 100 })),
  );
  const asked = (seen: readonly Observation[]) => take(freshSight, seen, BEGIN + 500).lookAskedAtMs;

  test("a look is as old as its oldest question: what took long shows nothing newer", () => {
    expect(asked(every)).toBe(BEGIN + 400);
    const slow = observation("relay:a", "a", { atMs: BEGIN + 500, tookMs: 450 });
    expect(asked([...every.slice(1), slow])).toBe(BEGIN + 50);
  });
  test("what one relay told by itself is no look at the group", () => {
    expect(asked(every.slice(0, 3))).toBeNull();
    expect(asked(every.slice(1))).toBeNull();
  });
  test("one relay that lies about its epoch does not hold up the others", () => {
    const lying = every.map((seen) =>
      seen.vantage === "relay:b"
        ? { ...seen, relay: { stamp: { boot: "1", ms: 1 }, epoch: 2_000_000 } }
        : seen,
    );
    expect(asked(lying)).toBe(BEGIN + 400);
  });
});

describe("the best belief", () => {
  const look = (relay: string, runId: string, at: number, change: Partial<Observation> = {}) =>
    observation(`relay:${relay}`, "a", { atMs: at, facts: facts({ runId }), ...change });
  const best = (...seen: readonly Observation[]) =>
    survey(take(freshSight, seen, BEGIN), config, BEGIN).a?.best?.facts?.runId;

  test("of one look the local relay's, though another was asked a moment later", () => {
    const far = look("b", "far", BEGIN);
    expect(best(look("a", "local", BEGIN), far, look("c", "old", BEGIN - 10))).toBe("local");
    expect(best(far, look("a", "local", BEGIN))).toBe("local");
    expect(best(look("a", "local", BEGIN - 1), far)).toBe("local");
  });
  test("the newest where the local relay's is of a look before", () => {
    const every = (atMs: number, runId: string) =>
      config.nodes.flatMap(({ id }) =>
        config.vantages.map((vantage) =>
          observation(vantage, id, {
            atMs,
            class: vantage === "relay:a" && runId === "new" ? "relay-unreachable" : "up",
            facts: vantage === "relay:a" && runId === "new" ? null : facts({ runId }),
          }),
        ),
      );
    const first = take(freshSight, every(BEGIN - 1000, "old"), BEGIN - 1000);
    const sight = take(first, every(BEGIN, "new"), BEGIN);
    expect(survey(sight, config, BEGIN).a?.best?.facts?.runId).toBe("new");
  });
  test("one that answers with MISCONF still says what it is, where nobody has better", () => {
    const bad = look("a", "misconf", BEGIN, { class: "misconf" });
    expect(best(bad, look("b", "good", BEGIN - 10))).toBe("good");
    expect(best(bad)).toBe("misconf");
    const silent = look("a", "silent", BEGIN, { class: "timeout" });
    expect(best(look("a", "old", BEGIN - 10), silent)).toBeUndefined();
  });
  test("by when it was asked for, not by when it came in", () => {
    const slow = look("b", "slow", BEGIN, { tookMs: 50 });
    expect(best(slow, look("c", "quick", BEGIN - 10))).toBe("quick");
  });
});
