/**
 * Webhooks: which events each is told of, in which order, and what becomes of one that does not take them.
 *
 * Rules: every event that a webhook chose becomes a notice, kept on disk until it was taken (at least once, the
 * same id at every try); a try that fails is repeated as Sentinel repeats its scripts, after 30 s doubled each
 * time, ten tries in all; the pauses vary, so that many groups do not come back at once. Fresh notices go before
 * repeated ones; one try at a time a webhook, two at a time a group, for a Worker has few connections; none begins
 * while a primary is being replaced.
 * Must never: hold up anything else, or tell webhooks of webhooks.
 */
import { act, type Draft, save, tell, tellEdge, untell, wakeBy } from "./draft.ts";
import type { Notice, Pending, PhaseKind } from "./state.ts";
import type { Outcome } from "./types.ts";

const TRIES = 10;
const BACKOFF_MS = 30_000;
const NOTIFY_TIMEOUT_MS = 10_000;
const AT_ONCE = 2;
/** Kept in all: the oldest goes first. */
const MOST = 100;

/** Nothing that can wait goes out meanwhile. */
const BUSY: readonly PhaseKind[] = ["fencing", "electing", "switching", "promoting"];

/** Every event of this decision, to whoever chose it. */
export function noteEvents(draft: Draft): void {
  const { webhooks } = draft.config;
  if (webhooks.length === 0 && draft.saved.notices.length === 0) return;
  const before = draft.saved.notices;
  const notices = before.filter(({ to }) => webhooks.some(({ name }) => name === to));
  let { nextAction } = draft.saved;
  for (const event of draft.events) {
    const told = webhooks.filter(({ events }) => events.includes(event.name));
    if (told.length === 0) continue;
    const id = `${draft.saved.group}.${event.atMs}.${nextAction}`;
    nextAction += 1;
    for (const { name } of told)
      notices.push({ id, to: name, event, tries: 0, nextAtMs: draft.nowMs, problem: null });
  }
  const over = notices.splice(0, Math.max(0, notices.length - MOST));
  if (notices.length < before.length || notices.at(-1) !== before.at(-1))
    save(draft, { notices, nextAction });
  tellEdge(draft, "notices-full", over.length > 0, () => ({
    names: ["-webhook-gave-up", null],
    node: null,
    text: `more than ${MOST} notices wait: the oldest are dropped`,
    data: { ids: over.map(({ id }) => id) },
  }));
}

/** Starts the tries that are due. */
export function notifyDue(draft: Draft): void {
  if (BUSY.includes(draft.saved.phase.kind)) return;
  const waiting = [...draft.saved.notices].sort((a, b) => a.tries - b.tries);
  for (const notice of waiting) {
    const under = draft.saved.pending.filter(({ kind }) => kind === "notify");
    // What ends one of them wakes the Group, and the next one begins.
    if (under.length >= AT_ONCE) return;
    if (under.some(({ about }) => about === notice.to)) continue;
    if (draft.nowMs < notice.nextAtMs) {
      wakeBy(draft, notice.nextAtMs);
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

/** Takes in what became of a try. `refused`: the webhook is gone for good. */
export function notified(draft: Draft, { about, key }: Pending, outcome: Outcome): void {
  const notice = draft.saved.notices.find(({ id, to }) => id === key && to === about);
  if (notice === undefined) return;
  const others = draft.saved.notices.filter((each) => each !== notice);
  const mark = `webhook-failed:${about}`;
  if (outcome.kind === "done") {
    save(draft, { notices: others });
    return untell(draft, mark);
  }
  const tries = notice.tries + 1;
  const { detail: problem } = outcome;
  tellEdge(draft, mark, true, () => ({
    names: ["-webhook-failed", null],
    node: null,
    text: `${about} did not take ${notice.id}: ${problem}`,
    data: { webhook: about },
  }));
  if (tries >= TRIES || outcome.kind === "refused") {
    save(draft, { notices: others });
    const { name } = notice.event;
    const text = `${about} was never told of ${name} (${notice.id}): ${problem}`;
    return tell(draft, "-webhook-gave-up", null, text, { webhook: about, tries });
  }
  const nextAtMs = Math.max(draft.nowMs + backoffMs(notice, tries), outcome.retryAtMs ?? 0);
  const again: Notice = { ...notice, tries, nextAtMs, problem };
  save(draft, { notices: draft.saved.notices.map((each) => (each === notice ? again : each)) });
}

/** A quarter more or less, by lot; the lot is in the id, for a decision draws none. */
function backoffMs({ id, to }: Notice, tries: number): number {
  let lot = 0;
  for (const char of `${to} ${id} ${tries}`) lot = (lot * 31 + char.charCodeAt(0)) % 1009;
  return Math.round(BACKOFF_MS * 2 ** (tries - 1) * (0.75 + lot / 2018));
}
