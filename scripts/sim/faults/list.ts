/**
 * Every fault there is. A new one is one entry in one of these lists.
 */
import type { World } from "../world/types.ts";
import { activeDeployFaults, activePeopleFaults } from "./active.ts";
import { deployFaults } from "./deploys.ts";
import { edgeFaults } from "./edge.ts";
import type { Fault } from "./fault.ts";
import { networkFaults } from "./network.ts";
import { nodeFaults } from "./nodes.ts";
import { peopleFaults } from "./people.ts";
import { relayFaults } from "./relays.ts";
import { tellingFaults } from "./telling.ts";
import { vantageFaults } from "./vantages.ts";

/** Those of a group's mode, and of what it has. */
export function faultsFor({ firstConfig, relays }: World): readonly (readonly Fault[])[] {
  if (firstConfig.mode === "replication") return faultsByKind;
  const kinds = [nodeFaults, networkFaults, edgeFaults, tellingFaults, vantageFaults];
  const all = [...kinds, activePeopleFaults, activePeopleFaults, activeDeployFaults];
  return relays.size === 0 ? all : [...all, relayFaults];
}

/** By kind: an episode draws a kind first, so that long lists are not drawn more often. */
export const faultsByKind: readonly (readonly Fault[])[] = [
  nodeFaults,
  nodeFaults,
  networkFaults,
  relayFaults,
  edgeFaults,
  peopleFaults,
  deployFaults,
  tellingFaults,
  vantageFaults,
];
