/**
 * What was seen and not decided on yet: looks under way, and what relays tell of their own accord.
 *
 * Promises: a pair of relay and node has at most one look under way; who is away holds up nobody, and what
 * comes from there in the end is not lost; what is told is ready at once, and cannot keep the Group from looking.
 * Must never: judge what was seen.
 */
import { effectiveConfig } from "../core/membership.ts";
import { awaitedBy } from "../core/sight.ts";
import type { State } from "../core/state.ts";
import type { GroupConfig, Observation } from "../core/types.ts";
import type { Looking, Pair } from "../probe/look.ts";

/** Starts looks at the pairs that are wanted. */
export type LookAt = (
  config: GroupConfig,
  epoch: number,
  wanted: (pair: Pair) => boolean,
) => readonly Looking[];

export type Lookout = ReturnType<typeof createLookout>;

/** @param returned is called when a node answers that nobody waited for. */
export function createLookout(lookAt: LookAt, returned: () => void) {
  const underWay = new Map<string, { readonly pair: Pair; awaited: boolean }>();
  let seen: Observation[] = [];
  /** Something was told since it was last taken. */
  let news = false;
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  let ready = () => {};

  const keyOf = ({ vantage, node }: Pair) => `${vantage} ${node}`;
  const isReady = () => news || ![...underWay.values()].some(({ awaited }) => awaited);

  async function follow(looking: Looking): Promise<void> {
    const key = keyOf(looking);
    const entry = { pair: looking, awaited: true };
    underWay.set(key, entry);
    const observation = await looking.seen;
    underWay.delete(key);
    seen.push(observation);
    if (isReady()) ready();
    if (!entry.awaited && observation.facts !== null) returned();
  }

  return {
    /** Looks at everything; ends when everyone has answered who is waited for, or something was told. */
    async look({ saved, sight }: State, config: GroupConfig, nowMs: number): Promise<void> {
      const whole = effectiveConfig(saved, config);
      // What is told all the time is decided on all the time, and must not be asked for as often.
      if (!news || nowMs - lookedAtMs >= config.retryMs) {
        lookedAtMs = nowMs;
        const free = (pair: Pair) => !underWay.has(keyOf(pair));
        for (const each of lookAt(whole, saved.epoch, free)) void follow(each);
      }
      const isAwaited = awaitedBy(sight.away, whole);
      for (const each of underWay.values()) each.awaited = isAwaited(each.pair);
      if (isReady()) return;
      await new Promise<void>((resolve) => {
        ready = resolve;
      });
    },

    tell(observations: readonly Observation[]): void {
      seen.push(...observations);
      news = true;
      ready();
    },

    /** Everything that came since it was last taken. */
    take(): readonly Observation[] {
      const taken = seen;
      seen = [];
      news = false;
      return taken;
    },
  };
}
