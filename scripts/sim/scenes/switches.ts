/**
 * Scenes of switches that somebody wants: planned ones, a person's own, and orders that come late.
 */
import type { Judged } from "../check/attempts.ts";
import { lostWrites, nodeNamed } from "../check/healed.ts";
import { others } from "../faults/fault.ts";
import { upon } from "../faults/network.ts";
import { replicaOfByHand, wish } from "../faults/people.ts";
import type { Random } from "../random.ts";
import { goOn, goOnUntil } from "../time.ts";
import { currentInstance, die } from "../world/group.ts";
import { hang, isSealed, thaw } from "../world/redis.ts";
import { isPrimary } from "../world/replication.ts";
import type { RedisNode, World } from "../world/types.ts";
import { acknowledged, idIn, isTaken, nameOf, type Scene } from "./scene.ts";

const switchoverWish = { kind: "switchover", to: null, timeoutMs: 1000, force: false } as const;

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

export const switchScenes: readonly Scene[] = [
  { name: "a planned switch", play: switchesOver },
  { name: "a planned switch that cannot be done", play: switchIsTakenBack },
  { name: "a person switches", play: foreignSwitch },
  {
    name: "the Group sleeps, and a person switches, one node after the other",
    fits: ({ adoptAfterMs, checkIntervalMs }) => adoptAfterMs > checkIntervalMs,
    play: (world, random, primary) => {
      acknowledged(world);
      const to = random.pick(others(world, primary));
      world.voided.add("lease").add("wipe").add("switchover");
      const group = currentInstance(world);
      if (group !== null) die(world, group, "nothing to do");
      replicaOfByHand(world, to, null);
      goOn(world, 0.7 * world.config.adoptAfterMs);
      for (const node of others(world, to)) replicaOfByHand(world, node, to);
      goOn(world, world.config.adoptAfterMs + 3000);
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
];
