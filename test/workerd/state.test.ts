/**
 * The stored state: who may overwrite it, and what becomes of one that this code cannot read.
 */
import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, it, vi } from "vitest";
import type { OperatorRequest } from "../../worker/core/state.ts";
import { alarmOf, bindings, groupOf, relayAnswers, routeOf, settled, sqlOf } from "./relay.ts";

afterEach(() => vi.restoreAllMocks());

const pause: OperatorRequest = { id: "1", kind: "pause", reason: "a look at it", forMs: null };

it("an instance that is not the last one to have written writes nothing, and says so", async () => {
  relayAnswers();
  const said = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const stub = groupOf("superseded");
  await settled(stub, "superseded");
  const before = await routeOf(stub, "superseded");
  // Another instance: it decided once more, and told an event.
  await sqlOf(
    stub,
    "UPDATE state SET version = version + 1, json = json_set(json, '$.rev', 77, '$.updated', 1)",
  );
  const stored = await sqlOf(stub, "SELECT * FROM state");
  const events = await sqlOf(stub, "SELECT max(seq) AS newest FROM events");

  expect(await stub.ask("superseded", pause)).toEqual({
    kind: "unavailable",
    detail: "the round failed; nothing was done",
  });
  expect(said).toHaveBeenCalledWith("round failed", expect.stringMatching(/^another instance/));
  expect(await sqlOf(stub, "SELECT * FROM state")).toEqual(stored);
  expect(await sqlOf(stub, "SELECT max(seq) AS newest FROM events")).toEqual(events);

  // What is stored counts from now on.
  expect(await routeOf(stub, "superseded")).toMatchObject({ ...before, rev: 77 });
  expect(await stub.ask("superseded", pause)).toMatchObject({ value: { kind: "accepted" } });
  expect(await routeOf(stub, "superseded")).toMatchObject({ rev: 77 });
});

it.each([
  ["of another version", '{"v":99,"group":"unreadable"}', /99/],
  ["that is no JSON", "{", /./],
])("a stored state %s is named by everyone, and left alone", async (_, json, named) => {
  const looks = vi.spyOn(globalThis, "fetch").mockRejectedValue(new Error("nobody"));
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const name = "unreadable";
  await sqlOf(groupOf(name), `INSERT OR REPLACE INTO state VALUES (1, 7, '${json}')`);
  await abortAllDurableObjects();

  const stub = groupOf(name);
  const problem = { kind: "unavailable", detail: expect.stringMatching(named) };
  expect(await stub.view(name)).toEqual(problem);
  expect(await stub.route(name)).toEqual(problem);
  expect(await stub.ckquorum(name)).toEqual(problem);
  expect(await stub.lastInfo(name, "a")).toEqual(problem);
  expect(await stub.ask(name, pause)).toEqual(problem);
  expect(await stub.events(0, 10)).toEqual({ events: [], oldest: null, newest: null });

  await stub.wake(name);
  await runInDurableObject(stub, (_, { storage }) => storage.setAlarm(Date.now() + 60_000));
  expect(await runDurableObjectAlarm(stub)).toBe(true);
  expect(await alarmOf(stub)).toBeNull();
  expect(await sqlOf(stub, "SELECT * FROM state")).toEqual([{ id: 1, version: 7, json }]);
  expect(looks).not.toHaveBeenCalled();

  // Over HTTP, and in the list.
  const { default: door } = await import("../../worker/index.ts");
  const get = (path: string) =>
    door.fetch(
      new Request(`https://picket.test/v1/groups${path}`, {
        headers: { authorization: "Bearer read-token-of-the-tests" },
      }),
      bindings,
    );
  const response = await get(`/${name}/ckquorum`);
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({ title: "Service Unavailable" });
});
