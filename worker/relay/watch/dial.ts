/**
 * The relay's connection to the Group: dialled, kept, dialled again.
 *
 * Promises: one connection at a time; a Worker that is away is tried again, more and more slowly, and never by
 * all relays at once; a silent connection ends within a few seconds; a token that is refused gives way to the
 * next one.
 * Must never: follow a redirect with the token, or queue what could not be sent: it would be old.
 */
import { WebSocket } from "ws";
import type { Log } from "../log.ts";
import { MAX_MESSAGE_CHARS, PING, PONG } from "../push.ts";
import { brief } from "../request.ts";

export type Line = {
  /** False: there is no connection, or it does not take any more. */
  readonly send: (message: string) => boolean;
  readonly isOpen: () => boolean;
  readonly close: () => void;
};

export type DialDeps = {
  /** http or https. */
  readonly url: string;
  readonly tokens: readonly string[];
  readonly opened: () => void;
  readonly heard: (message: string) => void;
  readonly log: Log;
};

const HANDSHAKE_MS = 5000;
/** Asked by us, answered by the Group's runtime, which goes on sleeping. */
const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 5000;
const AGAIN_MS = { first: 200, most: 15_000 };
/** More than this is not read at the other end. */
const MAX_UNSENT_BYTES = 1024 * 1024;

export function dial({ url, tokens, opened, heard, log }: DialDeps): Line {
  let socket: WebSocket | null = null;
  let failures = 0;
  let token = 0;
  let again: NodeJS.Timeout | undefined;
  let closed = false;

  function connect(): void {
    const ws = new WebSocket(url.replace(/^http/, "ws"), {
      headers: { authorization: `Bearer ${tokens[token % tokens.length]}` },
      handshakeTimeout: HANDSHAKE_MS,
      maxPayload: 4 * MAX_MESSAGE_CHARS,
      perMessageDeflate: false,
      followRedirects: false,
    });
    socket = ws;
    let why = "";
    let pongBy: NodeJS.Timeout | undefined;
    const beat = setInterval(() => {
      if (ws.readyState !== WebSocket.OPEN) return;
      ws.send(PING);
      pongBy ??= setTimeout(() => ws.terminate(), PONG_WITHIN_MS);
    }, PING_EVERY_MS);
    ws.on("open", () => {
      log("group-connected", { url });
      opened();
    });
    ws.on("message", (data, isBinary) => {
      clearTimeout(pongBy);
      pongBy = undefined;
      const text = isBinary ? "" : String(data);
      // Only one that has stood for a while: what the Group ends at once is not dialled again at once.
      if (text === PONG) failures = 0;
      else heard(text);
    });
    ws.on("unexpected-response", (_, response) => {
      if (response.statusCode === 401) token += 1;
      why = `HTTP ${response.statusCode}`;
      ws.terminate();
    });
    ws.on("error", (error) => {
      why ||= brief(error.message);
    });
    ws.on("close", (code, reason) => {
      clearInterval(beat);
      clearTimeout(pongBy);
      if (closed) return;
      failures += 1;
      if (failures === 1) log("group-lost", { url, why: why || brief(`${code} ${reason}`) });
      again = setTimeout(connect, pauseMs(failures));
    });
  }

  connect();
  return {
    send: (message) => {
      if (socket?.readyState !== WebSocket.OPEN) return false;
      if (socket.bufferedAmount > MAX_UNSENT_BYTES) {
        socket.terminate();
        return false;
      }
      socket.send(message);
      return true;
    },
    isOpen: () => socket?.readyState === WebSocket.OPEN,
    close: () => {
      closed = true;
      clearTimeout(again);
      socket?.terminate();
    },
  };
}

/** Between half of it and all of it, so that relays that lost the same Worker do not return together. */
function pauseMs(failures: number): number {
  const most = Math.min(AGAIN_MS.first * 2 ** (failures - 1), AGAIN_MS.most);
  return most * (0.5 + Math.random() / 2);
}
