/**
 * A relay's way to the Worker, which can be cut: a TCP forwarder.
 *
 * Promises: has its port before the Worker has one; a cut drops what is open and lets nothing through, like a
 * firewall that says no. Must never: look at what passes.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export type Link = Awaited<ReturnType<typeof openLink>>;

export async function openLink(host: string) {
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
      each.pipe(other);
    }
  });
  server.listen(0, host);
  await once(server, "listening");
  const dropAll = () => {
    for (const socket of sockets) socket.destroy();
  };

  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
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
