/**
 * Every scene there is. A new one is one entry in one of these lists.
 */
import { activeScenes } from "./active.ts";
import { heldScenes } from "./held.ts";
import { leaseScenes } from "./leases.ts";
import { lostScenes } from "./lost.ts";
import { obeyedScenes } from "./obeyed.ts";
import type { Scene } from "./scene.ts";
import { switchScenes } from "./switches.ts";
import { toldScenes } from "./told.ts";
import { vantageScenes } from "./vantages.ts";

export const scenes: readonly Scene[] = [
  ...lostScenes,
  ...heldScenes,
  ...switchScenes,
  ...leaseScenes,
  ...toldScenes,
  ...vantageScenes,
  ...activeScenes,
  ...obeyedScenes,
];

export const modeOfScene = (name: string) =>
  scenes.find((each) => each.name === name)?.mode ?? "replication";
