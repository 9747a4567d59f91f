/**
 * Rules about webhooks: nothing that was chosen vanishes, one id an event, when a try may begin, and how many.
 *
 * Promises: tries are counted from what was sent and from what came back, what was taken is the receiver's own word.
 */
import type { GroupEvent } from "../../../worker/core/events.ts";
import type { Notice } from "../../../worker/core/state.ts";
import type { NotifyAction } from "../../../worker/core/types.ts";
import { type Ledger, violate } from "./ledger.ts";
import { type Asked, askedIn, endedIn, isWithin, latest, type Saving } from "./saving.ts";

const TRIES = 10;
const BACKOFF_MS = 30_000;
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
  asked: Asked | null;
};

export type Notices = {
  /** What each id stands for, for ever. */
  readonly ids: Map<string, string>;
  readonly told: Map<string, Told>;
  /** Truly taken, by whoever was told. */
  readonly taken: Set<string>;
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
  const told = notices.told.get(key) ?? { failed: 0, lastMs: null, currentMs: null, asked: null };
  notices.told.set(key, told);
  return told;
}

/** Counts what became of the tries that were under way. */
function checkEnded(ledger: Ledger, saving: Saving): void {
  for (const { pending, outcome } of endedIn(saving, "notify")) {
    const told = toldOf(ledger, keyOf(pending.about, pending.key ?? ""));
    if (outcome !== null || !saving.first) {
      if (outcome?.kind !== "done") told.failed += 1;
      told.lastMs = told.currentMs;
    }
    told.currentMs = null;
    told.asked = askedIn(ledger, saving.nowMs, outcome) ?? told.asked;
  }
}

const isSame = (a: Notice) => (b: Notice) => a.id === b.id && a.to === b.to;

/** What waits no longer was taken, or given up, and that is told; or nobody of that name is left. */
function checkVanished(ledger: Ledger, saving: Saving): void {
  const { before, after, decision, config } = saving;
  const oldest = before.notices.findIndex((each) => after.notices.some(isSame(each)));
  const full = after.notices.length === MOST && decision.state.sight.told.includes("notices-full");
  for (const [place, notice] of before.notices.entries()) {
    const { id, to } = notice;
    if (after.notices.some(isSame(notice)) || !config.webhooks.some(({ name }) => name === to))
      continue;
    const key = keyOf(to, id);
    const outcome = endedIn(saving, "notify").find(
      ({ pending }) => pending.about === to && pending.key === id,
    )?.outcome;
    if (outcome?.kind === "done" && ledger.notices.taken.has(key)) continue;
    const given = decision.events.some(
      ({ name, data, text }) =>
        name === "-webhook-gave-up" && data.webhook === to && text.includes(`(${id})`),
    );
    const { failed } = toldOf(ledger, key);
    if (given && (outcome?.kind === "refused" || failed >= TRIES)) continue;
    if (full && (oldest < 0 || place < oldest)) continue;
    violate(
      ledger,
      "notice-lost",
      `${to} is not told ${notice.event.name} (${id}): it waits no longer after ${failed} tries that failed`,
    );
  }
}

/** Each event that was chosen waits for each who chose it, in order, under one id of its own. */
function checkNew(ledger: Ledger, { before, after, decision, config }: Saving): void {
  const fresh = after.notices.filter((each) => !before.notices.some(isSame(each)));
  const idOf = new Map<GroupEvent, string>();
  for (const { name: to, events } of config.webhooks) {
    const chosen = decision.events.filter(({ name }) => events.includes(name));
    const waiting = fresh.filter((each) => each.to === to);
    // Of more than may wait in all, the newest do.
    const left = after.notices.length === MOST ? chosen.slice(-waiting.length || MOST) : chosen;
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

function checkTry(ledger: Ledger, { after }: Saving, action: NotifyAction): void {
  const { to, notice: id, event } = action;
  const wrong = (rule: string, text: string) =>
    violate(ledger, rule, `${to} is told ${event.name} (${id}) ${text}`);
  if (BUSY.includes(after.phase.kind))
    wrong("notice-busy", `while the group is ${after.phase.kind}`);
  const under = after.pending.filter(({ kind }) => kind === "notify");
  if (under.length > 2 || under.filter(({ about }) => about === to).length > 1)
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
  const { asked } = told;
  if (asked !== null && isWithin(ledger, asked.sinceMs, asked.forMs))
    wrong(
      "notice-soon",
      `${latest(ledger) - asked.sinceMs} ms after it was asked to wait ${asked.forMs} ms`,
    );
  told.currentMs = latest(ledger);
}
