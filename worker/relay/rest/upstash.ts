/**
 * The answers of the Upstash REST protocol: replies to JSON or RESP2.
 *
 * Promises: pure; integers keep every digit; with base64 and with RESP2 every byte survives.
 * Must never: decide what is allowed (commands.ts) or touch a connection.
 */
import { type Failure, isBytes, type Reply } from "../../redis/connection.ts";
import { nodeErrors } from "../protocol.ts";
import { explained } from "./unknown.ts";

export type Text = "json" | "base64";
export type Format = Text | "resp2";

type Json = null | string | number | readonly Json[];

/** `{"result":…}` or `{"error":…}` as JSON text. */
export function resultText(reply: Reply | undefined, format: Text): string {
  const base64 = format === "base64";
  if (reply === undefined) return errorText("ERR no reply");
  if (isBytes(reply)) {
    // The clients take a plain OK only here; inside a list they decode every string.
    if (reply.length === 2 && reply[0] === 79 && reply[1] === 75) return '{"result":"OK"}';
    if (base64) return `{"result":"${reply.toString("base64")}"}`;
    return `{"result":${JSON.stringify(reply.toString())}}`;
  }
  if (reply instanceof Error) return errorText(explained(reply.message));
  return `{"result":${JSON.stringify(jsonOf(reply, base64))}}`;
}

export function listText(replies: readonly Reply[], format: Text): string {
  let text = "[";
  for (let index = 0; index < replies.length; index += 1) {
    text += (index === 0 ? "" : ",") + resultText(replies[index], format);
  }
  return `${text}]`;
}

export const errorText = (error: string): string => JSON.stringify({ error });

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

/** As a client over TCP would read it; a lone OK is the status that it mostly is, all else is bulk. */
export function resp2Of(replies: readonly (Reply | undefined)[]): Buffer {
  const parts: Buffer[] = [];
  for (const reply of replies) encode(reply ?? null, parts);
  return Buffer.concat(parts);
}

export const resp2Error = (error: string): Buffer =>
  Buffer.from(`-${error.replace(/[\r\n]+/g, " ")}\r\n`);

const CRLF = Buffer.from("\r\n");
const OK = Buffer.from("OK");

function encode(reply: Reply, parts: Buffer[]): void {
  if (reply === null) parts.push(Buffer.from("$-1\r\n"));
  else if (typeof reply === "string") parts.push(Buffer.from(`:${reply}\r\n`));
  else if (reply instanceof Error) parts.push(resp2Error(explained(reply.message)));
  else if (isBytes(reply)) {
    if (reply.equals(OK)) parts.push(Buffer.from("+OK\r\n"));
    else parts.push(Buffer.from(`$${reply.length}\r\n`), reply, CRLF);
  } else {
    parts.push(Buffer.from(`*${reply.length}\r\n`));
    for (const each of reply) encode(each, parts);
  }
}
