/**
 * Durable Object, one per region: looks from there.
 *
 * Must never: judge what it sees, or keep anything but who asked, and when.
 */
import { DurableObject } from "cloudflare:workers";
import type { Looked } from "./core/looking.ts";
import type { LookAsked, RawEnv, VantageRpc } from "./env.ts";

export class Vantage extends DurableObject<RawEnv> implements VantageRpc {
  async look(_region: string, _asked: LookAsked): Promise<Looked> {
    return { seen: [], whereabouts: { colo: null, region: null } };
  }
}
