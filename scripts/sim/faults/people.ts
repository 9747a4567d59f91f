/**
 * People: operators who press buttons, and those who type REPLICAOF themselves.
 */
import type { OperatorRequest } from "../../../worker/core/state.ts";
import { after } from "../queue.ts";
import type { Random } from "../random.ts";
import { ask } from "../world/group.ts";
import { command, promote, replicaOf } from "../world/redis.ts";
import { type RedisNode, tell, type World } from "../world/types.ts";
import { anyNode, type Fault, idOf, nothing, others, primaryOf } from "./fault.ts";

/** A request without its id. */
export type Wish = OperatorRequest extends infer R
  ? R extends OperatorRequest
    ? Omit<R, "id">
    : never
  : never;

export function wish(world: World, what: Wish): void {
  world.asked += 1;
  // What an operator does on purpose is no breach of a promise.
  if (["acknowledge", "bootstrap", "failover", "switchover", "reset"].includes(what.kind))
    world.voided.add("wipe");
  if (what.kind === "switchover" && what.force) world.voided.add("switchover");
  ask(world, { ...what, id: `request-${world.asked}` } as OperatorRequest);
}

const someone = (world: World, random: Random): string | null =>
  random.chance(0.5) ? null : idOf(world, random.pick(world.nodes));

export const pressing = (name: string, what: (world: World, random: Random) => Wish): Fault => ({
  name,
  begin: (world, random, ms) => {
    for (let count = random.int(1, 2); count > 0; count -= 1)
      after(world.queue, random.int(0, ms), () => wish(world, what(world, random)));
    return nothing;
  },
});

const switchover = (world: World, random: Random): Wish => ({
  kind: "switchover",
  to: someone(world, random),
  timeoutMs: random.pick([null, 500, 3000]),
  force: random.chance(0.2),
});

/** By hand, at the node itself. What was promised of leases and switches ends there. */
const byHand = (name: string, what: (world: World, random: Random) => void): Fault => ({
  name,
  begin: (world, random, ms) => {
    after(world.queue, random.int(0, ms / 2), () => {
      world.voided.add("lease").add("wipe").add("switchover");
      what(world, random);
    });
    return nothing;
  },
});

export function replicaOfByHand(world: World, node: RedisNode, to: RedisNode | null): void {
  tell(world, () => `by hand: ${node.name} REPLICAOF ${to?.name ?? "NO ONE"}`);
  command(world, node, () => {
    if (node.handover !== null) return;
    if (to === null) promote(world, node);
    else replicaOf(world, node, to.address);
  });
}

export const peopleFaults: readonly Fault[] = [
  pressing("press-failover", (world, random) => ({ kind: "failover", to: someone(world, random) })),
  pressing("press-switchover", switchover),
  {
    name: "press-switchover-abort",
    begin: (world, random, ms) => {
      const atMs = random.int(0, ms / 2);
      after(world.queue, atMs, () => wish(world, switchover(world, random)));
      after(world.queue, atMs + random.int(1, 3000), () =>
        wish(world, { kind: "abort-switchover" }),
      );
      return nothing;
    },
  },
  {
    name: "press-pause",
    begin: (world, random, ms) => {
      const forMs = random.chance(0.5) ? null : random.int(1000, 20_000);
      after(world.queue, random.int(0, ms / 2), () =>
        wish(world, { kind: "pause", reason: "maintenance", forMs }),
      );
      after(world.queue, random.int(ms / 2, ms), () => {
        if (random.chance(0.5)) wish(world, { kind: "resume" });
      });
      return nothing;
    },
  },
  pressing("press-downtime", (world, random) => ({
    kind: "downtime",
    node: idOf(world, anyNode(world, random)),
    reason: "upgrade",
    forMs: random.int(1000, 30_000),
  })),
  pressing("press-acknowledge", () => ({ kind: "acknowledge" })),
  pressing("press-reset", () => ({ kind: "reset" })),
  pressing("press-bootstrap", (world, random) => ({
    kind: "bootstrap",
    primary: idOf(world, random.pick(world.nodes)),
  })),
  {
    name: "drill",
    begin: (world, random, ms) => {
      const at = random.pick(["after-election", "after-promotion"] as const);
      wish(world, { kind: "drill", at });
      after(world.queue, random.int(100, ms), () => wish(world, { kind: "failover", to: null }));
      return nothing;
    },
  },
  byHand("by-hand-switch", (world, random) => {
    const from = primaryOf(world);
    if (from === null) return;
    const to = random.pick(others(world, from));
    replicaOfByHand(world, to, null);
    for (const node of others(world, to)) if (random.chance(0.8)) replicaOfByHand(world, node, to);
  }),
  byHand("by-hand-second-primary", (world, random) =>
    replicaOfByHand(world, random.pick(world.nodes), null),
  ),
  byHand("by-hand-follow", (world, random) => {
    const node = random.pick(world.nodes);
    replicaOfByHand(world, node, random.pick(others(world, node)));
  }),
  byHand("by-hand-cycle", (world, random) => {
    const node = random.pick(world.nodes);
    const other = random.pick(others(world, node));
    replicaOfByHand(world, node, other);
    replicaOfByHand(world, other, node);
  }),
];
