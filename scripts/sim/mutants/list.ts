/**
 * Every defect there is. A new one is one entry in one of these lists.
 */
import { actingMutants } from "./acting.ts";
import { activeMutants } from "./active.ts";
import { asleepMutants } from "./asleep.ts";
import { evidenceMutants } from "./evidence.ts";
import { failoverMutants } from "./failover.ts";
import { leaseMutants } from "./leases.ts";
import type { Mutant } from "./mutant.ts";
import { pushMutants } from "./pushes.ts";
import { tellingMutants } from "./telling.ts";
import { vantageMutants } from "./vantages.ts";

export const mutants: readonly Mutant[] = [
  ...evidenceMutants,
  ...actingMutants,
  ...failoverMutants,
  ...leaseMutants,
  ...pushMutants,
  ...asleepMutants,
  ...tellingMutants,
  ...vantageMutants,
  ...activeMutants,
];
