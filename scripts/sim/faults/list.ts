/**
 * Every fault there is. A new one is one entry in one of these lists.
 */
import { deployFaults } from "./deploys.ts";
import { edgeFaults } from "./edge.ts";
import type { Fault } from "./fault.ts";
import { networkFaults } from "./network.ts";
import { nodeFaults } from "./nodes.ts";
import { peopleFaults } from "./people.ts";
import { relayFaults } from "./relays.ts";
import { tellingFaults } from "./telling.ts";
import { vantageFaults } from "./vantages.ts";

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

export const allFaults: readonly Fault[] = [...new Set(faultsByKind.flat())];
