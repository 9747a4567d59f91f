/**
 * What the relay tells whoever runs it: JSON lines, one for each event.
 *
 * Promises: every line has `at`, `relay` and `event`; none shows a secret of the settings in force or of earlier
 * ones, wherever it came from; a reader who is too slow costs lines, which are counted, and no memory.
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
  const known = new Set<string>();
  let longestFirst: readonly string[] = [];

  /** In texts as they are: in JSON a quote or a backslash is no longer what it was. */
  function masked(_key: string, value: unknown): unknown {
    if (typeof value !== "string") return value;
    return longestFirst.reduce((text, secret) => text.replaceAll(secret, "***"), value);
  }

  function learn(): void {
    const before = known.size;
    for (const secret of secrets()) known.add(secret);
    if (known.size === before) return;
    // One may be the beginning of another.
    longestFirst = [...known].sort((one, other) => other.length - one.length);
  }

  return (event, fields = {}) => {
    if (out.writableLength > MAX_UNREAD_BYTES || !out.writable) {
      dropped += 1;
      return;
    }
    const gap = dropped === 0 ? {} : { dropped };
    learn();
    const line = { at: new Date().toISOString(), relay, event, ...fields, ...gap };
    dropped = 0;
    out.write(`${JSON.stringify(line, masked)}\n`);
  };
}

export function secretsOf(settings: RelaySettings): readonly string[] {
  return [
    ...settings.controlTokens,
    ...settings.dataTokens.map((each) => each.token),
    ...settings.nodes.map((each) => each.password),
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
