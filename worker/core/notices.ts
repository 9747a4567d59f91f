/**
 * Webhooks: which events each is told of, in which order, and what becomes of one that does not take them.
 *
 * Rules: every event that a webhook chose becomes a notice, kept on disk until it was taken (at least once, the
 * same id at every try); a try that fails is repeated as Sentinel repeats its scripts, after 30 s doubled each
 * time, ten tries in all, and what else waits for that webhook waits for 30 s, or as long as it asked for; the pauses
 * vary, so that many groups do not come back at once. Webhooks that work go before those that fail; one try at a
 * time a webhook, two at a time a group, one while the primary is suspected, for a Worker has few connections; none
 * begins while a primary is being replaced.
 * Must never: hold up anything else, or tell webhooks of webhooks.
 */
import { act, type Draft, save, tell, tellEdge, untell, wakeBy } from "./draft.ts";
import type { Notice, Pending, PhaseKind } from "./state.ts";
import type { Outcome } from "./types.ts";

const TRIES = 10;
const BACKOFF_MS = 30_000;
/** Who says that it is gone is asked once more after so long. */
const GONE_MS = 3_600_000;
const NOTIFY_TIMEOUT_MS = 10_000;
const AT_ONCE = 2;
/** Kept for each webhook: the oldest goes first. */
const MOST = 100;

/** Nothing that can wait goes out meanwhile. */
const BUSY: readonly PhaseKind[] = ["fencing", "electing", "switching", "promoting"];

/** Every event of this decision, to whoever chose it. */
export function noteEvents(draft: Draft): void {
  const { webhooks } = draft.config;
  const { notices: before, failing } = draft.saved;
  if (webhooks.length + before.length + Object.keys(failing).length === 0) return;
  const notices = before.filter(({ to }) => webhooks.some(({ name }) => name === to));
  tellDropped(
    draft,
    before.filter((each) => !notices.includes(each)),
    "it is configured no more",
  );
  let { nextAction } = draft.saved;
  for (const event of [...draft.events]) {
    const told = webhooks.filter(({ events }) => events.includes(event.name));
    if (told.length === 0) continue;
    const id = `${draft.saved.group}.${event.atMs}.${nextAction}`;
    nextAction += 1;
    for (const { name } of told)
      notices.push({ id, to: name, event, tries: 0, nextAtMs: draft.nowMs, problem: null });
  }
  for (const { name } of webhooks) {
    const waiting = notices.filter(({ to }) => to === name);
    const over = waiting.slice(0, Math.max(0, waiting.length - MOST));
    for (const each of over) notices.splice(notices.indexOf(each), 1);
    tellDropped(draft, over, `more than ${MOST} wait`);
  }
  if (notices.length < before.length || notices.at(-1) !== before.at(-1))
    save(draft, { notices, nextAction });
  const stays = Object.entries(failing).filter(([to]) => webhooks.some(({ name }) => name === to));
  if (stays.length < Object.keys(failing).length)
    save(draft, { failing: Object.fromEntries(stays) });
}

/** Starts the tries that are due. */
export function notifyDue(draft: Draft): void {
  const { phase, primary, notices, failing } = draft.saved;
  if (BUSY.includes(phase.kind)) return;
  // It may be about to be replaced: that needs every connection there is.
  const isSuspected = (mark: string) => mark.startsWith("sdown:") && mark.endsWith(`:${primary}`);
  const atOnce = draft.sight.told.some(isSuspected) ? 1 : AT_ONCE;
  const rank = ({ to, tries }: Notice) => (failing[to] === undefined ? 0 : 1) + tries;
  for (const notice of [...notices].sort((a, b) => rank(a) - rank(b))) {
    const under = draft.saved.pending.filter(({ kind }) => kind === "notify");
    // What ends one of them wakes the Group, and the next one begins.
    if (under.length >= atOnce) return;
    if (under.some(({ about }) => about === notice.to)) continue;
    const dueAtMs = Math.max(notice.nextAtMs, failing[notice.to]?.pausedUntilMs ?? 0);
    if (draft.nowMs < dueAtMs) {
      wakeBy(draft, dueAtMs);
      continue;
    }
    act(draft, notice.to, notice.id, (id) => ({
      id,
      kind: "notify",
      to: notice.to,
      notice: notice.id,
      event: notice.event,
      epoch: draft.saved.epoch,
      deadlineMs: draft.nowMs + NOTIFY_TIMEOUT_MS,
    }));
  }
}

/** Takes in what became of a try. `refused`: the webhook is gone for good, and so is all that it was to be told. */
export function notified(draft: Draft, { about, key }: Pending, outcome: Outcome): void {
  const { notices, failing } = draft.saved;
  const notice = notices.find(({ id, to }) => id === key && to === about);
  if (notice === undefined) return;
  const mark = `webhook-failed:${about}`;
  const { [about]: _, ...others } = failing;
  const { kind, detail: problem, retryAtMs = 0 } = outcome;
  if (kind === "done") {
    save(draft, { notices: notices.filter((each) => each !== notice), failing: others });
    return untell(draft, mark);
  }
  const tries = notice.tries + 1;
  tellEdge(draft, mark, true, () => ({
    names: ["-webhook-failed", null],
    node: null,
    text: `${about} did not take ${notice.id}: ${problem}`,
    data: { webhook: about },
  }));
  const isGone = kind === "refused";
  const isOver = (each: Notice) => (isGone ? each.to === about : each === notice && tries >= TRIES);
  tellDropped(draft, notices.filter(isOver), problem);
  const pauseMs = isGone ? GONE_MS : backoffMs(notice, 1);
  const pausedUntilMs = Math.max(draft.nowMs + pauseMs, retryAtMs);
  const nextAtMs = draft.nowMs + backoffMs(notice, tries);
  const again: Notice = { ...notice, tries, nextAtMs, problem };
  save(draft, {
    failing: { ...others, [about]: { pausedUntilMs } },
    notices: notices
      .filter((each) => !isOver(each))
      .map((each) => (each === notice ? again : each)),
  });
}

/** By webhook: what it will never be told. */
function tellDropped(draft: Draft, dropped: readonly Notice[], why: string): void {
  for (const webhook of new Set(dropped.map(({ to }) => to))) {
    const of = dropped.filter(({ to }) => to === webhook);
    const names = of.map(({ event }) => event.name).join(", ");
    tell(draft, "-webhook-gave-up", null, `${webhook} was never told of ${names}: ${why}`, {
      webhook,
      notices: of.map(({ id, tries }) => ({ id, tries })),
    });
  }
}

/** A quarter more or less, by lot; the lot is in the id, for a decision draws none. */
function backoffMs({ id, to }: Notice, tries: number): number {
  let lot = 0;
  for (const char of `${to} ${id} ${tries}`) lot = (lot * 31 + char.charCodeAt(0)) % 1009;
  return Math.round(BACKOFF_MS * 2 ** (tries - 1) * (0.75 + lot / 2018));
}
