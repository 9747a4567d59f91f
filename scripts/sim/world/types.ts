/**
 * The simulated world, as data: machines, Redis processes, relays, the Group and its storage, the world around.
 *
 * Promises: only types. What is here may change while the world runs; what the core is given never does.
 */

import type { GroupEvent } from "../../../worker/core/events.ts";
import type { Keeping } from "../../../worker/core/lease.ts";
import type { Route } from "../../../worker/core/route.ts";
import type { OperatorRequest, Reply, Saved, State } from "../../../worker/core/state.ts";
import type {
  GroupConfig,
  Observation,
  ObservationClass,
  Outcome,
} from "../../../worker/core/types.ts";
import type { WatchMessage } from "../../../worker/relay/push.ts";
import type { Journal } from "../../../worker/relay/verbs/fence.ts";
import type { Gaze } from "../../../worker/relay/watch/gaze.ts";
import type { Checks } from "../check/checks.ts";
import type { Row } from "../check/ledger.ts";
import type { Queue } from "../queue.ts";
import type { Random } from "../random.ts";
import type { Place } from "./history.ts";
import type { LeaseState } from "./lease.ts";
import type { Publisher } from "./publishers.ts";
import type { Receiver } from "./webhooks.ts";

/** min-replicas-to-write of a sealed node. */
export const SEALED = 1_000_000;
/** Bytes of one write in the replication stream. */
export const WRITE_BYTES = 50;

/** Somewhere on the network: the edge, a region, a machine, a client. */
export type Spot = { readonly index: number; readonly name: string; down: boolean };

/** What is wrong with the way from one spot to another. Faults may overlap, so cuts are counted. */
export type PathFault = { cuts: number; delayMs: number; drop: number; double: number };

export type Life = "up" | "loading" | "hung" | "dead";

/** A replica's connection to its primary. One lives as long as its node; `turn` ends what was under way. */
export type Link = {
  state: "down" | "waiting" | "transfer" | "loading" | "up";
  source: RedisNode | null;
  turn: number;
  lastIoMs: number;
  downSinceMs: number | null;
  /** Something is on its way already, and will bring everything up to when it arrives. */
  streaming: boolean;
  trying: boolean;
};

export type Handover = {
  readonly target: string;
  phase: "sync" | "handover";
  readonly endMs: number;
  /** The epoch that names the target. */
  readonly epoch: number;
  readonly turn: number;
};

/** redis.conf: what a restart begins with. */
export type ConfigFile = { follow: string | null; minReplicas: number; syncHeld: boolean };

export type RedisNode = Place & {
  readonly name: string;
  readonly address: string;
  readonly host: string;
  readonly port: number;
  readonly spot: Spot;
  life: Life;
  runs: number;
  startedMs: number;
  follow: string | null;
  replId: string;
  /** Offset of the first write: what Redis says is this plus the bytes of what it holds. */
  shift: number;
  replId2: string | null;
  secondOffset: number | null;
  minReplicas: number;
  /** repl-diskless-sync-delay 1000000: a full synchronisation does not begin. */
  syncHeld: boolean;
  file: ConfigFile;
  priority: number;
  readonly link: Link;
  readonly followers: Set<RedisNode>;
  /** A script that blocks it: silent at first, then BUSY. */
  script: { readonly sinceMs: number; readonly wrote: boolean } | null;
  misconf: boolean;
  policy: boolean;
  auth: boolean;
  /** Replicas are refused: the link is silently down. */
  refusesSync: boolean;
  lagMs: number;
  handover: Handover | null;
  /** Does not answer a primary that hands over to it. */
  deaf: boolean;
  /** Redis 6.2 and later. */
  knowsFailover: boolean;
  turn: number;
  /** Commands that stand in its socket and run when it reads again. */
  readonly backlog: (() => void)[];
  /** Writes that wait for the end of a hand-over. */
  readonly postponed: (() => void)[];
  /** Its data was lost by a fault: nobody may be wiped by it where that is promised. */
  wiped: boolean;
  /** Its last writes went with the power of its machine. */
  tailLost: boolean;
  /** Highest epoch under which it was named primary by a verb. */
  namedEpoch: number;
};

/** What an eye makes of a node, and what it truly saw: bad looks in a row, by the relay's clock. */
export type Gazed = {
  readonly gaze: Gaze;
  readonly row: Row | null;
  readonly virtualMs: number;
};

export type Relay = {
  readonly id: string;
  readonly spot: Spot;
  readonly local: RedisNode;
  life: "up" | "hung" | "dead";
  boots: number;
  /** Its monotonic clock: virtual time at boot, and how fast it runs. */
  bootedAtMs: number;
  readonly rate: number;
  journal: Journal;
  diskFails: boolean;
  readonly inbox: (() => void)[];
  /** Verbs for one node run one at a time: when each node is free again. */
  readonly freeAtMs: Map<string, number>;
  /** What it will say once instead of the truth. */
  lie: { readonly node: string; readonly kind: Lie; left: number } | null;
  /** Nodes that this relay cannot reach, by name. */
  readonly blind: Set<string>;
  /** Nodes that its settings do not name, by name. */
  readonly unlisted: Set<string>;
  /** Nobody reaches its port; what it asks itself is answered. */
  portShut: boolean;
  /** Holds a connection to the Group, and tells at once what it sees. */
  connects: boolean;
  /** The Group's end of it. */
  readonly socket: {
    open: boolean;
    heardMs: number;
    told: string;
    /** What the Group said last to this process; null: nothing yet. */
    watch: WatchMessage | null;
    /** What its eyes make of each node, and the true moment of the last look. */
    gazes: Map<string, Gazed>;
  };
  guard: boolean;
  /** How far the wall clock of its machine was set. */
  wallShiftMs: number;
  /** Refuses promotions until then, by its machine's clock: kept on disk. */
  promisedUntilMs: number;
  readonly lease: LeaseState;
};

export type Lie = "down" | "up" | "primary" | "replica";

export type Foreign = { readonly host: string; readonly port: number; readonly follows: string };

/** What is on the Group's disk. */
export type Storage = {
  version: number;
  saved: Saved | null;
  alarmAtMs: number | null;
  alarmTurn: number;
  events: number;
  /** Whatever stood there before the last save: what a torn deploy would have read. */
  fails: boolean;
};

/** One life of the Group's object. */
export type Instance = {
  readonly id: number;
  alive: boolean;
  state: State;
  version: number;
  outcomes: Outcome[];
  asked: OperatorRequest[];
  /** What relays said of the leases that they keep. */
  keepers: Keeping[];
  running: boolean;
  nudged: boolean;
  sleepTurn: number;
  because: string;
};

/** Where the next death of the Group strikes. */
export type DeathPoint = "looking" | "before-save" | "after-save" | "acting";

export type Client = {
  readonly name: string;
  readonly spot: Spot;
  /** Follows the route; null: stays at this node whatever happens. */
  readonly stays: RedisNode | null;
  route: Route | null;
  busy: boolean;
  readonly everyMs: number;
};

export type Write = {
  readonly id: number;
  readonly atMs: number;
  /** Who acknowledged it, and when. */
  readonly acks: { readonly node: string; readonly atMs: number; readonly kept: boolean }[];
};

export type World = {
  readonly seed: number;
  readonly queue: Queue;
  readonly random: Random;
  config: GroupConfig;
  /** The first configuration: what the last deploy restores. */
  readonly firstConfig: GroupConfig;
  readonly spots: Spot[];
  readonly edge: Spot;
  readonly paths: Map<number, PathFault>;
  readonly nodes: RedisNode[];
  readonly byAddress: Map<string, RedisNode>;
  readonly relays: Map<string, Relay>;
  /** Regions that see the nodes by themselves, and those that only ask relays. */
  readonly regions: Spot[];
  readonly places: Spot[];
  readonly storage: Storage;
  readonly instances: Instance[];
  instanceCount: number;
  /** The Group's clock: virtual time plus this, at this rate. */
  clock: { readonly readMs: number; readonly atMs: number; readonly rate: number };
  /** By how much it jumped ahead, all jumps together. */
  aheadMs: number;
  readonly publishers: ReadonlyMap<string, Publisher>;
  readonly receivers: ReadonlyMap<string, Receiver>;
  /** What left the Group for publishers and webhooks. */
  tellings: number;
  fleet: "granted" | "refused" | "silent";
  /** Orders to seal get lost. */
  sealsLost: boolean;
  /** What became of an action is never heard. */
  outcomesLost: boolean;
  alarms: "good" | "late" | "lost" | "doubled";
  cron: "good" | "skipped" | "doubled";
  death: { readonly point: DeathPoint; left: number; readonly supersede: boolean } | null;
  /** What a place says instead of what it sees: an older look once more. */
  replay: {
    readonly vantage: string;
    /** What is said again, kept from the first look after the fault began. */
    kept: readonly Observation[] | null;
    left: number;
    readonly fromMs: number;
  } | null;
  /** A vantage whose answers come one look late, and what it owes. */
  late: { readonly vantage: string; owed: readonly Observation[] } | null;
  regionLie: {
    readonly vantage: string;
    /** Null: of every node. */
    readonly node: string | null;
    readonly kind: ObservationClass;
    /** Says also what the node is. */
    readonly knows: boolean;
    left: number;
  } | null;
  /** Regions that do not answer. */
  readonly regionBlind: Set<string>;
  /** Where regions run instead of where they were asked for. */
  readonly misplaced: Map<string, string>;
  /** What regions see by a path of their own comes without facts. */
  readonly bare: boolean;
  /** Servers of somebody else that follow one of ours. */
  readonly foreign: Set<Foreign>;
  readonly clients: Client[];
  readonly writes: Write[];
  asked: number;
  readonly replies: Reply[];
  events: GroupEvent[];
  decisions: number;
  /** Verbs that left the Group. */
  verbs: number;
  readonly checks: Checks;
  readonly story: Story | null;
  /** Bumped when something foreign or destructive makes a promise void; see `check/`. */
  readonly voided: Set<string>;
  /** Faults begin before the group was whole once. */
  readonly roughStart: boolean;
};

export type Story = { readonly lines: string[] };

export function tell(world: World, what: () => string): void {
  if (world.story === null) return;
  const seconds = (world.queue.nowMs / 1000).toFixed(3).padStart(9);
  world.story.lines.push(`${seconds}  ${what()}`);
}
