/**
 * G25 S00.5: webhooks of the built Worker, told to real receivers that verify what they get: while one hangs, a
 * failover goes on; what is to be told outlives the runtime, and has one id at every try. That no redirect is
 * followed is asked in test/publish/webhook.test.ts: the harness here sends by a fetch that follows them.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EventName } from "../../worker/core/events.ts";
import { type Scene, startScene } from "../support/stack.ts";
import { type Receiver, signingSecret, startReceiver } from "../support/webhook-receiver.ts";

type Waiting = {
  readonly id: string;
  readonly event: EventName;
  readonly tries: number;
  readonly nextAtMs: number;
  readonly problem: string | null;
};
type Shown = { readonly name: string; readonly waiting: readonly Waiting[] };

const patient = { timeout: 90_000 };

describe("webhooks", patient, () => {
  /** `stuck` never answers, `ops` does as it is told. */
  const receivers: Record<string, Receiver> = {};
  let scene: Scene;

  beforeAll(async () => {
    for (const name of ["ops", "stuck"]) receivers[name] = await startReceiver();
    receiver("stuck").answer("hang");
    const webhook = (name: string, ...events: readonly EventName[]) => ({
      name,
      events,
      url: receiver(name).url,
      signing_secret: "WEBHOOK_SECRET",
      allow_private: true,
    });
    scene = await startScene({
      settings: {
        webhooks: [
          webhook("ops", "+switch-master", "+pause", "-pause", "+downtime", "-downtime"),
          webhook("stuck", "+pause", "+odown", "+switch-master"),
        ],
      },
      secrets: { WEBHOOK_SECRET: signingSecret },
    });
  });
  afterAll(async () => {
    await scene?.stop();
    for (const each of Object.values(receivers)) await each.close();
  });

  function receiver(name: string): Receiver {
    const found = receivers[name];
    if (found === undefined) throw new Error(`there is no receiver ${name}`);
    return found;
  }
  const operate = async (path: string, body: unknown) => {
    const { status } = await scene.api(`/v1/groups/cache/${path}`, { body, method: "POST" });
    expect(status).toBe(202);
  };
  const pause = () => operate("pause", { reason: "to be told of", for_ms: 3_600_000 });
  const told = (name: string, event: EventName) =>
    receiver(name)
      .deliveries()
      .filter(({ type }) => type === event);
  const toHave = (name: string, event: EventName, count = 1) =>
    scene.eventually(`${count} ${event} at ${name}`, () => told(name, event).length >= count, {
      withinMs: 40_000,
    });
  const shown = async (name: string): Promise<readonly Waiting[]> => {
    const { body } = await scene.api("/v1/groups/cache/webhooks");
    const { webhooks } = body as { webhooks: readonly Shown[] };
    return webhooks.find((each) => each.name === name)?.waiting ?? [];
  };
  const nothingWaits = (name: string) =>
    scene.eventually(`nothing to wait for ${name}`, async () => (await shown(name)).length === 0, {
      withinMs: 40_000,
    });
  /** As if the time until the next try had passed; an instance at work finds that somebody wrote, and reads anew. */
  const timePasses = async () => {
    const due = `SELECT json_group_array(json_set(value, '$.nextAtMs', 0)) FROM json_each(state.json, '$.notices')`;
    const noPause = `'$.failing', json('{}')`;
    const changed = `version = version + 1, json = json_set(json, '$.notices', json((${due})), ${noPause})`;
    await (await scene.storage()).exec(`UPDATE state SET ${changed}`);
  };

  it("G25 S00.5 a receiver that hangs holds up neither the others nor a failover; what waits is shown", async () => {
    await pause();
    await toHave("stuck", "+pause");
    await operate("resume", {});
    await scene.server("a").kill();
    const primary = await scene.eventually("a new primary", async () => {
      const { state, epoch, primary } = await scene.route();
      return state === "up" && epoch > 1 && primary;
    });
    await toHave("ops", "+switch-master");
    const [delivery] = told("ops", "+switch-master");
    expect(delivery).toMatchObject({
      problem: null,
      data: { group: "cache", node: primary.id, from: "a", to: primary.id, cause: "odown" },
    });
    // Of what it never took nothing is lost, and all of it is shown.
    const waiting = await shown("stuck");
    const events = new Set(waiting.map(({ event }) => event));
    expect([...events]).toEqual(["+pause", "+odown", "+switch-master"]);
    expect(waiting.map(({ id }) => id)).toContain(delivery?.id);
    await nothingWaits("ops");
    const types = receiver("ops")
      .deliveries()
      .map(({ type }) => type);
    expect([...new Set(types)]).toEqual(["+pause", "-pause", "+switch-master"]);
    await scene.server("a").start();
  });

  it("G25 the runtime is killed while a receiver hangs: the event is told again, under the same id", async () => {
    receiver("ops").answerNext("hang");
    await pause();
    await toHave("ops", "+pause", 2);
    await scene.crashWorker();
    await toHave("ops", "+pause", 3);
    const [, first, again] = told("ops", "+pause");
    expect(again?.id).toBe(first?.id);
    expect(again?.text).toBe(first?.text);
    expect(again?.problem).toBeNull();
    await nothingWaits("ops");
  });

  it("G25 500, then the runtime is killed, then 200: kept, told again when it is time, under the same id", async () => {
    receiver("ops").answerNext(500);
    await operate("resume", {});
    const kept = await scene.eventually("a notice that failed once", async () =>
      (await shown("ops")).find(({ event, tries }) => event === "-pause" && tries === 1),
    );
    expect(kept).toMatchObject({ problem: "HTTP 500" });
    expect(kept.nextAtMs).toBeGreaterThan(Date.now());
    await timePasses();
    await scene.crashWorker();
    await toHave("ops", "-pause", 3);
    const [, first, again] = told("ops", "-pause");
    expect([first?.id, again?.id]).toEqual([kept.id, kept.id]);
    expect(again?.text).toBe(first?.text);
    // Each try is signed anew.
    expect(again?.problem).toBeNull();
    await nothingWaits("ops");
  });

  it("G25 410 ends it: told, and not tried again", async () => {
    const mark = await scene.mark();
    receiver("ops").answerNext(410);
    await operate("nodes/b/downtime", { reason: "to be told of", for_ms: 3_600_000 });
    const { text } = await scene.event("-webhook-gave-up", mark);
    expect(text).toContain("HTTP 410");
    await nothingWaits("ops");
    expect(told("ops", "+downtime")).toHaveLength(1);
  });

  it("whatever was told was signed, and says no secret", async () => {
    for (const name of ["ops", "stuck"])
      for (const { problem, text } of receiver(name).deliveries()) {
        expect(problem).toBeNull();
        expect(text).not.toMatch(/whsec_|token/i);
      }
    const seen = JSON.stringify([await scene.view(), await scene.events()]);
    expect(seen).not.toContain(signingSecret);
    expect(seen).not.toContain("/hook");
  });
});
