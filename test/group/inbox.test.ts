/**
 * Whoever waits for the Group is answered: by a decision, when a round fails, and at the latest in time.
 */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { OperatorRequest, Reply } from "../../worker/core/state.ts";
import { createInbox, unavailable } from "../../worker/group/inbox.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const resume = (id: string): OperatorRequest => ({ id, kind: "resume" });
const accepted = (id: string): Reply => ({ id, kind: "accepted", epoch: 1, detail: "resumed" });

it("replies find their requests by id, and leave no timer behind", async () => {
  const inbox = createInbox();
  const answers = [inbox.ask(resume("1")), inbox.ask(resume("2"))];
  const look = inbox.nextLook();
  inbox.decided([accepted("2"), accepted("1")]);
  expect(inbox.requests()).toEqual([]);
  inbox.answer();
  expect(await Promise.all(answers)).toEqual([
    { kind: "told", value: accepted("1") },
    { kind: "told", value: accepted("2") },
  ]);
  await look;
  expect(vi.getTimerCount()).toBe(0);
});

it("who was not replied to waits for the next decision", async () => {
  const inbox = createInbox();
  const first = inbox.ask(resume("1"));
  void inbox.ask(resume("2"));
  inbox.decided([accepted("1")]);
  inbox.answer();
  expect(await first).toMatchObject({ kind: "told" });
  expect(inbox.requests()).toEqual([resume("2")]);
});

it("nobody came to it in 30 seconds: nothing was done, and nothing will be", async () => {
  const inbox = createInbox();
  const answer = inbox.ask(resume("1"));
  await vi.advanceTimersByTimeAsync(29_999);
  expect(inbox.requests()).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(await answer).toEqual(unavailable("the group did not answer in time; nothing was done"));
  expect(inbox.requests()).toEqual([]);
});

it("decided, and no answer in 30 seconds: whether it was done is not known", async () => {
  const inbox = createInbox();
  const answer = inbox.ask(resume("1"));
  inbox.decided([accepted("1")]);
  await vi.advanceTimersByTimeAsync(30_000);
  expect(await answer).toEqual(
    unavailable("the group did not answer in time; whether it was done is not known"),
  );
});

it("a round that ends badly leaves nobody waiting", async () => {
  const inbox = createInbox();
  const decided = inbox.ask(resume("1"));
  inbox.decided([accepted("1")]);
  const waiting = inbox.ask(resume("2"));
  const look = inbox.nextLook();
  inbox.giveUp({ kind: "not-found", detail: "the group is gone" });
  expect(await decided).toEqual({
    kind: "not-found",
    detail: "the group is gone; whether it was done is not known",
  });
  expect(await waiting).toEqual({
    kind: "not-found",
    detail: "the group is gone; nothing was done",
  });
  await look;
  expect(vi.getTimerCount()).toBe(0);
});
