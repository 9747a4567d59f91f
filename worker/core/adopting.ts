/**
 * Taking over a primary that Picket did not make: the first one of a group, or somebody else's switch.
 *
 * Rules: at the first start an existing sane replication is kept, if two looks agree; anything else is left
 * to an operator. A foreign switch is adopted as the next epoch when it has lasted for `adopt_after_ms`, and
 * never commanded back.
 */
import { type Draft, factsOf, nodeOf, onlySince, save, tell, untell, wakeBy } from "./draft.ts";
import { followsNode } from "./facts.ts";
import { leaseEndMs } from "./lease.ts";
import { memberOf } from "./membership.ts";
import { addressOf } from "./promotion.ts";
import { foreignPrimary, ROLE_CHANGE } from "./topology.ts";

const SETTLE = "POST /v1/groups/:group/bootstrap settles it";

/** First bootstrap. */
export function adoptFirst(draft: Draft): void {
  const { config, nowMs } = draft;
  const seen = config.nodes.map((node) => ({ node, facts: factsOf(draft, node.id) }));
  const missing = seen.filter((each) => each.facts === null).map(({ node }) => node.id);
  const primaries = seen.filter((each) => each.facts?.role === "primary");
  const only = primaries[0];
  const astray = seen.filter(
    ({ node, facts }) =>
      only !== undefined && node !== only.node && facts !== null && !followsNode(facts, only.node),
  );
  const problem = () => {
    if (missing.length > 0) return `${missing.join(", ")} did not answer`;
    if (primaries.length !== 1) {
      const who = primaries.map(({ node }) => node.id).join(", ") || "none";
      return `${who} of the nodes say they are primary, it must be exactly one`;
    }
    // A primary that came back empty is not sane: whoever waits to copy it still holds the data.
    const fuller = seen.find(
      ({ facts }) => (only?.facts?.keys ?? 0) < (facts?.keys ?? 0) * config.wipeKeepRatio,
    );
    if (fuller !== undefined)
      return `${only?.node.id} holds ${only?.facts?.keys} keys, and ${fuller.node.id} holds ${fuller.facts?.keys}`;
    if (astray.length === 0) return null;
    return `${astray.map(({ node }) => node.id).join(", ")} do not follow ${only?.node.id}`;
  };
  const why = problem();
  const runId = only?.facts?.runId ?? "";
  const sinceMs = onlySince(draft, "first:", why === null ? runId : null);
  if (why !== null || only === undefined || sinceMs === null) {
    draft.because = `no primary yet: ${why}; ${SETTLE}`;
    return;
  }
  if ((draft.sight.lookAskedAtMs ?? 0) <= sinceMs) {
    draft.because = `${only.node.id} looks like the primary: looking once more`;
    return wakeBy(draft, nowMs + config.retryMs);
  }
  onlySince(draft, "first:", null);
  const epoch = draft.saved.highestEpoch + 1;
  const followers = config.nodes.filter((node) => node !== only.node).map((node) => node.id);
  save(draft, {
    epoch,
    highestEpoch: epoch,
    primary: only.node.id,
    primaryRunId: only.facts?.runId ?? null,
    rev: 0,
    readable: followers,
    followed: followers,
    members: config.nodes.map(memberOf),
  });
  const text = `${only.node.id} was found as primary, everyone else follows it`;
  tell(draft, "+monitor", only.node.id, text);
  draft.because = `${only.node.id} was found as primary and is kept`;
}

/** Somebody else's switch: told, then adopted. True while there is one, or when it was adopted now. */
export function adoptForeign(draft: Draft): boolean {
  const { saved, config, nowMs } = draft;
  const from = saved.primary ?? "";
  const other = foreignPrimary(draft);
  const sinceMs = onlySince(draft, "foreign:", other?.id ?? null) ?? nowMs;
  if (other === null) {
    // It went away again: the primary in force is granted leases as before.
    if (saved.revokedAtMs !== null && saved.phase.kind === "watching")
      save(draft, { revokedAtMs: null });
    return false;
  }
  // Where the old one is dead nobody is left to wait for.
  const dead = draft.known[from]?.verdict.odown === true && factsOf(draft, from) === null;
  const { longestMs } = saved.leases;
  // Its relay may still reach the Group: nothing is granted while the last lease is waited for.
  if (dead && longestMs > 0 && saved.revokedAtMs === null) save(draft, { revokedAtMs: nowMs });
  const revokedAtMs = draft.saved.revokedAtMs ?? nowMs;
  const leaseMs = longestMs > 0 ? leaseEndMs(revokedAtMs, { leaseMs: longestMs }) : sinceMs;
  const dueAtMs = dead ? leaseMs : sinceMs + config.adoptAfterMs;
  const twice = (draft.sight.lookAskedAtMs ?? 0) > sinceMs;
  if (nowMs < dueAtMs || !twice || saved.paused !== null) {
    draft.because = `somebody else made ${other.id} the primary: adopted in ${Math.max(0, dueAtMs - nowMs)} ms if it lasts`;
    if (saved.paused === null) wakeBy(draft, Math.max(dueAtMs, nowMs + config.retryMs));
    return true;
  }
  const epoch = saved.highestEpoch + 1;
  save(draft, {
    epoch,
    highestEpoch: epoch,
    primary: other.id,
    primaryRunId: factsOf(draft, other.id)?.runId ?? null,
    rev: 0,
    outage: null,
    revokedAtMs: null,
    lastAttemptAtMs: null,
    lastSwitch: {
      epoch,
      cause: "foreign",
      from,
      to: other.id,
      atMs: nowMs,
      tookMs: nowMs - sinceMs,
      lostBytesAtLeast: null,
      unseenMs: null,
      lostBytes: null,
    },
  });
  onlySince(draft, "foreign:", null);
  untell(draft, ROLE_CHANGE);
  const text = `somebody else made ${other.id} the primary ${nowMs - sinceMs} ms ago: adopted as epoch ${epoch}`;
  tell(draft, "+failover-detected", other.id, text, { from, to: other.id });
  const addresses = `${addressOf(nodeOf(config, from))} -> ${addressOf(other)}`;
  tell(draft, "+switch-master", other.id, `${saved.group} ${addresses}`, {
    from,
    to: other.id,
    cause: "foreign",
  });
  draft.because = text;
  return true;
}
