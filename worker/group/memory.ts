/**
 * What a Group knows when it is asked something: the configuration that runs, and the state, as stored and as
 * remembered; or why there is nothing to go by.
 *
 * Promises: nothing is written; a document that this code cannot read is named, never guessed.
 */
import { freshSight, initialState, readSaved } from "../core/saved.ts";
import type { State } from "../core/state.ts";
import type { GroupConfig } from "../core/types.ts";
import { type Brake, configInForce, type RawEnv } from "../env.ts";
import { unavailable, type WhyNot } from "./inbox.ts";
import type { Store } from "./store.ts";

/** What runs, and what is believed. */
export type Ready = {
  readonly kind: "ready";
  readonly config: GroupConfig;
  readonly brake: Brake;
  /** How many groups this Worker has. */
  readonly groups: number;
  readonly state: State;
};

type Read = { readonly kind: "read"; readonly state: State; readonly version: number };
type Recalled = Read | WhyNot;

export type Memory = ReturnType<typeof createMemory>;

/** @param name the group's, if the runtime knows it; else whoever asks first says it. */
export function createMemory(env: RawEnv, store: Store, name: string | null) {
  let known = name;
  /** Null: to be read, for nothing was yet, or this may no longer be what is stored. */
  let recalled: Recalled | null = null;

  function recall(group: string): Recalled {
    if (recalled !== null) return recalled;
    recalled = read(store, group);
    if (recalled.kind !== "read") console.error("stored state", recalled.detail);
    return recalled;
  }

  return {
    async ready(asked: string | null = known): Promise<Ready | WhyNot> {
      const { source, problem, groups, brake } = await configInForce(env, false);
      if (source === "unheard") return unavailable(problem ?? source);
      const config = groups.find((group) => group.name === asked);
      if (config === undefined || brake === null)
        return { kind: "not-found", detail: "the group is no longer configured" };
      known = config.name;
      const found = recall(config.name);
      if (found.kind !== "read") return found;
      return { kind: "ready", config, brake, groups: groups.length, state: found.state };
    },

    /** Only for whoever was ready. */
    state(group: string): Read {
      const found = recall(group);
      if (found.kind !== "read") throw new Error(found.detail);
      return found;
    },

    decided(state: State, version: number): void {
      recalled = { kind: "read", state, version };
    },

    /** Somebody else may have written. */
    forget(): void {
      recalled = null;
    },

    isUnreadable: (): boolean => recalled?.kind === "unavailable",
  };
}

function read(store: Store, name: string): Recalled {
  const stored = store.read();
  if (stored === null) return { kind: "read", state: initialState(name), version: 0 };
  const found = readSaved(stored.json, name);
  if (!found.ok) return unavailable(found.problem);
  return {
    kind: "read",
    state: { saved: found.saved, sight: freshSight },
    version: stored.version,
  };
}
