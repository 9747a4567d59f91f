/** HTTP servers that misbehave, on a free port of 127.0.0.1: what a relay or a proxy may turn into. */
import { createServer, type Server, type Socket } from "node:net";

export type RawServer = {
  readonly url: string;
  /** Requests whose head arrived. */
  readonly heads: () => readonly string[];
  readonly close: () => Promise<void>;
};

/** Calls `answer` for every request head; what it writes goes out as it is. */
export async function rawServer(answer: (socket: Socket) => void): Promise<RawServer> {
  const sockets = new Set<Socket>();
  const heads: string[] = [];
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) return;
      heads.push(text.slice(0, end));
      text = "";
      answer(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = address !== null && typeof address === "object" ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    heads: () => heads,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

export function http(status: number, body: string, headers: Record<string, string> = {}): string {
  const all = { "content-type": "application/json", connection: "close", ...headers };
  const length = Buffer.byteLength(body);
  const lines = Object.entries({ "content-length": String(length), ...all });
  return `HTTP/1.1 ${status} X\r\n${lines.map((line) => line.join(": ")).join("\r\n")}\r\n\r\n${body}`;
}
