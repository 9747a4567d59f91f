/** What is known of the databases, in numbers, for metrics and for people. Must never: hold a token. */
import { isClean, type Reason } from "../../core/steering.ts";
import { type Fleet, nowMs } from "./fleet.ts";
import type { Settings } from "./options.ts";

export type DatabaseStatus = {
  readonly id: string;
  readonly weight: number;
  /** Null: nobody looked yet. */
  readonly healthy: boolean | null;
  /** A look at it failed within the grace period: nobody goes back to it yet. */
  readonly inGrace: boolean;
  /** Requests sent to it, and those that count as failed; since the client was made. */
  readonly commands: number;
  readonly failures: number;
  readonly checks: number;
  readonly failedChecks: number;
};

export type GeoStatus = {
  readonly active: string | null;
  /** Null: not pinned. */
  readonly pinnedForMs: number | null;
  readonly databases: readonly DatabaseStatus[];
  /** How often the active one became another one, and why. */
  readonly switches: Readonly<Record<Reason, number>>;
  /** How often it was counted that nobody is healthy, since somebody was. */
  readonly attempts: number;
};

export function statusOf({ state, nodes, switches }: Fleet, settings: Settings): GeoStatus {
  const atMs = nowMs();
  return {
    active: state.active,
    pinnedForMs: state.pinnedUntilMs === null ? null : Math.max(0, state.pinnedUntilMs - atMs),
    databases: state.members.map((member) => {
      const {
        commands = 0,
        failures = 0,
        checks = 0,
        failedChecks = 0,
      } = nodes.get(member.id) ?? {};
      const { id, weight, healthy } = member;
      const inGrace = !isClean(member, settings, atMs);
      return { id, weight, healthy, inGrace, commands, failures, checks, failedChecks };
    }),
    switches: { ...switches },
    attempts: state.attempts,
  };
}
