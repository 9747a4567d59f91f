/**
 * When the Group's alarm should stand: as few rows written as possible, and never too late.
 *
 * Promises: pure. A tick in which nothing changed sets the alarm once, before its look.
 */
import type { GroupConfig } from "../core/types.ts";
import type { Ready } from "./memory.ts";

/** What lies so far ahead is left to cron: no alarm is set. */
const CRON_MS = 60_000;

/** With this interval cron alone wakes the group. */
export const isScheduledOnly = (config: GroupConfig) => config.checkIntervalMs >= CRON_MS;

/** Before anything is known of its nodes: enough relays tell at once when something changes. */
export const mayBeQuiet = ({ quiet }: GroupConfig, connected: number) => quiet && connected >= 2;

/** When a decision was made, and when it wants the next look. */
export type Decided = { readonly atMs: number; readonly wakeAtMs: number };

/**
 * When vantages are told to be asked again, and wake the group if they are not; null: no alarm of the group stands that
 * could die.
 * @param quiet as the last decision left it; null: there was none, and a group that may be quiet is soon heard of again.
 * @param connected relays that tell at once what they see.
 */
export function againAfter(
  config: GroupConfig,
  quiet: boolean | null,
  connected: number,
): number | null {
  const isLeft = quiet ?? mayBeQuiet(config, connected);
  return isScheduledOnly(config) || isLeft ? null : config.checkIntervalMs;
}

/**
 * Whether an alarm is to be set before a look: unless one stands, or the group is left to cron and to its relays, who
 * woke it, and will again if this round does not come to its end.
 * @param known where the alarm stands, and what the last decision made of it; `quiet` null: the group has slept since.
 */
export function needsGuard(
  { config, state: { saved } }: Pick<Ready, "config" | "state">,
  { armedAtMs, quiet }: { readonly armedAtMs: number | null; readonly quiet: boolean | null },
  connected: number,
  nowMs: number,
): boolean {
  const isIdle = saved.phase.kind === "watching" && saved.pending.length === 0;
  const isLeft = quiet ?? (armedAtMs === null && isIdle && mayBeQuiet(config, connected));
  return !isScheduledOnly(config) && !isLeft && (armedAtMs ?? 0) <= nowMs;
}

/** How far ahead the alarm is set before a look: where the look, if it takes as long as the last one, wants it. */
export const guardMs = ({ checkIntervalMs }: GroupConfig, lookMs: number) =>
  checkIntervalMs + Math.min(lookMs, checkIntervalMs);

/**
 * Where the alarm should stand after a decision; null: nowhere.
 * @param armedAtMs where it stands now; kept when that is close enough.
 */
export function alarmAfter(
  armedAtMs: number | null,
  decided: Decided,
  nowMs: number,
  config: GroupConfig,
): number | null {
  const { wakeAtMs } = decided;
  if (isScheduledOnly(config) || wakeAtMs - decided.atMs >= CRON_MS) return null;
  const earlyMs = armedAtMs === null ? 0 : wakeAtMs - armedAtMs;
  const stands = armedAtMs !== null && armedAtMs > nowMs;
  if (stands && earlyMs < config.checkIntervalMs && -earlyMs <= config.checkIntervalMs / 10)
    return armedAtMs;
  // Never in the past, and never now.
  return Math.max(wakeAtMs, nowMs + 1);
}
