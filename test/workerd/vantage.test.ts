/**
 * A vantage as the second clock, asked of its own storage: who asked is noted, whoever stops asking is woken, and
 * neither an eviction nor a group that is gone changes anything about that.
 */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, it, vi } from "vitest";
import type { LookOrder } from "../../worker/core/looking.ts";
import { vantageOf } from "../../worker/env.ts";
import { Group } from "../../worker/group.ts";
import { Vantage } from "../../worker/vantage.ts";
import {
  alarmOf,
  bindings,
  groupOf,
  pair,
  relayAnswers,
  routeOf,
  settled,
  toldBy,
} from "./relay.ts";

afterEach(() => vi.restoreAllMocks());

/** One that no group of these tests asks by itself. */
const vantage = (series: string) =>
  vantageOf({ ...bindings, VANTAGE_SERIES: series }, "weur", "any", 1);
type Stub = ReturnType<typeof vantage>;

const asked = (stub: Stub) =>
  runInDurableObject(stub, (_, { storage }) =>
    storage.sql.exec("SELECT * FROM askers ORDER BY name").toArray(),
  );
const ringsAt = (stub: Stub) => runInDurableObject(stub, (_, { storage }) => storage.getAlarm());
/** From now on it is so much later. */
const later = (ms: number) => {
  const { now } = Date;
  vi.spyOn(Date, "now").mockImplementation(() => now() + ms);
};
const order = (group: string): LookOrder => ({
  group,
  timeoutMs: 900,
  repeat: { probes: 1, delayMs: 0, policy: "all" },
  relays: [],
  nodes: [],
});
/** As a Group asks; nothing is to be looked at. */
const ask = (stub: Stub, name: string, againMs: number | null) =>
  stub.look("weur", { order: order(name), location: null, againMs });
const wakes = () => {
  const woken: string[] = [];
  vi.spyOn(Group.prototype, "wake").mockImplementation(async (name) => {
    woken.push(name);
  });
  return woken;
};

it("a Group whose alarm died is woken by the region that it asks no more", async () => {
  relayAnswers();
  const stub = groupOf("seen-from-afar");
  await settled(stub, "seen-from-afar");
  const oc = vantageOf(bindings, "oc", "seen-from-afar", 20);
  expect(await asked(oc)).toEqual([
    { name: "seen-from-afar", location: null, again_ms: 5000, silent_since_ms: null },
  ]);
  expect(await ringsAt(oc)).toBeGreaterThan(Date.now());
  await runInDurableObject(stub, async (_, { storage }) => {
    await storage.deleteAlarm();
  });
  expect(await alarmOf(stub)).toBeNull();
  later(20_000);
  expect(await runDurableObjectAlarm(oc)).toBe(true);
  await vi.waitUntil(async () => (await alarmOf(stub)) !== null);
  expect(await routeOf(stub, "seen-from-afar")).toMatchObject({ state: "up" });
});

it("a quiet Group, asleep or woken by several at once, sets no alarm and binds no vantage", async () => {
  relayAnswers(undefined, pair());
  const stub = groupOf("left-alone");
  for (const relay of ["a", "b"]) {
    const headers = { upgrade: "websocket" };
    const { webSocket } = await stub.fetch(`http://group/?relay=${relay}`, { headers });
    webSocket?.accept();
  }
  await settled(stub, "left-alone");
  await vi.waitUntil(async () => {
    await stub.wake("left-alone");
    return (await alarmOf(stub)) === null;
  });
  const eeur = vantageOf(bindings, "eeur", "left-alone", 20);
  const armed: unknown[] = [];
  const watch = (target: typeof stub) =>
    runInDurableObject(target, (_, { storage }) => {
      for (const name of ["setAlarm", "deleteAlarm"] as const)
        vi.spyOn(storage, name).mockImplementation(async () => void armed.push(name));
    });
  await watch(stub);
  // The last look before it was quiet said that there would be another.
  later(20_000);
  await runDurableObjectAlarm(eeur);
  await vi.waitUntil(async () => (await asked(eeur)).length === 0);
  await Promise.all([1, 2, 3].map(() => stub.wake("left-alone")));
  expect(await asked(eeur)).toEqual([]);
  await evictDurableObject(stub);
  const fresh = groupOf("left-alone");
  await watch(fresh);
  await Promise.all([1, 2, 3].map(() => fresh.wake("left-alone")));
  expect(await asked(eeur)).toEqual([]);
  expect(armed).toEqual([]);
});

it("what regions see through a relay is a path of it, and no vote of theirs", async () => {
  relayAnswers();
  const stub = groupOf("watched");
  await settled(stub, "watched");
  await vi.waitUntil(async () => {
    const { nodes, vantages } = await toldBy(stub.view("watched"));
    const paths = nodes[0]?.paths.map(
      ({ from, vantage: by, class: how }) => `${from} ${by} ${how}`,
    );
    expect(Object.keys(nodes[0]?.vantages ?? {})).toEqual(["relay:a"]);
    expect(vantages.map(({ region, votes }) => [region, votes])).toEqual([
      ["weur", false],
      ["enam", false],
    ]);
    return ["group", "weur", "enam"].every((from) => paths?.includes(`${from} relay:a up`));
  });
});

it("a region says how long its look took there", async () => {
  vi.spyOn(globalThis, "fetch").mockImplementation(() => new Promise(() => undefined));
  const probe = { transport: "upstash", url: "https://a.example.com", tokenSecret: "X" } as const;
  const { seen, tookMs } = await vantage("slow").look("weur", {
    order: { ...order("x"), timeoutMs: 200, nodes: [{ id: "a", probe }] },
    location: null,
    againMs: null,
  });
  expect(seen.map(({ vantage: by, node, class: how }) => `${by} ${node} ${how}`)).toEqual([
    "weur a timeout",
  ]);
  expect(tookMs).toBeGreaterThan(150);
});

it("a region that throws, and one that hangs, change nothing but what is said of them", async () => {
  relayAnswers();
  const stub = groupOf("watched");
  await settled(stub, "watched");
  vi.spyOn(Vantage.prototype, "look").mockImplementation((region) =>
    region === "weur" ? Promise.reject(new Error("it is broken")) : new Promise(() => undefined),
  );
  await vi.waitUntil(
    async () => {
      const { vantages, state } = await toldBy(stub.view("watched"));
      expect(state).toBe("up");
      return vantages.every(({ failures }) => failures >= 3) && vantages;
    },
    { timeout: 20_000 },
  );
  const { vantages, nodes, primary } = await toldBy(stub.view("watched"));
  expect(vantages.map(({ detail }) => detail)).toEqual([
    expect.stringMatching(/it is broken/),
    expect.stringMatching(/no answer within/),
  ]);
  expect(nodes[0]).toMatchObject({ verdict: "up", vantages: { "relay:a": { vote: "up" } } });
  expect(primary).toBe("a");
});

it("who goes on asking is not woken; a row is written once, and one alarm stands", async () => {
  const woken = wakes();
  const stub = vantage("asked");
  const written: string[] = [];
  const alarms: number[] = [];
  await runInDurableObject(stub, (_, { storage }) => {
    const exec = storage.sql.exec.bind(storage.sql);
    vi.spyOn(storage.sql, "exec").mockImplementation((query, ...values) => {
      written.push(query);
      return exec(query, ...values);
    });
    const setAlarm = storage.setAlarm.bind(storage);
    vi.spyOn(storage, "setAlarm").mockImplementation((at) => {
      alarms.push(Number(at));
      return setAlarm(at);
    });
  });
  for (let n = 0; n < 5; n += 1) {
    await ask(stub, "x", 60_000);
    await ask(stub, "y", 120_000);
  }
  await vi.waitUntil(() => alarms.length > 0);
  expect(written).toHaveLength(2);
  expect(alarms).toHaveLength(1);
  // Not yet two intervals later, and the next alarm is for whoever is due next.
  later(100_000);
  await runDurableObjectAlarm(stub);
  expect(woken).toEqual([]);
  expect(alarms).toHaveLength(2);
  // One that is due sooner than the alarm stands.
  await ask(stub, "z", 1000);
  await vi.waitUntil(() => alarms.length === 3);
  expect(alarms[2]).toBeLessThan(alarms[1] ?? 0);
});

it("who does not ask is woken, then less and less often, and after ten minutes forgotten", async () => {
  const woken = wakes();
  const stub = vantage("forgetting");
  await ask(stub, "gone", 20_000);
  await ask(stub, "quiet", 20_000);
  // It leaves its next look to others, and is not to be woken.
  await ask(stub, "quiet", null);
  expect(await asked(stub)).toHaveLength(1);
  const real = Date.now();
  let nowMs = real;
  vi.spyOn(Date, "now").mockImplementation(() => nowMs);
  const rungAtS: number[] = [];
  for (;;) {
    const next = await ringsAt(stub);
    if (next === null) break;
    nowMs = next;
    await runDurableObjectAlarm(stub);
    rungAtS.push(Math.round((nowMs - real) / 10_000) * 10);
    expect(rungAtS.length).toBeLessThan(20);
  }
  expect(woken).toEqual(["gone", "gone", "gone"]);
  expect(rungAtS).toEqual([40, 120, 280, 600]);
  expect(await asked(stub)).toEqual([]);
});

it("who does not ask is forgotten by one that sleeps between its alarms as well", async () => {
  const woken = wakes();
  const stub = () => vantage("sleeping");
  await ask(stub(), "gone", 20_000);
  await vi.waitUntil(async () => (await ringsAt(stub())) !== null);
  let nowMs = Date.now();
  vi.spyOn(Date, "now").mockImplementation(() => nowMs);
  const rungAtMs: number[] = [];
  for (;;) {
    const next = await ringsAt(stub());
    if (next === null) break;
    nowMs = next;
    await evictDurableObject(stub());
    await runDurableObjectAlarm(stub());
    rungAtMs.push(nowMs);
    expect(rungAtMs.length).toBeLessThan(20);
  }
  // It counts from the first alarm, before which nobody had asked.
  const [firstMs = 0] = rungAtMs;
  expect(rungAtMs.map((ms) => (ms - firstMs) / 1000)).toEqual([0, 40, 120, 280, 600]);
  expect(woken).toHaveLength(4);
  expect(await asked(stub())).toEqual([]);
});

it("who asks again after it was woken is known as before: an eviction does not have it forgotten", async () => {
  const woken = wakes();
  const stub = () => vantage("waking-up");
  const { now } = Date;
  let aheadMs = 0;
  vi.spyOn(Date, "now").mockImplementation(() => now() + aheadMs);
  await ask(stub(), "x", 60_000);
  aheadMs = 200_000;
  await runDurableObjectAlarm(stub());
  expect((await asked(stub()))[0]?.silent_since_ms).toBeLessThan(now() + 100_000);
  await ask(stub(), "x", 60_000);
  expect((await asked(stub()))[0]?.silent_since_ms).toBeNull();
  aheadMs = 900_000;
  await evictDurableObject(stub());
  await runDurableObjectAlarm(stub());
  expect(woken).toEqual(["x", "x"]);
  expect(await asked(stub())).toHaveLength(1);
});

it("after an eviction it wakes whoever it knows", async () => {
  const woken = wakes();
  const stub = vantage("evicted");
  await ask(stub, "known", 60_000);
  await vi.waitUntil(async () => (await ringsAt(stub)) !== null);
  await evictDurableObject(stub);
  await runDurableObjectAlarm(vantage("evicted"));
  expect(woken).toEqual(["known"]);
});

it("a group that cannot be woken keeps no other one asleep", async () => {
  const said = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const woken: string[] = [];
  vi.spyOn(Group.prototype, "wake").mockImplementation(async (name) => {
    if (name === "g3") throw new Error("its storage is broken");
    woken.push(name);
  });
  const stub = vantage("waking");
  const names = Array.from({ length: 20 }, (_, n) => `g${n}`);
  for (const name of names) await ask(stub, name, 60_000);
  later(130_000);
  await runDurableObjectAlarm(stub);
  expect(new Set(woken)).toEqual(new Set(names.filter((name) => name !== "g3")));
  expect(said).toHaveBeenCalledWith(
    "a group did not wake",
    "g3",
    expect.stringMatching(/its storage is broken/),
  );
});
