/**
 * Defects in what is believed, and in what holds a failover.
 */
import { core, type Mutant } from "./mutant.ts";

export const evidenceMutants: readonly Mutant[] = [
  // evidence
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
  // holds
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
];
