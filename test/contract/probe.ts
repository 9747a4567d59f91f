/**
 * What every transport promises, whatever it speaks. A transport's own test brings a bench: how to look at a port
 * of 127.0.0.1, a healthy node, and what it calls each kind of trouble.
 *
 * Nothing is timed: a server that never answers is only left because of the deadline.
 */
import { createServer, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { freePort } from "../../scripts/redis-server.ts";
import type { Found } from "../../worker/core/looking.ts";
import type { ObservationClass } from "../../worker/core/types.ts";
import { until } from "../support/wait.ts";

/** Longer than any machine is slow: what answers is never late. */
export const patientMs = 20_000;
/** Of a look at what never ends by itself. */
const SHORT_MS = 300;

export type LookAt = {
  readonly port: number;
  /** The password or token that it is given. */
  readonly secret: string;
  readonly timeoutMs: number;
};

type Broken = keyof typeof troubles;
/** `refused`: nobody listens. */
export type Trouble = Broken | "refused" | "wrong secret";

export type ProbeBench = {
  /** One look; it may run elsewhere, in workerd. */
  readonly look: (at: LookAt) => Promise<Found>;
  readonly healthy: { readonly port: number; readonly secret: string };
  /** What is said to it in answer to everything, well formed: bytes that a broken server repeats. */
  readonly speaks: "resp" | "http";
  /** By trouble, where it is not what `troubles` says; several: the runtime does not tell them apart. */
  readonly classes?: Partial<Record<Trouble, readonly ObservationClass[]>>;
  /** What cannot happen to this transport, and why. */
  readonly skips?: Partial<Record<Trouble, string>>;
  /** Connections are kept for the next look. */
  readonly keeps?: true;
  readonly close: () => Promise<void>;
};

type Server = (socket: Socket, speaks: ProbeBench["speaks"]) => void;

/** What a server does with a connection, after it heard something (`heard`) or at once. */
const troubles = {
  "is silent": { class: "timeout", endless: true, serve: () => {} },
  "hangs up at once": { class: "closed", serve: (socket) => void socket.destroy() },
  "hangs up when asked": { class: "closed", serve: heard((socket) => void socket.destroy()) },
  "begins an answer and stops": {
    class: "timeout",
    endless: true,
    serve: heard(
      (socket, speaks) => void socket.write(speaks === "http" ? head(9999) : "$9999\r\nab"),
    ),
  },
  "answers a byte at a time": {
    class: "timeout",
    endless: true,
    serve: heard((socket, speaks) => trickle(socket, speaks === "http" ? `${head(9999)}[` : "+")),
  },
  "answers without end": {
    class: "malformed",
    serve: heard((socket, speaks) =>
      flood(socket, speaks === "http" ? ENDLESS_BODY : "$999999999\r\n"),
    ),
  },
  "answers one line without end": {
    class: "malformed",
    serve: heard((socket, speaks) =>
      flood(socket, speaks === "http" ? "HTTP/1.1 200 OK\r\nx: " : "+"),
    ),
  },
  "speaks HTTP": {
    class: "malformed",
    serve: heard((socket) => void socket.end(`${head(13)}<html></html>`)),
  },
  "says HTTP 400 at once": {
    class: "malformed",
    serve: (socket) =>
      void socket.end("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
  },
  "says hello as SSH does": {
    class: "malformed",
    serve: (socket) => void socket.write("SSH-2.0-OpenSSH_9.7\r\n"),
  },
  "speaks TLS on a plain port": {
    class: "malformed",
    // A fatal alert, unexpected message: what a TLS server says to whoever speaks plain.
    serve: heard((socket) => void socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, 10]))),
  },
  "speaks RESP where HTTP is expected": {
    class: "malformed",
    serve: heard((socket) => void socket.write("-ERR unknown command 'POST'\r\n")),
  },
  "answers bytes that mean nothing": {
    class: "malformed",
    serve: heard((socket) => void socket.end(Buffer.from([0xff, 0xfe, 0, 0x80, 13, 10]))),
  },
} as const satisfies Record<
  string,
  { readonly class: ObservationClass; readonly endless?: true; readonly serve: Server }
>;

/** What a broken server may have written before nobody reads it any more: buffers of both sides, and no more. */
const MOST_SENT_BYTES = 24 << 20;

export function probeContract(name: string, start: () => Promise<ProbeBench>): void {
  describe(`probe ${name}`, () => {
    let bench: ProbeBench;
    beforeAll(async () => {
      bench = await start();
    });
    afterAll(() => bench?.close());

    const SECRET = "the-secret-that-no-detail-shows";
    async function look(at: Partial<LookAt> & { readonly port: number }): Promise<Found> {
      const found = await bench.look({ secret: SECRET, timeoutMs: patientMs, ...at });
      expect(found.detail).not.toBe("");
      expect(found.detail.length).toBeLessThanOrEqual(200);
      expect(found.detail).not.toContain(SECRET);
      expect(found.detail).not.toContain(bench.healthy.secret);
      return found;
    }
    function isOf(found: Found, what: Trouble, usual: ObservationClass) {
      expect(found.facts).toBeNull();
      expect(bench.classes?.[what] ?? [usual], found.detail).toContain(found.class);
      expect(found.class).not.toBe("up");
    }

    it("a healthy node is up, again and again", async () => {
      for (let n = 0; n < 3; n += 1) {
        const found = await look(bench.healthy);
        expect(found.class, found.detail).toBe("up");
      }
    });

    it("G12 a wrong secret is a fault by name", async ({ skip }) => {
      const why = bench.skips?.["wrong secret"];
      if (why !== undefined) skip(why);
      isOf(await look({ port: bench.healthy.port }), "wrong secret", "auth");
    });

    it("nobody listens: never up", async () => {
      const found = await look({ port: await freePort() });
      isOf(found, "refused", "refused");
    });

    it("no time is no look", async () => {
      const found = await look({ ...bench.healthy, timeoutMs: 0 });
      expect(found.class).not.toBe("up");
    });

    for (const what of Object.keys(troubles) as Broken[])
      it(`who ${what}: never up, and left in time`, async ({ skip }) => {
        const why = bench.skips?.[what];
        if (why !== undefined) skip(why);
        const { class: usual, serve, ...rest } = troubles[what];
        const { port, sentBytes, sockets } = await broken((socket) => serve(socket, bench.speaks));
        const timeoutMs = "endless" in rest ? SHORT_MS : patientMs;
        isOf(await look({ port, timeoutMs }), what, usual);
        expect(sentBytes()).toBeLessThan(MOST_SENT_BYTES);
        if (!bench.keeps) await until("its connection is closed", () => sockets() === 0);
      });
  });
}

/** Ends with the test. `sockets`: connections that stand. */
async function broken(serve: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  let sent = 0;
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.on("close", () => {
      sent += socket.bytesWritten;
      sockets.delete(socket);
    });
    socket.resume();
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    sockets: () => sockets.size,
    sentBytes: () => [...sockets].reduce((sum, { bytesWritten }) => sum + bytesWritten, sent),
  };
}

const head = (length: number): string =>
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\nconnection: close\r\n\r\n`;
const ENDLESS_BODY =
  'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n["';

/** Once, when the caller has said something. */
function heard(answer: Server): Server {
  return (socket, speaks) => void socket.once("data", () => answer(socket, speaks));
}

/** So slowly that no deadline of a test sees its end. */
function trickle(socket: Socket, bytes: string): void {
  let at = 0;
  const timer = setInterval(() => {
    socket.write(bytes[at] ?? " ");
    at += 1;
  }, 20);
  socket.on("close", () => clearInterval(timer));
}

/** As fast as it is read, for ever. */
function flood(socket: Socket, first: string): void {
  const block = Buffer.alloc(1 << 16, "a");
  const more = () => {
    while (!socket.destroyed && socket.write(block));
  };
  socket.write(first);
  socket.on("drain", more);
  more();
}
