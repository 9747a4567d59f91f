/**
 * The guard: a process of its own that seals a node when the relay beside it dies, or stands still.
 *
 * Promises: it has its own connection to Redis; the relay's end of the pipe closed, or no beat for a quarter of a
 * lease: it seals, and goes on until Redis has confirmed; it ends only when its relay is gone and the node is
 * sealed, or nothing listens there.
 * Must never: open a node, or end because a signal asks it to: whoever stops the relay's whole group of
 * processes means the relay.
 */
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { openSession, type Session } from "../../redis/session.ts";
import { type Beat, type FromGuard, machineNow, parseLine, type Watch } from "./beats.ts";
import { guardSealInMs, sealInMs } from "./rules.ts";
import { createSealer, type Sealer } from "./sealing.ts";

/** Between two tries to seal, and between two looks at whether it is time. */
const AGAIN_MS = 200;
/** So long without a watch: the relay died before it said anything. */
const FIRST_WORD_MS = 10_000;
/** Redis closes nothing, and forgets nobody: the connection is used so often that it is known to be good. */
const WARM_MS = 1000;

let watch: Watch | null = null;
let session: Session | null = null;
let sealer: Sealer | null = null;
let beat: Beat | null = null;
let orphaned = false;
/** The beat for which the node was sealed already: nothing opened it since. */
let sealedFor: number | null = null;
let warmedMs = 0;

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => undefined);

// Its relay is gone: nobody reads any more.
process.stdout.on("error", () => undefined);
createInterface(process.stdin)
  .on("line", (line) => hear(parseLine<Watch | Beat>(line)))
  .on("close", () => {
    orphaned = true;
  });

function hear(message: Watch | Beat | null): void {
  if (message === null) return;
  if (message.kind === "watch") {
    watch = message;
    session = openSession(message.endpoint, message.sealMs);
    const { node, sealMs, killCommand } = message;
    const run = session.run;
    sealer = createSealer({ node, sealMs, killCommand, run: () => run, log: say });
    return;
  }
  beat = message;
  tell({ kind: "alive" });
}

function say(event: string, fields: Readonly<Record<string, unknown>> = {}): void {
  tell({ kind: "log", event: `guard-${event}`, fields: { ...fields } });
}

function tell(message: FromGuard): void {
  if (!orphaned) process.stdout.write(`${JSON.stringify(message)}\n`);
}

const openedAt = (): number | null => beat?.cover?.from.monoMs ?? null;

async function seal(why: string): Promise<boolean> {
  const since = openedAt();
  // As the relay: only one that may be open is ended, and no earlier than its lease.
  const left = sealInMs(beat?.last ?? null, machineNow(), watch?.sealMs ?? 0);
  const spared = beat?.open !== true || left > 0;
  const became = await (sealer?.seal(why, spared) ?? Promise.resolve("gone" as const));
  // Only while nothing opened it meanwhile.
  if (became !== "open" && openedAt() === since) sealedFor = since;
  return became !== "open";
}

async function live(): Promise<void> {
  const bornMs = machineNow().monoMs;
  for (;;) {
    const now = machineNow();
    if (orphaned) {
      if (sealer === null || (await seal("its relay is gone"))) return;
      await pause(AGAIN_MS);
      continue;
    }
    if (watch === null) {
      if (now.monoMs - bornMs > FIRST_WORD_MS) return;
    } else if (beat?.cover != null && sealedFor !== openedAt()) {
      const inMs = guardSealInMs(beat, now, watch.sealMs);
      if (inMs <= 0) await seal("its relay does not say in time that it lives");
    }
    if (session !== null && now.monoMs - warmedMs > WARM_MS) {
      warmedMs = now.monoMs;
      void session.run([["PING"]], { deadlineMs: WARM_MS, repeatable: true });
    }
    const dueMs =
      beat === null || watch === null ? AGAIN_MS : guardSealInMs(beat, now, watch.sealMs);
    await pause(Math.max(5, Math.min(dueMs, 25)));
  }
}

await live();
process.exit(0);
