/**
 * What a Group knows of itself when it wakes: the stored state, or why that cannot be used.
 *
 * Promises: nothing is written; a document that this code cannot read is named, never guessed.
 */
import { freshSight, initialState, readSaved } from "../core/saved.ts";
import type { State } from "../core/state.ts";
import { unavailable, type WhyNot } from "./inbox.ts";
import type { Store } from "./store.ts";

export type Read = { readonly kind: "read"; readonly state: State; readonly version: number };
export type Memory = Read | WhyNot;

export function recall(store: Store, name: string): Memory {
  const stored = store.read();
  if (stored === null) return { kind: "read", state: initialState(name), version: 0 };
  const read = readSaved(stored.json, name);
  if (!read.ok) return unavailable(read.problem);
  return {
    kind: "read",
    state: { saved: read.saved, sight: freshSight },
    version: stored.version,
  };
}
