/**
 * When a group may be left to cron and to what relays tell.
 *
 * Must never: be true while anything is under way, or while one machine that dies could take every witness with it.
 */
import type { Draft } from "./draft.ts";
import { isSealed } from "./facts.ts";
import { isLocal, relayBelief } from "./health.ts";
import { vantageOf } from "./sight.ts";
import type { Input } from "./state.ts";
import type { NodeConfig } from "./types.ts";

/** Nothing is under way or to be done, and enough relays tell at once when that changes. */
export function isQuiet(draft: Draft, { connected = [] }: Input): boolean {
  const { config, saved, sight, known } = draft;
  const silent = config.relays.some(({ id }) => (relayBelief(sight, id)?.failures ?? 1) > 0);
  return (
    config.quiet &&
    config.mode === "replication" &&
    connected.length >= 2 &&
    config.nodes.every((node) => isWatched(draft, node, connected)) &&
    !silent &&
    saved.phase.kind === "watching" &&
    saved.primary !== null &&
    saved.maybePromoted.length + saved.pending.length === 0 &&
    saved.readable.length === config.nodes.length - 1 &&
    Object.keys(sight.since).length === 0 &&
    config.nodes.every(({ id }) => {
      const { verdict, best } = known[id] ?? {};
      const facts = best?.facts ?? null;
      const right = id === saved.primary ? !isSealed(facts) : facts?.linkUp === true;
      return right && best?.class === "up" && verdict?.down === 0 && !verdict.suspicious;
    })
  );
}

/** Seen up by a connected relay on another machine: one that dies with its node can tell nobody. */
function isWatched({ sight, config }: Draft, node: NodeConfig, connected: readonly string[]) {
  return connected.some((relay) => {
    const vantage = vantageOf(relay);
    return !isLocal(vantage, node, config) && sight.nodes[node.id]?.[vantage]?.class === "up";
  });
}
