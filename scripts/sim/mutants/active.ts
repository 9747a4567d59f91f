/**
 * Defects of active-active groups: who is healthy, who is used, when it is gone back to, and what people said.
 */
import { core, type Mutant } from "./mutant.ts";

const active = (mutant: Omit<Mutant, "mode">): Mutant => ({ ...mutant, mode: "active-active" });

export const activeMutants: readonly Mutant[] = [
  // who is healthy
  active({
    name: "one vantage that sees it up is enough",
    file: core("active-health"),
    find: "count * 2 > eyes && count > verdict.down;",
    replace: "count > 0;",
    scene: "seen up again by half of the vantages",
  }),
  active({
    name: "one vantage that sees it down is enough",
    file: core("active-health"),
    find: "if (verdict.odown && ",
    replace: "if (verdict.down >= 1 && ",
    scene: "one vantage is wrong about the one in use",
  }),
  active({
    name: "one vantage that calls it a replica is enough",
    file: core("active-health"),
    find: "if (told(isReplica)) return",
    replace: "if (beliefs.some(isReplica)) return",
    scene: "one vantage is wrong about the one in use",
  }),
  active({
    name: "one that nobody judged yet is left",
    file: core("steering"),
    find: "if (active.healthy === null) return { state, change: null };",
    replace: "if (nowMs < 0) return { state, change: null };",
    scene: "reset while the one in use is silent for a moment",
  }),
  active({
    name: "one in downtime is used",
    file: core("active-health"),
    find: "if (downtime !== undefined) return",
    replace: "if (downtime?.reason === '') return",
    scene: "the one in use is in downtime",
  }),
  active({
    name: "a row for every look",
    file: core("active-health"),
    find: "if (JSON.stringify(next) !== JSON.stringify(draft.saved.steering))",
    replace: "if (next !== draft.saved.steering)",
  }),
  // who is used
  active({
    name: "one that cannot be used is not left",
    file: core("steering"),
    find: "if (!active.healthy) {",
    replace: "if (active.weight < 0) {",
    scene: "the one in use dies, and comes back",
  }),
  active({
    name: "one in its grace is not better than nobody",
    file: core("steering"),
    find: " ?? heaviest(healthy);",
    replace: ";",
    scene: "the only other one is in its grace",
  }),
  active({
    name: "any healthy one is used, not the heaviest",
    file: core("steering"),
    find: "found === undefined || each.weight > found.weight ? each : found",
    replace: "found ?? each",
    scene: "the one in use dies, and comes back",
  }),
  active({
    name: "all healthy is as good as a majority",
    file: core("active-active"),
    find: "{ all: members.length, majority:",
    replace: "{ all: 1, majority:",
  }),
  active({
    name: "the first healthy one is used, whatever the policy",
    file: core("active-active"),
    find: "if (healthy < needed) {",
    replace: "if (healthy < 1) {",
  }),
  active({
    name: "a pause holds nothing",
    file: core("active-active"),
    find: "if (paused === null) return false;",
    replace: "if (paused === null || paused.sinceMs > 0) return false;",
    scene: "paused, the one in use dies",
  }),
  active({
    name: "what is only observed is steered",
    file: core("active-active"),
    find: "else if (config.observeOnly) observe(draft, config);",
    replace: "else if (draft.config.name === '') observe(draft, config);",
    scene: "observed, the one in use dies",
  }),
  active({
    name: "a switch keeps its epoch",
    file: core("active-active"),
    find: "const epoch = saved.highestEpoch + 1;",
    replace: "const epoch = Math.max(1, saved.highestEpoch);",
  }),
  // failback
  active({
    name: "a look that failed does not begin the grace again",
    file: core("active-health"),
    find: "healthy === true ? failedLookAtMs(draft,",
    replace: "healthy !== healthy ? failedLookAtMs(draft,",
    scene: "a heavier one is bad once more within its grace",
  }),
  active({
    name: "the grace does not begin when it is well again",
    file: core("active-health"),
    find: "null : nowMs };",
    replace: "null : was.failedAtMs };",
    scene: "a heavier one was down for longer than the grace",
  }),
  active({
    name: "nobody waits for the grace",
    file: core("steering"),
    find: "failedAtMs === null || nowMs - failedAtMs >= gracePeriodMs;",
    replace: "failedAtMs === null || nowMs >= gracePeriodMs;",
    scene: "a heavier one is bad once more within its grace",
  }),
  active({
    name: "it is gone back to at once",
    file: core("steering"),
    find: "nowMs - state.switchedAtMs >= intervalMs) {",
    replace: "nowMs - state.switchedAtMs >= 0) {",
    scene: "a heavier one is back long before the interval is over",
  }),
  active({
    name: "one that weighs as much is gone back to",
    file: core("steering"),
    find: "if (next !== undefined && next.weight > active.weight)\n      return switched(",
    replace:
      "if (next !== undefined && next.weight >= active.weight && next.id !== active.id)\n      return switched(",
  }),
  active({
    name: "it is gone back to though that is off",
    file: core("steering"),
    find: "if (intervalMs > 0 && nowMs",
    replace: "if (intervalMs >= 0 && nowMs",
    scene: "nobody is gone back to where that is off",
  }),
  // people
  active({
    name: "a pin holds nothing",
    file: core("steering"),
    find: "if (isPinned(state)) return { state: refreshed(",
    replace: "if (nowMs < 0) return { state: refreshed(",
    scene: "pinned, evicted, and the pinned one dies",
  }),
  active({
    name: "a pin is lost with the Group",
    file: core("saved"),
    find: "    ...raw,\n    published,\n",
    replace: "    ...raw,\n    steering: null,\n    published,\n",
    scene: "pinned, evicted, and the pinned one dies",
  }),
  active({
    name: "one that is down is chosen by hand",
    file: core("steering"),
    find: 'if (member.healthy !== true) return { kind: "unhealthy" };',
    replace: 'if (member.healthy === null) return { kind: "unhealthy" };',
    scene: "one that is down is chosen by hand",
  }),
  active({
    name: "one that is down is used when it weighs more",
    file: core("steering"),
    find: "const next = heaviest(asked.filter(({ healthy }) => healthy === true));",
    replace: "const next = heaviest(asked);",
    scene: "one that is down is chosen by hand",
  }),
  active({
    name: "a weight breaks a pin",
    file: core("steering"),
    find: "if (!heavier || isPinned(state)) return { state, change: null };",
    replace: "if (!heavier) return { state, change: null };",
    scene: "pinned, evicted, and the pinned one dies",
  }),
  active({
    name: "the last node is taken out",
    file: core("steering"),
    find: 'if (rest.length === 0) return { kind: "last" };',
    replace:
      'if (rest.length === 0) return { kind: "done", state: { ...before, active: null, members: rest }, change: null };',
    scene: "nodes are added and taken out, the one in use as well",
  }),
  active({
    name: "the one in use is taken out though nobody else is healthy",
    file: core("steering"),
    find: 'if (next === undefined) return { kind: "unhealthy" };',
    replace:
      'if (next === undefined) return { kind: "done", state: { ...before, members: rest }, change: null };',
    scene: "the one in use is taken out, and nobody else is healthy",
  }),
  active({
    name: "what people changed is lost at the next decision",
    file: core("overlay"),
    find: "if (isEmpty(overlay)) return saved;",
    replace: "if (!isEmpty(overlay)) return { ...saved, overlay: noOverlay };",
    scene: "a weight is changed, and a deploy says another",
  }),
  active({
    name: "no deploy overtakes what people changed",
    file: core("overlay"),
    find: "return node?.weight === over && !removed.includes(id);",
    replace: "return node !== undefined && over > 0 && !removed.includes(id);",
    scene: "a weight is changed, and a deploy says another",
  }),
  active({
    name: "one that was taken out stays out, also when it was deployed anew",
    file: core("overlay"),
    find: "overlay.removed.filter((id) => deployed(id) !== undefined);",
    replace: "overlay.removed;",
    scene: "nodes are added and taken out, the one in use as well",
  }),
  // nobody is healthy
  active({
    name: "it is never called permanent",
    file: core("steering"),
    find: "const isOver = attempts > rules.failoverAttempts;",
    replace: "const isOver = attempts > 1e9 + rules.failoverAttempts;",
    scene: "all die, for now and then for good",
  }),
  active({
    name: "it is called permanent at once",
    file: core("steering"),
    find: "const isOver = attempts > rules.failoverAttempts;",
    replace: "const isOver = attempts > 0 * rules.failoverAttempts;",
    scene: "all die, for now and then for good",
  }),
  // nothing is done to Redis
  active({
    name: "relays seal whoever is not used",
    file: core("repair"),
    find: '  mode === "replication" &&\n  epoch > 0 &&',
    replace: "  mode !== undefined &&\n  epoch > 0 &&",
  }),
  active({
    name: "whoever is not used is demoted",
    file: core("decide"),
    find: "steer(draft, config);\n    else replicate(",
    replace: "steer(draft, config);\n    replicate(",
  }),
];
