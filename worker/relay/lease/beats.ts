/**
 * What a relay and the process that guards it say to each other. Their monotonic clock is the machine's: one and
 * the same for both.
 */
import type { Endpoint } from "../../redis/connection.ts";
import type { Cover, Now } from "./rules.ts";

/** First of all: whom to guard. */
export type Watch = {
  readonly kind: "watch";
  readonly node: string;
  readonly endpoint: Endpoint;
  readonly sealMs: number;
  readonly killCommand: readonly string[] | null;
};

export type Beat = {
  readonly kind: "beat";
  readonly cover: Cover | null;
  /** The lease that was told last, also when it was given back; and whether the node may still be open by it. */
  readonly last: Cover | null;
  readonly open: boolean;
  readonly leaseMs: number;
  /** When it was sent. */
  readonly atMonoMs: number;
};

/** From the guard: it lives, or what it did. */
export type FromGuard =
  | { readonly kind: "alive" }
  | { readonly kind: "log"; readonly event: string; readonly fields: Record<string, unknown> };

export const machineNow = (): Now => ({
  monoMs: Number(process.hrtime.bigint() / 1000n) / 1000,
  wallMs: Date.now(),
});

/** A line of the pipe; null: half of one, whose writer died over it. */
export function parseLine<T>(line: string): T | null {
  try {
    return JSON.parse(line) as T;
  } catch {
    return null;
  }
}
