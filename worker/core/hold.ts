/**
 * What forbids an automatic failover now, in words.
 *
 * Rules: nothing begins without enough vantages, while a replica still hears the primary, while an operator
 * said to leave it, while nobody knows that its lease ends, too soon after an aborted attempt or a success, or too often in an hour. What goes on in
 * the same attempt (the new primary died before all followed it) is not held by the cooldown.
 * Must never: forbid what an operator asks for.
 */
import { attemptOf, type Draft } from "./draft.ts";
import { witnessesOf } from "./health.ts";
import { whyUnleased } from "./lease.ts";
import type { FailoverCause } from "./state.ts";
import type { NodeConfig } from "./types.ts";

export type Hold = {
  /** One word; the hold is told again when it changes. */
  readonly kind: string;
  readonly why: string;
  /** What ends it before its time; null: only time, or the nodes. */
  readonly remedy: string | null;
};

const HOUR_MS = 3_600_000;

export function whyHeld(draft: Draft, primary: NodeConfig, cause: FailoverCause): Hold | null {
  const { saved, config, known, nowMs } = draft;
  const hold = (kind: string, why: string, remedy: string | null = null): Hold => ({
    kind,
    why,
    remedy,
  });
  const { verdict } = known[primary.id] ?? {};
  if (verdict === undefined || !verdict.authorised)
    return hold("noquorum", "NOQUORUM: too few vantages answered");
  if (saved.paused !== null)
    return hold("paused", `the group is paused: ${saved.paused.reason}`, "resume");
  const downtime = saved.downtimes[primary.id];
  if (downtime !== undefined)
    return hold("downtime", `${primary.id} is in downtime: ${downtime.reason}`, "end the downtime");
  if (cause === "odown") {
    const witnesses = witnessesOf(primary, known, config);
    if (witnesses.length > 0)
      return hold(
        "unreachable",
        `${witnesses.join(", ")} still hears from it: out of reach, not dead`,
      );
  }
  const unleased = whyUnleased(saved, config, primary.id);
  if (unleased !== null)
    return hold("unleased", unleased, "its relay asking, or a failover that an operator asks for");
  const outage = outageOf(draft);
  if (outage !== null) return hold("outage", outage);
  if (saved.lastAttemptAtMs !== null) {
    const gapMs = Math.max(config.failoverRetryMs, config.retryMs);
    const waitMs = saved.lastAttemptAtMs + gapMs - nowMs;
    if (waitMs > 0)
      return hold("retry", `the last attempt was aborted, the next one may begin in ${waitMs} ms`);
  }
  return tooMany(draft);
}

/** All nodes were down: the stored primary has its time to return first. */
function outageOf({ saved, config, nowMs }: Draft): string | null {
  if (saved.outage === null) return null;
  if (saved.outage.endedMs === null) return "and so is every other node";
  const waitMs = saved.outage.endedMs + config.primaryStartTimeoutMs - nowMs;
  return waitMs > 0
    ? `after an outage of all nodes it has ${waitMs} ms more to return before a replica is promoted`
    : null;
}

function tooMany({ saved, config, nowMs }: Draft): Hold | null {
  const remedy = "an acknowledgement lifts it";
  const last = saved.failoversAtMs.at(-1);
  const waitMs = last === undefined ? 0 : last + config.cooldownMs - nowMs;
  if (waitMs > 0 && attemptOf(saved) === null)
    return {
      kind: "cooldown",
      why: `cooldown: the last failover is not long ago, the next one may begin in ${waitMs} ms`,
      remedy,
    };
  const lately = saved.failoversAtMs.filter((atMs) => nowMs - atMs < HOUR_MS).length;
  if (config.maxFailoversPerHour > 0 && lately >= config.maxFailoversPerHour)
    return {
      kind: "limit",
      why: `${lately} failovers within an hour: no further one by itself`,
      remedy,
    };
  return null;
}
