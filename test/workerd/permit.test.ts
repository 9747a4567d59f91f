/**
 * The brake over all groups: what the Fleet grants, and what becomes of an answer that does not come.
 */
import { runInDurableObject } from "cloudflare:test";
import { afterEach, expect, it, vi } from "vitest";
import type { PermitAction } from "../../worker/core/types.ts";
import { deployedConfig, type EventPage, type FleetRpc, type RawEnv } from "../../worker/env.ts";
import { Fleet } from "../../worker/fleet.ts";
import { perform } from "../../worker/group/perform.ts";
import { bindings, groupOf, pair, relayAnswers, routeOf, settled } from "./relay.ts";

afterEach(() => vi.restoreAllMocks());

const brake = { maxFailovers: 2, windowMs: 60_000 };
const fleetOf = (name: string) => bindings.FLEET.get(bindings.FLEET.idFromName(name));

it("grants so many in the window, refuses the next one in words, and counts an action once", async () => {
  const fleet = fleetOf("counting");
  expect(await fleet.permit("x", "1", brake)).toMatchObject({ granted: true });
  expect(await fleet.permit("x", "1", brake)).toMatchObject({ granted: true });
  expect(await fleet.permit("y", "1", brake)).toMatchObject({ granted: true });
  expect(await fleet.permit("z", "1", brake)).toEqual({
    granted: false,
    detail: "the brake is on: 2 other failovers of all groups within 60000 ms, at most 2",
  });
  // What was granted stays granted, and a refusal counts for nothing.
  expect(await fleet.permit("x", "1", brake)).toMatchObject({ granted: true });
  expect(await fleet.permit("z", "2", { ...brake, maxFailovers: 3 })).toMatchObject({
    granted: true,
  });
});

it("forgets what is older than the window, and what lies ahead of a clock that went back", async () => {
  const fleet = fleetOf("forgetting");
  await fleet.permit("x", "1", brake);
  await fleet.permit("x", "2", brake);
  const rows = () =>
    runInDurableObject(fleet, (_, { storage }) =>
      storage.sql.exec("SELECT action FROM permits ORDER BY action").toArray(),
    );
  await runInDurableObject(fleet, (_, { storage }) => {
    const at = (action: string, ms: number) =>
      storage.sql.exec("UPDATE permits SET at_ms = at_ms + ? WHERE action = ?", ms, action);
    at("x/1", -60_000);
    at("x/2", 3_600_000);
  });
  expect(await fleet.permit("y", "1", brake)).toMatchObject({ granted: true });
  expect(await rows()).toEqual([{ action: "y/1" }]);
});

const action = (id: string): PermitAction => ({
  kind: "permit",
  id,
  epoch: 2,
  deadlineMs: Date.now() + 300,
});

const deployed = deployedConfig(bindings);
const [config] = deployed.ok ? deployed.groups : [];

it("a Group's permit: granted is done, a brake that is on is refused", async () => {
  if (config === undefined) throw new Error("no group");
  const one = { ...brake, maxFailovers: 1 };
  expect(await perform(action("1"), config, one, bindings)).toMatchObject({
    action: "1",
    kind: "done",
  });
  expect(await perform(action("2"), config, one, bindings)).toMatchObject({
    action: "2",
    kind: "refused",
    detail: expect.stringMatching(/^the brake is on/),
  });
});

it.each<[string, Partial<FleetRpc>, RegExp]>([
  ["hangs", { permit: () => new Promise(() => undefined) }, /no answer within/],
  ["fails", { permit: () => Promise.reject(new Error("Fleet is gone")) }, /Fleet is gone/],
])("a Fleet that %s: unknown, and in time", async (_, fleet, detail) => {
  if (config === undefined) throw new Error("no group");
  const deaf = {
    ...bindings,
    FLEET: { idFromName: () => "fleet", get: () => fleet },
  } as unknown as RawEnv;
  const before = performance.now();
  const outcome = await perform(action("3"), config, brake, deaf);
  expect(outcome).toMatchObject({ kind: "unknown", detail: expect.stringMatching(detail) });
  expect(performance.now() - before).toBeLessThan(5000);
});

/** The primary of a pair dies; what the group told until `ending` came. */
async function failing(name: string, ending: string): Promise<readonly string[]> {
  const nodes = pair();
  relayAnswers(() => undefined, nodes);
  const stub = groupOf(name);
  await settled(stub, name);
  if (nodes.a) nodes.a.down = true;
  return vi.waitUntil(
    async () => {
      await stub.wake(name);
      const { events } = (await stub.events(0, 500)) as unknown as EventPage;
      const names = events.map((event) => event.name as string);
      return names.includes(ending) && names;
    },
    { timeout: 20_000 },
  );
}

it("the brake is on: the attempt is ended before anybody is promoted, and says so", async () => {
  if (!deployed.ok) throw new Error("no configuration");
  const fleet = fleetOf("fleet");
  const { maxFailovers } = deployed.brake;
  for (let begun = 0; begun < maxFailovers; begun += 1)
    await fleet.permit("others", String(begun), deployed.brake);
  const names = await failing("braked", "-failover-abort-brake");
  expect(names).not.toContain("+selected-slave");
  expect(await routeOf(groupOf("braked"), "braked")).toMatchObject({ primary: { id: "a" } });
});

it("the Fleet is silent: the failover goes on, and says so", async () => {
  vi.spyOn(Fleet.prototype, "permit").mockImplementation(() => new Promise(() => undefined));
  const names = await failing("unanswered", "+switch-master");
  expect(names).toContain("+brake-unknown");
});
