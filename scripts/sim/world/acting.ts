/**
 * An action on its way, and what becomes of it, as the Group hears it: by the action's deadline at the latest.
 *
 * Rules: what is not certain is `unknown`; what publishers and webhooks say stands beside this file; the Fleet may say
 * no, or nothing.
 */

import type { Action, Outcome, RelayAction } from "../../../worker/core/types.ts";
import { after } from "../queue.ts";
import { groupNow } from "./clock.ts";
import { send } from "./network.ts";
import { publish, type Say } from "./publishers.ts";
import { handle } from "./relay.ts";
import type { World } from "./types.ts";
import { notify } from "./webhooks.ts";

export function perform(world: World, action: Action, answer: (outcome: Outcome) => void): void {
  let over = false;
  const say: Say = (kind, detail, more = {}) => {
    if (over) return;
    over = true;
    answer({ action: action.id, kind, detail, atMs: groupNow(world), ...more });
  };
  const leftMs = action.deadlineMs - groupNow(world);
  if (leftMs <= 0) return say("unreachable", "no time left");
  world.checks.sent(action);
  after(world.queue, leftMs, () => say("unknown", `no answer within ${leftMs} ms`));
  if (action.kind === "permit") return permit(world, say);
  if (action.kind === "publish" || action.kind === "notify") {
    world.tellings += 1;
    return action.kind === "publish" ? publish(world, action, say) : notify(world, action, say);
  }
  // To state the epoch once more changes nothing.
  if (action.kind !== "tell-epoch") world.verbs += 1;
  atRelay(world, action, say);
}

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

function permit(world: World, say: Say): void {
  if (world.fleet === "silent") return;
  const kind = world.fleet === "granted" ? "done" : "refused";
  after(world.queue, 15, () => say(kind, kind === "done" ? "granted" : "too many failovers"));
}
