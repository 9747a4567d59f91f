/**
 * Rules about publishers: what is believed to be written was written, when a slow look may be, what it may do, and
 * that it finds nothing but what somebody else did.
 */
import type { PublishAction } from "../../../worker/core/types.ts";
import { type Ledger, violate } from "./ledger.ts";
import { type Asked, askedIn, endedIn, isWithin, latest, type Saving } from "./saving.ts";

/** Readers of KV may see what was there before for as long. */
const KV_SETTLES_MS = 120_000;
/** What a look found is told by then. */
const TOLD_WITHIN_MS = 10_000;

type Known = {
  /** What it was last said to have written, and when; null: nobody knows what stands there. */
  key: string | null;
  writtenMs: number | null;
  lookedMs: number | null;
  /** It is to be left alone for so long: with all, or with what it took, or with looks. */
  asked: (Asked & { readonly binds: (order: PublishAction) => boolean }) | null;
  /** What it took, by its receipts. */
  readonly receipts: Map<string, string>;
};

export type Telling = Map<string, Known>;

/** What is true of a publisher. */
export type Stands = { readonly byHand: boolean; readonly rightAgainMs: number | null };

function knownOf({ telling }: Ledger, to: string): Known {
  const known = telling.get(to) ?? {
    key: null,
    writtenMs: null,
    lookedMs: null,
    asked: null,
    receipts: new Map(),
  };
  telling.set(to, known);
  return known;
}

export function checkTelling(
  ledger: Ledger,
  saving: Saving,
  standsOf: (to: string) => Stands | null,
): void {
  checkWritten(ledger, saving);
  checkEnded(ledger, saving);
  for (const action of saving.decision.actions)
    if (action.kind === "publish") checkOrder(ledger, saving, action);
  for (const { name, data, text } of saving.decision.events)
    if (name === "+drift") checkDrift(ledger, standsOf(String(data.publisher)), text);
}

/** Who is believed to have written something said so. */
function checkWritten(ledger: Ledger, saving: Saving): void {
  const { before, after } = saving;
  for (const [to, { key }] of Object.entries(after.published)) {
    if (key === null || key === before.published[to]?.key) continue;
    const said = endedIn(saving, "publish").some(
      ({ pending, outcome }) =>
        outcome?.kind === "done" && pending.about === to && pending.key === key,
    );
    if (!said)
      violate(ledger, "told-early", `${to} is believed to be done with ${key}, and never said so`);
  }
}

function checkEnded(ledger: Ledger, saving: Saving): void {
  const { nowMs, config, first } = saving;
  for (const { pending, outcome } of endedIn(saving, "publish")) {
    const { about, key, beat = false } = pending;
    const known = knownOf(ledger, about);
    const asked = askedIn(ledger, nowMs, outcome);
    const taken = outcome?.kind === "unknown" && outcome.receipt !== undefined;
    // A look that fails holds up no write.
    const binds = (order: PublishAction) =>
      taken ? order.key === key : !beat || order.beat !== null;
    if (asked !== null) known.asked = { ...asked, binds };
    if (outcome?.receipt !== undefined) known.receipts.set(outcome.receipt, key ?? "");
    if (outcome?.kind === "done") {
      if (beat) known.lookedMs = latest(ledger);
      else known.key = key;
      const wrote = !beat || (outcome.drift !== undefined && config.drift === "repair");
      if (wrote) known.writtenMs = latest(ledger);
    } else if (!beat || first) known.key = beat ? known.key : null;
  }
}

function checkOrder(ledger: Ledger, { after, config }: Saving, action: PublishAction): void {
  const { to, key, beat, receipt } = action;
  const known = knownOf(ledger, to);
  const wrong = (rule: string, text: string) => violate(ledger, rule, `${to} ${text}`);
  const { asked } = known;
  if (asked?.binds(action) === true && isWithin(ledger, asked.sinceMs, asked.forMs))
    wrong("publish-soon", `is called before the time that it asked for`);
  if (receipt !== null && known.receipts.get(receipt) !== key)
    wrong(
      "receipt",
      `is asked for ${receipt}, which is of ${known.receipts.get(receipt)}, not of ${key}`,
    );
  if (beat === null) {
    if (known.key === key) wrong("needless-write", `is written ${key} once more`);
    return;
  }
  if (beat !== config.drift) wrong("drift", `is to ${beat} what it holds, not to ${config.drift}`);
  if (known.key !== key) wrong("drift", `is looked at for ${key}, and ${known.key} was written`);
  if (after.phase.kind !== "watching" || after.routeState !== "up")
    wrong("look-busy", `is looked at while the group is ${after.phase.kind}, ${after.routeState}`);
  const { writtenMs, lookedMs } = known;
  const agoMs = (sinceMs: number | null) => latest(ledger) - (sinceMs ?? 0);
  if (to === "kv" && isWithin(ledger, writtenMs, KV_SETTLES_MS))
    wrong("look-soon", `is looked at ${agoMs(writtenMs)} ms after it was written`);
  const { driftIntervalMs } = config;
  for (const lastMs of [writtenMs, lookedMs])
    if (isWithin(ledger, lastMs, driftIntervalMs))
      wrong(
        "look-soon",
        `is looked at after ${agoMs(lastMs)} ms, drift_interval_ms is ${driftIntervalMs}`,
      );
}

/** Nobody is told that something was changed but when somebody did. */
function checkDrift(ledger: Ledger, stands: Stands | null, text: string): void {
  const lately =
    stands?.rightAgainMs != null && ledger.nowMs - stands.rightAgainMs < TOLD_WITHIN_MS;
  if (stands?.byHand !== true && !lately)
    violate(ledger, "drift-untrue", `nobody changed anything by hand: ${text}`);
}
