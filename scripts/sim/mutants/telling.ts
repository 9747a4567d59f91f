/**
 * Defects in telling: webhooks, slow looks at what publishers hold, receipts.
 */
import { core, type Mutant } from "./mutant.ts";

const SLOW = "a replica is away for a moment, and the provider is slow";

export const tellingMutants: readonly Mutant[] = [
  // notices
  {
    name: "a webhook that does not answer counts as told",
    file: core("notices"),
    find: 'if (kind === "done") {',
    replace: 'if (kind === "done" || kind === "unknown") {',
  },
  {
    name: "webhooks are told while a primary is being replaced",
    file: core("notices"),
    find: "  if (BUSY.includes(phase.kind)) return;\n",
    replace: "",
  },
  {
    name: "each try at a webhook has an id of its own",
    file: core("notices"),
    find: "notice: notice.id,",
    replace: 'notice: [notice.id, notice.tries].join("."),',
  },
  {
    name: "one event has another id for each webhook",
    file: core("notices"),
    find: "notices.push({ id, to: name,",
    replace: 'notices.push({ id: [id, name].join("."), to: name,',
  },
  {
    name: "a webhook that asks for a little time is tried again after that alone",
    file: core("notices"),
    find: "const pausedUntilMs = Math.max(draft.nowMs + pauseMs, retryAtMs);",
    replace: "const pausedUntilMs = retryAtMs > 0 ? retryAtMs : draft.nowMs + pauseMs;",
    also: [
      {
        file: core("notices"),
        find: "const nextAtMs = draft.nowMs + backoffMs(notice, tries);",
        replace:
          "const nextAtMs = retryAtMs > 0 ? retryAtMs : draft.nowMs + backoffMs(notice, tries);",
      },
    ],
  },
  {
    name: "a webhook that asks for much time is tried again before",
    file: core("notices"),
    find: "const pausedUntilMs = Math.max(draft.nowMs + pauseMs, retryAtMs);",
    replace: "const pausedUntilMs = draft.nowMs + pauseMs;",
  },
  {
    name: "one that fails at a webhook holds up nothing else there",
    file: core("notices"),
    find: "const dueAtMs = Math.max(notice.nextAtMs, failing[notice.to]?.pausedUntilMs ?? 0);",
    replace: "const dueAtMs = notice.nextAtMs;",
  },
  {
    name: "with a webhook that is gone goes what others are to be told",
    file: core("notices"),
    find: "(isGone ? each.to === about : each === notice && tries >= TRIES);",
    replace: "isGone || (each === notice && tries >= TRIES);",
    scene: "one webhook is gone, the other takes nothing",
  },
  {
    name: "several tries at one webhook at once",
    file: core("notices"),
    find: "    if (under.some(({ about }) => about === notice.to)) continue;\n",
    replace: "    if (under.some(({ key }) => key === notice.id)) continue;\n",
  },
  // the queue over evictions
  {
    name: "the queue of notices is lost with the Group",
    file: core("saved"),
    find: "    ...raw,\n    published,\n",
    replace: "    ...raw,\n    notices: [],\n    published,\n",
  },
  {
    name: "who asked for time is forgotten with the Group",
    file: core("saved"),
    find: "    ...raw,\n    published,\n",
    replace: "    ...raw,\n    failing: {},\n    published,\n",
  },
  {
    name: "a try that the Group did not live to hear of is never ended",
    file: core("decide"),
    find: 'if (kind === "notify" || kind === "publish") {\n      save(draft,',
    replace:
      'if (kind === "notify" || kind === "publish") {\n      if (kind === "publish") save(draft,',
    also: [
      {
        file: core("decide"),
        find: "  for (const { id, kind, deadlineMs } of draft.saved.pending)\n    if (deadlineMs + graceOf(kind, config) <= nowMs) {",
        replace:
          '  for (const { id, kind, deadlineMs } of draft.saved.pending)\n    if (kind !== "notify" && deadlineMs + graceOf(kind, config) <= nowMs) {',
      },
    ],
  },
  // slow looks
  {
    name: "KV is looked at before it has settled",
    file: core("publishing"),
    find: "settlesMs: KV_SETTLES_MS,",
    replace: "settlesMs: KV_GAP_MS,",
  },
  {
    name: "publishers are looked at while a primary is being replaced",
    file: core("publishing"),
    find: 'return saved.phase.kind === "watching" && saved.routeState === "up" && nowMs >= dueAtMs;',
    replace: "return nowMs >= dueAtMs;",
  },
  {
    name: "what is only to be told is set right",
    file: core("publishing"),
    find: "publish(draft, rule, route, key, draft.config.drift);",
    replace: 'publish(draft, rule, route, key, "repair");',
  },
  {
    name: "a look that finds nothing is not noted",
    file: core("publishing"),
    find: "const right = { ...before, checkedAtMs: nowMs, drift: null, problem: null };",
    replace: "const right = { ...before, drift: null, problem: null };",
  },
  {
    name: "what was put back by hand is told as wrong for ever",
    file: core("publishing"),
    find: "const right = { ...before, checkedAtMs: nowMs, drift: null, problem: null };",
    replace: "const right = { ...before, checkedAtMs: nowMs, problem: null };",
  },
  {
    name: "a record is what it was before a write that nobody confirmed",
    file: core("publishing"),
    find: "    key: null,\n    tried: key,",
    replace: "    tried: key,",
    scene: SLOW,
  },
  {
    name: "after a clock that went back nothing is published for as long",
    file: core("moments"),
    find: "[a-zA-Z]+(At|Until))Ms$/;",
    replace: "[a-zA-Z]+At|sendUntil)Ms$/;",
  },
  {
    name: "a record whose writing the Group did not live to hear of is what it was before",
    file: core("publishing"),
    find: "const after = { ...before, key: null, pausedUntilMs",
    replace: "const after = { ...before, pausedUntilMs",
    scene: SLOW,
  },
  // receipts
  {
    name: "what is taken is done",
    file: core("publishing"),
    find: 'if (outcome.kind === "done")\n    return { ...nothingPublished, key,',
    replace:
      'if (outcome.kind === "done" || text !== undefined)\n    return { ...nothingPublished, key,',
    scene: SLOW,
  },
  {
    name: "the receipt of one route is asked for with another",
    file: core("publishing"),
    find: "receipt: receipt?.key === key ? receipt.text : null,",
    replace: "receipt: receipt?.text ?? null,",
    scene: SLOW,
  },
  {
    name: "what is taken is asked for at the pace of a failure",
    file: core("publishing"),
    find: "nextAtMs: Math.max(nowMs + backoffMs(failures), retryAtMs),",
    replace: "nextAtMs: nowMs + backoffMs(failures),",
    scene: SLOW,
  },
  // nothing waits for either
  {
    name: "what an older route waits for holds up the next one",
    file: core("publishing"),
    find: "done.tried === key ? done.nextAtMs : 0,",
    replace: "done.nextAtMs,",
    scene: "KV failed for long, and the primary dies",
  },
  {
    name: "the others are repointed when KV has the route",
    file: core("promotion"),
    find: "  const { attempt } = phase;\n  const deadlineMs = draft.nowMs + draft.config.failoverTimeoutMs;",
    replace:
      '  const { attempt } = phase;\n  if (draft.saved.pending.some(({ kind }) => kind === "publish")) {\n    draft.because = "publishing";\n    return;\n  }\n  const deadlineMs = draft.nowMs + draft.config.failoverTimeoutMs;',
  },
  {
    name: "no failover begins while a webhook is being told",
    file: core("hold"),
    find: "  if (saved.paused !== null)\n",
    replace:
      '  if (saved.pending.some(({ kind }) => kind === "notify"))\n    return hold("telling", "a webhook is being told");\n  if (saved.paused !== null)\n',
  },
  {
    name: "nobody is promoted while a webhook is being told",
    file: core("failover"),
    find: 'const asked = isPending(draft, "permit", "fleet");',
    replace:
      'const asked = saved.pending.some(({ kind }) => kind === "permit" || kind === "notify");',
  },
];
