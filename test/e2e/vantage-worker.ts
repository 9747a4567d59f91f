/**
 * Picket's Worker as it is, with regions that fail when a test says so: KV `fault:<region>` is `throw` or `lie`.
 *
 * Must never: be deployed.
 */
import type { Looked } from "../../worker/core/looking.ts";
import type { LookAsked } from "../../worker/env.ts";
import { Vantage as RealVantage } from "../../worker/index.ts";

export { default, Fleet, Group, Routes } from "../../worker/index.ts";

export class Vantage extends RealVantage {
  override async look(region: string, asked: LookAsked): Promise<Looked> {
    switch (await this.env.ROUTES.get(`fault:${region}`)) {
      case "throw":
        throw new Error("this object is broken");
      case "lie": {
        const looked = await super.look(region, asked);
        const lie = { class: "refused", detail: "nobody there", facts: null, relay: null } as const;
        // About its own vote, and about what it sees through relays.
        return { ...looked, seen: looked.seen.map((seen) => ({ ...seen, ...lie })) };
      }
    }
    return super.look(region, asked);
  }
}
