/**
 * What was seen and not decided on yet: looks under way at every place, and what relays tell of their own accord.
 *
 * Promises: a pair of a place has at most one look under way; one call is as slow as the slowest that it is about, and
 * lost with it, so who is away, who did not answer last time, and whose call was lost is asked by calls of their own;
 * a region's answer is waited for as long as its way is; who is away holds up nobody, and what comes from there in the
 * end is not lost; what is told is ready at once, and cannot keep the Group from looking.
 * Must never: judge what was seen.
 */
import type { VantageReport } from "../core/looking.ts";
import { effectiveConfig } from "../core/membership.ts";
import { awaitedBy } from "../core/sight.ts";
import type { State } from "../core/state.ts";
import type { GroupConfig, Observation } from "../core/types.ts";
import type { Pair } from "../probe/look.ts";
import { GROUP, keyOf, type PlacePair, placesOf } from "./orders.ts";
import { waitFor, wayAfterAnswer, wayAfterLoss } from "./way.ts";

/** What came of one call, by the Group's clock. */
export type Heard = {
  readonly observations: readonly Observation[];
  /** How the place itself did; null: nothing to say of it. */
  readonly report: VantageReport | null;
  /** What the way there and back took; null: not known. */
  readonly wayMs: number | null;
};

/** One call, and the pairs that it is about. Never rejects, and ends when its question says. */
export type Asked = { readonly pairs: readonly Pair[]; readonly heard: Promise<Heard> };

export type Question = {
  readonly config: GroupConfig;
  readonly epoch: number;
  /** The Group itself, or a region. */
  readonly from: string;
  readonly pairs: readonly Pair[];
  /** How long its answer is waited for. */
  readonly forMs: number;
};

/** Starts a look of one place, at once. */
export type Ask = (question: Question) => readonly Asked[];

type Call = { readonly from: string; readonly pairs: readonly Pair[]; awaited: boolean };

/**
 * After so many calls in a row that were lost each node and each relay is asked alone, for once: of those that are lost
 * together one may be the reason. Not more often: a region that is gone would be asked many times for nothing.
 */
const ALONE = { after: 2, every: 8 };

/** @param returned is called when a node is back that nobody waited for. */
export function createLookout(ask: Ask, returned: () => void) {
  const calls = new Map<Call, Promise<void>>();
  const underWay = new Set<string>();
  /** Pairs that saw nobody at their last look that was answered. */
  const unseen = new Set<string>();
  /** Pairs whose last call was lost, and how many in a row. */
  const lost = new Map<string, number>();
  /** To each region and back. */
  const waysMs = new Map<string, number>();
  let seen: Observation[] = [];
  const reports = new Map<string, VantageReport>();
  /** Something was told since it was last taken. */
  let news = false;
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  let ready = () => {};

  function isReady(): boolean {
    if (news) return true;
    for (const { awaited } of calls.keys()) if (awaited) return false;
    return true;
  }

  /** Pairs of one call share it: those that are away, that were seen, and that were not; and of each who was lost. */
  function shareOf({ vantage, node, key }: PlacePair, from: string, awaited: boolean): string {
    const times = lost.get(key) ?? 0;
    if (times % ALONE.every === ALONE.after)
      return vantage === from ? `at ${node}` : `by ${vantage}`;
    return awaited ? `${unseen.has(key)} ${times > 0}` : "away";
  }

  function start(question: Question, pairs: readonly PlacePair[], awaited: boolean): void {
    const { from } = question;
    const shares = Map.groupBy(pairs, (pair) => shareOf(pair, from, awaited));
    for (const share of shares.values())
      for (const asked of ask({ ...question, pairs: share })) {
        const call = { from, pairs: asked.pairs, awaited };
        calls.set(call, follow(call, asked.heard));
      }
  }

  async function follow(call: Call, heard: Promise<Heard>): Promise<void> {
    const keys = call.pairs.map((pair) => keyOf(call.from, pair));
    for (const key of keys) underWay.add(key);
    const { observations, report, wayMs } = await heard;
    calls.delete(call);
    for (const key of keys) underWay.delete(key);
    seen.push(...observations);
    if (report !== null) note(report);
    const before = waysMs.get(call.from);
    const isLost = report?.whereabouts === null;
    if (isLost) waysMs.set(call.from, wayAfterLoss(before));
    else if (wayMs !== null) waysMs.set(call.from, wayAfterAnswer(before, wayMs));
    let back = false;
    for (const key of keys)
      if (isLost) lost.set(key, (lost.get(key) ?? 0) + 1);
      else back = lost.delete(key) || back;
    // Who failed there is the region, and not whom it was asked about.
    if (!isLost) back = notice(observations) || back;
    if (isReady()) ready();
    if (back && !call.awaited) returned();
  }

  /** Whether anybody is seen again. */
  function notice(observations: readonly Observation[]): boolean {
    let back = false;
    for (const saw of observations) {
      const key = keyOf(saw.from, saw);
      if (saw.facts === null && saw.class !== "up") unseen.add(key);
      else back = unseen.delete(key) || back;
    }
    return back;
  }

  /** A region that is asked twice in one look, because somebody is away, has answered if it answered once. */
  function note(report: VantageReport): void {
    const other = reports.get(report.vantage);
    if (report.whereabouts === null && other !== undefined && other.whereabouts !== null) return;
    reports.set(report.vantage, report);
  }

  return {
    /** Looks at everything; ends when everyone has answered who is waited for, or something was told. */
    async look({ saved, sight }: State, config: GroupConfig, nowMs: number): Promise<void> {
      const whole = effectiveConfig(saved, config);
      const awaits = awaitedBy(sight.away, whole);
      /** A region that is away itself answers about nobody. */
      const isAwaited = (from: string, { vantage, node }: Pair) =>
        awaits({ vantage, node }) &&
        (from === GROUP || from === vantage || awaits({ vantage: from, node }));
      for (const call of calls.keys())
        call.awaited = call.pairs.some((pair) => isAwaited(call.from, pair));
      // What is told all the time is decided on all the time, and must not be asked for as often.
      if (!news || nowMs - lookedAtMs >= config.retryMs) {
        lookedAtMs = nowMs;
        for (const { from, pairs } of placesOf(whole)) {
          const timeoutMs = whole.probeTimeoutMs;
          const forMs = from === GROUP ? timeoutMs : waitFor(waysMs.get(from), timeoutMs);
          const question = { config: whole, epoch: saved.epoch, from, pairs, forMs };
          const free = pairs.filter(({ key }) => !underWay.has(key));
          const [awaited, away]: [PlacePair[], PlacePair[]] = [[], []];
          for (const pair of free) (isAwaited(from, pair) ? awaited : away).push(pair);
          start(question, awaited, true);
          start(question, away, false);
        }
      }
      if (isReady()) return;
      await new Promise<void>((resolve) => {
        ready = resolve;
      });
    },

    /** Ends when everyone has answered who was asked, or did not within the time of a look. */
    async rest(): Promise<void> {
      await Promise.all(calls.values());
    },

    tell(observations: readonly Observation[]): void {
      seen.push(...observations);
      // A beat that repeats that all is well ends no look: what the look brings is more.
      if (observations.every((saw) => saw.class === "up" && saw.pushed?.news !== true)) return;
      news = true;
      ready();
    },

    /** Everything that came since it was last taken. */
    take(): {
      readonly observations: readonly Observation[];
      readonly vantages: readonly VantageReport[];
    } {
      const taken = { observations: seen, vantages: [...reports.values()] };
      seen = [];
      reports.clear();
      news = false;
      return taken;
    },
  };
}
