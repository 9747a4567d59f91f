/**
 * The end of all faults: everything that runs, runs; every way is open; operators take back what they ordered.
 *
 * Rules: what nobody but an operator can settle is settled here as one would: a pause ends, a cooldown is
 * acknowledged, a group without a primary is told which node has the most.
 */

import { nodeNamed } from "./check/healed.ts";
import { restoreAll } from "./check/settled.ts";
import { deploy } from "./faults/deploys.ts";
import { wish } from "./faults/people.ts";
import { thawRelay } from "./faults/relays.ts";
import { drift } from "./world/clock.ts";
import { currentInstance, newInstance, wake } from "./world/group.ts";
import { faultOn, forgetSound } from "./world/network.ts";
import { changeByHand, sound } from "./world/publishers.ts";
import { drain, isSealed, runIdOf, start, thaw } from "./world/redis.ts";
import { startRelay } from "./world/relay.ts";
import { isPrimary, resumeStreams, seekPrimary } from "./world/replication.ts";
import { tell, type World } from "./world/types.ts";

/** An operator who waited so long names the primary, or takes what there is. */
const NAMES_AFTER_MS = 40_000;

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
    Object.assign(relay, { diskFails: false, lie: null, guard: true, portShut: false });
    relay.blind.clear();
    relay.unlisted.clear();
    thawRelay(world, relay);
    startRelay(world, relay, false);
  }
  mendTold(world);
  Object.assign(world, {
    fleet: "granted",
    sealsLost: false,
    outcomesLost: false,
    alarms: "good",
    cron: "good",
    death: null,
    replay: null,
    late: null,
    regionLie: null,
  });
  world.regionBlind.clear();
  world.misplaced.clear();
  world.foreign.clear();
  world.storage.fails = false;
  drift(world, 1);
  if (world.config !== world.firstConfig)
    deploy(world, world.random, "the first configuration", world.firstConfig);
  if (world.firstConfig.mode === "active-active") restoreAll(world);
  resumeStreams(world);
  // Somebody opens the status page, which takes a look.
  wake(world, currentInstance(world) ?? newInstance(world));
}

/** Publishers and webhooks are sound, and where nobody else sets right what stands there, whoever changed it does. */
function mendTold(world: World): void {
  for (const publisher of world.publishers.values()) {
    Object.assign(publisher, sound);
    for (const change of publisher.changes.keys()) publisher.changes.set(change, 0);
    if (publisher.byHand && world.firstConfig.drift === "report")
      changeByHand(world, publisher, publisher.own);
  }
  for (const receiver of world.receivers.values()) receiver.way = "takes";
}

/** What an operator does who comes back now and then, while the group heals. */
export function attend(world: World, sinceMs: number): void {
  const { saved } = world.storage;
  if (saved === null) return;
  if (saved.paused !== null) wish(world, { kind: "resume" });
  for (const node of Object.keys(saved.downtimes)) wish(world, { kind: "end-downtime", node });
  if (saved.drill !== null) wish(world, { kind: "reset" });
  const inForce = nodeNamed(world, saved.primary ?? "");
  // To acknowledge would take an emptied primary as it is.
  const emptied = inForce !== null && isPrimary(inForce) && saved.primaryRunId !== runIdOf(inForce);
  const unknown = currentInstance(world)?.state.sight.told.some((mark) =>
    mark.startsWith("unknown:"),
  );
  if ((saved.failoversAtMs.length > 0 || unknown) && !emptied) wish(world, { kind: "acknowledge" });
  if (saved.primary === null) {
    const most = mostOf(world, null);
    if (most !== null) wish(world, { kind: "bootstrap", primary: most });
    return;
  }
  if (sinceMs < NAMES_AFTER_MS || !nobodyOpen(world) || !asksForAWord(world)) return;
  // Who has the data may be one that is never promoted: then what is lost is lost.
  const last = world.replies.at(-1);
  const nobody = last?.kind === "refused" && last.code === "NOGOODSLAVE";
  const other = nobody ? null : mostOf(world, saved.primary);
  if (other === null) wish(world, { kind: "acknowledge" });
  else wish(world, { kind: "failover", to: other });
}

/** The node that holds most, of those that may be promoted. */
function mostOf(world: World, but: string | null): string | null {
  const able = world.config.nodes
    .filter(({ id, priority }) => id !== but && priority !== 0)
    .map(({ id }) => ({ id, length: nodeNamed(world, id)?.length ?? 0 }));
  return able.sort((a, b) => b.length - a.length)[0]?.id ?? null;
}

/** What the group itself says that only a person can settle. */
const asksForAWord = (world: World): boolean =>
  currentInstance(world)?.state.sight.told.some(
    (mark) =>
      mark.startsWith("held:limit") ||
      mark.startsWith("held:cooldown") ||
      (mark.startsWith("no-good-slave:") && /naming it|priority|behind/.test(mark)),
  ) === true;

/** The primary in force takes no writes, or its data is in doubt: the group waits for an operator's word. */
const nobodyOpen = (world: World): boolean => {
  const { saved } = world.storage;
  if (saved?.phase.kind !== "watching") return false;
  const node = nodeNamed(world, saved.primary ?? "");
  return (
    node === null || !isPrimary(node) || isSealed(node) || saved.primaryRunId !== runIdOf(node)
  );
};
