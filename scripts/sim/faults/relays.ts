/**
 * Faults of relays: their processes, their disks, what they see and say.
 */
import { after } from "../queue.ts";
import { guardDies, guardSeals, keepOn } from "../world/lease.ts";
import { startRelay, stopRelay } from "../world/relay.ts";
import { type Lie, type Relay, tell, type World } from "../world/types.ts";
import { anyNode, anyRelay, type Fault } from "./fault.ts";

const died = (name: string, journalLost: boolean, back = 0.5): Fault => ({
  name,
  begin: (world, random, ms) => {
    const relay = anyRelay(world, random);
    stopRelay(world, relay);
    const starts = () => startRelay(world, relay, journalLost);
    if (random.chance(back)) after(world.queue, random.int(100, Math.max(200, ms / 4)), starts);
    return starts;
  },
});

export function hangRelay(world: World, relay: Relay): void {
  if (relay.life !== "up") return;
  tell(world, () => `relay ${relay.id} is stopped`);
  relay.life = "hung";
  guardSeals(world, relay);
}

export function thawRelay(world: World, relay: Relay): void {
  if (relay.life !== "hung") return;
  tell(world, () => `relay ${relay.id} goes on`);
  relay.life = "up";
  for (const run of relay.inbox.splice(0)) run();
  keepOn(world, relay);
}

const blind = (name: string, local: boolean): Fault => ({
  name,
  begin: (world, random) => {
    const relay = anyRelay(world, random);
    const node = local ? relay.local : anyNode(world, random);
    tell(world, () => `relay ${relay.id} reaches ${node.name} no more`);
    relay.blind.add(node.name);
    return () => void relay.blind.delete(node.name);
  },
});

/** Its settings were not told of a node: it says so by name, and sees nothing of it. */
const unlisted: Fault = {
  name: "relay-does-not-know-a-node",
  begin: (world, random) => {
    const relay = anyRelay(world, random);
    const { name } = anyNode(world, random);
    tell(world, () => `relay ${relay.id} does not know ${name} any more`);
    relay.unlisted.add(name);
    return () => void relay.unlisted.delete(name);
  },
};

const lying = (kind: Lie): Fault => ({
  name: `relay-says-${kind}`,
  begin: (world, random) => {
    const relay = anyRelay(world, random);
    const node = anyNode(world, random);
    tell(world, () => `relay ${relay.id} says of ${node.name}: ${kind}`);
    relay.lie = { node: node.name, kind, left: random.int(1, 3) };
    return () => {
      relay.lie = null;
    };
  },
});

export const relayFaults: readonly Fault[] = [
  died("relay-crash", false),
  died("relay-crash-journal-lost", true),
  died("relay-gone", false, 0),
  {
    name: "relay-hang",
    begin: (world, random) => {
      const relay = anyRelay(world, random);
      hangRelay(world, relay);
      return () => thawRelay(world, relay);
    },
  },
  blind("relay-blind-to-its-node", true),
  blind("relay-blind", false),
  unlisted,
  lying("down"),
  lying("up"),
  lying("primary"),
  lying("replica"),
  {
    name: "relay-disk",
    begin: (world, random) => {
      const relay = anyRelay(world, random);
      tell(world, () => `relay ${relay.id} cannot write its file`);
      relay.diskFails = true;
      return () => {
        relay.diskFails = false;
      };
    },
  },
  {
    name: "guard",
    begin: (world, random) => {
      const relay = anyRelay(world, random);
      guardDies(world, relay);
      return () => {
        relay.guard = true;
      };
    },
  },
  {
    name: "relay-port-shut",
    begin: (world, random) => {
      const relay = anyRelay(world, random);
      tell(world, () => `nobody reaches relay ${relay.id} any more`);
      relay.portShut = true;
      return () => {
        relay.portShut = false;
      };
    },
  },
  {
    name: "wall-clock",
    begin: (world, random) => {
      const relay = anyRelay(world, random);
      const shiftMs = random.pick([-3_600_000, -5000, 5000, 3_600_000]);
      tell(world, () => `the wall clock of relay ${relay.id} is set by ${shiftMs} ms`);
      relay.wallShiftMs += shiftMs;
      return () => undefined;
    },
  },
  {
    name: "pushes",
    begin: (world, random) => {
      const relay = anyRelay(world, random);
      const before = relay.connects;
      relay.connects = !before;
      return () => {
        relay.connects = before;
      };
    },
  },
];
