/**
 * What the relay tells whoever runs it: JSON lines, one for each event.
 *
 * Promises: every line has `at`, `relay` and `event`; none shows a secret of the settings in force, wherever
 * it came from; a reader who is too slow costs lines, which are counted, and no memory.
 * Must never: throw, or wait.
 */
import type { Writable } from "node:stream";
import type { RelaySettings } from "./config.ts";

export type Log = (event: string, fields?: Readonly<Record<string, unknown>>) => void;

export const silent: Log = () => {};

const MAX_UNREAD_BYTES = 1024 * 1024;
/** A shorter one could be any word. */
const MIN_SECRET_CHARS = 8;

export function createLog(
  out: Writable,
  relay: string,
  secrets: () => readonly string[] = () => [],
): Log {
  let dropped = 0;
  return (event, fields = {}) => {
    if (out.writableLength > MAX_UNREAD_BYTES || !out.writable) {
      dropped += 1;
      return;
    }
    const gap = dropped === 0 ? {} : { dropped };
    const line = JSON.stringify({
      ...{ at: new Date().toISOString(), relay, event },
      ...fields,
      ...gap,
    });
    dropped = 0;
    out.write(`${secrets().reduce((text, secret) => text.replaceAll(secret, "***"), line)}\n`);
  };
}

export function secretsOf(settings: RelaySettings): readonly string[] {
  return [
    ...settings.controlTokens,
    ...settings.dataTokens.map((each) => each.token),
    ...settings.nodes.map((each) => each.password),
    ...settings.lease.flatMap(({ peers }) => peers.map((peer) => peer.token)),
    ...settings.lease.flatMap(({ peers }) => peers.map((each) => each.token)),
    settings.metricsToken,
  ]
    .filter((secret) => secret !== null)
    .filter((secret) => secret.length >= MIN_SECRET_CHARS);
}

/** Tells the first at once; of those that follow within `everyMs` only how many, with the next that is told. */
export function seldom(log: Log, everyMs: number): Log {
  let untold = 0;
  let nextAtMs = 0;
  return (event, fields) => {
    untold += 1;
    const now = performance.now();
    if (now < nextAtMs) return;
    nextAtMs = now + everyMs;
    log(event, { ...fields, times: untold });
    untold = 0;
  };
}
