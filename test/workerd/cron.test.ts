/** Cron where groups are more than one invocation may call: each is woken once, whoever else fails. */
import { createScheduledController } from "cloudflare:test";
import { afterEach, expect, it, vi } from "vitest";
import { type RawEnv, type Sleeper, wakeEach, wakerOf } from "../../worker/env.ts";
import { Group } from "../../worker/group.ts";
import door from "../../worker/index.ts";
import { bindings } from "./relay.ts";

afterEach(() => vi.restoreAllMocks());

/** 450 groups beside those that are configured, as objects that only note who wakes them. */
function many({ handOver }: { handOver?: (waker: string) => Promise<void> } = {}) {
  const names = Array.from({ length: 450 }, (_, n) => `many-${n}`);
  const woken: string[] = [];
  /** How many groups each waker was given. */
  const parts: Record<string, number> = {};
  let atOnce = 0;
  let most = 0;
  const wake = async (name: string) => {
    atOnce += 1;
    most = Math.max(most, atOnce);
    woken.push(name);
    await Promise.resolve();
    atOnce -= 1;
    if (name === "many-7") throw new Error("its storage is broken");
  };
  const fleet = (waker: string) => ({
    keep: async () => undefined,
    names: async () => names,
    wakeMany: async (sleepers: readonly Sleeper[]) => {
      parts[waker] = (parts[waker] ?? 0) + sleepers.length;
      await handOver?.(waker);
      await wakeEach(env, sleepers, 10_000);
    },
  });
  const namespace = (get: (name: string) => unknown) => ({
    idFromName: (name: string) => name,
    get,
  });
  const env = {
    ...bindings,
    GROUP: namespace(() => ({ wake })),
    FLEET: namespace(fleet),
  } as unknown as RawEnv;
  const cron = () => door.scheduled(createScheduledController(), env);
  return { cron, names, woken, parts, most: () => most };
}

it("450 groups: each is woken once, in parts, six at a time in each; one that throws keeps none asleep", async () => {
  const said = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const { cron, names, woken, parts, most } = many();
  await cron();
  expect(new Set(woken).size).toBe(woken.length);
  expect(woken).toEqual(expect.arrayContaining([...names, "alarmed", "watched"]));
  expect(Object.keys(parts)).toEqual(["waker-1", "waker-2", "waker-3"]);
  expect(Math.max(...Object.values(parts))).toBe(200);
  expect(most()).toBe(3 * 6);
  expect(said).toHaveBeenCalledWith("a group did not wake", "many-7", expect.any(String));
});

it("a part whose waker dies is handed to another one", async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const { cron, names, woken } = many({
    handOver: async (waker) => {
      if (waker === "waker-2") throw new Error("this object is overloaded");
    },
  });
  await cron();
  expect(woken).toEqual(expect.arrayContaining([...names, "alarmed", "watched"]));
});

it("a part that cannot be handed over does not keep the others asleep", async () => {
  const said = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const { cron, woken, parts } = many({
    handOver: async (waker) => {
      if (waker === "waker-1" || waker === "waker-4") throw new Error("this object is overloaded");
    },
  });
  await cron();
  expect(woken).toHaveLength((parts["waker-2"] ?? 0) + (parts["waker-3"] ?? 0));
  expect(said).toHaveBeenCalledWith(
    "groups may not have been woken",
    200,
    expect.stringMatching(/overloaded/),
  );
});

it("a waker wakes real groups; one that takes long is waited for, and holds up nobody", async () => {
  const names = Array.from({ length: 12 }, (_, n) => `slow-${n}`);
  const woken: string[] = [];
  let slow = 0;
  vi.spyOn(Group.prototype, "wake").mockImplementation(async (name) => {
    woken.push(name);
    if (woken.length > 6) return;
    // All six turns are taken, for longer than a turn is.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    slow += 1;
  });
  await wakerOf(bindings, 1).wakeMany(names.map((name) => ({ name, location: null })));
  expect(woken.toSorted()).toEqual(names.toSorted());
  expect(slow).toBe(6);
});
