/**
 * The story of a seed: faults for a while, alone, in pairs or many; then none, and the group has to heal; then quiet.
 *
 * Promises: first safety, then healing within a time that follows from the configuration, then nothing more.
 */
import { diverged, healWithinMs, missing } from "./check/healed.ts";
import { attendActive, settlesWithinMs } from "./check/settled.ts";
import { toldWithinMs } from "./check/told.ts";
import { type Fault, primaryOf } from "./faults/fault.ts";
import { faultsFor } from "./faults/list.ts";
import { attend, mend } from "./mend.ts";
import { after, runUntil } from "./queue.ts";
import type { Random } from "./random.ts";
import { scenes } from "./scenes/list.ts";
import type { Scene } from "./scenes/scene.ts";
import { clean, goOn, POLL_MS } from "./time.ts";
import { tell, type World } from "./world/types.ts";

/** An episode needs so much time at least. */
const LEAST_MS = 40_000;

/** @param scene is played again and again, and nothing happens to a group that it does not fit; null: any. */
export function live(world: World, random: Random, untilMs: number, scene: string | null): void {
  if (scene !== null && !fitting(world).some(({ name }) => name === scene)) return;
  if (!world.roughStart && !heals(world, untilMs)) return;
  let number = 0;
  while (world.queue.nowMs + LEAST_MS < untilMs && clean(world)) {
    number += 1;
    const own = random.fork(`episode ${number}`);
    const whole = number > 1 || !world.roughStart;
    if (whole && (own.chance(0.35) || scene !== null)) playScene(world, own, scene);
    else disturb(world, own);
    if (!clean(world)) return;
    mend(world);
    if (!heals(world, untilMs) || !staysQuiet(world)) return;
  }
  if (clean(world)) runUntil(world.queue, untilMs);
}

const fitting = (world: World): readonly Scene[] =>
  scenes.filter(
    ({ mode = "replication", fits }) =>
      mode === world.config.mode && (fits === undefined || fits(world.config, world)),
  );

function playScene(world: World, random: Random, name: string | null): void {
  const primary = primaryOf(world);
  if (primary === null) return;
  const some = fitting(world);
  const scene = some.find((each) => each.name === name) ?? random.pick(some);
  tell(world, () => `---- scene: ${scene.name}`);
  scene.play(world, random, primary);
  world.checks.expect(null);
}

/** Draws faults, begins each at its time, and ends each by the end. */
function disturb(world: World, random: Random): void {
  const windowMs = random.int(4000, 30_000);
  const count = random.pick([1, 1, 2, 2, 2, 2, 2, 2, 3, 4, 6, 9]);
  const faults: Fault[] = [];
  const kinds = faultsFor(world);
  for (let left = count; left > 0; left -= 1) faults.push(random.pick(random.pick(kinds)));
  tell(world, () => `---- ${faults.map(({ name }) => name).join(", ")} within ${windowMs} ms`);
  for (const fault of faults) {
    const startMs = count === 1 ? 0 : random.int(0, windowMs / 2);
    const ms = random.int(500, windowMs - startMs);
    after(world.queue, startMs, () => {
      tell(world, () => `fault ${fault.name} for ${ms} ms`);
      const end = fault.begin(world, random, ms);
      after(world.queue, ms, end);
    });
  }
  goOn(world, windowMs + 1);
}

/** True when the group is whole again; false when it is not, or the time of the seed is over. */
export function heals(world: World, untilMs: number): boolean {
  const startMs = world.queue.nowMs;
  const active = world.firstConfig.mode === "active-active";
  const ownMs = active ? settlesWithinMs(world) : healWithinMs(world.config);
  const limitMs = startMs + ownMs + toldWithinMs(world);
  const stableMs = 2 * world.config.checkIntervalMs + 2000;
  let nextVisitMs = startMs + 1000;
  let wholeMs: number | null = null;
  for (;;) {
    goOn(world, POLL_MS);
    if (!clean(world)) return false;
    const nowMs = world.queue.nowMs;
    const what = missing(world);
    wholeMs = what === null ? (wholeMs ?? nowMs) : null;
    if (wholeMs !== null && nowMs - wholeMs >= stableMs) {
      const tookMs = wholeMs - startMs;
      tell(world, () => `---- healed after ${tookMs} ms`);
      return true;
    }
    if (what === null) continue;
    if (nowMs >= limitMs) {
      world.checks.violate(
        "not-healed",
        `${what}, ${nowMs - startMs} ms after the last fault ended`,
      );
      return false;
    }
    if (nowMs >= untilMs) return false;
    if (nowMs < nextVisitMs) continue;
    nextVisitMs = nowMs + 10_000;
    if (active) attendActive(world);
    else attend(world, nowMs - startMs);
  }
}

/** Whole, and left alone: nothing more is done, and nothing more is told. */
function staysQuiet(world: World): boolean {
  const { checkIntervalMs } = world.config;
  goOn(world, 1500);
  const { decisions, verbs, tellings } = world;
  const { version } = world.storage;
  const before = { events: world.events.length, decisions, verbs, tellings };
  const ms = 5000 + 2 * checkIntervalMs;
  goOn(world, ms);
  if (!clean(world)) return false;
  // Where nobody looks but cron, the end of TILT is told by the next look.
  const event = world.events.slice(before.events).find(({ name }) => name !== "-tilt");
  const wrong = (text: string) => world.checks.violate("not-quiet", text);
  const what = missing(world) ?? diverged(world);
  if (what !== null) wrong(what);
  if (world.verbs > before.verbs) wrong("a relay is told something");
  if (event !== undefined) wrong(`${event.name} ${event.node ?? ""}: ${event.text}`);
  const looks = world.decisions - before.decisions;
  // One that was told something says what became of it.
  const told = 2 * (world.tellings - before.tellings);
  const most = ms / checkIntervalMs + 3 + world.relays.size + told;
  // The data of a primary is noted once a minute.
  const rows = world.storage.version - version;
  if (rows > told + 2) wrong(`${rows} rows are written in ${ms} ms in which nothing happens`);
  if (looks > most) wrong(`${looks} looks in ${ms} ms, every ${checkIntervalMs} ms is enough`);
  return clean(world);
}
