/**
 * The relay's door for people: `npm run relay -- --config FILE`; and what redis.conf has to hold so that a
 * node boots sealed: `npm run relay -- --print-redis-conf`.
 *
 * Promises: one JSON line on stdout when it listens; anything wrong goes to stderr, with exit 2 for a
 * configuration or a state file that cannot be used; SIGTERM and SIGINT end it cleanly.
 * Must never: print a token or a password.
 */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { parseSettings } from "../worker/relay/config.ts";
import { BOOT_SEALED } from "../worker/relay/protocol.ts";
import { startRelay } from "../worker/relay/serve.ts";

const USAGE = `npm run relay -- --config FILE        runs a relay; settings: docs/relay.md
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
    return values.config ?? refuse("--config is missing", USAGE);
  } catch (error) {
    return refuse(error instanceof Error ? error.message : "wrong arguments", USAGE);
  }
}

const file = configFile();
const text = await readFile(file, "utf8").catch((error: unknown) =>
  refuse(`${file}: ${error instanceof Error ? error.message : "cannot be read"}`),
);
const parsed = parseSettings(text);
if (parsed.kind === "wrong") {
  refuse(...parsed.complaints.map((complaint) => `${file}: ${complaint}`));
}
const { settings } = parsed;
const relay = await startRelay(settings).catch((error: unknown) =>
  refuse(error instanceof Error ? error.message : "could not start"),
);

let closing = false;
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    if (closing) return;
    closing = true;
    void relay.close().then(() => process.exit(0));
  });
}
const nodes = settings.nodes.map((node) => node.id);
console.log(JSON.stringify({ relay: settings.id, listening: relay.url, nodes }));
