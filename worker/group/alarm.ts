/**
 * When the Group's alarm should stand: as few rows written as possible, and never too late.
 *
 * Promises: pure. A tick in which nothing changed sets the alarm once, before its look.
 */
import type { GroupConfig } from "../core/types.ts";

/** What lies so far ahead is left to cron: no alarm is set. */
const CRON_MS = 60_000;

/** With this interval cron alone wakes the group. */
export const isScheduledOnly = (config: GroupConfig) => config.checkIntervalMs >= CRON_MS;

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
  const may = config.quiet && connected >= 2;
  return isScheduledOnly(config) || (quiet ?? may) ? null : config.checkIntervalMs;
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
