/**
 * The relay's door for people: `npm run relay -- --config FILE`; and what redis.conf has to hold so that a
 * node boots sealed: `npm run relay -- --print-redis-conf`.
 *
 * Promises: JSON lines on stdout, one of them when it listens; what keeps it from starting goes to stderr,
 * with exit 2; SIGHUP reads the configuration again, and a wrong one changes nothing; SIGTERM and SIGINT end
 * it cleanly.
 * Must never: print a token or a password.
 */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { type ParsedSettings, parseSettings } from "../worker/relay/config.ts";
import { createLog, secretsOf } from "../worker/relay/log.ts";
import { BOOT_SEALED } from "../worker/relay/protocol.ts";
import { startRelay } from "../worker/relay/serve.ts";

const USAGE = `npm run relay -- --config FILE        runs a relay; settings: docs/relay.md
                                      without --config: the file that PICKET_RELAY_CONFIG names
npm run relay -- --print-redis-conf   prints what redis.conf holds on a node that boots sealed`;

const WHY: Readonly<Record<(typeof BOOT_SEALED)[number][0], string>> = {
  "min-replicas-to-write": "a server that has just started takes no write: NOREPLICAS",
  "min-replicas-max-lag": "at 0 the line above would mean nothing",
  "repl-diskless-sync": "synchronisations begin after the delay below,",
  "repl-diskless-sync-delay": "so a server that started empty empties no replica",
};

/** For redis.conf, where a comment has a line of its own. */
const redisConf = (): string =>
  [
    "# Picket: this node boots sealed. Its relay opens it, at run time only, when it is the primary.",
    ...BOOT_SEALED.flatMap(([setting, value]) => [`# ${WHY[setting]}`, `${setting} ${value}`]),
  ].join("\n");

function refuse(...complaints: readonly string[]): never {
  for (const complaint of complaints) console.error(`relay: ${complaint}`);
  process.exit(2);
}

function configFile(): string {
  try {
    const { values } = parseArgs({
      options: {
        config: { type: "string" },
        "print-redis-conf": { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    if (values["print-redis-conf"] === true) {
      console.log(redisConf());
      process.exit(0);
    }
    if (values.help === true) {
      console.log(USAGE);
      process.exit(0);
    }
    return (
      values.config ??
      process.env.PICKET_RELAY_CONFIG ??
      refuse("--config is missing, and so is PICKET_RELAY_CONFIG", USAGE)
    );
  } catch (error) {
    return refuse(error instanceof Error ? error.message : "wrong arguments", USAGE);
  }
}

async function read(file: string): Promise<ParsedSettings> {
  try {
    return parseSettings(await readFile(file, "utf8"));
  } catch (error) {
    const complaint = error instanceof Error ? error.message : "cannot be read";
    return { kind: "wrong", complaints: [complaint] };
  }
}

const file = configFile();
const parsed = await read(file);
if (parsed.kind === "wrong") {
  refuse(...parsed.complaints.map((complaint) => `${file}: ${complaint}`));
}
let { settings } = parsed;
// Whoever reads the log may go away; the relay stays.
process.stdout.on("error", () => undefined);
const log = createLog(process.stdout, settings.id, () => secretsOf(settings));
const starting = startRelay(settings, log).catch((error: unknown) =>
  refuse(error instanceof Error ? error.message : "could not start"),
);
// Before it has started as well: a signal that nobody awaits ends the process.
let reloading: Promise<unknown> = starting;
process.on("SIGHUP", () => {
  reloading = reloading.then(reload);
});
const relay = await starting;
log("start", { listening: relay.url, nodes: settings.nodes.map((node) => node.id) });

let closing = false;
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    if (closing) return;
    closing = true;
    log("stop", { signal });
    void relay.close().then(() => {
      log("stopped");
      process.exit(0);
    });
  });
}

async function reload(): Promise<void> {
  if (closing) return;
  const again = await read(file);
  const complaints = again.kind === "wrong" ? again.complaints : relay.reload(again.settings);
  if (again.kind === "settings" && complaints.length === 0) {
    settings = again.settings;
    log("reload", { nodes: settings.nodes.map((node) => node.id) });
  } else {
    log("reload-refused", { complaints });
  }
}
