/**
 * What is on disk when a command leaves, and that nothing leaves twice however often the Group is woken.
 */
import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, it, vi } from "vitest";
import type { Saved } from "../../worker/core/state.ts";
import { groupOf, relayAnswers } from "./relay.ts";

afterEach(() => vi.restoreAllMocks());

it("a decision is saved before its actions leave: the action stands in the stored state as pending", async () => {
  const stub = groupOf("saving");
  let sql: SqlStorage | null = null;
  await runInDurableObject(stub, (_, state) => {
    sql = state.storage.sql;
  });
  const stored: Saved[] = [];
  relayAnswers(() => {
    const [row] = sql?.exec("SELECT json FROM state").toArray() ?? [];
    stored.push(JSON.parse(String(row?.json)));
  });
  const first = await vi.waitUntil(
    async () => {
      await stub.wake("saving");
      return stored.find(({ epoch }) => epoch === 1);
    },
    { timeout: 10_000 },
  );
  expect(first).toMatchObject({
    epoch: 1,
    primary: "a",
    pending: expect.arrayContaining([
      expect.objectContaining({ kind: "tell-epoch", about: "a", epoch: 1 }),
    ]),
  });
});

it("an action under way is not sent again, by cron or the alarm; after an eviction, when nobody hears of it, once", async () => {
  const sent: string[] = [];
  const never = new Promise<void>(() => undefined);
  relayAnswers((path) => {
    // Objects of other tests are still awake.
    if (path.includes("/twice/")) sent.push(path);
    return never;
  });
  const stub = groupOf("twice");
  await stub.wake("twice");
  await vi.waitUntil(() => sent.length > 0);
  await Promise.all([stub.wake("twice"), stub.wake("twice"), runDurableObjectAlarm(stub)]);
  expect(sent).toEqual(["/groups/twice/epoch"]);
  await abortAllDurableObjects();
  const again = groupOf("twice");
  await again.wake("twice");
  await again.wake("twice");
  await vi.waitUntil(() => sent.length > 1);
  await Promise.all([again.wake("twice"), runDurableObjectAlarm(again)]);
  expect(sent).toEqual(["/groups/twice/epoch", "/groups/twice/epoch"]);
});
