/**
 * Defects in epochs, in saving before acting, and in the relay's rules.
 */
import { core, type Mutant } from "./mutant.ts";

export const actingMutants: readonly Mutant[] = [
  // epochs
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
  // saving, acting
  {
    name: "acts before it saves",
    file: "scripts/sim/world/group.ts",
    find: "  if (!save(world, group, decision, input, nowMs)) return;\n",
    replace:
      "  for (const action of decision.actions) send(world, group, action);\n  if (!save(world, group, decision, input, nowMs)) return;\n",
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
  // the relay
  {
    name: "the relay takes an old stamp",
    file: "worker/relay/verbs/fence.ts",
    find: "  const stale = staleness(request.body.stamp, clock);",
    replace: "  const stale = request.node === '' ? staleness(request.body.stamp, clock) : null;",
  },
  {
    name: "the relay takes a lower epoch",
    file: "worker/relay/verbs/fence.ts",
    find: '  if (epoch < held.epoch) return refused("epoch"',
    replace: '  if (epoch < 0) return refused("epoch"',
  },
  {
    name: "the relay acts before it was told an epoch",
    file: "worker/relay/verbs/fence.ts",
    find: "const held = journal.groups.get(group);\n  if (held === undefined) {",
    replace:
      "const held = journal.groups.get(group) ?? { epoch: 0, primary: null };\n  if (group === '') {",
  },
  {
    name: "the relay does a repeated action again",
    file: "worker/relay/verbs/fence.ts",
    find: "  if (known !== undefined) return repeated(known, request);\n",
    replace: "",
  },
];
