/**
 * A way from here to there, which can be cut: a TCP forwarder, such as a relay's way to the Worker.
 *
 * Promises: has its port before it leads anywhere; a cut drops what is open and lets nothing through, like a
 * firewall that says no. Must never: look at what passes; who opens it may, on its way back.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";

export type Link = Awaited<ReturnType<typeof openLink>>;

/** @param back what the answers go through, one for each connection; if it fails, the connection drops. */
export async function openLink(host: string, back?: () => Duplex) {
  let target: { readonly host: string; readonly port: number } | null = null;
  let isCut = false;
  const sockets = new Set<Socket>();

  const server = createServer((socket) => {
    if (isCut || target === null) return void socket.destroy();
    const onward = connect(target.port, target.host);
    for (const [each, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      sockets.add(each);
      each.setNoDelay(true);
      each.on("error", () => {});
      each.on("close", () => {
        sockets.delete(each);
        other.destroy();
      });
    }
    socket.pipe(onward);
    const through = back?.().on("error", () => socket.destroy());
    (through === undefined ? onward : onward.pipe(through)).pipe(socket);
  });
  server.listen(0, host);
  await once(server, "listening");
  const dropAll = () => {
    for (const socket of sockets) socket.destroy();
  };

  const { port } = server.address() as AddressInfo;
  return {
    ...{ host, port },
    url: `http://${host}:${port}`,
    leadTo(to: { readonly host: string; readonly port: number }): void {
      target = to;
    },
    cut(): void {
      isCut = true;
      dropAll();
    },
    heal(): void {
      isCut = false;
    },
    async close(): Promise<void> {
      const closed = once(server, "close");
      server.close();
      dropAll();
      await closed;
    },
  };
}
