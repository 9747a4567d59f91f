/**
 * The Upstash REST protocol as data: bodies to commands, replies to JSON.
 *
 * Promises: pure; integers keep every digit in both directions; with base64 every byte survives.
 * Must never: decide what is allowed (commands.ts) or touch a connection.
 */
import { type Command, type Failure, isBytes, type Reply } from "../../redis/connection.ts";
import { nodeErrors } from "../protocol.ts";

export const MAX_PIPELINE = 1000;

export type Json = null | string | number | readonly Json[];
export type UpstashResult = { readonly result: Json } | { readonly error: string };

export type Parsed<T> =
  | { readonly kind: "parsed"; readonly value: T }
  | { readonly kind: "wrong"; readonly error: string };

export function parseCommand(body: string): Parsed<Command> {
  const value = parseJson(body);
  if (value === undefined) return wrong("ERR the body is not JSON");
  const command = commandOf(value);
  return command === null ? wrong(NO_COMMAND) : { kind: "parsed", value: command };
}

export function parseCommands(body: string): Parsed<readonly Command[]> {
  const value = parseJson(body);
  if (value === undefined) return wrong("ERR the body is not JSON");
  if (!Array.isArray(value) || value.length === 0) {
    return wrong("ERR the body must be a list of commands, at least one");
  }
  if (value.length > MAX_PIPELINE) return wrong(`ERR at most ${MAX_PIPELINE} commands at once`);
  const commands: Command[] = [];
  for (const [index, each] of value.entries()) {
    const command = commandOf(each);
    if (command === null) return wrong(`${NO_COMMAND} (command ${index + 1})`);
    commands.push(command);
  }
  return { kind: "parsed", value: commands };
}

export function resultOf(reply: Reply | undefined, base64: boolean): UpstashResult {
  if (reply instanceof Error) return { error: reply.message };
  if (reply === undefined) return { error: "ERR no reply" };
  // The clients take a plain OK only here; inside a list they decode every string.
  if (isBytes(reply) && reply.equals(OK)) return { result: "OK" };
  return { result: jsonOf(reply, base64) };
}

/** The relay's own word when Redis did not answer. 502, 503: surely not executed. 504: nobody knows. */
export function failureText(failure: Failure): { status: 502 | 503 | 504; error: string } {
  const fate = failure.dispatched
    ? "outcome unknown: it may have been executed"
    : "it was not executed";
  if (failure.class === "busy") {
    const status = failure.dispatched ? 504 : 503;
    return { status, error: `RELAY_BUSY ${failure.detail}; ${fate}` };
  }
  const error = `${nodeErrors[failure.class]} ${failure.detail}; ${fate}`;
  return { status: failure.dispatched ? 504 : 502, error };
}

const OK = Buffer.from("OK");
const NO_COMMAND = "ERR a command is a list of strings, numbers or booleans, at least one";

function jsonOf(reply: Reply, base64: boolean): Json {
  if (reply === null) return null;
  if (typeof reply === "string") {
    const number = Number(reply);
    return Number.isSafeInteger(number) ? number : stringOf(Buffer.from(reply), base64);
  }
  if (isBytes(reply)) return stringOf(reply, base64);
  if (reply instanceof Error) return stringOf(Buffer.from(reply.message), base64);
  return reply.map((each) => jsonOf(each, base64));
}

function stringOf(bytes: Buffer, base64: boolean): string {
  return bytes.toString(base64 ? "base64" : "utf8");
}

function parseJson(body: string): unknown {
  try {
    // The source of a number is looked at only where a double could round it: the plain parser is faster.
    return /\d{16}/.test(body) ? JSON.parse(body, exactNumber) : JSON.parse(body);
  } catch {
    return undefined;
  }
}

function exactNumber(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  return context?.source ?? value;
}

function commandOf(value: unknown): Command | null {
  if (!Array.isArray(value) || value.length === 0) return null;
  const words: string[] = [];
  for (const word of value) {
    if (typeof word !== "string" && typeof word !== "number" && typeof word !== "boolean")
      return null;
    words.push(String(word));
  }
  return words;
}

function wrong(error: string): { readonly kind: "wrong"; readonly error: string } {
  return { kind: "wrong", error };
}
