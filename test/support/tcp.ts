/**
 * A server that does as a test says with every connection: accepts and is silent, hangs up, says nonsense.
 *
 * Promises: it and all its connections are gone after the test that asked for it.
 */
import { createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** The port of 127.0.0.1 on which it listens. */
export async function tcpServer(onSocket: (socket: Socket) => void = () => {}): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
