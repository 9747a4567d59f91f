/**
 * Nodes that boot sealed, and a primary that comes back faster than anybody sees it gone: with its data, and without.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BOOT_SEALED, SEALED } from "../../worker/relay/protocol.ts";
import { must, type Scene, startScene } from "../support/stack.ts";

const bootSealed = BOOT_SEALED.flatMap(([setting, value]) => [`--${setting}`, String(value)]);
const keys = Array.from({ length: 500 }, (_, n) => `key:${n}`);

describe("three nodes that boot sealed", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene({
      redisArgs: () => ["--appendonly", "yes", ...bootSealed],
      settings: { fencing: "sealed", cooldown_ms: 0, grace_ms: 0 },
    });
  });
  afterAll(() => scene?.stop());

  const write = (id: string) => scene.data(id, "SET", "k", "v");
  const held = async (id: string) => must(await scene.facts(id), `facts of ${id}`).keys;
  it("the primary in force is opened by its relay; a replica stays sealed and follows", async () => {
    expect(await scene.facts("a")).toMatchObject({ role: "primary", minReplicasToWrite: 0 });
    expect(await scene.facts("b")).toMatchObject({ role: "replica", minReplicasToWrite: SEALED });
    const values = keys.flatMap((key) => [key, "v"]);
    expect(await scene.data("a", "MSET", ...values)).toEqual({ result: "OK" });
    for (const id of ["b", "c"])
      await scene.eventually(`the keys at ${id}`, async () => (await held(id)) === keys.length);
  });

  it("G7 X18 restarted empty: nobody copies the emptiness, no write is taken, a replica takes over with every key", async () => {
    const count = await held("a");
    // Seen, and not on disk yet: the group is younger than a minute.
    await scene.looks(2);
    const mark = await scene.mark();
    await scene.server("a").kill();
    await rm(join(scene.server("a").dir, "appendonlydir"), { recursive: true });
    await rm(join(scene.server("a").dir, "dump.rdb"), { force: true });
    await scene.server("a").start();
    expect((await write("a")).error).toMatch(/NOREPLICAS|READONLY/);
    const now = await scene.eventually("another primary", async () => {
      for (const id of ["b", "c"]) expect(await held(id)).toBe(count);
      const { primary } = await scene.route();
      return primary?.id !== "a" && primary?.id;
    });
    expect(await write(now)).toEqual({ result: "OK" });
    const wiped = await scene.event("+wiped", mark, "a");
    expect(wiped.data).toMatchObject({ keys: 0, keysBefore: count });
    // A synchronisation begins five seconds after it was asked for.
    await scene.eventually("the data at a", async () => (await held("a")) === count + 1, {
      withinMs: 20_000,
    });
    await scene.steady(now);
  });

  it("G7 restarted with its data: no write before it was judged, then it is opened and stays the primary", async () => {
    const { primary, epoch } = await scene.route();
    const now = must(primary, "primary").id;
    const mark = await scene.mark();
    await scene.server(now).kill();
    await scene.server(now).start();
    expect((await write(now)).error).toMatch(/NOREPLICAS/);
    await scene.event("+unseal", mark, now);
    await scene.eventually("a write", async () => (await write(now)).result === "OK");
    await scene.steady(now);
    const names = (await scene.events(mark)).map(({ name }) => name);
    expect(names).toContain("+reboot");
    expect(names).not.toContain("+try-failover");
    expect((await scene.route()).epoch).toBe(epoch);
  });

  it("G6 F6 X17 the old primary restarts after a failover: it takes not one write, and no read before it has its copy", async () => {
    const before = must((await scene.route()).primary, "primary").id;
    await scene.server(before).kill();
    await scene.eventually("another primary", async () => {
      return (await scene.route()).primary?.id !== before;
    });
    const now = must((await scene.route()).primary, "primary").id;
    await scene.server(before).start();
    const refusals = new Set<string>();
    await scene.eventually(
      "the old primary among the readable",
      async () => {
        const [reply] = await scene.ask(before, ["SET", "stayed", "1"]);
        refusals.add(String(reply).split(" ")[0] ?? "");
        const readable = (await scene.route()).replicas.some(({ id }) => id === before);
        if (readable) expect(await scene.follows(before, now)).toBe(true);
        return readable;
      },
      { withinMs: 20_000 },
    );
    expect([...refusals]).not.toContain("OK");
    await scene.steady(now);
  });
});
