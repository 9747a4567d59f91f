/**
 * The relay's HTTP server: what is open to everyone, what is counted, and how it ends.
 *
 * Promises: /healthz, /readyz and /metrics are answered here, whatever the rest of the relay does; every
 * request is counted once; what is no HTTP gets an error in JSON; a drain lets requests in flight finish for
 * a bounded time and takes no new connection.
 * Must never: tell a caller without a token more than which node did not answer.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  ServerResponse,
} from "node:http";
import type { AddressInfo, Server as NetServer, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Log, seldom } from "./log.ts";
import { LOOK_PATH } from "./look-protocol.ts";
import type { Face, Metrics } from "./metrics.ts";
import { verbs } from "./protocol.ts";

type DoorParts = {
  readonly listen: { readonly host: string; readonly port: number };
  readonly handler: RequestListener;
  readonly states: () => ReadonlyMap<string, string>;
  readonly metrics: () => Metrics;
  readonly mayRead: (authorization: string | undefined) => boolean;
  readonly log: Log;
};

type Door = {
  readonly url: string;
  readonly usage: () => { sockets: number; received: number; sent: number };
  /** /readyz says no from now on, and no answer keeps its connection. */
  readonly startDrain: () => void;
  /** No new connections; resolves when the last request has its answer, or after so long. */
  readonly finish: (withinMs: number) => Promise<void>;
  readonly close: () => void;
};

/** Longer than what proxies keep an idle connection for, so that it is they who close it. */
const KEEP_ALIVE_MS = 65_000;
/** A caller that trickles its request holds a socket for so long, no more. */
const REQUEST_MS = 30_000;
const HEADERS_MS = 10_000;
const MAX_SOCKETS = 10_000;
const REFUSALS_EVERY_MS = 10_000;
/** At the end: who sends no more of half a request for so long has sent nothing. */
const HALF_MS = 1000;

/** The newest request of a connection. */
const NEWEST = Symbol("newest");
type Line = Socket & { [NEWEST]?: IncomingMessage | undefined };

/** A class, because this is how Node is given more fields for each answer. */
class Timed extends ServerResponse {
  readonly beganAtMs = performance.now();
  face: Face = "other";
}

export async function openDoor(parts: DoorParts): Promise<Door> {
  let draining = false;
  const sockets = new Set<Socket>();
  const closed = { received: 0, sent: 0 };
  const refused = seldom(parts.log, REFUSALS_EVERY_MS);

  const server = createServer(
    {
      ServerResponse: Timed,
      requestTimeout: REQUEST_MS,
      headersTimeout: HEADERS_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      noDelay: true,
    },
    (req, res) => {
      const face = faceOf(req.url ?? "");
      res.face = face;
      if (draining) res.shouldKeepAlive = false;
      res.on("close", count);
      (req.socket as Line)[NEWEST] = req;
      if (face === "operation") return operate(req, res);
      parts.handler(req, res);
    },
  );
  /** One function for all of them: a closure for each is what a request can be spared. */
  function count(this: Timed): void {
    // 499: the caller was gone before it was answered.
    const line: Line = this.req.socket;
    if (line[NEWEST] === this.req) line[NEWEST] = undefined;
    const status = this.headersSent ? this.statusCode : 499;
    parts.metrics().request(this.face, status, (performance.now() - this.beganAtMs) / 1000);
    if (status === 401) refused("token-refused", { from: this.req.socket.remoteAddress });
  }

  server.maxConnections = MAX_SOCKETS;
  server.on("clientError", sayWhatIsWrong);
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => {
      sockets.delete(socket);
      closed.received += socket.bytesRead;
      closed.sent += socket.bytesWritten;
    });
  });

  function operate(req: IncomingMessage, res: ServerResponse): void {
    // Whatever was sent along is not for us to keep.
    req.resume();
    if (req.method !== "GET" && req.method !== "HEAD") {
      return answer(res, 405, { error: "ERR only GET is answered here" }, { allow: "GET, HEAD" });
    }
    const path = pathOf(req.url ?? "");
    if (path === "/healthz") return answer(res, 200, { ok: true });
    if (path === "/readyz") return readiness(res);
    if (!parts.mayRead(req.headers.authorization)) {
      return answer(res, 401, { error: "Unauthorized: /metrics takes a metrics or control token" });
    }
    parts
      .metrics()
      .text()
      .then(
        ({ type, body }) => res.writeHead(200, { "content-type": type }).end(body),
        () => answer(res, 500, { error: "RELAY_ERROR a fault of the relay" }),
      );
  }

  function readiness(res: ServerResponse): void {
    const away = [...parts.states()].filter(([, state]) => state !== "up");
    const ready = away.length === 0 && !draining;
    const why = {
      ...(draining ? { draining } : {}),
      ...(away.length === 0 ? {} : { nodes: Object.fromEntries(away) }),
    };
    answer(res, ready ? 200 : 503, { ready, ...why });
  }

  const port = await listen(server, parts.listen);
  const { host } = parts.listen;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    usage: () => {
      let { received, sent } = closed;
      for (const socket of sockets) {
        received += socket.bytesRead;
        sent += socket.bytesWritten;
      }
      return { sockets: sockets.size, received, sent };
    },
    startDrain: () => {
      draining = true;
    },
    finish: (withinMs) => {
      const stands = createStandstill(HALF_MS);
      return finish(server, withinMs, () => {
        // A kept-alive connection becomes idle when its request ends, and would then hold the server open.
        server.closeIdleConnections();
        for (const socket of sockets) {
          // Clients open some ahead; Node does not call idle what never said a word.
          if (socket.bytesRead === 0 || (isHalf(socket) && stands(socket))) socket.destroy();
        }
      });
    },
    close: () => server.closeAllConnections(),
  };
}

const VERBS: ReadonlySet<string> = new Set(verbs);

/** `/nodes/a/promote?x`: a verb by its third word. Only for the counters: each face judges for itself. */
function faceOf(url: string): Face {
  if (url.startsWith("/nodes/")) {
    const slash = url.indexOf("/", 7);
    if (slash === -1) return "rest";
    const last = url.slice(slash + 1);
    if (last === "pipeline" || last === "multi-exec") return "rest";
    const [third = ""] = /^[a-z-]*/.exec(last) ?? [];
    if (VERBS.has(third)) return "verbs";
    return third === "subscribe" || third === "psubscribe" ? "stream" : "rest";
  }
  const path = pathOf(url);
  if (path === "/healthz" || path === "/readyz" || path === "/metrics") return "operation";
  if (path.startsWith("/v1/groups/")) return "route";
  if (path === LOOK_PATH) return "look";
  return path.startsWith("/groups/") || path === "/promise" ? "verbs" : "other";
}

function pathOf(url: string): string {
  const query = url.indexOf("?");
  return query === -1 ? url : url.slice(0, query);
}

function answer(
  res: ServerResponse,
  status: number,
  body: object,
  more: Readonly<Record<string, string>> = {},
): void {
  const text = JSON.stringify(body);
  res.writeHead(status, {
    ...more,
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
  });
  res.end(text);
}

/** What is no HTTP request, or half of one: Node would say so without a body. */
function sayWhatIsWrong(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const [status, why] = WRONG[error.code ?? ""] ?? ["400 Bad Request", "this is no HTTP request"];
  const body = JSON.stringify({ error: `ERR ${why}` });
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  );
}

const WRONG: Readonly<Record<string, readonly [string, string]>> = {
  HPE_HEADER_OVERFLOW: [
    "431 Request Header Fields Too Large",
    "address and headers have at most 16 KiB together",
  ],
  ERR_HTTP_REQUEST_TIMEOUT: ["408 Request Timeout", "the request did not come in time"],
};

export const sameSecret = (given: string, secret: string): boolean =>
  timingSafeEqual(digest(given), digest(secret));

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

function listen(server: NetServer, at: DoorParts["listen"]): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(at.port, at.host, () => {
      server.off("error", reject);
      resolve((server.address() as AddressInfo | null)?.port ?? at.port);
    });
  });
}

/** Of those that are not idle: its newest request, or the one that begins, has not come whole. */
const isHalf = (socket: Line): boolean => socket[NEWEST]?.complete !== true;

/** Whether nothing has come on a connection for so long, as seen by whoever asks often. */
function createStandstill(forMs: number): (socket: Socket) => boolean {
  const seen = new WeakMap<Socket, { readonly bytes: number; readonly atMs: number }>();
  return (socket) => {
    const last = seen.get(socket);
    const now = performance.now();
    if (last?.bytes === socket.bytesRead) return now - last.atMs >= forMs;
    seen.set(socket, { bytes: socket.bytesRead, atMs: now });
    return false;
  };
}

async function finish(server: NetServer, withinMs: number, dropIdle: () => void): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, withinMs);
  });
  const idle = setInterval(dropIdle, 20);
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  try {
    await Promise.race([closed, patience]);
  } finally {
    clearTimeout(timer);
    clearInterval(idle);
  }
}
