/**
 * Whom webhooks lead to: each takes what it is told, or does not, in every way there is.
 *
 * Rules: whoever took something may have said so to nobody; what is asked of the Group is asked by its own clock.
 */
import type { NotifyAction } from "../../../worker/core/types.ts";
import { after } from "../queue.ts";
import { groupNow } from "./clock.ts";
import type { Say } from "./publishers.ts";
import { tell, type World } from "./types.ts";

/** takes · fails: 500 · asks: 429 · gone: 410 · refuses: nobody listens · hangs · loses: takes, and says nothing. */
export type Way = "takes" | "fails" | "asks" | "gone" | "refuses" | "hangs" | "loses";

export type Receiver = {
  readonly name: string;
  way: Way;
  /** For how long it asks to be left alone. */
  asksMs: number;
  /** It said that it is gone, and is told nothing for long. */
  saidGone: boolean;
  /** When it was told something last. */
  toldMs: number;
  /** Notices that it took, by their ids. */
  readonly took: Set<string>;
};

export const newReceivers = (names: readonly string[]): Map<string, Receiver> =>
  new Map(
    names.map((name) => [
      name,
      { name, way: "takes", asksMs: 60_000, saidGone: false, toldMs: 0, took: new Set() },
    ]),
  );

export function notify(world: World, action: NotifyAction, say: Say): void {
  const receiver = world.receivers.get(action.to);
  if (receiver === undefined || !world.config.webhooks.some(({ name }) => name === action.to))
    return say("unreachable", `${action.to} is no longer configured`);
  after(world.queue, world.random.int(5, 40), () => {
    const { way, asksMs } = receiver;
    receiver.toldMs = world.queue.nowMs;
    tell(world, () => `${receiver.name} is told ${action.event.name} (${action.notice}): ${way}`);
    if (way === "takes" || way === "loses") {
      receiver.took.add(action.notice);
      receiver.saidGone = false;
      world.checks.took(action);
    }
    if (way === "takes") return say("done", "204");
    if (way === "fails") return say("failed", "500");
    if (way === "gone") receiver.saidGone = true;
    if (way === "gone") return say("refused", "410");
    if (way === "refuses") return say("unreachable", "ECONNREFUSED");
    if (way === "asks") return say("failed", "429", { retryAtMs: groupNow(world) + asksMs });
  });
}
