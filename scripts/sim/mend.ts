/**
 * The end of all faults: everything that runs, runs; every way is open; operators take back what they ordered.
 *
 * Rules: what nobody but an operator can settle is settled here as one would: a pause ends, a cooldown is
 * acknowledged, a group without a primary is told which node has the most.
 */

import { deploy } from "./faults/deploys.ts";
import { wish } from "./faults/people.ts";
import { thawRelay } from "./faults/relays.ts";
import { drift } from "./world/clock.ts";
import { currentInstance, newInstance, wake } from "./world/group.ts";
import { faultOn, forgetSound } from "./world/network.ts";
import { drain, start, thaw } from "./world/redis.ts";
import { startRelay } from "./world/relay.ts";
import { isPrimary, resumeStreams, seekPrimary } from "./world/replication.ts";
import { tell, type World } from "./world/types.ts";

export function mend(world: World): void {
  tell(world, () => "---- all faults end");
  for (const from of world.spots) {
    from.down = false;
    for (const to of world.spots)
      if (world.paths.size > 0)
        Object.assign(faultOn(world, from, to), { cuts: 0, delayMs: 0, drop: 0, double: 0 });
  }
  forgetSound(world);
  for (const node of world.nodes) {
    Object.assign(node, {
      misconf: false,
      policy: false,
      auth: false,
      deaf: false,
      refusesSync: false,
      lagMs: 2,
    });
    if (node.script !== null) {
      node.script = null;
      drain(node);
    }
    thaw(world, node);
    start(world, node, { data: "kept" });
    if (!isPrimary(node)) seekPrimary(world, node);
  }
  for (const relay of world.relays.values()) {
    Object.assign(relay, { diskFails: false, lie: null, guard: true });
    relay.blind.clear();
    thawRelay(world, relay);
    startRelay(world, relay, false);
  }
  for (const publisher of [world.kv, world.dns])
    Object.assign(publisher, { fails: false, silent: false, delayMs: 10 });
  Object.assign(world, {
    fleet: "granted",
    alarms: "good",
    cron: "good",
    death: null,
    replay: null,
    late: null,
    regionLie: null,
  });
  world.regionBlind.clear();
  world.storage.fails = false;
  drift(world, 1);
  if (world.config !== world.firstConfig)
    deploy(world, world.random, "the first configuration", world.firstConfig);
  resumeStreams(world);
  // Somebody opens the status page, which takes a look.
  wake(world, currentInstance(world) ?? newInstance(world));
}

/** What an operator does who comes back now and then, while the group heals. */
export function attend(world: World): void {
  const { saved } = world.storage;
  if (saved === null) return;
  if (saved.paused !== null) wish(world, { kind: "resume" });
  for (const node of Object.keys(saved.downtimes)) wish(world, { kind: "end-downtime", node });
  const emptied = world.nodes.some((node) => node.wiped && isPrimary(node));
  if (saved.failoversAtMs.length > 0 && !emptied) wish(world, { kind: "acknowledge" });
  if (saved.primary === null) {
    const [most] = [...world.nodes].sort((a, b) => b.length - a.length);
    const id = world.config.nodes.find(({ host }) => host === most?.host)?.id;
    if (id !== undefined) wish(world, { kind: "bootstrap", primary: id });
  }
}
