/**
 * Durable Object, one per region and some hundred groups: looks from there, and wakes a group that stopped asking.
 *
 * Promises: a look ends within its order's time, and fails for no reason of the nodes; where it runs is found out
 * beside the looks, never before one; a group that meant to ask again and did not is woken.
 * Must never: judge what it sees, or keep anything but who asked, and when.
 */
import { DurableObject } from "cloudflare:workers";
import type { Looked } from "./core/looking.ts";
import {
  type LookAsked,
  type RawEnv,
  secretOf,
  traceUrlOf,
  type VantageRpc,
  wakeEach,
} from "./env.ts";
import { startLooks } from "./probe/look.ts";
import { createRegister, type Register } from "./vantage/register.ts";
import { createWhereabouts, type Place } from "./vantage/whereabouts.ts";

/** A group is woken once it has the message; the next alarm comes all the same. */
const WAKE_MS = 10_000;

export class Vantage extends DurableObject<RawEnv> implements VantageRpc {
  readonly #register: Register;
  readonly #place: Place;

  constructor(ctx: DurableObjectState, env: RawEnv) {
    super(ctx, env);
    this.#register = createRegister(ctx.storage, Date.now());
    this.#place = createWhereabouts(traceUrlOf(env));
  }

  async look(region: string, { order, location, againMs }: LookAsked): Promise<Looked> {
    const askedAtMs = Date.now();
    const calls = startLooks(order, { region, secret: (name) => secretOf(this.env, name) });
    const seeing = calls.map(async ({ seen }) => ({ seen: await seen, atMs: Date.now() }));
    this.#place.refresh();
    void this.#register.asked(
      { name: order.group, location, againMs },
      order.timeoutMs,
      Date.now(),
    );
    const answers = await Promise.all(seeing);
    const nowMs = Date.now();
    return {
      // One that answered at once waited here for the slowest.
      seen: answers.flatMap(({ seen, atMs }) =>
        seen.map((each) => ({ ...each, agoMs: each.agoMs + Math.max(0, nowMs - atMs) })),
      ),
      whereabouts: this.#place.known(),
      tookMs: Math.max(0, nowMs - askedAtMs),
    };
  }

  override async alarm(): Promise<void> {
    const overdue = await this.#register.rang(Date.now());
    await wakeEach(this.env, overdue, WAKE_MS);
  }
}
