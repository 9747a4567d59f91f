/**
 * Asks one question of the DNS server on a port of 127.0.0.1.
 *
 * Promises: an answer to this very question, or a rejection by the deadline; no socket is left open.
 * Must never: ask the system's resolver.
 */
import { createSocket } from "node:dgram";
import * as packet from "dns-packet";

export type DnsAnswer = {
  readonly rcode: string;
  readonly answers: readonly packet.Answer[];
  readonly authorities: readonly packet.Answer[];
};

export function query(
  port: number,
  name: string,
  type: string,
  timeoutMs = 2000,
): Promise<DnsAnswer> {
  const id = Math.floor(Math.random() * 65_536);
  const socket = createSocket("udp4");
  const asked = packet.encode({
    type: "query",
    id,
    flags: packet.RECURSION_DESIRED,
    questions: [{ name, type }],
  });
  return new Promise<DnsAnswer>((resolve, reject) => {
    const timer = setTimeout(
      () => end(() => reject(new Error(`no DNS answer in ${timeoutMs} ms`))),
      timeoutMs,
    );
    const end = (settle: () => void) => {
      clearTimeout(timer);
      socket.close();
      settle();
    };
    socket.once("error", (error) => end(() => reject(error)));
    socket.on("message", (bytes) => {
      const { id: answered, rcode = "", answers = [], authorities = [] } = packet.decode(bytes);
      if (answered === id) end(() => resolve({ rcode, answers, authorities }));
    });
    socket.send(asked, port, "127.0.0.1");
  });
}
