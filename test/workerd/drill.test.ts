/**
 * S05.3 S05.4: a drill ends the instance after it saved and before it acted; the next one finishes.
 */
import { runInDurableObject } from "cloudflare:test";
import { afterEach, expect, it, vi } from "vitest";
import type { DrillPoint } from "../../worker/core/state.ts";
import type { EventPage } from "../../worker/env.ts";
import { groupOf, pair, relayAnswers, routeOf, settled, sqlOf, toldBy } from "./relay.ts";

afterEach(() => vi.restoreAllMocks());

const points: readonly DrillPoint[] = ["after-election", "after-promotion"];

it.each(points)("%s: what was decided is stored, the instance is gone", async (at) => {
  const name = `drill-${at}`;
  const nodes = pair();
  const sent: string[] = [];
  relayAnswers((path) => {
    if (path.startsWith("/nodes/")) sent.push(path);
  }, nodes);
  const stub = groupOf(name);
  await settled(stub, name);
  sent.length = 0;
  expect(await routeOf(stub, name)).toMatchObject({ epoch: 1, primary: { id: "a" } });
  const instances = new Set<unknown>();
  await runInDurableObject(stub, (instance) => {
    instances.add(instance);
  });
  const asked = await toldBy(stub.ask(name, { id: "1", kind: "drill", at }));
  expect(asked).toMatchObject({ kind: "accepted" });

  if (nodes.a) nodes.a.down = true;
  // It dies in mid round: so does whoever waits for it.
  const woken = async () => {
    for (;;) await stub.wake(name);
  };
  await expect(woken()).rejects.toThrow(/drill/);
  expect(sent.includes("/nodes/b/promote")).toBe(at === "after-promotion");

  const again = groupOf(name);
  const stored = await sqlOf(again, "SELECT json FROM state");
  const { phase } = JSON.parse(String(stored[0]?.json));
  expect(phase.kind).toBe(at === "after-election" ? "promoting" : "publishing");
  await runInDurableObject(again, (instance) => {
    instances.add(instance);
  });
  expect(instances.size).toBe(2);
  await again.wake(name);
  await vi.waitUntil(
    async () => {
      const { state, primary } = await routeOf(again, name);
      return state === "up" && primary?.id === "b";
    },
    { timeout: 20_000 },
  );
  const { events } = (await again.events(0, 500)) as unknown as EventPage;
  const names = events.map((event) => event.name);
  expect(names).toContain("+drill");
  expect(names.filter((event) => event === "+switch-master")).toHaveLength(1);
});
