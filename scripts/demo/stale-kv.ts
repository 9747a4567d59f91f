/**
 * A stand-in for KV's cache at the edge: what an app far away from the writer may see of a new value.
 *
 * On one machine KV is never stale; in production a location goes on serving the copy that it has for
 * 30 seconds (the least `cacheTtl`) to a minute and more. Here each copy is served for a time drawn from
 * that range.
 * Must never: write, or keep a copy for longer than it says.
 */
import type { RouteStore } from "../../worker/client/index.ts";

const leastMs = 30_000;
const mostMs = 60_000;

export function staleKv(kv: RouteStore): RouteStore {
  const copies = new Map<string, { readonly value: unknown; readonly untilMs: number }>();
  return {
    async get(key, options) {
      const copy = copies.get(key);
      if (copy !== undefined && Date.now() < copy.untilMs) return copy.value;
      const value = await kv.get(key, options);
      // A missing key is cached as well, as KV does.
      const lifeMs = leastMs + Math.random() * (mostMs - leastMs);
      copies.set(key, { value, untilMs: Date.now() + lifeMs });
      return value;
    },
  };
}
