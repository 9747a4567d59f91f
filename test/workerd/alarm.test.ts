/**
 * The Group's alarm, asked of its own storage: armed first, armed again after a fault and after it was lost,
 * and never set where cron alone wakes the group.
 */
import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, it, vi } from "vitest";
import { alarmOf, groupOf, relayAnswers, routeOf, settled, toldBy } from "./relay.ts";

afterEach(() => vi.restoreAllMocks());

it("a wake arms the next look, an interval ahead", async () => {
  relayAnswers();
  const stub = groupOf("alarmed");
  const before = Date.now();
  await settled(stub, "alarmed");
  const at = (await alarmOf(stub)) ?? 0;
  expect(at).toBeGreaterThan(before);
  expect(at).toBeLessThanOrEqual(Date.now() + 5000);
  expect(await routeOf(stub, "alarmed")).toMatchObject({ state: "up", primary: { id: "a" } });
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
  expect(await routeOf(stub, "scheduled")).toMatchObject({ state: "up", primary: { id: "a" } });
  expect(await alarmOf(stub)).toBeNull();
});

it("a round that throws escapes nobody, and is tried again by an alarm", async () => {
  relayAnswers();
  const stub = groupOf("faulty");
  const said = vi.spyOn(console, "error").mockImplementation(() => undefined);
  await runInDurableObject(stub, (_, state) => {
    state.storage.sql.exec("ALTER TABLE events RENAME TO hidden");
  });
  expect((await toldBy(stub.view("faulty"))).because).toMatch(/internal error/);
  expect(said).toHaveBeenCalled();
  const at = (await alarmOf(stub)) ?? 0;
  expect(at).toBeGreaterThan(0);
  expect(await routeOf(stub, "faulty")).toMatchObject({ epoch: 0, primary: null });
  await runInDurableObject(stub, (_, state) => {
    state.storage.sql.exec("ALTER TABLE hidden RENAME TO events");
  });
  await runDurableObjectAlarm(stub);
  await settled(stub, "faulty");
  expect(await routeOf(stub, "faulty")).toMatchObject({ state: "up", primary: { id: "a" } });
});

it("an alarm that was lost is armed again by the next cron", async () => {
  relayAnswers();
  const stub = groupOf("lost");
  await settled(stub, "lost");
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

it("ticks in which nothing changes set the alarm once each", async () => {
  relayAnswers();
  const stub = groupOf("steady");
  await settled(stub, "steady");
  const set: number[] = [];
  await runInDurableObject(stub, (_, { storage }) => {
    const setAlarm = storage.setAlarm.bind(storage);
    vi.spyOn(storage, "setAlarm").mockImplementation((at) => {
      set.push(Number(at));
      return setAlarm(at);
    });
  });
  // Each tick takes no time, however busy the machine is, and its alarm is too far away to ring by itself.
  let nowMs = Date.now() + 3_600_000;
  vi.spyOn(Date, "now").mockImplementation(() => nowMs);
  for (let tick = 1; tick <= 5; tick += 1) {
    nowMs += 1000;
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(set).toHaveLength(tick);
  }
});

it("an alarm that cannot be set escapes nobody: the round is run, and cron comes", async () => {
  relayAnswers();
  const stub = groupOf("lost");
  const said = vi.spyOn(console, "error").mockImplementation(() => undefined);
  await runInDurableObject(stub, async (instance, { storage }) => {
    vi.spyOn(storage, "setAlarm").mockRejectedValue(new Error("no storage"));
    await (instance as unknown as { alarm(): Promise<void> }).alarm();
  });
  expect(said).toHaveBeenCalledWith("no alarm", "no storage");
  expect(await routeOf(stub, "lost")).toMatchObject({ state: "up" });
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
