/**
 * The Group's alarm, asked of its own storage: armed first, armed again after a fault and after it was lost,
 * and never set where cron alone wakes the group.
 */
import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, it, vi } from "vitest";
import { alarmOf, groupOf, relayAnswers } from "./relay.ts";

afterEach(() => vi.restoreAllMocks());

it("a wake arms the next look, an interval ahead", async () => {
  relayAnswers();
  const stub = groupOf("alarmed");
  const before = Date.now();
  await stub.wake("alarmed");
  const at = (await alarmOf(stub)) ?? 0;
  expect(at).toBeGreaterThan(before);
  expect(at).toBeLessThanOrEqual(Date.now() + 5000);
  expect(await stub.route("alarmed")).toMatchObject({ state: "up", primary: { id: "a" } });
});

it("an alarm that ran armed the next one", async () => {
  relayAnswers();
  const stub = groupOf("alarmed");
  await stub.wake("alarmed");
  expect(await runDurableObjectAlarm(stub)).toBe(true);
  expect(await alarmOf(stub)).toBeGreaterThan(Date.now());
});

it("it is armed before the look: a runtime that dies in a look is woken again", async () => {
  const stub = groupOf("alarmed");
  let alarm = () => Promise.resolve<number | null>(null);
  await runInDurableObject(stub, async (_, state) => {
    await state.storage.deleteAlarm();
  });
  await abortAllDurableObjects();
  const fresh = groupOf("alarmed");
  await runInDurableObject(fresh, (_, state) => {
    alarm = () => state.storage.getAlarm();
  });
  const inLook: (number | null)[] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async () => {
    inLook.push(await alarm());
    return Response.json({});
  });
  await fresh.wake("alarmed");
  expect(inLook[0]).toBeGreaterThan(0);
});

it("check_interval_ms = 60000: no alarm is set, and what stands is left to cron", async () => {
  relayAnswers();
  const stub = groupOf("scheduled");
  await stub.wake("scheduled");
  expect(await stub.route("scheduled")).toMatchObject({ state: "up", primary: { id: "a" } });
  expect(await alarmOf(stub)).toBeNull();
});

it("a round that throws escapes nobody, and is tried again by an alarm", async () => {
  relayAnswers();
  const stub = groupOf("faulty");
  const said = vi.spyOn(console, "error").mockImplementation(() => undefined);
  await runInDurableObject(stub, (_, state) => {
    state.storage.sql.exec("ALTER TABLE events RENAME TO hidden");
  });
  expect((await stub.view("faulty"))?.because).toMatch(/internal error/);
  expect(said).toHaveBeenCalled();
  const at = (await alarmOf(stub)) ?? 0;
  expect(at).toBeGreaterThan(0);
  expect(await stub.route("faulty")).toMatchObject({ epoch: 0, primary: null });
  await runInDurableObject(stub, (_, state) => {
    state.storage.sql.exec("ALTER TABLE hidden RENAME TO events");
  });
  await runDurableObjectAlarm(stub);
  expect(await stub.route("faulty")).toMatchObject({ state: "up", primary: { id: "a" } });
});

it("an alarm that was lost is armed again by the next cron", async () => {
  relayAnswers();
  const stub = groupOf("lost");
  await stub.wake("lost");
  await runInDurableObject(stub, async (_, state) => {
    await state.storage.deleteAlarm();
  });
  expect(await alarmOf(stub)).toBeNull();
  // The next minute: what it believes to have armed is past.
  const { now } = Date;
  vi.spyOn(Date, "now").mockImplementation(() => now() + 60_000);
  await stub.wake("lost");
  expect(await alarmOf(stub)).not.toBeNull();
});

it("a group that is no longer configured looks no more, and drops its alarm", async () => {
  const looks = vi.spyOn(globalThis, "fetch").mockRejectedValue(new Error("nobody"));
  const stub = groupOf("forgotten");
  await runInDurableObject(stub, async (_, state) => {
    await state.storage.setAlarm(Date.now() + 60_000);
  });
  await stub.wake("forgotten");
  expect(await alarmOf(stub)).toBeNull();
  expect(looks).not.toHaveBeenCalled();
});
