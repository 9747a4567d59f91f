/**
 * All leases that a relay keeps, as the rest of the relay knows them: what the verbs ask, the route for promises,
 * one keeper for each node.
 *
 * Promises: nothing is kept before the file with the promises was read and could be written; `close` seals.
 */
import type { Hono } from "hono";
import type { RelaySettings } from "../config.ts";
import type { Log } from "../log.ts";
import { refusals } from "../protocol.ts";
import type { Env } from "../tokens.ts";
import type { RelayNode, VerbDoor } from "../verbs/hands.ts";
import { machineNow } from "./beats.ts";
import { type Keeper, startKeeper } from "./keeper.ts";
import { type LeaseMemory, openLeaseMemory } from "./memory.ts";
import { addPromiseRoute } from "./promise.ts";
import { whyNotOpened } from "./rules.ts";

export type LeaseParts = {
  /** Of the start: whose leases are kept does not change while this process runs. */
  readonly first: RelaySettings;
  /** In force now: where the Worker is, and the tokens. */
  readonly settings: () => RelaySettings;
  readonly nodes: () => ReadonlyMap<string, RelayNode>;
  readonly epochOf: (group: string) => number | null;
  readonly log: Log;
};

export type Leases = {
  readonly door: VerbDoor;
  readonly routes: (app: Hono<Env>) => void;
  /** By node; for whoever wants to know who guards it. */
  readonly keepers: ReadonlyMap<string, Keeper>;
  readonly start: () => void;
  readonly close: () => Promise<void>;
};

/** Rejects with an Error fit to be shown. */
export async function openLeases(parts: LeaseParts): Promise<Leases> {
  const { lease, stateFile, nodes: configured, id } = parts.first;
  const keepers = new Map<string, Keeper>();
  const memory =
    lease.length === 0 ? null : await openLeaseMemory(`${stateFile}.lease`, machineNow());

  return {
    door: doorOf(keepers, memory),
    keepers,
    routes: (app) => {
      if (memory === null) return;
      const openHere = (group: string) =>
        [...keepers.values()].find((each) => each.settings.group === group && each.isOpen())
          ?.settings.node ?? null;
      addPromiseRoute(app, {
        ...{ settings: lease, memory, openHere },
        ...{ epochOf: parts.epochOf, now: machineNow },
      });
    },
    start: () => {
      if (memory === null) return;
      for (const settings of lease) {
        const endpoint = configured.find((node) => node.id === settings.node);
        if (endpoint === undefined) continue;
        const keeper = startKeeper({
          ...{ settings, endpoint, memory, relay: id, log: parts.log },
          node: () => parts.nodes().get(settings.node),
          worker: () =>
            parts.settings().groups.find(({ name }) => name === settings.group)?.url ?? null,
          tokens: () => parts.settings().controlTokens,
          epoch: () => parts.epochOf(settings.group),
        });
        keepers.set(settings.node, keeper);
      }
    },
    close: async () => {
      await Promise.all([...keepers.values()].map((keeper) => keeper.end()));
    },
  };
}

function doorOf(keepers: ReadonlyMap<string, Keeper>, memory: LeaseMemory | null): VerbDoor {
  const keeperOf = (node: string, group: string) => {
    const keeper = keepers.get(node);
    return keeper?.settings.group === group ? keeper : undefined;
  };
  return {
    whyNot: ({ verb, node, body }, ageMs) => {
      if (verb !== "promote" && verb !== "unseal") return null;
      const leaseMs = body.lease?.ms ?? null;
      const why = whyNotOpened({
        ...{ leaseMs, ageMs },
        sealMs: keeperOf(node, body.group)?.settings.sealMs ?? null,
        promisedMs: memory?.promisedMs(body.group, leaseMs, machineNow()) ?? 0,
      });
      return why === null ? null : `${refusals[why.code]} ${why.text}`;
    },
    begins: ({ verb, node, body }, ageMs) => {
      const keeper = keeperOf(node, body.group);
      if (verb === "seal") keeper?.closes(body.hard === true);
      if (verb === "demote") keeper?.closes(false);
      if (verb !== "promote" && verb !== "unseal") return;
      const { lease } = body;
      keeper?.opens(
        ageMs,
        lease === undefined ? null : { leaseMs: lease.ms, promisers: lease.promisers },
      );
    },
    ended: ({ verb, node, body }, { outcome }) =>
      keeperOf(node, body.group)?.looks(verb === "seal" && outcome === "done"),
    gone: ({ node, body }) =>
      keeperOf(node, body.group) === undefined
        ? null
        : "nothing listens there, it boots sealed, and its lease is given back",
  };
}
