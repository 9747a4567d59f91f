/**
 * Scenes of whom the Group tells: what stands at a publisher is changed by hand, a provider is slow, a webhook takes
 * nothing while something happens.
 */
import { lookWithinMs } from "../check/told.ts";
import { others } from "../faults/fault.ts";
import { wish } from "../faults/people.ts";
import { anotherRoute } from "../faults/telling.ts";
import type { Random } from "../random.ts";
import { goOn, goOnUntil } from "../time.ts";
import { currentInstance, die, newInstance, wake } from "../world/group.ts";
import { changeByHand, type Publisher, publishersIn } from "../world/publishers.ts";
import { crash } from "../world/redis.ts";
import { breakLink, resumeStreams } from "../world/replication.ts";
import { type RedisNode, tell, type World } from "../world/types.ts";
import type { Way } from "../world/webhooks.ts";
import { acknowledged, mustBeReplaced, nameOf, type Scene } from "./scene.ts";

const hasWebhooks: Scene["fits"] = ({ webhooks }) => webhooks.length > 0;
const hasNames: Scene["fits"] = ({ replicaHostname }) => replicaHostname !== null;

const driftAt = (world: World, { name }: Publisher) =>
  world.storage.saved?.published[name]?.drift ?? null;

/** It is set right in time, and told; or only told, until somebody puts it back. */
function changedByHand(world: World, random: Random, publisher: Publisher): void {
  const { own } = publisher;
  if (own === null) return;
  const told = world.events.length;
  const wasTold = (name: string) =>
    world.events
      .slice(told)
      .some((each) => each.name === name && each.data.publisher === publisher.name);
  const ms = lookWithinMs(world, publisher.name);
  changeByHand(world, publisher, anotherRoute(own, random));
  if (!publisher.byHand) return;
  const reports = world.config.drift === "report";
  const isSeen = () => (reports ? driftAt(world, publisher) !== null : !publisher.byHand);
  if (!goOnUntil(world, ms, () => isSeen() && wasTold("+drift")))
    return world.checks.violate(
      "drift",
      `what ${publisher.name} holds was changed by hand ${ms} ms ago, and that is not ${reports ? "told" : "set right"}`,
    );
  if (!reports) return;
  goOn(world, ms);
  if (!publisher.byHand)
    return world.checks.violate(
      "drift",
      `${publisher.name} was written, and drift is only to be told`,
    );
  changeByHand(world, publisher, own);
  if (!goOnUntil(world, ms, () => driftAt(world, publisher) === null && wasTold("-drift")))
    world.checks.violate("drift", `${publisher.name} is right again, and that is not told`);
}

const byHand = (name: string, what: string, fits?: Scene["fits"]): Scene => ({
  name: `what ${what} is changed by hand`,
  ...(fits === undefined ? {} : { fits }),
  play: (world, random) => {
    const publisher = publishersIn(world, world.config).find((each) => each.name === name);
    if (publisher !== undefined) changedByHand(world, random, publisher);
  },
});

function evict(world: World): void {
  const group = currentInstance(world);
  if (group !== null) die(world, group, "evicted");
  wake(world, newInstance(world));
}

/** Two events, which nobody need do anything about. */
function pauseAndResume(world: World): void {
  wish(world, { kind: "pause", reason: "maintenance", forMs: null });
  goOn(world, 700);
  wish(world, { kind: "resume" });
  goOn(world, 700);
}

const become = (world: World, way: Way) => {
  tell(world, () => `every webhook: ${way}`);
  for (const receiver of world.receivers.values()) Object.assign(receiver, { way, asksMs: 20_000 });
};

/** Whatever waits is taken in the time that its tries so far stand for. */
function mustBeTold(world: World, tries: number): void {
  become(world, "takes");
  const ms = 1.25 * 30_000 * 2 ** (tries - 1) + world.config.checkIntervalMs + 65_000;
  const late = () =>
    world.storage.saved?.notices.find(({ to }) => world.receivers.get(to)?.saidGone === false);
  if (!goOnUntil(world, ms, () => late() === undefined))
    world.checks.violate(
      "notice-late",
      `${late()?.to} takes what it is told for ${ms} ms, and is not told all`,
    );
}

export const toldScenes: readonly Scene[] = [
  byHand("kv", "KV holds"),
  byHand("dns", "the name of the primary leads to", ({ dns }) => dns !== null),
  byHand("dns-replicas", "the name of the replicas leads to", hasNames),
  {
    name: "a replica is away for a moment, and the provider is slow",
    fits: hasNames,
    play: (world, random, primary) => {
      const publisher = world.publishers.get("dns-replicas");
      const dies = random.chance(0.5);
      // Taken first, or answered so late that the Group does not live to hear of it.
      if (publisher !== undefined)
        Object.assign(publisher, dies ? { delayMs: 4000 } : { slowMs: 12_000 });
      const node = random.pick(others(world, primary));
      node.refusesSync = true;
      breakLink(world, node);
      goOn(world, random.int(2, 8) * world.config.checkIntervalMs);
      if (dies) evict(world);
      node.refusesSync = false;
      resumeStreams(world);
      goOn(world, 15_000);
    },
  },
  {
    name: "KV failed for long, and the primary dies",
    play: (world, random, primary) => {
      acknowledged(world);
      const kv = world.publishers.get("kv");
      const node = random.pick(others(world, primary));
      if (kv === undefined) return;
      kv.fails = true;
      node.refusesSync = true;
      breakLink(world, node);
      goOn(world, 2 * world.config.checkIntervalMs);
      node.refusesSync = false;
      resumeStreams(world);
      // By now what it did not take is tried again every half a minute.
      goOn(world, 60_000);
      kv.fails = false;
      crash(world, primary);
      mustBeReplaced(world, primary);
      const ms = 5000 + world.config.checkIntervalMs;
      const now = () => kv.route?.primary?.id === nameOf(world);
      if (!goOnUntil(world, ms, now))
        world.checks.violate(
          "publish-late",
          `KV takes what it is told, and ${ms} ms after a failover it was not`,
        );
    },
  },
  {
    name: "webhooks take nothing, and the primary dies",
    fits: hasWebhooks,
    play: (world, random, primary: RedisNode) => {
      acknowledged(world);
      become(world, random.pick(["hangs", "fails", "refuses", "loses", "asks"]));
      goOn(world, random.int(0, 3000));
      crash(world, primary);
      mustBeReplaced(world, primary);
      mustBeTold(world, 1);
    },
  },
  {
    name: "one webhook is gone, the other takes nothing",
    fits: ({ webhooks }) => webhooks.length > 1,
    play: (world, random) => {
      become(world, random.pick(["hangs", "fails", "asks"]));
      const gone = random.pick([...world.receivers.values()]);
      gone.way = "gone";
      pauseAndResume(world);
      goOn(world, 12_000);
      mustBeTold(world, 2);
    },
  },
  {
    name: "webhooks take nothing, and the Group dies again and again",
    fits: hasWebhooks,
    play: (world, random) => {
      become(world, random.pick(["hangs", "fails", "refuses", "loses", "asks"]));
      for (let left = random.int(2, 4); left > 0; left -= 1) {
        pauseAndResume(world);
        evict(world);
        goOn(world, random.int(500, 25_000));
      }
      mustBeTold(world, 3);
    },
  },
];
