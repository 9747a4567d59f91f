/**
 * Which configuration runs while the deployed one is wrong: the kept one, read once in a while, of any
 * version that this code knows; and what is said when it cannot be had.
 */
import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { configInForce, deployedConfig, type Kept, type RawEnv } from "../../worker/env.ts";
import { bindings } from "./relay.ts";

const fleet = bindings.FLEET.get(bindings.FLEET.idFromName("fleet"));
const deployed = deployedConfig(bindings);
if (!deployed.ok) throw new Error(JSON.stringify(deployed.complaints));

/** As an earlier version of this code kept it: one row. */
const store = (json: unknown) =>
  runInDurableObject(fleet, (_, { storage }) => {
    storage.sql.exec("DELETE FROM kept");
    storage.sql.exec("INSERT OR REPLACE INTO config VALUES (1, 5, ?)", JSON.stringify(json));
  });

/** A deploy that is wrong: no group at all. */
const wrong = (FLEET: unknown = bindings.FLEET) =>
  ({ ...bindings, GROUPS: [], GROUPS_2: [], GROUPS_3: [], FLEET }) as unknown as RawEnv;

it("what was kept is what runs, the brake too", async () => {
  await fleet.keep(deployed.groups, { maxFailovers: 4, windowMs: 1234 });
  expect(await configInForce(wrong())).toMatchObject({
    source: "last-good",
    groups: deployed.groups,
    brake: { maxFailovers: 4, windowMs: 1234 },
    problem: null,
  });
});

it("more groups than one row could hold are kept whole, and fewer after them", async () => {
  const [one] = deployed.groups;
  if (one === undefined) throw new Error("no group is deployed");
  const many = Array.from({ length: 1500 }, (_, at) => ({ ...one, name: `group-${at}` }));
  await fleet.keep(many, deployed.brake);
  expect(await fleet.lastGood()).toMatchObject({ kind: "kept", groups: many });
  await fleet.keep(deployed.groups, deployed.brake);
  expect(await fleet.lastGood()).toMatchObject({ kind: "kept", groups: deployed.groups });
});

it("a configuration is cut through no character", async () => {
  const [one] = deployed.groups;
  if (one === undefined) throw new Error("no group is deployed");
  // One of the two would be cut through.
  for (const before of ["", "x"]) {
    const hostname = before + "\u{1F600}".repeat(300_000);
    await fleet.keep([{ ...one, hostname }], deployed.brake);
    const kept = await fleet.lastGood();
    expect(kept.kind === "kept" && kept.groups[0]?.hostname === hostname).toBe(true);
  }
});

it("a document of version 1 is read: what it does not know gets its default", async () => {
  const old = deployed.groups.map(
    ({ graceMs: _1, elect: _2, observeOnly: _3, nodes, ...rest }) => ({
      ...rest,
      nodes: nodes.map(({ zone: _4, readWeight: _5, ...node }) => node),
    }),
  );
  await store({ v: 1, groups: old });
  const { groups, brake, keptAtMs } = await configInForce(wrong());
  expect({ groups, brake, keptAtMs }).toEqual({
    groups: deployed.groups,
    brake: deployed.brake,
    keptAtMs: 5,
  });
});

it("a document of a later version is refused by name, and nothing runs", async () => {
  await store({ v: 3, groups: "?" });
  expect(await configInForce(wrong())).toMatchObject({
    source: "none",
    groups: [],
    problem: "the kept configuration has version 3, this code reads 1 and 2: deploy a right one",
  });
});

/** A Fleet that answers so many times, and then no more. */
function fleetFor(times: number, kept: Kept) {
  let asked = 0;
  const lastGood = () => {
    asked += 1;
    return asked > times ? Promise.reject(new Error("gone")) : Promise.resolve(kept);
  };
  return { asked: () => asked, idFromName: () => "fleet", get: () => ({ lastGood }) };
}

const kept: Kept = { kind: "kept", groups: deployed.groups, brake: deployed.brake, atMs: 5 };

it("the Fleet is not asked in every round", async () => {
  const namespace = fleetFor(100, kept);
  const env = wrong(namespace);
  for (let round = 0; round < 10; round += 1)
    expect((await configInForce(env)).source).toBe("last-good");
  expect(namespace.asked()).toBe(1);
});

it("a Fleet that is silent later changes nothing; one that never answered is named", async () => {
  const { now } = Date;
  const namespace = fleetFor(1, kept);
  const env = wrong(namespace);
  await configInForce(env);
  try {
    Date.now = () => now() + 3_600_000;
    expect((await configInForce(env)).source).toBe("last-good");
    expect(namespace.asked()).toBe(2);
  } finally {
    Date.now = now;
  }
  expect(await configInForce(wrong(fleetFor(0, kept)))).toMatchObject({
    source: "unheard",
    groups: [],
    problem: expect.stringMatching(/the Fleet/),
  });
});
