/**
 * Deliberate defects, one a time: each is a piece of text that stands exactly once, and what stands there instead.
 *
 * Rules: a defect is what somebody could write by mistake; where two guards protect the same promise, both are
 * taken away, for one alone would change nothing.
 */
type Change = { readonly file: string; readonly find: string; readonly replace: string };

export type Mutant = Change & { readonly name: string; readonly also?: readonly Change[] };

const core = (file: string) => `worker/core/${file}.ts`;

export const mutants: readonly Mutant[] = [
  // ------------------------------------------------------------- evidence
  {
    name: "promotes without quorum",
    file: core("health"),
    find: "const odown = down >= config.quorum && down > up;",
    replace: "const odown = down >= 1;",
  },
  {
    name: "promotes when too few vantages answered",
    file: core("health"),
    find: "const authorised = heard * 2 > config.vantages.length;",
    replace: "const authorised = true;",
  },
  {
    name: "a short silence is death",
    file: core("health"),
    find: 'return badForMs >= config.downAfterMs ? "down" : "abstain";',
    replace: 'return badForMs >= config.downAfterMs / 4 ? "down" : "abstain";',
  },
  {
    name: "witnesses are ignored",
    file: core("health"),
    find: "if (firstBadAtMs === null || isWaived(primary, known, config)) return [];",
    replace: "return [];",
  },
  {
    name: "a stale witness is believed",
    file: core("health"),
    find: "return best.atMs - facts.lastIoMs > firstBadAtMs + 1000;",
    replace: "return facts.linkUp;",
    also: [
      {
        file: core("health"),
        find: "if (facts.lastIoMs === null || facts.lastIoMs > config.downAfterMs + PING_PERIOD_MS)",
        replace: "if (facts.lastIoMs === null)",
      },
    ],
  },
  {
    name: "a look of an older epoch is believed",
    file: core("sight"),
    find: "tookMs < 0 || epoch < epochs.inForce) return false;",
    replace: "tookMs < 0 || epoch < 0) return false;",
  },
  {
    name: "a look that comes late is believed",
    file: core("sight"),
    find: "const late = askedAtMs < (beliefs[seen.vantage]?.askedAtMs ?? 0);",
    replace: "const late = askedAtMs < 0;",
  },
  {
    name: "TILT is ignored",
    file: core("decide"),
    find: "const tilt = until !== null && nowMs < until && until - nowMs <= TILT_MS;",
    replace: "const tilt = false as boolean;",
  },
  // ---------------------------------------------------------------- holds
  {
    name: "a pause is ignored",
    file: core("hold"),
    find: "if (saved.paused !== null)",
    replace: "if (Date.parse('') > 0)",
  },
  {
    name: "a downtime is ignored",
    file: core("hold"),
    find: "if (downtime !== undefined)",
    replace: "if (downtime !== undefined && downtime.reason === '')",
  },
  {
    name: "observe-only is ignored",
    file: core("watching"),
    find: "  if (config.observeOnly) {\n    draft.because = `",
    replace: "  if (config.name === '') {\n    draft.because = `",
  },
  {
    name: "no cooldown",
    file: core("hold"),
    find: "if (waitMs > 0 && attemptOf(saved) === null)",
    replace: "if (waitMs > 1e12 && attemptOf(saved) === null)",
  },
  {
    name: "no limit of failovers in an hour",
    file: core("hold"),
    find: "if (config.maxFailoversPerHour > 0 && lately >= config.maxFailoversPerHour)",
    replace: "if (lately > 1e6)",
  },
  {
    name: "no wait after an attempt that was aborted",
    file: core("hold"),
    find: '    if (waitMs > 0)\n      return hold("retry"',
    replace: '    if (waitMs > 1e12)\n      return hold("retry"',
  },
  {
    name: "the brake is ignored",
    file: core("failover"),
    find: 'if (outcome.kind === "refused")',
    replace: 'if (outcome.detail === "never")',
  },
  // --------------------------------------------------------------- epochs
  {
    name: "the epoch is not raised",
    file: core("failover"),
    find: "const epoch = saved.highestEpoch + 1;",
    replace: "const epoch = Math.max(1, saved.highestEpoch);",
  },
  {
    name: "two candidates in one epoch",
    file: core("promotion"),
    find: 'begin(draft, { cause: "promotion-lost", target, why });',
    replace:
      'enter(draft, { kind: "electing", attempt: { ...attempt, target }, sinceMs: draft.nowMs, deadlineMs: draft.nowMs + 5000 });',
  },
  {
    name: "gives up after the promotion was sent",
    file: core("promotion"),
    find: "    return lost(draft, attempt, text);",
    replace:
      '    save(draft, { epoch: attempt.epoch, rev: 0 });\n    draft.because = text;\n    return enter(draft, { kind: "watching" });',
  },
  {
    name: "a renamed primary keeps its epoch",
    file: core("membership"),
    find: "const epoch = saved.highestEpoch + 1;",
    replace: "const epoch = saved.epoch;",
  },
  {
    name: "a primary that is removed is forgotten",
    file: core("membership"),
    find: "  if (kept.length === 0) return config;\n",
    replace: "  return config;\n",
  },
  // ---------------------------------------------------------- saving, acting
  {
    name: "acts before it saves",
    file: "scripts/sim/world/group.ts",
    find: "  if (!save(world, group, decision)) return;\n",
    replace:
      "  for (const action of decision.actions) send(world, group, action);\n  if (!save(world, group, decision)) return;\n",
  },
  {
    name: "an action is not written down",
    file: core("draft"),
    find: "pending: [...draft.saved.pending, pending],",
    replace: "pending: draft.saved.pending,",
  },
  {
    name: "an action without an outcome is waited for without end",
    file: core("decide"),
    find: "if (deadlineMs + graceOf(kind, config) <= nowMs) {",
    replace: "if (deadlineMs + graceOf(kind, config) <= 0) {",
  },
  // --------------------------------------------------------------- the relay
  {
    name: "the relay takes an old stamp",
    file: "worker/relay/fence.ts",
    find: "  const stale = staleness(request.body.stamp, clock);",
    replace: "  const stale = request.node === '' ? staleness(request.body.stamp, clock) : null;",
  },
  {
    name: "the relay takes a lower epoch",
    file: "worker/relay/fence.ts",
    find: '  if (epoch < held.epoch) return refused("epoch"',
    replace: '  if (epoch < 0) return refused("epoch"',
  },
  {
    name: "the relay acts before it was told an epoch",
    file: "worker/relay/fence.ts",
    find: "const held = journal.groups.get(group);\n  if (held === undefined) {",
    replace:
      "const held = journal.groups.get(group) ?? { epoch: 0, primary: null };\n  if (group === '') {",
  },
  {
    name: "the relay does a repeated action again",
    file: "worker/relay/fence.ts",
    find: "  if (known !== undefined) return repeated(known, request);\n",
    replace: "",
  },
  // ------------------------------------------------------------ lease and seal
  {
    name: "a revoked lease is not waited for",
    file: core("failover"),
    find: "  return leaseEndMs(saved.revokedAtMs, { leaseMs: saved.leases.longestMs });",
    replace: "  return saved.revokedAtMs;",
  },
  {
    name: "leases are granted after they were revoked",
    file: core("lease"),
    find: "  if (saved.revokedAtMs !== null)\n",
    replace: "  if (saved.group === '')\n",
  },
  {
    name: "a stranger is not sealed",
    file: core("repair"),
    find: '    if (firstSight) sendVerb(draft, "seal", id);\n    else repairBy(draft, "seal", id);\n',
    replace: "",
  },
  {
    name: "a seal stays on after an abort",
    file: core("failover"),
    find: 'if (mayTakeWrites(draft, node)) sendVerb(draft, "unseal", node);',
    replace: "if (mayTakeWrites(draft, node)) continue;",
    also: [
      {
        file: core("unsealing"),
        find: "if (!isSealed(facts) || !mayTakeWrites(draft, id)) return;",
        replace: "return;",
      },
    ],
  },
  {
    name: "an emptied primary is opened",
    file: core("wipe"),
    find: "if (baseline === null || facts.keys >= baseline.keys * config.wipeKeepRatio)",
    replace: "if (facts.keys >= 0)",
  },
  // ------------------------------------------------------------- the failover
  {
    name: "elects without a fresh look",
    file: core("electing"),
    find: "if ((draft.sight.lookAskedAtMs ?? -1) < sinceMs) {",
    replace: "if (sinceMs < 0) {",
    also: [
      {
        file: core("decide"),
        find: "      return stepFencing(draft, phase);",
        replace:
          '      stepFencing(draft, phase);\n      if (draft.saved.phase.kind === "electing") stepElecting(draft, draft.saved.phase);\n      return;',
      },
    ],
  },
  {
    name: "promotes though the primary is up again",
    file: core("electing"),
    find: "if (!verdict.odown && up > 0 && nobodyWasPromoted(draft, sinceMs))",
    replace: "if (sinceMs < 0 && nobodyWasPromoted(draft, sinceMs))",
  },
  {
    name: "a link that was down disqualifies nobody",
    file: core("elect"),
    find: "if (rules.maxLinkDownMs > 0 && aloneMs > rules.maxLinkDownMs)",
    replace: "if (aloneMs > 1e12)",
  },
  {
    name: "publishes before the new primary was seen",
    file: core("electing"),
    find: "save(draft, { maybePromoted: [...new Set([...draft.saved.maybePromoted, chosen.id])] });",
    replace:
      "save(draft, { primary: chosen.id, epoch: attempt.epoch, rev: 0, maybePromoted: [...new Set([...draft.saved.maybePromoted, chosen.id])] });",
  },
  {
    name: "believes a promotion by its reply",
    file: core("promotion"),
    find: '  if (facts?.role === "primary")\n',
    replace:
      '  if (!isPending(draft, "promote", candidate) && nowMs > phase.sinceMs && draft.known[candidate]?.best?.facts)\n',
    also: [
      {
        file: core("promotion"),
        find: "const facts = factsAfter(draft, candidate, phase.sinceMs);",
        replace: "const facts = draft.known[candidate]?.best?.facts as never;",
      },
    ],
  },
  {
    name: "demotes before the new primary was seen",
    file: core("repair"),
    find: 'if (primary === null || head?.role !== "primary" || head.runId !== saved.primaryRunId) return [];',
    replace: "if (primary === null) return [];",
  },
  {
    name: "a planned switch has no end",
    file: core("switchover"),
    find: '  if (nowMs >= deadlineMs) return callOff(draft, phase, "it was not done in time");\n',
    replace: "",
    also: [
      {
        file: core("switchover"),
        find: "  if (nowMs >= giveUpAtMs)\n",
        replace: "  if (giveUpAtMs < 0)\n",
      },
    ],
  },
  {
    name: "a person's switch is fought",
    file: core("topology"),
    find: "return clean && followsNode(facts, other) ? other : null;",
    replace: "return clean && seen.length > 9 ? other : null;",
    also: [
      {
        file: core("topology"),
        find: 'return facts.runId === draft.saved.primaryRunId ? "made-replica" : "restarted-as-replica";',
        replace: 'return "restarted-as-replica";',
      },
    ],
  },
  // -------------------------------------------------------------- the route
  {
    name: "a changed route keeps its revision",
    file: core("publishing"),
    find: "rev: saved.rev + 1, routeAtMs: nowMs",
    replace: "rev: Math.max(1, saved.rev), routeAtMs: nowMs",
  },
  {
    name: "a publish that failed counts as done",
    file: core("publishing"),
    find: 'const done = outcome.kind === "done";',
    replace: 'const done = outcome.kind !== "refused";',
  },
];
