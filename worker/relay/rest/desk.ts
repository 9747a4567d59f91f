/**
 * Requests at work: how many there are, and how much is held for them.
 *
 * Promises: bodies that are half sent and answers that nobody reads are bounded, for one caller and for all
 * together; who keeps an answer unread for too long is ended.
 * Must never: look into a body.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Caller } from "../tokens.ts";
import { type Headers, refuse, respond } from "./answer.ts";
import type { Limits } from "./policy.ts";

export type Work = {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly limits: Limits;
  readonly face: Caller["face"];
  readonly startedAtMs: number;
  /** Held for it here: its body so far, then its answer as long as it was not read. */
  heldBytes: number;
  answeredAtMs: number | null;
  bytesIn: number;
  bytesOut: number;
  commands: number;
};

export type Desk = {
  /** Null: there is no room for one more. */
  readonly begin: (
    req: IncomingMessage,
    res: ServerResponse,
    limits: Limits,
    face: Caller["face"],
  ) => Work | null;
  /** Never settles when the caller goes away, or was refused here. */
  readonly bodyOf: (work: Work) => Promise<Buffer>;
  readonly answer: (work: Work, status: number, body: string | Buffer, headers?: Headers) => void;
  /** True: more waits to be read than is allowed, and the stream was ended. */
  readonly overflows: (work: Work) => boolean;
};

/** How long a large answer may lie unread without a byte of progress; and any, once there is no room. */
const PATIENCE_MS = 20_000;
/** Below this nothing is counted: the number of requests bounds it. */
const LARGE = 64 * 1024;
const MAX_STREAM_BACKLOG = 1024 * 1024;
const NO_BODY = Buffer.alloc(0);

export function createDesk(observe?: (work: Work, status: number) => void): Desk {
  const atWork = new Set<Work>();
  let held = 0;

  function hold(work: Work, bytes: number): void {
    held += bytes - work.heldBytes;
    work.heldBytes = bytes;
  }

  const most = ({ maxReplyBytes, maxBodyBytes }: Limits): number =>
    64 * 1024 * 1024 + 4 * (maxReplyBytes + maxBodyBytes);

  function endSlowest(patienceMs: number): void {
    const now = performance.now();
    for (const { res, answeredAtMs } of atWork) {
      if (answeredAtMs !== null && now - answeredAtMs >= patienceMs) res.destroy();
    }
  }

  return {
    begin: (req, res, limits, face) => {
      if (atWork.size >= limits.maxRequests) {
        endSlowest(PATIENCE_MS);
        return null;
      }
      const work: Work = {
        ...{
          req,
          res,
          limits,
          face,
          startedAtMs: performance.now(),
          heldBytes: 0,
          answeredAtMs: null,
        },
        ...{ bytesIn: 0, bytesOut: 0, commands: 0 },
      };
      atWork.add(work);
      res.once("close", () => {
        atWork.delete(work);
        held -= work.heldBytes;
      });
      return work;
    },

    bodyOf: (work) => {
      const { req, res, limits } = work;
      const { maxBodyBytes } = limits;
      const tooLarge = () =>
        refuse(
          req,
          res,
          413,
          `ERR a body has at most ${maxBodyBytes} bytes, limits.max_body_bytes`,
        );
      return new Promise((resolve) => {
        if (Number(req.headers["content-length"] ?? 0) > maxBodyBytes) return tooLarge();
        const chunks: Buffer[] = [];
        let size = 0;
        const onData = (chunk: Buffer) => {
          chunks.push(chunk);
          size += chunk.length;
          if (size < LARGE) return;
          hold(work, size);
          const over = size > maxBodyBytes;
          if (!over && held <= most(limits)) return;
          req.off("data", onData);
          req.off("end", onEnd);
          chunks.length = 0;
          hold(work, 0);
          if (over) return tooLarge();
          refuse(req, res, 503, "RELAY_BUSY too much is being sent to it; it was not executed");
        };
        const onEnd = () => {
          work.bytesIn = size;
          if (work.heldBytes > 0) hold(work, 0);
          resolve(chunks.length === 1 ? (chunks[0] ?? NO_BODY) : Buffer.concat(chunks));
        };
        req.on("data", onData);
        req.once("end", onEnd);
      });
    },

    answer: (work, status, body, headers) => {
      const { res } = work;
      const bytes = respond(res, status, body, headers);
      work.bytesOut = bytes;
      work.answeredAtMs = performance.now();
      observe?.(work, status);
      if (bytes < LARGE || res.destroyed) return;
      hold(work, bytes);
      res.setTimeout(PATIENCE_MS, () => res.destroy());
      if (held > most(work.limits)) endSlowest(0);
    },

    overflows: (work) => {
      if (work.res.writableLength <= MAX_STREAM_BACKLOG) return false;
      work.res.destroy();
      return true;
    },
  };
}
