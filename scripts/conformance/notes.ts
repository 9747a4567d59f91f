/**
 * What ids and titles cannot say: which scenarios need real Redis, what stands in for one, what is not ported.
 *
 * Promises: an honest reason, short; who adds a test for an id takes its reason away, and the check says so.
 */

/** Proved only by a real redis-server: at least one of their tests runs on one. */
export const onRealRedis: readonly string[] = [
  ...["S00.8", "S00.9", "S00.10", "S00.11", "S02.1", "S02.2", "S02.3"],
  ...["S05.1", "S05.2", "S07.1", "S07.2", "S07.3", "S07.4", "S07.5", "S12.1", "S12.2"],
  ...["W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W9", "W10"],
  ...["F1", "F2", "F3", "G3", "G5", "G6", "G7", "G16"],
  ...["X1", "X2", "X3", "X4", "X5", "X6", "X7", "X8", "X17", "X18", "X22", "X23", "X24", "X25"],
  ...["X26", "X27", "X28", "X29", "X30", "X31"],
];

export type Analogue = {
  /** How the scenario reads here. */
  readonly here: string;
  /** Tests without the id in their titles: the file, and how the title begins. */
  readonly tests: readonly (readonly [path: string, title: string])[];
};

const refusedWhole = [
  ["test/core/config.test.ts", "wrong: refused whole"],
  ["test/e2e/configuration.test.ts", "a wrong configuration after a good one"],
] as const;
const deployed = ["test/e2e/configuration.test.ts", "a good one is deployed again"] as const;

/** Scenarios whose like is tested under another name. */
export const analogues: Readonly<Record<string, Analogue>> = {
  "S00.0": {
    here: "the configuration is deployed and never written back; what a relay keeps is read again whole",
    tests: [["test/relay/journal.test.ts", "what was saved is read again, whole"]],
  },
  "S00.3": {
    here: "a relay is known by its boot: what was stamped in another life is refused",
    tests: [["test/relay/process.test.ts", "epochs and outcomes survive a kill"]],
  },
  "S00.7": {
    here: "a drill at an unknown point is refused, and the answer lists the points",
    tests: [["test/workerd/api.test.ts", "POST /drill with"]],
  },
  "S03.3": {
    here: "settings are changed by a deploy, and are in force at the next look",
    tests: [deployed, ["test/scenarios/host-changed.txt", "A host changes"]],
  },
  "S03.4": {
    here: "a configuration is refused whole, and the last good one stays in force",
    tests: refusedWhole,
  },
  "S03.5": {
    here: "an unknown key, a missing one, a secret that is not set",
    tests: [
      ["test/core/config.test.ts", "an unknown key"],
      ["test/core/config.test.ts", "a missing key"],
      ["test/core/config.test.ts", "a secret that is not set"],
    ],
  },
  S04: {
    here: "nobody suitable is P10, the best offset P2; each refusal has its own line",
    tests: [
      ["test/core/elect.test.ts", "P10"],
      ["test/core/elect.test.ts", "P2"],
    ],
  },
  S08: {
    here: "a node is announced by the host that is configured, a name or an address",
    tests: [
      ["test/publish/dns.test.ts", "a record has the type of the host"],
      ["test/scenarios/host-changed.txt", "A host changes"],
    ],
  },
  S09: {
    here: "relays are asked with a token; a wrong one is told by name",
    tests: [
      ["test/probe/relay.test.ts", "names a wrong token"],
      ["test/relay/rest/upstash.test.ts", "without a token, or with a wrong one"],
    ],
  },
  S15: {
    here: "all settings at once: every complaint is told, and one wrong value changes none",
    tests: [["test/core/config.test.ts", "every complaint at once"], ...refusedWhole],
  },
  F5: {
    here: "stored truth decides, or an operator; a group without a primary has a way out (G14)",
    tests: [
      ["test/scenarios/g14-no-primary.txt", "G14"],
      ["test/e2e/bootstrap.test.ts", "POST bootstrap settles it"],
    ],
  },
  F11: {
    here: "a failover by hand: with a target, without one, to nobody, to the primary itself",
    tests: [
      ["test/e2e/manual.test.ts", "a named replica is promoted"],
      ["test/e2e/manual.test.ts", "NOGOODSLAVE"],
    ],
  },
  F16: {
    here: "looks that change nothing write no row, no event, no KV, no DNS",
    tests: [["test/e2e/untouched.test.ts", "F4"]],
  },
  F17: {
    here: "every look and every verb has a deadline, whatever hangs",
    tests: [
      ["test/probe/hanging.test.ts", "never answers"],
      ["test/relay/stuck.test.ts", "a disk that hangs"],
    ],
  },
  R1: {
    here: "several primaries at the first start: nothing is touched until an operator names one",
    tests: [["test/e2e/bootstrap.test.ts", "F7 several primaries"]],
  },
  R2: {
    here: "the primary of the highest epoch, in whatever order the nodes come",
    tests: [["test/e2e/outage.test.ts", "G5 after a failover"]],
  },
  R3: {
    here: "all replicas at the first start: nothing is touched until an operator names one",
    tests: [["test/e2e/bootstrap.test.ts", "F7 no primary"]],
  },
  R7: {
    here: "an app's commands through the relay, any byte",
    tests: [["test/relay/rest/upstash.test.ts", "every byte survives"]],
  },
  R8: {
    here: "facts are read from INFO of real servers",
    tests: [["test/probe/relay.test.ts", "sees a primary and its replica"]],
  },
  G24: {
    here: "that writes stop within the lag is tested; the advice belongs to a later part",
    tests: [["test/relay/connections.test.ts", "with min_replicas, a primary"]],
  },
  X17: {
    here: "another address is a change of the configuration",
    tests: [["test/scenarios/host-changed.txt", "A host changes"]],
  },
};

/** Why there is no test. */
export const notPorted: Readonly<Record<string, string>> = {
  "S00.2": "belongs to a later part: the command line",
  "S01.3": "roles are S00.9's; there is no log level: what happens is told as events",
  "S10.1": "Sentinel's own setting: the nodes of a group are configured, not announced",
  "S10.2": "Sentinel's own setting: who is to be left out is taken out of the configuration",
  S13: "INFO is Sentinel's own: the status is one document, and has no sections",
  S14: "timers are settings, and change by a deploy (S03.3)",
  F10: "decided otherwise: Sentinel's order (P1 to P4), not the least latency",
};
