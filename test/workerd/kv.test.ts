/**
 * G18: KV fails while a failover is under way: nobody waits for it, nothing is undone, and it is right once KV is.
 * What it holds is looked at on the slow beat only, and set right.
 */
import { afterEach, expect, it, vi } from "vitest";
import { parseRoute, routeKey } from "../../worker/core/route.ts";
import type { EventPage } from "../../worker/env.ts";
import { bindings, groupOf, pair, relayAnswers, routeOf, settled, toldBy } from "./relay.ts";

afterEach(() => vi.restoreAllMocks());

const name = "routed";
const held = async () => parseRoute(await bindings.ROUTES.get(routeKey(name), "json"));

it("G18 KV takes no write: the failover goes on, and KV is right once it takes them", async () => {
  relayAnswers(() => undefined, pair());
  const stub = groupOf(name);
  await settled(stub, name);
  const before = await routeOf(stub, name);
  expect(await held()).toMatchObject({ epoch: before.epoch, primary: { id: "a" } });
  const seq = ((await stub.events(0, 500)) as EventPage).newest ?? 0;

  const put = vi
    .spyOn(Object.getPrototypeOf(bindings.ROUTES), "put")
    .mockRejectedValue(new Error("KV PUT failed: 429 Too Many Requests"));
  await toldBy(stub.ask(name, { id: "1", kind: "failover", to: "b" }));
  await vi.waitUntil(
    async () => {
      const { state, epoch } = await routeOf(stub, name);
      return state === "up" && epoch === before.epoch + 1 && put.mock.calls.length > 1;
    },
    { timeout: 20_000 },
  );
  expect(await held()).toMatchObject({ epoch: before.epoch, primary: { id: "a" } });
  put.mockRestore();
  await settled(stub, name);
  expect(await held()).toMatchObject({ epoch: before.epoch + 1, primary: { id: "b" } });
  const { events } = (await stub.events(seq, 500)) as unknown as EventPage;
  const names = events.map((event) => event.name);
  expect(names.filter((each) => each === "+switch-master")).toHaveLength(1);
  expect(names.indexOf("-publish-failed")).toBeGreaterThan(-1);
  expect(names.indexOf("+published")).toBeGreaterThan(names.indexOf("-publish-failed"));
});

it("G18 what somebody else wrote is found on the slow beat, told and set right; a higher one is told and left", async () => {
  relayAnswers(() => undefined, pair());
  const stub = groupOf("drifting");
  await settled(stub, "drifting");
  const key = routeKey("drifting");
  const own = await routeOf(stub, "drifting");
  const read = () => bindings.ROUTES.get(key, "json");
  let laterMs = 0;
  const { now } = Date;
  vi.spyOn(Date, "now").mockImplementation(() => now() + laterMs);
  /** An hour goes by, and the look has been told of. */
  const told = async (name: string): Promise<string> => {
    const seq = ((await stub.events(0, 500)) as EventPage).newest ?? 0;
    laterMs += 3_600_000;
    return await vi.waitUntil(
      async () => {
        await stub.wake("drifting");
        const { events } = (await stub.events(seq, 500)) as unknown as EventPage;
        return events.find((each) => each.name === name)?.text;
      },
      { timeout: 20_000 },
    );
  };

  await bindings.ROUTES.put(key, JSON.stringify({ ...own, epoch: 0, primary: null }));
  expect(await told("+drift")).toBe("kv held epoch 0, rev 1: set right");
  expect(await read()).toEqual(own);

  await bindings.ROUTES.delete(key);
  expect(await told("+drift")).toBe("kv held nothing: set right");
  expect(await read()).toEqual(own);

  const higher = { ...own, epoch: 9 };
  await bindings.ROUTES.put(key, JSON.stringify(higher));
  expect(await told("-publish-failed")).toContain("not written over");
  expect(await read()).toEqual(higher);
});
