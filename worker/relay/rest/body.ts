/**
 * Bodies from outside: bytes to commands.
 *
 * Promises: integers keep every digit; bytes that are no UTF-8 reach Redis as they are; every fault is named
 * with its place.
 * Must never: decide what is allowed (commands.ts).
 */
import { isUtf8 } from "node:buffer";
import type { Command } from "../../redis/connection.ts";
import type { Word, Wrong } from "./target.ts";

type Parsed<T> = { readonly kind: "parsed"; readonly value: T } | Wrong;

const COMMAND = "a command is a list of strings, numbers or booleans, at least one";

export function parseCommand(body: Buffer): Parsed<Command> {
  const value = parseJson(body);
  if (isWrong(value)) return value;
  return commandOf(value.value, null, value.bytes);
}

export function parseCommands(body: Buffer, maxPipeline: number): Parsed<readonly Command[]> {
  const parsed = parseJson(body);
  if (isWrong(parsed)) return parsed;
  const { value, bytes } = parsed;
  if (!Array.isArray(value) || value.length === 0) {
    return wrong(`the body is ${kindOf(value)}: it must be a list of commands, at least one`);
  }
  if (value.length > maxPipeline) {
    return wrong(
      `the body has ${value.length} commands: at most ${maxPipeline} at once, limits.max_pipeline`,
    );
  }
  const commands: Command[] = [];
  for (let index = 0; index < value.length; index += 1) {
    const command = commandOf(value[index], index, bytes);
    if (command.kind === "wrong") return command;
    commands.push(command.value);
  }
  return { kind: "parsed", value: commands };
}

/** Neither of the two shapes is ever mistaken for the other: a command's words are no lists. */
function commandOf(value: unknown, index: number | null, bytes: boolean): Parsed<Command> {
  if (!Array.isArray(value) || value.length === 0) {
    return wrong(`${placeOf(index)} is ${kindOf(value)}: ${COMMAND}`);
  }
  const words = value as unknown[];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at];
    if (typeof word === "string") {
      if (bytes) words[at] = rawWord(word);
    } else if (typeof word === "boolean" || (typeof word === "number" && Number.isFinite(word))) {
      words[at] = String(word);
    } else {
      return wrong(`argument ${at} of ${placeOf(index)} is ${kindOf(word)}: ${COMMAND}`);
    }
  }
  return { kind: "parsed", value: words as Command };
}

const placeOf = (index: number | null): string =>
  index === null ? "the body" : `command ${index + 1}`;

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "number") return Number.isFinite(value) ? "a number" : "too large a number";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

const wrong = (what: string): Wrong => ({ kind: "wrong", error: `ERR ${what}` });

type Json = { readonly value: unknown; readonly bytes: boolean };

const isWrong = (parsed: Json | Wrong): parsed is Wrong => "kind" in parsed;

function parseJson(body: Buffer): Json | Wrong {
  if (body.length === 0) return wrong(`the body is empty: ${COMMAND}`);
  const bytes = !isUtf8(body);
  const text = bytes ? escapesAsBytes(body.toString("latin1")) : body.toString();
  try {
    // The source of a number is looked at only where a double could round it: the plain parser is faster.
    return { value: /\d{16}/.test(text) ? JSON.parse(text, exactNumber) : JSON.parse(text), bytes };
  } catch (error) {
    // The engine's own stack, met by a list of a hundred thousand lists.
    if (error instanceof RangeError) return wrong(`the body is nested too deep: ${COMMAND}`);
    return wrong(`the body is not JSON: ${COMMAND}`);
  }
}

function exactNumber(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  return Number.isFinite(value) ? (context?.source ?? value) : value;
}

/**
 * A body that is no UTF-8 is read one character for a byte; its \u escapes are written as the bytes that they
 * mean, so that what was escaped and what was raw end up as the same kind of thing.
 */
function escapesAsBytes(text: string): string {
  return text.replace(
    /\\(?:u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|u([0-9a-f]{4})|[^u])/gi,
    (whole, high?: string, low?: string, one?: string) => {
      const units = [high, low, one].flatMap((hex) =>
        hex === undefined ? [] : [Number.parseInt(hex, 16)],
      );
      if (units.length === 0 || (units[0] ?? 0) < 0x80) return whole;
      return Buffer.from(String.fromCharCode(...units)).latin1Slice();
    },
  );
}

function rawWord(latin1: string): Word {
  const bytes = Buffer.from(latin1, "latin1");
  return isUtf8(bytes) ? bytes.toString() : bytes;
}
