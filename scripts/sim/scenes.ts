/**
 * Episodes whose end is known: in a group that was whole, one thing happens, and what has to follow, follows in time.
 *
 * Rules: what must not happen is watched at every decision; what must happen has a time that follows from the
 * configuration; between scenes everything heals.
 */
import type { GroupConfig } from "../../worker/core/types.ts";
import type { Judged } from "./check/attempts.ts";
import { lostWrites, nodeNamed } from "./check/healed.ts";
import { goOn, goOnUntil } from "./episodes.ts";
import { deploy } from "./faults/deploys.ts";
import { others } from "./faults/fault.ts";
import { upon } from "./faults/network.ts";
import { replicaOfByHand, wish } from "./faults/people.ts";
import { hangRelay } from "./faults/relays.ts";
import type { Random } from "./random.ts";
import { jump } from "./world/clock.ts";
import { crash, hang, isSealed, start, thaw } from "./world/redis.ts";
import { stopRelay } from "./world/relay.ts";
import { breakLink, isPrimary } from "./world/replication.ts";
import { type PathFault, type RedisNode, tell, type World } from "./world/types.ts";

export type Scene = {
  readonly name: string;
  readonly fits?: (config: GroupConfig, world: World) => boolean;
  readonly play: (world: World, random: Random, primary: RedisNode) => void;
};

const nameOf = (world: World): string | null => world.storage.saved?.primary ?? null;

/** No attempt may begin while this runs. */
function noAttempt(world: World, why: string): () => void {
  const epochs = world.storage.saved?.highestEpoch ?? 0;
  world.checks.expect(({ decision }: Judged) => {
    const { phase } = decision.state.saved;
    if (phase.kind !== "watching" && phase.attempt.epoch > epochs)
      world.checks.violate(
        "needless",
        `attempt ${phase.attempt.epoch} (${phase.attempt.cause}): ${why}`,
      );
  });
  return () => world.checks.expect(null);
}

/** How long a failover may take from the fault to a primary that takes writes. */
export function failoverWithinMs(config: GroupConfig): number {
  const { probeTimeoutMs, retryMs, maxFailures, checkIntervalMs, commandTimeoutMs } = config;
  const seenMs = 1500 + 3 * checkIntervalMs + config.downAfterMs;
  const looksMs = (maxFailures + 4) * (probeTimeoutMs + retryMs);
  const fencedMs = config.fenceWaitMs + 2 * commandTimeoutMs + 500;
  const leaseMs = config.fencing === "lease" ? 1.02 * config.leaseMs + 1000 : 0;
  return seenMs + looksMs + fencedMs + leaseMs + 3 * (probeTimeoutMs + commandTimeoutMs) + 2000;
}

const isTaken = (world: World, from: RedisNode): boolean => {
  const id = nameOf(world);
  const node = id === null ? null : nodeNamed(world, id);
  return node !== null && node !== from && isPrimary(node) && !isSealed(node) && node.life === "up";
};

function mustBeReplaced(world: World, from: RedisNode): void {
  const ms = failoverWithinMs(world.config);
  if (!goOnUntil(world, ms, () => isTaken(world, from)))
    world.checks.violate(
      "no-failover",
      `${from.name} is lost for ${Math.round(ms)} ms and nobody took over`,
    );
}

const acknowledged = (world: World): void => {
  wish(world, { kind: "acknowledge" });
  goOn(world, world.config.graceMs + 500);
};

const lost = (name: string, how: (world: World, node: RedisNode) => void): Scene => ({
  name,
  play: (world, _, primary) => {
    acknowledged(world);
    how(world, primary);
    mustBeReplaced(world, primary);
  },
});

const switchoverWish = { kind: "switchover", to: null, timeoutMs: 1000, force: false } as const;

const cutOnce = (path: PathFault): void => {
  path.cuts += 1;
};
const mendOnce = (path: PathFault): void => {
  path.cuts -= 1;
};

const machineOf = (world: World, node: RedisNode) => {
  for (const relay of world.relays.values()) if (relay.local === node) return relay;
  throw new Error(`${node.name} has no relay`);
};

const around = (world: World, node: RedisNode, but: (name: string) => boolean = () => false) =>
  upon(
    world,
    world.spots
      .filter((spot) => spot !== node.spot && !but(spot.name))
      .flatMap((spot) => [[spot, node.spot] as const, [node.spot, spot] as const]),
    cutOnce,
    mendOnce,
  );

/** Something forbids it: the primary dies, and nobody is promoted. */
const held = (
  name: string,
  why: string,
  before: (world: World, random: Random) => void,
  fits: Scene["fits"] = () => true,
): Scene => ({
  name,
  fits,
  play: (world, random, primary) => {
    acknowledged(world);
    before(world, random);
    const end = noAttempt(world, why);
    crash(world, primary);
    goOn(world, Math.min(20_000, failoverWithinMs(world.config)));
    end();
  },
});

const harmless = (
  name: string,
  why: string,
  happens: (world: World, random: Random, primary: RedisNode) => void,
  fits: Scene["fits"] = () => true,
): Scene => ({
  name,
  fits,
  play: (world, random, primary) => {
    acknowledged(world);
    const end = noAttempt(world, why);
    happens(world, random, primary);
    end();
  },
});

function switchesOver(world: World, _: Random, primary: RedisNode): void {
  const first = world.writes.length;
  world.voided.delete("switchover");
  wish(world, { kind: "switchover", to: null, timeoutMs: null, force: false });
  const { config } = world;
  const ms =
    2 * config.switchoverTimeoutMs + 3 * config.commandTimeoutMs + 2 * config.probeTimeoutMs + 3000;
  if (!goOnUntil(world, ms, () => isTaken(world, primary)))
    return world.checks.violate(
      "no-switchover",
      `nothing is wrong, and ${primary.name} is in force after ${ms} ms`,
    );
  goOn(world, 3000);
  const gone = lostWrites(world, first);
  if (gone > 0)
    world.checks.violate(
      "switchover-lost",
      `${gone} acknowledged writes are gone after a planned switch`,
    );
}

/** The target does not come along: the primary has to take writes again. */
function switchIsTakenBack(world: World, random: Random, primary: RedisNode): void {
  const first = world.writes.length;
  const target = random.pick(others(world, primary));
  // Some writes stand still on their way to it, or it stands still itself.
  const way = random.int(0, 2);
  if (way === 0) hang(world, target);
  else if (way === 1) target.lagMs = 3000;
  else target.deaf = true;
  goOn(world, random.int(0, 500));
  wish(world, { kind: "switchover", to: idIn(world, target), timeoutMs: 1000, force: false });
  const { config } = world;
  const ms =
    1000 +
    3 * config.commandTtlMs +
    6 * config.commandTimeoutMs +
    6 * config.probeTimeoutMs +
    6 * config.checkIntervalMs +
    5000;
  const open = () => {
    const node = nodeNamed(world, nameOf(world) ?? "");
    const idle = world.storage.saved?.phase.kind === "watching";
    return node !== null && idle && isPrimary(node) && !isSealed(node) && node.handover === null;
  };
  goOn(world, 1500);
  if (!goOnUntil(world, ms, open))
    world.checks.violate(
      "switchover-stuck",
      `nobody takes writes ${ms} ms after a switch that could not be done`,
    );
  thaw(world, target);
  target.deaf = false;
  goOn(world, 2000);
  const gone = lostWrites(world, first);
  if (gone > 0 && nodeNamed(world, nameOf(world) ?? "") === primary)
    world.checks.violate(
      "switchover-lost",
      `${gone} acknowledged writes are gone after a switch that was taken back`,
    );
}

const idIn = (world: World, node: RedisNode): string =>
  world.config.nodes.find(({ host }) => host === node.host)?.id ?? node.name;

/** A person switches, cleanly: reported, adopted, and not a command against it meanwhile. */
function foreignSwitch(world: World, random: Random, primary: RedisNode): void {
  acknowledged(world);
  const to = random.pick(others(world, primary));
  world.voided.add("lease").add("wipe").add("switchover");
  for (const node of [to, ...others(world, to)])
    replicaOfByHand(world, node, node === to ? null : to);
  const [from, now] = [idIn(world, primary), idIn(world, to)];
  world.checks.expect(({ decision }: Judged) => {
    if (decision.state.saved.primary === now) return;
    for (const action of decision.actions) {
      const against = "node" in action && (action.node === now || action.node === from);
      if (against)
        world.checks.violate(
          "foreign-fought",
          `${action.kind} ${action.node}, though a person made ${now} the primary`,
        );
    }
  });
  const ms = world.config.adoptAfterMs + 5 * world.config.checkIntervalMs + 6000;
  const done = goOnUntil(world, ms, () => nameOf(world) === now);
  world.checks.expect(null);
  if (!done)
    world.checks.violate(
      "not-adopted",
      `${now} was made primary by hand, and is not adopted after ${ms} ms`,
    );
}

function emptied(world: World, random: Random, primary: RedisNode): void {
  acknowledged(world);
  world.voided.delete("wipe");
  const had = primary.length;
  crash(world, primary);
  goOn(world, random.int(50, 300));
  start(world, primary, { data: "empty" });
  const whole = () => {
    const node = nodeNamed(world, nameOf(world) ?? "");
    return node !== null && isPrimary(node) && !isSealed(node) && node.length >= had * 0.9;
  };
  if (!goOnUntil(world, 2 * failoverWithinMs(world.config) + 15_000, whole))
    world.checks.violate(
      "wiped",
      `${primary.name} came back empty, and the group does not have its ${had} writes again`,
    );
}

function allDownAndBack(world: World, random: Random, primary: RedisNode): void {
  const end = noAttempt(world, "the stored primary came back in its time");
  for (const node of world.nodes) crash(world, node);
  goOn(world, 3000 + failoverWithinMs(world.config));
  for (const node of others(world, primary)) start(world, node, { data: "kept" });
  goOn(world, random.int(1, world.config.primaryStartTimeoutMs / 3));
  start(world, primary, { data: "kept" });
  goOn(world, 5000);
  end();
}

const promptWitness = ({ downAfterMs, minReplicas }: GroupConfig) =>
  downAfterMs >= 3000 && minReplicas === 0;

export const scenes: readonly Scene[] = [
  lost("the primary dies", crash),
  lost("the primary hangs", hang),
  lost("the primary's machine is gone", (world, node) => {
    node.spot.down = true;
    stopRelay(world, machineOf(world, node));
    crash(world, node);
  }),
  lost("the primary's machine is cut off", (world, node) => void around(world, node)),
  { name: "a planned switch", play: switchesOver },
  { name: "a planned switch that cannot be done", play: switchIsTakenBack },
  { name: "a person switches", play: foreignSwitch },
  {
    name: "the primary comes back empty",
    fits: ({ fencing, maxLagBytes }) => fencing !== "none" && maxLagBytes !== 500,
    play: emptied,
  },
  {
    name: "all go down and come back",
    fits: ({ primaryStartTimeoutMs, quiet }) => primaryStartTimeoutMs >= 5000 && !quiet,
    play: allDownAndBack,
  },
  held("paused, the primary dies", "the group is paused", (world) =>
    wish(world, { kind: "pause", reason: "maintenance", forMs: null }),
  ),
  held("observed, the primary dies", "the group is only observed", (world, random) =>
    deploy(world, random, "observe_only", { ...world.config, observeOnly: true }),
  ),
  held("in downtime, the primary dies", "the node is in downtime", (world) =>
    wish(world, { kind: "downtime", node: nameOf(world) ?? "", reason: "upgrade", forMs: 60_000 }),
  ),
  held(
    "in tilt, the primary dies",
    "the clock went back",
    (world, random) => {
      jump(world, -random.int(5000, 60_000));
      goOn(world, 2 * world.config.checkIntervalMs + 1000);
    },
    ({ quiet }) => !quiet,
  ),
  {
    name: "a second primary dies soon after",
    fits: ({ nodes, cooldownMs, quorum, vantages }) =>
      nodes.length > 2 && cooldownMs >= 15_000 && quorum <= Math.floor(vantages.length / 2) + 1,
    play: (world, random, primary) => {
      acknowledged(world);
      crash(world, primary);
      mustBeReplaced(world, primary);
      goOnUntil(world, 8000, () => world.storage.saved?.phase.kind === "watching");
      if (world.storage.saved?.phase.kind !== "watching") return;
      const next = nodeNamed(world, nameOf(world) ?? "");
      if (next === null) return;
      const end = noAttempt(world, "the cooldown runs");
      crash(world, next);
      goOn(world, Math.min(4000, world.config.cooldownMs / 3) + random.int(0, 500));
      end();
    },
  },
  {
    name: "one vantage of many answers, then the primary dies",
    fits: ({ vantages, nodes }) => vantages.length >= 3 && nodes.length >= 3,
    play: (world, random, primary) => {
      acknowledged(world);
      deploy(world, random, "quorum 1", { ...world.config, quorum: 1 });
      for (const { name } of [...world.regions, ...world.places]) world.regionBlind.add(name);
      for (const node of others(world, primary))
        upon(world, [[world.edge, node.spot]], cutOnce, mendOnce);
      goOn(world, 2 * world.config.probeTimeoutMs + world.config.checkIntervalMs);
      const end = noAttempt(world, "only one vantage of many answers");
      crash(world, primary);
      goOn(world, failoverWithinMs(world.config));
      end();
    },
  },
  {
    name: "one failover an hour",
    fits: ({ nodes }) => nodes.length >= 3,
    play: (world, random, primary) => {
      acknowledged(world);
      const most = { maxFailoversPerHour: 1, cooldownMs: 0, failoverRetryMs: 0 };
      deploy(world, random, "one failover an hour", { ...world.config, ...most });
      crash(world, primary);
      mustBeReplaced(world, primary);
      goOnUntil(world, 8000, () => world.storage.saved?.phase.kind === "watching");
      const next = nodeNamed(world, nameOf(world) ?? "");
      if (next === null || world.storage.saved?.phase.kind !== "watching") return;
      const end = noAttempt(world, "there was one within the hour");
      crash(world, next);
      goOn(world, failoverWithinMs(world.config));
      end();
    },
  },
  {
    name: "orders overtake each other",
    play: (world, random) => {
      acknowledged(world);
      for (const { spot } of world.nodes)
        upon(
          world,
          [[world.edge, spot]],
          (path) => {
            path.delayMs = random.pick([600, 1500, 4000]);
          },
          () => {},
        );
      for (let times = 6; times > 0; times -= 1) {
        wish(world, random.chance(0.5) ? { kind: "failover", to: null } : switchoverWish);
        goOn(world, random.int(200, 3000));
        if (random.chance(0.3)) wish(world, { kind: "reset" });
      }
    },
  },
  {
    name: "looks come late in a failover",
    play: (world, random) => {
      acknowledged(world);
      world.late = { vantage: random.pick(world.config.vantages), owed: [] };
      for (let times = 3; times > 0; times -= 1) {
        wish(world, { kind: "failover", to: null });
        goOn(world, random.int(1000, 5000));
      }
    },
  },
  {
    name: "the Fleet says no",
    play: (world, _, primary) => {
      acknowledged(world);
      world.fleet = "refused";
      crash(world, primary);
      goOn(world, failoverWithinMs(world.config));
      if (isTaken(world, primary))
        world.checks.violate("brake", "somebody was promoted though the Fleet refused");
    },
  },
  harmless(
    "the primary stands still for a moment",
    "the primary was away for less than down_after",
    (world, random, primary) => {
      for (let times = random.int(1, 4); times > 0; times -= 1) {
        hang(world, primary);
        goOn(world, Math.max(100, world.config.downAfterMs - 300));
        thaw(world, primary);
        goOn(world, 2000 + 2 * world.config.checkIntervalMs + world.config.probeTimeoutMs);
      }
    },
    ({ fencing }) => fencing !== "lease",
  ),
  harmless(
    "one vantage is wrong",
    "only one vantage says so",
    (world, random, primary) => {
      const [relay] = [...world.relays.values()].filter((each) => each.local !== primary);
      if (relay === undefined) return;
      relay.lie = { node: primary.name, kind: "down", left: 1000 };
      goOn(world, failoverWithinMs(world.config) + random.int(0, 5000));
    },
    ({ quorum }) => quorum >= 2,
  ),
  harmless(
    "the primary is out of reach, and its replicas hear it",
    "replicas still hear from it",
    (world, _, primary) => {
      around(world, primary, (name) => name.startsWith("m-") || name.startsWith("client"));
      goOn(world, failoverWithinMs(world.config));
    },
    (config, world) =>
      promptWitness(config) && config.fencing !== "lease" && world.clients.length > 0,
  ),
  {
    name: "the link is silently down, then the primary dies",
    fits: ({ maxLinkDownMs, quiet }) => maxLinkDownMs > 0 && !quiet,
    play: (world, _, primary) => {
      acknowledged(world);
      primary.refusesSync = true;
      for (const follower of [...primary.followers]) breakLink(world, follower);
      goOn(world, world.config.maxLinkDownMs + 4 * world.config.checkIntervalMs + 5000);
      crash(world, primary);
      goOn(world, failoverWithinMs(world.config));
    },
  },
  {
    name: "the new primary dies as well, before all follow it",
    fits: ({ nodes }) => nodes.length > 2,
    play: (world, random, primary) => {
      acknowledged(world);
      crash(world, primary);
      const promoting = () =>
        ["promoting", "publishing", "repointing"].includes(world.storage.saved?.phase.kind ?? "");
      goOnUntil(world, failoverWithinMs(world.config), promoting);
      goOn(world, random.int(0, 30));
      const { saved } = world.storage;
      const phase = saved?.phase;
      const id = phase?.kind === "promoting" ? phase.candidate : saved?.primary;
      const next = nodeNamed(world, id ?? "");
      if (next !== null && next !== primary) crash(world, next);
      goOn(world, failoverWithinMs(world.config));
    },
  },
  {
    name: "the old primary comes back open",
    play: (world, random, primary) => {
      acknowledged(world);
      if (random.chance(0.5)) hang(world, primary);
      else around(world, primary, (name) => name.startsWith("client"));
      mustBeReplaced(world, primary);
      goOn(world, random.int(0, 3000));
      tell(world, () => "the old primary is back");
    },
  },
  {
    name: "a relay stands still, then the primary dies",
    play: (world, random, primary) => {
      acknowledged(world);
      const relay = random.pick([...world.relays.values()]);
      hangRelay(world, relay);
      goOn(world, 1000);
      crash(world, primary);
      goOn(world, failoverWithinMs(world.config));
    },
  },
];
