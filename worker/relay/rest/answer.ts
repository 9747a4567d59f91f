/**
 * Answers over node:http.
 *
 * Promises: one answer for each request; a caller who is refused before its body was read still gets to read
 * why.
 * Must never: keep a timer after the answer is out.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { errorText } from "./upstash.ts";

/** Name, value, name, value: as Node takes them fastest. */
export type Headers = readonly string[];

/** How long a caller who is refused may go on sending. */
const LINGER_MS = 5_000;
/** What is left of a request is read to its end up to here. */
const SMALL = 64 * 1024;

/** Of a larger body: written piece by piece, what was read of it shows on the socket. */
const PIECE = 256 * 1024;

/** Bytes of the body. */
export function respond(
  res: ServerResponse,
  status: number,
  body: string | Buffer,
  headers: Headers,
): number {
  if (res.headersSent || res.destroyed) return 0;
  const text = typeof body === "string";
  const bytes = text ? Buffer.byteLength(body) : body.length;
  const type = text ? "application/json" : "application/octet-stream";
  res.writeHead(status, ["content-type", type, "content-length", String(bytes), ...headers]);
  if (bytes <= PIECE) res.end(body);
  else writeOn(res, text ? Buffer.from(body) : body);
  return bytes;
}

function writeOn(res: ServerResponse, rest: Buffer): void {
  let left = rest;
  while (left.length > PIECE) {
    const piece = left.subarray(0, PIECE);
    left = left.subarray(PIECE);
    if (!res.write(piece)) {
      res.once("drain", () => writeOn(res, left));
      return;
    }
  }
  res.end(left);
}

/**
 * For a request whose body was not read. A connection closed at once would take the answer with it, so what
 * is still being sent is thrown away for a while.
 */
export function refuse(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  error: string,
  headers: Headers = [],
): void {
  if (res.headersSent || res.destroyed) return;
  const body = errorText(error);
  const declared = req.headers["content-length"];
  const chunked = req.headers["transfer-encoding"] !== undefined;
  if (req.complete || (!chunked && Number(declared ?? 0) <= SMALL)) {
    respond(res, status, body, headers);
    return;
  }
  const length = String(Buffer.byteLength(body));
  res.writeHead(status, [
    ...["content-type", "application/json", "content-length", length, "connection", "close"],
    ...headers,
  ]);
  res.write(body);
  const end = () => {
    clearTimeout(timer);
    res.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  req.once("end", end);
  req.once("close", end);
  req.resume();
}
