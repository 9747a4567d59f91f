/**
 * Rules about webhooks: nothing that was chosen vanishes, one id an event, when a try may begin, and how many.
 *
 * Promises: tries are counted from what was sent and from what came back, what was taken is the receiver's own word.
 */
import type { GroupEvent } from "../../../worker/core/events.ts";
import type { Decision, Notice } from "../../../worker/core/state.ts";
import type { NotifyAction } from "../../../worker/core/types.ts";
import { type Ledger, violate } from "./ledger.ts";
import {
  type Asked,
  askedIn,
  type Ended,
  endedIn,
  isWithin,
  latest,
  type Saving,
} from "./saving.ts";

const TRIES = 10;
const BACKOFF_MS = 30_000;
/** Who says that it is gone is asked no sooner. */
const GONE_MS = 3_600_000;
/** A quarter less, by lot. */
const LEAST = 0.75;
const MOST = 100;
const BUSY: readonly string[] = ["fencing", "electing", "switching", "promoting"];

type Told = {
  /** Tries that failed, or may have: those that a death of the Group ended are none. */
  failed: number;
  /** When the last of those began. */
  lastMs: number | null;
  /** When the one under way began. */
  currentMs: number | null;
};

export type Notices = {
  /** What each id stands for, for ever. */
  readonly ids: Map<string, string>;
  readonly told: Map<string, Told>;
  /** Truly taken, by whoever was told. */
  readonly taken: Set<string>;
  /** Webhooks that failed at their last try: each is left alone for so long. */
  readonly asked: Map<string, Asked>;
};

const keyOf = (to: string, id: string) => `${to} ${id}`;
/** Times are moved when the clock went back. */
const whatOf = ({ name, epoch, node, text }: GroupEvent) => `${name} ${epoch} ${node}: ${text}`;

/** A webhook has taken something. */
export function checkTook(ledger: Ledger, { to, notice, event }: NotifyAction): void {
  ledger.notices.taken.add(keyOf(to, notice));
  const known = ledger.notices.ids.get(notice);
  if (known !== whatOf(event))
    violate(ledger, "notice-id", `${to} is told ${whatOf(event)} as ${notice}: ${known}`);
}

export function checkNotices(ledger: Ledger, saving: Saving): void {
  checkEnded(ledger, saving);
  checkVanished(ledger, saving);
  checkNew(ledger, saving);
  checkKept(ledger, saving);
  for (const action of saving.decision.actions)
    if (action.kind === "notify") checkTry(ledger, saving, action);
}

function toldOf({ notices }: Ledger, key: string): Told {
  const told = notices.told.get(key) ?? { failed: 0, lastMs: null, currentMs: null };
  notices.told.set(key, told);
  return told;
}

/** Counts what became of the tries that were under way. Whatever else waits for that webhook waits for it, too. */
function checkEnded(ledger: Ledger, saving: Saving): void {
  for (const { pending, outcome } of endedIn(saving, "notify")) {
    const told = toldOf(ledger, keyOf(pending.about, pending.key ?? ""));
    if (outcome !== null || !saving.first) {
      if (outcome?.kind !== "done") told.failed += 1;
      told.lastMs = told.currentMs;
    }
    told.currentMs = null;
    noteAsked(ledger, saving, { pending, outcome });
  }
  for (const to of ledger.notices.asked.keys())
    if (!saving.config.webhooks.some(({ name }) => name === to)) ledger.notices.asked.delete(to);
}

function noteAsked(ledger: Ledger, saving: Saving, { pending, outcome }: Ended): void {
  const { asked } = ledger.notices;
  const { about: to, key } = pending;
  if (outcome?.kind === "done") return void asked.delete(to);
  // What was dropped meanwhile is heard of no more.
  const waits = saving.before.notices.some((each) => each.id === key && each.to === to);
  if (!waits || (outcome === null && saving.first)) return;
  const leastMs = outcome?.kind === "refused" ? GONE_MS : LEAST * BACKOFF_MS;
  const forMs = Math.max(leastMs, askedIn(ledger, saving.nowMs, outcome)?.forMs ?? 0);
  asked.set(to, { sinceMs: latest(ledger), forMs });
}

const isSame = (a: Notice) => (b: Notice) => a.id === b.id && a.to === b.to;

/** What waits no longer was taken, or given up, and that is told, for a reason. */
function checkVanished(ledger: Ledger, saving: Saving): void {
  const { before, after, decision, config } = saving;
  const isLeft = (notice: Notice) => after.notices.some(isSame(notice));
  for (const [place, notice] of before.notices.entries()) {
    if (isLeft(notice)) continue;
    const { id, to } = notice;
    const ended = endedIn(saving, "notify").filter(({ pending }) => pending.about === to);
    const own = ended.find(({ pending }) => pending.key === id)?.outcome;
    if (own?.kind === "done" && ledger.notices.taken.has(keyOf(to, id))) continue;
    const { failed } = toldOf(ledger, keyOf(to, id));
    const isGone =
      ended.some(({ outcome }) => outcome?.kind === "refused") ||
      !config.webhooks.some(({ name }) => name === to);
    const isOld = !before.notices.some(
      (each, other) => other < place && each.to === to && isLeft(each),
    );
    const isFull = isOld && after.notices.filter((each) => each.to === to).length === MOST;
    if ((isGone || isFull || failed >= TRIES) && isGivenUp(decision, to, id)) continue;
    violate(
      ledger,
      "notice-lost",
      `${to} is not told ${notice.event.name} (${id}): it waits no longer after ${failed} tries that failed`,
    );
  }
}

const isGivenUp = ({ events }: Decision, to: string, id: string): boolean =>
  events.some(
    ({ name, data }) =>
      name === "-webhook-gave-up" &&
      data.webhook === to &&
      (data.notices as readonly Pick<Notice, "id">[]).some((each) => each.id === id),
  );

/** Each event that was chosen waits for each who chose it, in order, under one id of its own. */
function checkNew(ledger: Ledger, { before, after, decision, config }: Saving): void {
  const fresh = after.notices.filter((each) => !before.notices.some(isSame(each)));
  const idOf = new Map<GroupEvent, string>();
  for (const { name: to, events } of config.webhooks) {
    const chosen = decision.events.filter(({ name }) => events.includes(name));
    const waiting = fresh.filter((each) => each.to === to);
    // Of more than may wait, the newest do.
    const isFull = after.notices.filter((each) => each.to === to).length === MOST;
    const left = isFull ? chosen.slice(-waiting.length) : chosen;
    for (const [at, event] of left.entries()) {
      const notice = waiting[at];
      if (notice === undefined || whatOf(notice.event) !== whatOf(event)) {
        const text = `${to} chose ${event.name}, and ${notice?.event.name ?? "nothing"} waits`;
        violate(ledger, "notice-lost", text);
        break;
      }
      if ((idOf.get(event) ?? notice.id) !== notice.id)
        violate(ledger, "notice-id", `${whatOf(event)} is ${notice.id} for ${to} alone`);
      idOf.set(event, notice.id);
    }
  }
  for (const [event, id] of idOf) {
    if (ledger.notices.ids.has(id))
      violate(ledger, "notice-id", `${whatOf(event)} has the id of another: ${id}`);
    ledger.notices.ids.set(id, whatOf(event));
  }
}

function checkKept(ledger: Ledger, { after }: Saving): void {
  for (const { id, to, event } of after.notices) {
    if (ledger.notices.ids.get(id) !== whatOf(event))
      violate(ledger, "notice-id", `${id} is ${whatOf(event)} now for ${to}`);
    if (toldOf(ledger, keyOf(to, id)).failed >= TRIES)
      violate(ledger, "notice-tries", `${id} still waits for ${to} after ${TRIES} tries`);
  }
}

function checkTry(ledger: Ledger, { after, decision }: Saving, action: NotifyAction): void {
  const { to, notice: id, event } = action;
  const wrong = (rule: string, text: string) =>
    violate(ledger, rule, `${to} is told ${event.name} (${id}) ${text}`);
  if (BUSY.includes(after.phase.kind))
    wrong("notice-busy", `while the group is ${after.phase.kind}`);
  const under = after.pending.filter(({ kind }) => kind === "notify");
  // A failover that may follow needs every connection there is.
  const down = (mark: string) => /^sdown:.*:(.*)$/.exec(mark)?.[1];
  const isCalm = !decision.state.sight.told.some((mark) => down(mark) === after.primary);
  if (under.length > (isCalm ? 2 : 1) || under.filter(({ about }) => about === to).length > 1)
    wrong("notice-crowd", `beside ${under.map(({ about, key }) => `${about} ${key}`).join(", ")}`);
  if (!after.notices.some((each) => each.id === id && each.to === to))
    wrong("notice-id", "which waits for nobody");
  const told = toldOf(ledger, keyOf(to, id));
  const gapMs = told.failed === 0 ? 0 : LEAST * BACKOFF_MS * 2 ** (told.failed - 1);
  if (isWithin(ledger, told.lastMs, gapMs))
    wrong(
      "notice-soon",
      `${latest(ledger) - (told.lastMs ?? 0)} ms after try ${told.failed}, ${gapMs} ms is the least`,
    );
  const asked = ledger.notices.asked.get(to);
  if (asked !== undefined && isWithin(ledger, asked.sinceMs, asked.forMs))
    wrong(
      "notice-soon",
      `${latest(ledger) - asked.sinceMs} ms after it failed, or asked for time: ${asked.forMs} ms are the least`,
    );
  told.currentMs = latest(ledger);
}
