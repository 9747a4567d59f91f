/**
 * What people changed in an active-active group at run time, counted again from what they were told: weights, nodes, a
 * pin; a deploy that says something new about the same overtakes it.
 */
import { overlaid } from "../../../worker/core/overlay.ts";
import type { OperatorRequest } from "../../../worker/core/state.ts";
import type { GroupConfig, NodeConfig } from "../../../worker/core/types.ts";
import { type Ledger, type Moment, violate } from "./ledger.ts";
import { latest, type Saving } from "./saving.ts";

export type Pin = { readonly node: string; readonly since: Moment; readonly forMs: number };

export type Chosen = {
  readonly weights: Map<string, { readonly weight: number; readonly over: number }>;
  added: readonly NodeConfig[];
  readonly removed: Set<string>;
  pin: Pin | null;
};

export const newChosen = (): Chosen => ({
  weights: new Map(),
  added: [],
  removed: new Set(),
  pin: null,
});

/** Who belongs to the group, and with which weight. */
export function nodesIn({ weights, added, removed }: Chosen, { nodes }: GroupConfig) {
  return [...nodes, ...added]
    .filter(({ id }) => !removed.has(id))
    .map((node) => ({ ...node, weight: weights.get(node.id)?.weight ?? node.weight }));
}

export function followChosen(ledger: Ledger, saving: Saving): void {
  const { chosen } = ledger.active;
  const { config, input, decision, after } = saving;
  overtake(chosen, config);
  const { length } = nodesIn(chosen, config);
  for (const request of input.requests) {
    const reply = decision.replies.find(({ id }) => id === request.id);
    if (reply?.kind === "accepted") apply(ledger, saving, request);
  }
  if (config.mode !== "active-active") return;
  const mine = nodesIn(chosen, config);
  // One that is added anew is a new one.
  for (const id of ledger.active.failed.keys())
    if (!mine.some((node) => node.id === id)) ledger.active.failed.delete(id);
  // A deploy may name nobody but one that was taken out.
  if (mine.length === 0 && length > 0) violate(ledger, "last-node", "the last node was taken out");
  const said = (nodes: readonly NodeConfig[]) =>
    nodes.map(({ id, weight }) => `${id}=${weight}`).sort();
  const [expected, real] = [said(mine).join(" "), said(overlaid(after, config).nodes).join(" ")];
  if (expected !== real)
    violate(ledger, "overlay", `the nodes are ${real}; people and deploys made them ${expected}`);
}

/** A deploy wins where it says something new. */
function overtake(chosen: Chosen, config: GroupConfig): void {
  if (config.mode !== "active-active") Object.assign(chosen, newChosen());
  const deployed = (id: string) => config.nodes.find((node) => node.id === id);
  // Also by another name: it is the same server.
  const isDeployed = ({ id, host, port }: NodeConfig) =>
    config.nodes.some((node) => node.id === id || (node.host === host && node.port === port));
  chosen.added = chosen.added.filter((each) => !isDeployed(each));
  for (const id of chosen.removed) if (deployed(id) === undefined) chosen.removed.delete(id);
  // One that names nobody else brings back whom it names.
  if (chosen.removed.size === config.nodes.length && chosen.added.length === 0)
    chosen.removed.clear();
  for (const [id, { over }] of chosen.weights) {
    const node = deployed(id) ?? chosen.added.find((each) => each.id === id);
    if (node?.weight !== over) chosen.weights.delete(id);
  }
}

function apply(ledger: Ledger, { config, nowMs, after }: Saving, request: OperatorRequest): void {
  const { chosen } = ledger.active;
  if (config.mode !== "active-active") return;
  switch (request.kind) {
    case "weight": {
      const node = [...config.nodes, ...chosen.added].find(({ id }) => id === request.node);
      if (node === undefined || node.weight === request.weight) chosen.weights.delete(request.node);
      else chosen.weights.set(request.node, { weight: request.weight, over: node.weight });
      return;
    }
    case "add-node":
      // One that was taken out comes back as it is deployed.
      if (!chosen.removed.delete(request.node.id)) chosen.added = [...chosen.added, request.node];
      return;
    case "remove-node": {
      const { node } = request;
      if (after.primary === node)
        violate(ledger, "removed-in-use", `${node} was taken out, and is used`);
      chosen.weights.delete(node);
      chosen.added = chosen.added.filter(({ id }) => id !== node);
      if (config.nodes.some(({ id }) => id === node)) chosen.removed.add(node);
      if (chosen.pin?.node === node) chosen.pin = null;
      return;
    }
    case "select": {
      const since = { atMs: nowMs, virtualMs: latest(ledger) };
      const { pinMs } = request;
      const node = after.primary ?? "";
      chosen.pin = pinMs === null || pinMs <= 0 ? null : { node, since, forMs: pinMs };
      return;
    }
    case "unpin":
    case "failover":
    case "switchover":
    case "bootstrap":
    case "reset":
      chosen.pin = null;
  }
}

/** Surely still pinned, by the Group's clock and in truth. */
export function isPinned(ledger: Ledger, nowMs: number): boolean {
  const { pin } = ledger.active.chosen;
  if (pin === null) return false;
  const { since, forMs } = pin;
  const within = (ms: number) => ms >= 0 && ms < 0.97 * forMs;
  return within(nowMs - since.atMs) && within(latest(ledger) - since.virtualMs);
}
