/**
 * How long a command may wait inside Redis, as its words say.
 *
 * Promises: pure; reads a timeout where Redis reads it.
 * Must never: take what it does not understand for "does not wait".
 */
import type { Command } from "../../redis/connection.ts";

/** Milliseconds, 0: for ever. */
type Wait = number | "never" | "malformed" | "unknown";

const LAST = new Set(["BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BZPOPMIN", "BZPOPMAX"]);
const FIRST = new Set(["BLMPOP", "BZMPOP"]);
const STREAMS = new Set(["XREAD", "XREADGROUP"]);
/** How many words an option of XREAD has. */
const OPTIONS = new Map([
  ["COUNT", 2],
  ["BLOCK", 2],
  ["GROUP", 3],
]);

/** For a command that may wait. */
export function waitOf(name: string, command: Command): Wait {
  if (LAST.has(name)) return ms(command.at(-1), 1000);
  if (FIRST.has(name)) return ms(command[1], 1000);
  if (name === "WAIT") return ms(command[2], 1);
  if (name === "WAITAOF") return ms(command[3], 1);
  return STREAMS.has(name) ? blockOf(command) : "unknown";
}

function blockOf(command: Command): Wait {
  let wait: Wait = "never";
  for (let at = 1; at < command.length; ) {
    const option = String(command[at]).toUpperCase();
    if (option === "STREAMS") break;
    if (option === "BLOCK") {
      wait = ms(command[at + 1], 1);
      if (wait === "malformed") break;
    }
    at += OPTIONS.get(option) ?? 1;
  }
  return wait;
}

/** Only plain digits: Redis reads more kinds of numbers than anybody means. */
function ms(word: Command[number] | undefined, unitMs: number): Wait {
  const text = String(word ?? "");
  return /^\d{1,15}(\.\d{1,9})?$/.test(text) ? Math.ceil(Number(text) * unitMs) : "malformed";
}
