/**
 * The demo: `npm run demo` shows a failover on real Redis, then stays up; `-- --once --json` measures one.
 *
 * Promises: whatever happens, also Ctrl-C in the middle, no process and no file is left behind; exit code 0
 * only when a new primary was promoted, writes resumed, and every acknowledged write is accounted for.
 * Must never: print anything but the last line on stdout with `--json`.
 */
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { comeback, readBack } from "./comeback.ts";
import { failover } from "./failover.ts";
import type { Figures, World } from "./round.ts";
import { grouped, type Screen, screenOn } from "./screen.ts";
import { type Demo, setUp, showSetUp } from "./set-up.ts";
import { stay, steady } from "./stay.ts";

const USAGE = `npm run demo                      a failover on real Redis; then it stays up until Ctrl-C
npm run demo -- --once            one round, then the end
npm run demo -- --once --json     the same, with its figures as the last line of stdout`;

/** How long the writing is shown before the primary is killed: at any moment between two looks. */
const warmUpMs = () => 3000 + Math.random() * 1000;

function options() {
  try {
    return parseArgs({
      options: {
        once: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    }).values;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : "wrong arguments"}\n\n${USAGE}`);
    process.exit(2);
  }
}

const { once, json, help } = options();
if (help) {
  console.log(USAGE);
  process.exit(0);
}
const ending = new AbortController();
const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
let stoppedBy: keyof typeof exitCodes | null = null;
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(name, () => {
    stoppedBy ??= name;
    ending.abort(new Error(`stopped by ${name}`));
  });
// Whoever reads went away: there is nobody left to show anything to.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", () => ending.abort(new Error("nobody reads the output")));

const code = await main(screenOn(json ? process.stderr : process.stdout), ending.signal);
// Node's own clients keep sockets open for a while; everything that was started has been stopped by now.
process.exit(stoppedBy === null ? code : exitCodes[stoppedBy]);

async function main(screen: Screen, signal: AbortSignal): Promise<number> {
  const figures: Partial<Figures> = {};
  let demo: Demo | null = null;
  let why: string | null = null;
  try {
    demo = await setUp(screen, signal);
    screen.progress("");
    showSetUp(demo, screen);
    why = await round(demo, screen, figures, signal);
    if (!once && why === null) await stay(demo, screen, signal);
  } catch (error) {
    why = error instanceof Error ? error.message : String(error);
  }
  screen.progress("");
  await demo?.stack.stop();
  if (stoppedBy === null && why !== null) console.error(`demo: ${why}`);
  if (json)
    console.log(
      JSON.stringify({ ...(why === null ? { ok: true } : { ok: false, why }), ...figures }),
    );
  return why === null ? 0 : 1;
}

/** One failover and the way back. Returns what is wrong with it, or null. */
async function round(
  demo: Demo,
  screen: Screen,
  figures: Partial<Figures>,
  signal: AbortSignal,
): Promise<string | null> {
  const { line, paint } = screen;
  const ticker = setInterval(() => screen.progress(steady(demo)), 100);
  try {
    await pause(warmUpMs(), undefined, { signal });
    line(`${steady(demo)}`);
    line();
    line(
      paint("bold", "The primary is killed. Times from the kill, seen from outside the Worker:"),
    );
    const world: World = { ...demo, row: screen.row, signal };
    const result = await failover(world, figures);
    line();
    line(paint("bold", `The old primary, ${result.killed}, comes back. Times from its start:`));
    await comeback(world, result);
    const explained = await readBack(world, result, figures);
    line();
    showSummary(screen, figures, explained);
    const unexplained = (figures.lost ?? 0) > 0 && explained === null;
    return unexplained ? `${figures.lost} acknowledged writes are lost, unexplained` : null;
  } finally {
    clearInterval(ticker);
    screen.progress("");
  }
}

function showSummary(screen: Screen, figures: Partial<Figures>, explained: string | null): void {
  const { unavailableMs = 0, acked = 0, lost = 0, killed, promoted, epoch } = figures;
  const { line, paint } = screen;
  const away = paint(
    ["bold", "green"],
    `Writes were back after ${(unavailableMs / 1000).toFixed(2)} s`,
  );
  const loss = paint(["bold", lost === 0 ? "green" : "red"], `${lost} lost`);
  line(
    `${away}: ${killed} -> ${promoted} at epoch ${epoch}; ${grouped(acked)} acknowledged, ${loss}.`,
  );
  if (explained !== null) line(explained);
}
