/**
 * G8 S05.3 S05.4: the Group's runtime is killed in every phase of a failover, and again and again: whoever
 * wakes next finishes what was begun, under an epoch that names one primary for ever.
 */
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PhaseKind } from "../../worker/core/state.ts";
import { must, type Scene, startScene } from "../support/stack.ts";

const phases: readonly PhaseKind[] = [
  "fencing",
  "electing",
  "promoting",
  "publishing",
  "repointing",
];

/** Every restart of the runtime takes a second on a busy machine; what does not come is told by the wait for it. */
const patient = { timeout: 90_000 };

describe("the runtime dies during a failover", patient, () => {
  let scene: Scene;
  beforeAll(async () => {
    // Rounds of half a second while a relay hangs, and nobody tells anything of its own accord, so that every
    // phase can be met.
    const settings = { probe_timeout_ms: 300, down_after_ms: 700 };
    scene = await startScene({ push: false, settings });
  });
  afterAll(() => scene?.stop());

  const primaryNow = async () => must((await scene.route()).primary, "primary").id;

  /**
   * One primary in the world, every relay holds the epoch of the route and its primary, an epoch named one
   * candidate only, and no action number was given out twice.
   */
  const consistent = async () => {
    const { epoch, primary } = await scene.route();
    const roles = await Promise.all(scene.ids.map(async (id) => (await scene.facts(id))?.role));
    expect(roles.filter((role) => role === "primary")).toHaveLength(1);
    for (const id of scene.ids) {
      await scene.eventually(`relay ${id} to hold epoch ${epoch}`, async () => {
        const { groups } = JSON.parse(await readFile(scene.relay(id).stateFile, "utf8"));
        return groups[0].epoch === epoch && (groups[0].primary ?? primary?.id) === primary?.id;
      });
    }
    const journals = scene.ids.map((id) => readFile(scene.relay(id).stateFile, "utf8"));
    const actions: string[] = (await Promise.all(journals)).flatMap((text) =>
      JSON.parse(text).actions.map((action: { id: string }) => action.id),
    );
    expect(new Set(actions).size).toBe(actions.length);
    const promoted = new Map<number, string>();
    for (const { name, epoch: at, node } of await scene.events()) {
      if (name !== "+promoted-slave" && name !== "+selected-slave") continue;
      expect(promoted.get(at) ?? node).toBe(node);
      promoted.set(at, must(node, "node"));
    }
  };

  it.each(phases)("G8 while %s: the failover is finished, at a consistent epoch", async (phase) => {
    const before = await primaryNow();
    const slow = must(
      scene.ids.find((id) => id !== before),
      "another",
    );
    const { epoch } = await scene.route();
    await scene.relay(slow).kill("SIGSTOP");
    await scene.server(before).kill();
    await scene.eventually(`the phase ${phase}`, async () => (await scene.view()).phase === phase, {
      everyMs: 1,
    });
    await scene.crashWorker();
    await scene.relay(slow).kill("SIGCONT");
    await scene.eventually("another primary", async () => {
      const route = await scene.route();
      return route.state === "up" && route.primary?.id !== before;
    });
    await scene.server(before).start();
    const after = await scene.steady(await primaryNow());
    expect(after.primary?.id).not.toBe(before);
    expect(after.epoch).toBeGreaterThan(epoch);
    await consistent();
  });

  it("G8 killed again and again while a failover is under way: it is finished all the same", async () => {
    const before = await primaryNow();
    await scene.server(before).kill();
    for (let round = 0; round < 6; round += 1) {
      await scene.crashWorker();
      // At work again, however little it comes to before the next blow.
      await scene.view();
    }
    await scene.eventually("another primary", async () => {
      const route = await scene.route();
      return route.state === "up" && route.primary?.id !== before;
    });
    await scene.server(before).start();
    await scene.steady(await primaryNow());
    await consistent();
  });

  it("S05.3 killed just after it accepted an operator's failover: it is carried out or given up whole", async () => {
    for (let round = 0; round < 2; round += 1) {
      const before = await scene.route();
      const { status } = await scene.api("/v1/groups/cache/failover", { body: {} });
      expect(status).toBe(202);
      await scene.crashWorker();
      const primary = await scene.eventually("an end", async () => {
        const { phase, state } = await scene.view();
        return phase === "watching" && state === "up" && primaryNow();
      });
      const after = await scene.steady(primary);
      expect(after.epoch, await scene.told()).toBe(before.epoch + 1);
      await consistent();
    }
  });

  it("G8 killed just after it accepted a switchover: it is carried out, or the primary stays; writes go on", async () => {
    for (let round = 0; round < 3; round += 1) {
      const before = await scene.route();
      const { status } = await scene.api("/v1/groups/cache/switchover", { body: {} });
      expect(status).toBe(202);
      await scene.crashWorker();
      const primary = await scene.eventually("an end", async () => {
        const { phase, state } = await scene.view();
        return phase === "watching" && state === "up" && primaryNow();
      });
      const after = await scene.steady(primary);
      expect(after.epoch).toBeGreaterThan(before.epoch);
      expect(await scene.data(primary, "SET", "round", String(round))).toEqual({ result: "OK" });
      await consistent();
    }
  });
});
