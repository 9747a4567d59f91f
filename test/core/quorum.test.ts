/** Could the group fail over if its primary died now (S06): OK, and both reasons why it could not. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ckquorum } from "../../worker/core/quorum.ts";
import { initialState } from "../../worker/core/saved.ts";
import { groupConfig } from "../support/builders.ts";
import { createWorld, type World } from "../support/world.ts";

const ask = (world: World) => ckquorum(world.state, world.config, world.nowMs);
const QUORUM = "reach the specified quorum for this group";
const MAJORITY = "reach the majority and authorize a failover";

function running(change: Parameters<typeof createWorld>[0] = {}, stopped: readonly string[] = []) {
  const world = createWorld(change);
  world.run(3000);
  for (const id of stopped) world.relay(id).reach = false;
  world.run(3000);
  return world;
}

test("S06.1 OK, with the count of usable vantages", () => {
  expect(ask(running())).toEqual({
    ok: true,
    usable: 3,
    vantages: 3,
    quorum: 2,
    detail: "OK 3 usable vantages. Quorum and failover authorization can be reached",
    vantageStates: { "relay:a": "usable", "relay:b": "usable", "relay:c": "usable" },
  });
});

test("S06.2 NOQUORUM: the quorum is too high for those that are usable", () => {
  const found = ask(running({ quorum: 3 }, ["c"]));
  expect(found).toMatchObject({ ok: false, usable: 2 });
  expect(found.detail).toBe(
    `NOQUORUM 2 usable vantages. Not enough available vantages to ${QUORUM}`,
  );
});

test("S06.3 NOQUORUM: most vantages are away, so that nobody authorises a failover", () => {
  const found = ask(running({ quorum: 1 }, ["b", "c"]));
  expect(found).toMatchObject({ ok: false, usable: 1 });
  expect(found.detail).toBe(
    `NOQUORUM 1 usable vantages. Not enough available vantages to ${MAJORITY}`,
  );
  expect(found.vantageStates["relay:b"]).toMatch(
    /^relay-unreachable since its last look \d+ ms ago/,
  );
  expect(found.vantageStates["relay:a"]).toBe("usable");
});

test("both at once", () => {
  const { detail } = ask(running({}, ["b", "c"]));
  expect(detail).toContain(`${QUORUM} and to ${MAJORITY}`);
});

test("nobody looked yet", () => {
  const found = ckquorum(initialState("cache"), groupConfig(), 0);
  expect(found).toMatchObject({ ok: false, usable: 0 });
  expect(found.vantageStates).toEqual({
    "relay:a": "has not looked yet",
    "relay:b": "has not looked yet",
    "relay:c": "has not looked yet",
  });
});

describe("a vantage is usable when it sees something, good or bad", () => {
  test("a node that is dead is seen", () => {
    const world = running();
    for (const id of ["a", "b", "c"]) world.kill(id);
    world.run(3000);
    expect(ask(world)).toMatchObject({ ok: true, usable: 3 });
  });
  test("one that reaches some of the nodes", () => {
    const world = running();
    for (const id of ["a", "b"]) world.relay("c").cut.add(id);
    world.run(3000);
    expect(ask(world)).toMatchObject({ ok: true, usable: 3 });
  });
  test("again when it is back", () => {
    const world = running({}, ["b", "c"]);
    world.relay("b").reach = true;
    world.run(3000);
    expect(ask(world)).toMatchObject({ ok: true, usable: 2 });
  });
});

test("what it says is what happens: OK means that the death of the primary is followed by a switch", () => {
  const stopped = fc.subarray(["b", "c", "d", "e"]);
  const drawn = fc.tuple(stopped, fc.integer({ min: 1, max: 5 }));
  fc.assert(
    fc.property(drawn, ([away, quorum]) => {
      const ids = ["a", "b", "c", "d", "e"];
      const world = running({ ids, quorum }, away);
      const { ok } = ask(world);
      world.kill("a");
      world.run(20_000);
      const switched = world.state.saved.primary !== "a";
      expect(switched, JSON.stringify([away, quorum])).toBe(ok && away.length < 4);
    }),
    { numRuns: 60 },
  );
});
