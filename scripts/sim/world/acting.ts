/**
 * An action on its way, and what becomes of it, as the Group hears it: by the action's deadline at the latest.
 *
 * Rules: what is not certain is `unknown`; a publisher may be away, or answer late; the Fleet may say no, or nothing.
 */

import { isNewer } from "../../../worker/core/route.ts";
import type { Action, Outcome, OutcomeKind, RelayAction } from "../../../worker/core/types.ts";
import { after } from "../queue.ts";
import { groupNow } from "./clock.ts";
import { send } from "./network.ts";
import { handle } from "./relay.ts";
import { tell, type World } from "./types.ts";

export function perform(world: World, action: Action, answer: (outcome: Outcome) => void): void {
  let over = false;
  const say = (kind: OutcomeKind, detail: string) => {
    if (over) return;
    over = true;
    answer({ action: action.id, kind, detail, atMs: groupNow(world) });
  };
  const leftMs = action.deadlineMs - groupNow(world);
  if (leftMs <= 0) return say("unreachable", "no time left");
  world.checks.sent(action);
  after(world.queue, leftMs, () => say("unknown", `no answer within ${leftMs} ms`));
  if (action.kind === "publish") return publish(world, action, say);
  if (action.kind === "permit") return permit(world, say);
  if (action.kind === "notify") return say("done", "taken");
  // To state the epoch once more changes nothing.
  if (action.kind !== "tell-epoch") world.verbs += 1;
  atRelay(world, action, say);
}

type Say = (kind: OutcomeKind, detail: string) => void;

function atRelay(world: World, action: RelayAction, say: Say): void {
  const relay = world.relays.get(action.relay);
  if (relay === undefined || !world.config.relays.some(({ id }) => id === action.relay))
    return say("unreachable", `relay ${action.relay} is not configured`);
  send(world, world.edge, relay.spot, () => {
    if (relay.portShut || (world.sealsLost && action.kind === "seal")) return;
    if (relay.life === "dead")
      return send(world, relay.spot, world.edge, () => say("unreachable", "ECONNREFUSED"));
    handle(world, relay, action, ({ kind, detail }) =>
      send(world, relay.spot, world.edge, () => say(kind, detail)),
    );
  });
}

function publish(world: World, action: Extract<Action, { kind: "publish" }>, say: Say): void {
  const publisher = action.to === "kv" ? world.kv : world.dns;
  if (publisher.silent) return;
  if (publisher.fails) return void after(world.queue, 40, () => say("failed", "500"));
  after(world.queue, 10, () => {
    const before = publisher.route;
    if (before !== null && isNewer(before, action.route))
      world.checks.fellBack(action.to, before, action.route);
    publisher.route = action.route;
    tell(world, () => {
      const { epoch, rev, state, primary } = action.route;
      return `${action.to} holds ${epoch}.${rev} ${state} ${primary?.id ?? "nobody"}`;
    });
    if (action.to === "kv") spread(world, action.route);
    after(world.queue, publisher.delayMs, () => say("done", "written"));
  });
}

/** Readers of KV see a change after a while, each for itself. */
function spread(world: World, route: NonNullable<World["kv"]["route"]>): void {
  for (const client of world.clients)
    if (client.stays === null)
      after(world.queue, world.random.int(10, 4000), () => {
        if (isNewer(route, client.route)) client.route = route;
      });
}

function permit(world: World, say: Say): void {
  if (world.fleet === "silent") return;
  const kind = world.fleet === "granted" ? "done" : "refused";
  after(world.queue, 15, () => say(kind, kind === "done" ? "granted" : "too many failovers"));
}
