/**
 * Rules about the state itself: it stays small, no belief grows younger, no phase lasts for ever, replies come.
 */
import type { Judged } from "./attempts.ts";
import { type Ledger, type Sighted, violate } from "./ledger.ts";

/** What is asked of the nodes as they are, not of the Group. */
const OF_NODES = [
  ...["failover", "switchover", "bootstrap", "acknowledge", "select", "remove-node"],
];

export function checkState(ledger: Ledger, judged: Judged): void {
  checkSizes(ledger, judged);
  checkBeliefs(ledger, judged);
  checkPhase(ledger, judged);
  if (!ledger.isActive) checkStrangers(ledger, judged);
  const { decision, nowMs, input } = judged;
  const waitMs = decision.wakeAtMs - nowMs;
  if (!(waitMs >= 0 && waitMs <= 60_000))
    violate(ledger, "wake", `the next look is in ${waitMs} ms`);
  if (decision.because === "") violate(ledger, "because", "a decision says nothing");
  const { lookAskedAtMs: lookedAtMs, tiltUntilMs } = decision.state.sight;
  const lookAskedAtMs = lookedAtMs ?? 0;
  const passive = judged.tilt || (tiltUntilMs ?? 0) > nowMs;
  for (const { id, kind, askedAtMs = 0 } of input.requests) {
    const answered = decision.replies.some((reply) => reply.id === id);
    // While the clock cannot be trusted no look is later than a question, and nothing is done anyway.
    const unseen = !passive && OF_NODES.includes(kind) && lookAskedAtMs < askedAtMs;
    if (answered === unseen)
      violate(
        ledger,
        "reply",
        `${kind}, asked at ${askedAtMs}, is ${answered ? "" : "not "}answered on looks from ${lookAskedAtMs} on`,
      );
  }
}

function checkSizes(ledger: Ledger, { decision, config, input }: Judged): void {
  const { saved, sight } = decision.state;
  const nodes = config.nodes.length + 2;
  const all = nodes + config.relays.length + 3;
  const limits: readonly (readonly [string, number, number])[] = [
    ["pending", saved.pending.length, 8 * all],
    ["told", sight.told.length, 20 + nodes * (2 * config.vantages.length + 6)],
    ["sentAtMs", Object.keys(sight.sentAtMs).length, 8 * all],
    ["failed", Object.keys(sight.failed).length, 8 * all],
    ["since", Object.keys(sight.since).length, 6 * all],
    ["replicaRunIds", Object.keys(saved.replicaRunIds).length, 2 * nodes],
    ["maybePromoted", saved.maybePromoted.length, nodes],
    ["keptNodes", saved.keptNodes.length, nodes],
    ["readable", saved.readable.length, nodes],
    ["notices", saved.notices.length, 100 * config.webhooks.length],
    ["published", Object.keys(saved.published).length, 4],
    ["downtimes", Object.keys(saved.downtimes).length, nodes],
    ["failoversAtMs", saved.failoversAtMs.length, 200],
    ["phases", saved.phase.kind === "watching" ? 0 : saved.phase.attempt.phases.length, 8],
    ["actions", decision.actions.length, 4 * all],
    ["events", decision.events.length, 30 + 12 * all + 4 * input.requests.length],
  ];
  for (const [what, size, most] of limits)
    if (size > most)
      violate(ledger, "unbounded", `${what} has ${size}, at most ${most} make sense`);
}

/** Of a node nothing is believed that is older than what was believed before, or of an older epoch. */
function checkBeliefs(ledger: Ledger, { before, state, decision, input, nowMs }: Judged): void {
  const after = decision.state.sight;
  // The clock went back, or nobody looked for long: what was believed is forgotten.
  const restarts = nowMs < (state.sight.lastDecisionAtMs ?? 0);
  for (const [node, beliefs] of Object.entries(after.nodes)) {
    const was = state.sight.nodes[node];
    for (const [vantage, belief] of Object.entries(beliefs)) {
      const old = was?.[vantage];
      if (belief.atMs > nowMs)
        violate(ledger, "stale-look", `${vantage} of ${node} is from the future`);
      if (old !== undefined && !restarts && belief.askedAtMs < old.askedAtMs)
        violate(ledger, "stale-look", `${vantage} of ${node} is older than what was believed`);
    }
  }
  for (const seen of input.observations as readonly Sighted[]) {
    if (seen.epoch >= before.epoch) continue;
    const belief = after.nodes[seen.node]?.[seen.vantage];
    // It may have been believed in its time.
    const known = state.sight.nodes[seen.node]?.[seen.vantage]?.atMs === seen.atMs;
    const taken =
      !known && belief?.atMs === seen.atMs && belief.askedAtMs === seen.atMs - seen.tookMs;
    const other = input.observations.some(
      (each) =>
        each !== seen &&
        each.node === seen.node &&
        each.vantage === seen.vantage &&
        each.atMs === seen.atMs &&
        each.epoch >= before.epoch,
    );
    if (taken && !other)
      violate(ledger, "stale-look", `a look of epoch ${seen.epoch} is believed at ${before.epoch}`);
  }
}

/** Every phase has a deadline and a way out, also when nobody answers. */
function checkPhase(ledger: Ledger, { decision, config, tilt, life, nowMs }: Judged): void {
  const { phase } = decision.state.saved;
  if (phase.kind === "watching") {
    ledger.phase = null;
    return;
  }
  const { epoch } = phase.attempt;
  const same = ledger.phase?.kind === phase.kind && ledger.phase.epoch === epoch;
  const gapMs = life.lastDecisionMs === null ? 0 : ledger.nowMs - life.lastDecisionMs;
  // Time counts while it looks: neither sleep nor a clock that cannot be trusted is the phase's fault.
  const passive = tilt || (decision.state.sight.tiltUntilMs ?? 0) > nowMs;
  const ran = passive ? 0 : Math.min(gapMs, 2 * config.checkIntervalMs + 2000);
  const ranMs = same ? (ledger.phase?.ranMs ?? 0) + ran : 0;
  ledger.phase = { kind: phase.kind, epoch, ranMs };
  const spare =
    5000 + 3 * config.checkIntervalMs + config.commandTtlMs + 4 * config.commandTimeoutMs;
  const most: Readonly<Record<typeof phase.kind, number>> = {
    fencing: 30_000 + 1.02 * config.leaseMs + 1000,
    electing: Math.max(config.probeTimeoutMs + config.fenceWaitMs, config.switchoverTimeoutMs),
    switching: 30_000,
    promoting: config.promoteTimeoutMs,
    publishing: config.commandTimeoutMs,
    repointing: config.failoverTimeoutMs,
  };
  if (ranMs > most[phase.kind] + spare)
    violate(
      ledger,
      "stuck-phase",
      `${phase.kind} at epoch ${epoch} lasts for ${Math.round(ranMs)} ms of looking`,
    );
}

/** A primary that is not the one in force does not stay open while somebody beside it could seal it. */
function checkStrangers(ledger: Ledger, judged: Judged): void {
  const { decision, config, input, paused, tilt, life } = judged;
  const { saved } = decision.state;
  const stands = ledger.lastFacts.get(saved.primary ?? "");
  const quiet = paused || tilt || config.observeOnly || saved.phase.kind !== "watching";
  const inForce = stands?.facts.role === "primary" && stands.virtualMs >= ledger.nowMs - 8000;
  for (const { id } of config.nodes) {
    const local = config.relays.find((relay) => relay.local.includes(id));
    const seen = input.observations.find(
      (each) => each.node === id && each.vantage === `relay:${local?.id}` && each.from === "group",
    );
    const open =
      id !== saved.primary &&
      seen?.class === "up" &&
      seen.facts?.role === "primary" &&
      (seen.facts.minReplicasToWrite ?? 0) < 1_000_000;
    const was = life.openSince.get(id);
    if (!open || quiet || !inForce) {
      life.openSince.delete(id);
      continue;
    }
    const now = { since: was?.since ?? ledger.nowMs, looks: (was?.looks ?? 0) + 1 };
    life.openSince.set(id, now);
    const mostMs = 40_000 + 2 * config.checkIntervalMs;
    if (now.looks > 6 && ledger.nowMs - now.since > mostMs)
      violate(
        ledger,
        "old-primary-open",
        `${id} takes writes for ${ledger.nowMs - now.since} ms, and ${saved.primary} is in force`,
      );
  }
}
