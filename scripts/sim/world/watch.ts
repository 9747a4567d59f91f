/**
 * What the Group tells the relays that hold a connection: after every decision that was saved.
 *
 * Rules: it arrives, sooner or later, as long as the connection stands; a new process knows nothing of it.
 */
import { watchOf } from "../../../worker/group/pushed.ts";
import { send } from "./network.ts";
import { process } from "./relay.ts";
import type { Instance, World } from "./types.ts";

export function tellRelays(world: World, { state }: Instance): void {
  const watch = watchOf(state.saved, world.config);
  world.checks.told(watch.strangers);
  const text = JSON.stringify(watch);
  for (const relay of world.relays.values()) {
    const { socket, boots } = relay;
    if (!socket.open || socket.told === text) continue;
    send(world, world.edge, relay.spot, () =>
      process(relay, () => {
        if (relay.boots !== boots || !socket.open) return;
        socket.told = text;
        socket.watch = watch;
      }),
    );
  }
}
