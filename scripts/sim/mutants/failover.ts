/**
 * Defects in leases and seals, in the failover itself, and in what is told.
 */
import { core, type Mutant } from "./mutant.ts";

export const failoverMutants: readonly Mutant[] = [
  // lease and seal
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
    find: "if (facts.keys >= had * config.wipeKeepRatio && !doubtful)",
    replace: "if (facts.keys >= 0)",
  },
  // the failover
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
  // the route
  {
    name: "a changed route keeps its revision",
    file: core("publishing"),
    find: "rev: saved.rev + 1, routeAtMs: nowMs",
    replace: "rev: Math.max(1, saved.rev), routeAtMs: nowMs",
  },
  {
    name: "a publish that failed counts as done",
    file: core("publishing"),
    find: 'if (outcome.kind === "done")\n    return { ...nothingPublished, key,',
    replace: 'if (outcome.kind !== "unknown")\n    return { ...nothingPublished, key,',
  },
];
