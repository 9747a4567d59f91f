/**
 * Rules about failovers: when one may begin, who may be promoted, and when. Each is one function, named by what
 * it forbids.
 *
 * Promises: judged from the raw looks and from what was saved before, never from the core's own opinion.
 */
import type { Decision, Input, Saved, State } from "../../../worker/core/state.ts";
import type { GroupConfig, NodeConfig, RelayAction } from "../../../worker/core/types.ts";
import { isAutomatic, type Ledger, type Life, type Moment, violate } from "./ledger.ts";
import { count, isSilentRelay, streamsOf, surelyHeardBy } from "./recount.ts";
import { surelyBehind } from "./shown.ts";

export type Judged = {
  readonly before: Saved;
  readonly state: State;
  readonly input: Input;
  readonly decision: Decision;
  /** With every node that must not vanish. */
  readonly config: GroupConfig;
  readonly nowMs: number;
  readonly tilt: boolean;
  readonly paused: boolean;
  readonly clockJumped: boolean;
  readonly life: Life;
};

const HOUR_MS = 3_600_000;

const attemptIn = ({ phase }: Saved) => (phase.kind === "watching" ? null : phase.attempt);

export function checkAttempts(ledger: Ledger, judged: Judged): void {
  const attempt = attemptIn(judged.decision.state.saved);
  const was = attemptIn(judged.before);
  if (attempt !== null && attempt.epoch !== was?.epoch) begun(ledger, judged, attempt);
  for (const action of judged.decision.actions)
    if (action.kind === "promote") promoting(ledger, judged, action);
}

type Attempt = NonNullable<ReturnType<typeof attemptIn>>;

function begun(ledger: Ledger, judged: Judged, attempt: Attempt): void {
  const { before, nowMs, config, tilt, paused, input } = judged;
  const { epoch, cause } = attempt;
  const wrong = (rule: string, text: string) =>
    violate(ledger, rule, `attempt ${epoch} (${cause}) ${text}`);
  if (epoch <= before.highestEpoch || epoch <= ledger.highestSaved)
    wrong("epochs-rise", `is not above ${Math.max(before.highestEpoch, ledger.highestSaved)}`);
  // What was under way when it was deployed is brought to an end.
  if (config.observeOnly && before.phase.kind === "watching")
    wrong("observing", "began while the group is only observed");
  const goesOn = cause === "promotion-lost" || cause === "switchover";
  if (tilt && !goesOn) wrong("tilt", "began while the clock cannot be trusted");
  if (!isAutomatic(cause)) return;
  if (paused && !input.requests.some(({ kind }) => kind === "resume"))
    wrong("paused", "began while the group is paused");
  const from = config.nodes.find(({ id }) => id === attempt.from);
  if (
    before.downtimes[attempt.from ?? ""] !== undefined &&
    !input.requests.some(({ kind }) => kind === "end-downtime")
  )
    if ((before.downtimes[attempt.from ?? ""]?.untilMs ?? 0) > nowMs)
      wrong("downtime", "began for a node in downtime");
  checkPace(ledger, judged, wrong);
  if (from === undefined) return;
  checkVotes(judged, from, cause, wrong);
  if (cause === "sealed") checkShut(ledger, judged, from, wrong);
}

type Wrong = (rule: string, text: string) => void;

/** Cooldown, hourly limit, and the gap after an attempt that was aborted. */
function checkPace(ledger: Ledger, { nowMs, config, before, input }: Judged, wrong: Wrong): void {
  if (input.requests.some(({ kind }) => kind === "acknowledge" || kind === "reset")) return;
  // Too soon only if both clocks say so: the Group's may have jumped.
  const within = ({ atMs, virtualMs }: Moment, ms: number) =>
    atMs <= nowMs && nowMs < atMs + ms && ledger.nowMs < virtualMs + ms;
  const last = ledger.failovers.at(-1);
  const goesOn = before.phase.kind !== "watching";
  if (!goesOn && last !== undefined && within(last, config.cooldownMs))
    wrong(
      "cooldown",
      `began ${nowMs - last.atMs} ms after the last failover, cooldown ${config.cooldownMs} ms`,
    );
  const lately = ledger.failovers.filter((each) => within(each, HOUR_MS)).length;
  if (config.maxFailoversPerHour > 0 && lately >= config.maxFailoversPerHour)
    wrong("hourly-limit", `is number ${lately + 1} within an hour`);
  const aborted = ledger.lastAborted;
  if (aborted !== null && within(aborted, config.failoverRetryMs))
    wrong("retry-gap", `began ${nowMs - aborted.atMs} ms after one that was aborted`);
}

function checkVotes(
  { config, nowMs, life, clockJumped }: Judged,
  from: NodeConfig,
  cause: string,
  wrong: Wrong,
): void {
  const { down, up, heard } = count(life, config, from.id, nowMs);
  const all = config.vantages.length;
  if (heard * 2 <= all) wrong("quorum", `began with ${heard} of ${all} vantages heard`);
  if (cause !== "odown") return;
  if (down < config.quorum || up >= down)
    wrong(
      "quorum",
      `began with at most ${down} of ${all} for down, ${up} surely for up, quorum ${config.quorum}`,
    );
  if (!clockJumped) checkWitnesses(life, config, from, nowMs, wrong);
}

/** It was told to open so often, and never said that it did. */
const cannotBeOpened = ({ unseals }: Ledger, { maxFailures }: GroupConfig, id: string) =>
  (unseals.get(id) ?? 0) >= maxFailures;

/** Seen sealed, and the relay that alone could open it is silent, or was told to in vain: that is as good as down. */
function checkShut(
  ledger: Ledger,
  { life, config, nowMs }: Judged,
  { id }: NodeConfig,
  wrong: Wrong,
): void {
  const facts = ledger.lastFacts.get(id)?.facts;
  if (facts?.role !== "primary" || (facts.minReplicasToWrite ?? 0) < 1_000_000)
    wrong("needless", `began though ${id} was not seen as a primary that is sealed`);
  const keeper = config.relays.find(({ local }) => local.includes(id));
  const silent = keeper !== undefined && isSilentRelay(life, `relay:${keeper.id}`, config, nowMs);
  if (!silent && !cannotBeOpened(ledger, config, id))
    wrong("needless", `began though the relay of ${id} was not silent for long enough`);
}

/** Its relay answered the last look: it is opened, not replaced. */
function checkStillShut(
  ledger: Ledger,
  { life, config, nowMs }: Judged,
  { id }: NodeConfig,
  electingMs: number,
  wrong: Wrong,
): void {
  if ((ledger.lastFacts.get(id)?.virtualMs ?? -1) < electingMs) return;
  if (cannotBeOpened(ledger, config, id)) return;
  const keeper = config.relays.find(({ local }) => local.includes(id));
  const streams = streamsOf(life, id, `relay:${keeper?.id}`);
  const answers = streams.length > 0 && streams.every(({ blind }) => blind === 0);
  if (answers && count(life, config, id, nowMs).down < config.quorum)
    wrong("primary-up", `was ordered though the relay of ${id}, which was sealed, answers again`);
}

function checkWitnesses(
  life: Life,
  config: GroupConfig,
  from: NodeConfig,
  nowMs: number,
  wrong: Wrong,
): void {
  const address = `${from.replicationHost}:${from.replicationPort}`;
  const heard = surelyHeardBy(life, config, from.id, address, nowMs);
  if (heard.length > 0)
    wrong("witness", `goes on though ${heard.join(", ")} hears from ${from.id}`);
}

type Promote = Extract<RelayAction, { kind: "promote" }>;

/** The first order to promote at an epoch: everything has to be right at that moment. */
function promoting(ledger: Ledger, judged: Judged, action: Promote): void {
  const { before, decision, config, nowMs, paused } = judged;
  const { epoch, node } = action;
  const wrong = (rule: string, text: string) =>
    violate(ledger, rule, `the promotion of ${node} at epoch ${epoch} ${text}`);
  if (judged.tilt) wrong("tilt", "was ordered while the clock cannot be trusted");
  if (ledger.ordered.has(epoch)) return;
  const { phase } = decision.state.saved;
  // The stored primary, back from a restart as a replica: no attempt, the same epoch.
  if (phase.kind === "watching" || phase.kind === "repointing" || phase.kind === "publishing") {
    if (node !== before.primary)
      wrong("unasked", `has no attempt, and ${before.primary} is in force`);
    return;
  }
  const { attempt } = phase;
  if (isAutomatic(attempt.cause) && paused)
    wrong("paused", "was ordered while the group is paused");
  if (ledger.refusedPermits.has(epoch)) wrong("brake", "was ordered though the Fleet refused it");
  const electingMs = ledger.electingSince.get(epoch);
  if (electingMs === undefined) wrong("stale-election", "was ordered without an election");
  else if ((ledger.lastFacts.get(node)?.virtualMs ?? -1) < electingMs)
    wrong("stale-election", "was ordered without a look at it after the fence");
  checkLease(ledger, judged, attempt.from, wrong);
  checkCost(ledger, judged, node, wrong);
  const from = config.nodes.find(({ id }) => id === attempt.from);
  if (from === undefined) return;
  if (attempt.cause === "sealed") checkStillShut(ledger, judged, from, electingMs ?? 0, wrong);
  if (attempt.cause !== "odown") return;
  const { up } = count(judged.life, config, from.id, nowMs);
  const nobodyLost = before.maybePromoted.every((id) => id === node);
  if (up * 2 > config.vantages.length && nobodyLost)
    wrong("primary-up", `was ordered though ${up} vantages see ${from.id} as a primary that is up`);
  if (nobodyLost && !judged.clockJumped) checkWitnesses(judged.life, config, from, nowMs, wrong);
  checkFitness(ledger, judged, node, from, wrong);
}

/** Under a lease: the old primary has confirmed its seal, or its last lease has truly ended. */
function checkLease(ledger: Ledger, judged: Judged, from: string | null, wrong: Wrong): void {
  const { config, before, decision, clockJumped } = judged;
  const { phase } = decision.state.saved;
  if (config.fencing !== "lease" || from === null || phase.kind === "watching" || clockJumped)
    return;
  const { epoch } = phase.attempt;
  if (ledger.sealsConfirmed.get(epoch)?.has(from)) return;
  if (before.primary !== from || phase.kind !== "promoting" || phase.candidate === from) return;
  const since = ledger.revokedSince.get(epoch);
  const waitedMs = since === undefined ? 0 : ledger.nowMs - since.atMs;
  const facts = ledger.lastFacts.get(from);
  // One that is a replica, or was never opened, holds no lease.
  if (facts !== undefined && facts.facts.role === "replica" && facts.virtualMs > (since?.atMs ?? 0))
    return;
  const leaseMs = since?.leaseMs ?? config.leaseMs;
  if (waitedMs < leaseMs)
    wrong(
      "lease",
      `was ordered ${waitedMs} ms after leases were revoked (lease ${leaseMs} ms), and ${from} did not confirm its seal`,
    );
}

/** What it costs is no less than what was seen. */
function checkCost(ledger: Ledger, judged: Judged, node: string, wrong: Wrong): void {
  const { phase } = judged.decision.state.saved;
  const facts = ledger.lastFacts.get(node)?.facts;
  if (phase.kind !== "promoting" || facts === undefined) return;
  const stated = phase.cost.lostBytesAtLeast;
  const behind = surelyBehind(judged.life, judged.before, facts);
  if (stated !== null && stated < behind)
    wrong("lost-bytes", `states at least ${stated} bytes lost, and it was seen ${behind} behind`);
}

/** Nobody whose data is surely not what it should be, without an operator's word. */
function checkFitness(
  ledger: Ledger,
  { before, config, decision, life }: Judged,
  node: string,
  from: NodeConfig,
  wrong: Wrong,
): void {
  const { phase } = decision.state.saved;
  if (phase.kind === "watching" || phase.attempt.target !== null) return;
  const known = ledger.lastFacts.get(node);
  const configured = config.nodes.find(({ id }) => id === node);
  if (known === undefined || configured === undefined)
    return wrong("unfit", "is of a node never seen");
  const { facts, virtualMs } = known;
  if (facts.loading) wrong("unfit", "is of one that loads its data");
  if (facts.syncing) wrong("unfit", "is of one in its first synchronisation");
  if ((configured.priority ?? facts.priority) === 0) wrong("unfit", "is of one with priority 0");
  const behind = surelyBehind(life, before, facts);
  if (config.maxLagBytes > 0 && behind > config.maxLagBytes)
    wrong("unfit", `is of one that is ${behind} bytes behind what ${from.id} was seen to have`);
  const lastUpMs = ledger.lastUp.get(from.id);
  if (facts.role !== "replica" || facts.linkUp || lastUpMs === undefined) return;
  if (facts.linkDownMs === null || config.maxLinkDownMs === 0) return;
  const brokenMs = virtualMs - facts.linkDownMs;
  const aloneMs = lastUpMs - brokenMs;
  // Only what this life could see: an older one may have died before it noticed.
  const watched = life.sinceMs + 2 * config.checkIntervalMs < brokenMs;
  const seen = streamsOf(life, from.id, config.vantages[0] ?? "").length > 0;
  if (watched && seen && aloneMs > config.maxLinkDownMs + 2000 + 2 * config.checkIntervalMs)
    wrong(
      "stale-replica",
      `is of one whose link was down for ${aloneMs} ms while ${from.id} was up`,
    );
}
