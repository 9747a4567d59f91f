/**
 * What is done to two machines, and what became of the writes: one row of the table each.
 *
 * Promises: begins and ends steady, with either machine as primary; what was acknowledged and is not in the
 * primary of the end is lost.
 * Must never: help, but for healing what it broke.
 */
import { acked, byBoth, longestGapMs, lostOf } from "../bench/side.ts";
import { type Ack, nameOf } from "../bench/writer.ts";
import { EDGE } from "./boxes.ts";
import type { TwoMachines } from "./two-machines.ts";

export type Outcome = {
  /** The other machine is primary now. */
  readonly failedOver: boolean;
  readonly lost: number;
  /** Acknowledged by the old primary when the new one had acknowledged something already. */
  readonly byBoth: number;
  /** Longest time without an acknowledged write for the client at the edge. */
  readonly edgeGapMs: number;
  /** While it lasted: acknowledged for the clients in the primary's box, in the other one, at the edge. */
  readonly during: { readonly beside: number; readonly other: number; readonly edge: number };
  readonly said: readonly string[];
};

export type Row = {
  readonly id: string;
  readonly title: string;
  readonly run: (world: TwoMachines) => Promise<Outcome>;
};

/** Writes that stand before anything happens, and that show that they go on. */
const enough = 100;
/** Over three seconds of writes: more than silence needs to be silence. */
const many = 700;

type Clients = {
  readonly beside: ReturnType<TwoMachines["stays"]>;
  readonly other: ReturnType<TwoMachines["stays"]>;
  readonly edge: ReturnType<TwoMachines["outside"]>;
};

type Fault = {
  readonly begin: (primary: string) => Promise<void> | void;
  /** What must have been seen before it ends. `sinceMs`: when it began. */
  readonly lasts: (primary: string, clients: Clients, sinceMs: number) => Promise<unknown>;
  readonly end: (primary: string) => Promise<void> | void;
  /** Who is primary in the end. */
  readonly settles: (primary: string) => string;
};

async function suffer(world: TwoMachines, fault: Fault): Promise<Outcome> {
  const { server, other, outside, stays, steady, mark } = world;
  const primary = (await world.stack.api("/v1/groups/cache/route")).body as {
    readonly primary: { readonly id: string };
  };
  const old = primary.primary.id;
  await steady(old);
  const after = await mark();
  const clients: Clients = {
    beside: stays(old, old),
    other: stays(other(old), old),
    edge: outside(old),
  };
  const all = Object.values(clients);
  try {
    await Promise.all(all.map((client) => acked(client, enough)));
    const sinceMs = performance.now();
    await fault.begin(old);
    await fault.lasts(old, clients, sinceMs);
    const untilMs = performance.now();
    await fault.end(old);
    const next = fault.settles(old);
    await steady(next);
    // What was under way when the link healed has its answer by now, or gets none.
    await acked(clients.edge, enough, performance.now(), nameOf(server(next)));
    for (const client of all) client.stop();
    await Promise.all([clients.beside.ended, clients.other.ended]);
    const acks = all.flatMap((client) => [...client.acks]).sort((a, b) => a.atMs - b.atMs);
    const within = (some: readonly Ack[]) =>
      some.filter(({ atMs }) => atMs >= sinceMs && atMs <= untilMs).length;
    return {
      failedOver: next !== old,
      lost: await lostOf(acks, server(next)),
      byBoth: next === old ? 0 : byBoth(acks, nameOf(server(old)), nameOf(server(next))),
      edgeGapMs: longestGapMs(clients.edge.acks),
      during: {
        beside: within(clients.beside.acks),
        other: within(clients.other.acks),
        edge: within(clients.edge.acks),
      },
      said: (await world.events()).filter(({ seq }) => seq > after).map(({ name }) => name),
    };
  } finally {
    for (const client of all) client.stop();
    world.boxes.healAll();
  }
}

export const rows: readonly Row[] = [
  {
    id: "box-lost",
    title: "the primary's box is lost, and comes back",
    run: (world) =>
      suffer(world, {
        begin: (primary) => world.lose(primary),
        lasts: (primary, { edge }, sinceMs) =>
          acked(edge, enough, sinceMs, nameOf(world.server(world.other(primary)))),
        end: (primary) => world.bringBack(primary),
        settles: (primary) => world.other(primary),
      }),
  },
  {
    id: "link-cut",
    title: "the link between the boxes is cut",
    run: async (world) => {
      const after = await world.mark();
      return suffer(world, {
        begin: () => world.boxes.cut("a", "b"),
        lasts: async (_, { edge }) => {
          await world.told("+sdown", after);
          await acked(edge, many, performance.now());
        },
        end: () => world.boxes.healAll(),
        settles: (primary) => primary,
      });
    },
  },
  {
    id: "box-cut-off",
    title: "the primary's box is cut off from everything, its Redis and a client in it live",
    run: (world) =>
      suffer(world, {
        begin: (primary) => {
          world.boxes.cut(primary, world.other(primary));
          world.boxes.cut(primary, EDGE);
        },
        lasts: (primary, { edge }, sinceMs) =>
          acked(edge, many, sinceMs, nameOf(world.server(world.other(primary)))),
        end: () => world.boxes.healAll(),
        settles: (primary) => world.other(primary),
      }),
  },
  {
    id: "edge-away",
    title: "the edge is away: neither box reaches it",
    run: (world) =>
      suffer(world, {
        begin: () => {
          for (const id of ["a", "b"]) world.boxes.cut(id, EDGE);
        },
        lasts: (_, { beside, other }, sinceMs) =>
          Promise.all([acked(beside, many, sinceMs), acked(other, many, sinceMs)]),
        end: () => world.boxes.healAll(),
        settles: (primary) => primary,
      }),
  },
  {
    id: "edge-away-primary-dies",
    title: "the edge is away, and the primary dies; it returns after the edge",
    run: (world) =>
      suffer(world, {
        begin: async (primary) => {
          for (const id of ["a", "b"]) world.boxes.cut(id, EDGE);
          await world.server(primary).kill();
        },
        lasts: (primary) => world.leftAlone(world.other(primary)),
        end: async (primary) => {
          world.boxes.healAll();
          await world.routed(world.other(primary));
          await world.server(primary).start();
        },
        settles: (primary) => world.other(primary),
      }),
  },
  {
    id: "edge-cannot-see",
    title: "the edge cannot reach the primary's box, the other box can",
    run: async (world) =>
      suffer(world, {
        begin: (primary) => world.boxes.cut(primary, EDGE),
        lasts: (_, { beside, other }, sinceMs) =>
          Promise.all([acked(beside, many, sinceMs), acked(other, many, sinceMs)]),
        end: () => world.boxes.healAll(),
        settles: (primary) => primary,
      }),
  },
];
