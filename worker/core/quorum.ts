/**
 * Could the group fail over, if its primary died now: Sentinel's CKQUORUM.
 *
 * A vantage is usable when its newest look saw something, up or down. Two things can be missing: votes for
 * the quorum, and a majority that authorises a failover.
 */
import { isLocal } from "./health.ts";
import { effectiveConfig } from "./membership.ts";
import { blind } from "./sight.ts";
import type { State } from "./state.ts";
import type { GroupConfig } from "./types.ts";

export type Quorum = {
  readonly ok: boolean;
  readonly usable: number;
  readonly vantages: number;
  readonly quorum: number;
  /** One sentence in Sentinel's words. */
  readonly detail: string;
  /** Each vantage: `usable`, or why it is not. */
  readonly vantageStates: Readonly<Record<string, string>>;
};

export function ckquorum(state: State, deployed: GroupConfig, nowMs: number): Quorum {
  const config = effectiveConfig(state.saved, deployed);
  const vantageStates: Record<string, string> = {};
  let usable = 0;
  for (const vantage of config.vantages) {
    const why = whyUseless(state, config, vantage, nowMs);
    vantageStates[vantage] = why ?? "usable";
    if (why === null) usable += 1;
  }
  const vantages = config.vantages.length;
  const majority = Math.floor(vantages / 2) + 1;
  const missing = [
    usable >= config.quorum ? "" : "reach the specified quorum for this group",
    usable >= majority ? "" : "reach the majority and authorize a failover",
  ].filter((each) => each !== "");
  const ok = missing.length === 0;
  const detail = ok
    ? `OK ${usable} usable vantages. Quorum and failover authorization can be reached`
    : `NOQUORUM ${usable} usable vantages. Not enough available vantages to ${missing.join(" and to ")}`;
  return { ok, usable, vantages, quorum: config.quorum, detail, vantageStates };
}

function whyUseless(
  { sight }: State,
  config: GroupConfig,
  vantage: string,
  nowMs: number,
): string | null {
  let newest: { readonly atMs: number; readonly class: string; readonly detail: string } | null =
    null;
  let saw = false;
  for (const node of config.nodes) {
    const belief = sight.nodes[node.id]?.[vantage];
    if (belief === undefined) continue;
    if (!blind.includes(belief.class)) saw = true;
    if (newest === null || belief.atMs > newest.atMs || isLocal(vantage, node, config))
      newest = belief;
  }
  if (newest === null) return "has not looked yet";
  if (saw) return null;
  return `${newest.class} since its last look ${nowMs - newest.atMs} ms ago: ${newest.detail}`;
}
