/**
 * Relays that hold a connection to the Group: each has an eye on every node, by the code of the real ones
 * (worker/relay/watch/gaze.ts), tells at once what is news, and seals a stranger at first sight.
 *
 * Rules: a relay that dies closes its connection, which the Group hears; one that is stopped, cut off, or gone with its
 * machine seems to be connected for half a minute more; what is told may come late, twice, or never.
 */
import type { Observation } from "../../../worker/core/types.ts";
import { observationsOf } from "../../../worker/group/pushed.ts";
import type { LooksMessage } from "../../../worker/relay/push.ts";
import {
  beatMs,
  blank,
  isFirstSight,
  lookMs,
  lookOf,
  type Plan,
  type Seen,
  take,
} from "../../../worker/relay/watch/gaze.ts";
import { isStranger } from "../../../worker/relay/watch/stranger.ts";
import type { Sighted } from "../check/ledger.ts";
import { rowAfter } from "../check/recount.ts";
import { after } from "../queue.ts";
import { groupNow } from "./clock.ts";
import { currentInstance, decided, newInstance, wake } from "./group.ts";
import { seenByRelay } from "./look.ts";
import { isCutEitherWay, send } from "./network.ts";
import { command, setMinReplicas } from "./redis.ts";
import { bootOf, clockOf, epochOf, inTurn, reaches } from "./relay.ts";
import { type Gazed, type RedisNode, type Relay, SEALED, tell, type World } from "./types.ts";

const EVERY_MS = 1000;
const SILENCE_MS = 30_000;
const SLOW_BEAT_MS = 300_000;

export function startPushes(world: World): void {
  for (const relay of world.relays.values()) {
    after(world.queue, world.random.int(0, EVERY_MS), () => keepLine(world, relay));
    after(world.queue, SLOW_BEAT_MS, () => slowBeat(world, relay));
    for (const { name } of world.nodes)
      after(world.queue, world.random.int(0, EVERY_MS), () => look(world, relay, name));
  }
}

/** The connection, as either end knows of it. */
function keepLine(world: World, relay: Relay): void {
  after(world.queue, EVERY_MS, () => keepLine(world, relay));
  const { socket, spot } = relay;
  const { nowMs } = world.queue;
  const heard = relay.connects && relay.life === "up" && !isCutEitherWay(world, spot, world.edge);
  if (heard) socket.heardMs = nowMs;
  const closed = (relay.life === "dead" && !spot.down) || !relay.connects;
  const gone = closed || nowMs - socket.heardMs > SILENCE_MS;
  if (socket.open && gone) {
    socket.open = false;
    wake(world, null);
  }
  if (!heard || socket.open) return;
  socket.open = true;
  // Of the last connection nothing is believed any more.
  socket.watch = null;
  socket.told = "";
  wake(world, null);
}

function slowBeat(world: World, relay: Relay): void {
  after(world.queue, SLOW_BEAT_MS, () => slowBeat(world, relay));
  say(world, relay, [...relay.socket.gazes.keys()], false);
}

const planOf = (world: World, relay: Relay): Plan => relay.socket.watch ?? world.config;

/** One look of a relay's eye, and when the next one is due. */
function look(world: World, relay: Relay, node: string): void {
  const { gazes, watch } = relay.socket;
  const plan = planOf(world, relay);
  if (relay.life !== "up" || watch === null || !relay.connects) {
    gazes.delete(node);
    return after(world.queue, EVERY_MS, () => look(world, relay, node));
  }
  const { boots } = relay;
  const askedAtMs = clockOf(world, relay);
  const virtualMs = world.queue.nowMs;
  const { class: kind, detail, facts } = seenByRelay(world, relay, node);
  const tookMs = kind === "timeout" ? lookMs(plan) : 1;
  after(world.queue, tookMs, () => {
    const again = (ms: number) =>
      after(world.queue, Math.max(1, ms), () => look(world, relay, node));
    if (relay.life !== "up" || relay.boots !== boots) return again(EVERY_MS);
    const gaze = gazes.get(node)?.gaze ?? blank;
    const seen = { class: kind, detail, facts, askedAtMs, atMs: clockOf(world, relay) } as Seen;
    if (isFirstSight(gaze, seen)) seal(world, relay, node, seen);
    const step = take(gaze, seen, plan);
    const row = rowAfter(gazes.get(node)?.row ?? null, seen);
    gazes.set(node, { gaze: step.gaze, row, virtualMs });
    if (step.news) say(world, relay, [node], true);
    again(Math.min(step.nextMs, beatMs(plan)));
  });
}

function seal(world: World, relay: Relay, id: string, { facts }: Seen): void {
  const node = world.nodes.find(({ name }) => name === id);
  if (node === undefined || facts === null) return;
  const isStill = () => {
    const { watch, open } = relay.socket;
    return open && watch !== null && isStranger(id, facts, watch, heldBy(world, relay));
  };
  if (!isStill()) return;
  inTurn(world, relay, id, () => {
    if (isStill() && reaches(world, relay, node)) sealNow(world, relay, node);
  });
}

function sealNow(world: World, relay: Relay, node: RedisNode): void {
  const { saved } = world.storage;
  const held = heldBy(world, relay);
  const named = held?.primary === node.name;
  if (
    named ||
    (saved?.phase.kind === "watching" && saved.primary === node.name && held?.epoch === saved.epoch)
  )
    world.checks.violate(
      "sealed-primary",
      `relay ${relay.id} seals ${node.name}, which is in force`,
    );
  tell(world, () => `relay ${relay.id} seals ${node.name} at first sight`);
  command(world, node, () => setMinReplicas(node, SEALED));
}

const heldBy = (world: World, relay: Relay) => relay.journal.groups.get(world.config.name) ?? null;

/** To whoever is the Group when it arrives. */
function say(world: World, relay: Relay, nodes: readonly string[], news: boolean): void {
  const { socket, spot } = relay;
  if (!socket.open || relay.life !== "up" || !relay.connects) return;
  const ms = clockOf(world, relay);
  const told = nodes.flatMap((node) => {
    const known = socket.gazes.get(node);
    const seen = known === undefined ? null : lookOf(node, known.gaze, ms);
    return known === undefined || seen === null ? [] : [{ seen, known, atMs: ms - seen.agoMs }];
  });
  if (told.length === 0) return;
  const looks = told.map(({ seen }) => seen);
  const boot = bootOf(relay);
  const message: LooksMessage = {
    ...{ v: 1, kind: "looks", news, boot, ms, looks },
    epoch: epochOf(world, relay),
  };
  send(world, spot, world.edge, () => hear(world, relay, message, told));
}

function hear(
  world: World,
  relay: Relay,
  message: LooksMessage,
  told: readonly { readonly known: Gazed; readonly atMs: number }[],
): void {
  if (!world.config.relays.some(({ id }) => id === relay.id)) return;
  const group = currentInstance(world) ?? newInstance(world);
  if (!group.alive) return;
  const seen = observationsOf(relay.id, message, group.state, groupNow(world)).map(
    (each: Observation, at): Sighted => {
      const { known = null, atMs = 0 } = told[at] ?? {};
      const row = known?.row ?? { looks: 0, refused: 0, sinceMs: atMs };
      const sinceMs = Math.floor(each.atMs - (atMs - row.sinceMs));
      return { ...each, row: { ...row, sinceMs }, virtualMs: known?.virtualMs ?? 0 };
    },
  );
  // At once, whatever look is under way.
  decided(world, group, seen);
}
